#!/usr/bin/perl

# Leaving is exact: the job in hand is finished, a parked poll is waited for and
# a job it brings is run; a second TERM does not wait.

use strict;
use warnings;

use Test::More;
use Time::HiRes ();

use lib 't/lib', 'lib';
use Test::Apworker;

my @wait = ([ { do => 'wait', name => 'on' }, { do => 'answer' } ]);

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(13)->write_app_conf(main => 'drain_timeout 20s;');
my $api = $t->api(poll_ms => 1500);

# A job in hand.
for my $sig (qw/QUIT TERM/) {
	$api->push_job(flow_job(id => "hand-$sig", engine => $wait[0]));
	$t->run();
	$t->engine()->wait_record('operation', $sig eq 'QUIT' ? 1 : 2);
	$t->log_mark()->signal($sig);
	$t->wait_log(qr/drain|leaving|stopping|SIG$sig/i);
	ok(!$t->reap(), "$sig: waits for the job");
	$t->engine()->release('on');
	is($api->wait_done("hand-$sig")->{status}, 'OK', 'the job is finished');
	is($t->wait_exit(), 0, 'then it leaves');
	unlink $t->testdir() . '/engine/go-on';
}

# A parked poll.
my $polls = $api->calls('poll');
$api->ask(set => { poll_ms => 60000 });
$t->run();
$api->wait_call('poll', $polls + 1);
$t->log_mark()->signal('QUIT');
$t->wait_log(qr/drain|leaving|stopping|SIGQUIT/i);
$api->push_job(flow_job(id => 'late'));
is($api->wait_done('late')->{status}, 'OK',
	'a job that a parked poll brings is run');
is($t->wait_exit(), 0, 'then it leaves');
ok($api->wait_seen(kind => 'event', event => 'DISCONNECT'),
	'it says good-bye');

# Twice means now.
$api->push_job(flow_job(id => 'never', engine => [ { do => 'fork' },
	{ do => 'never' } ]));
$t->run();
$t->engine()->wait_record('fork');
$t->log_mark()->signal('TERM');
$t->wait_log(qr/drain|leaving|stopping|SIGTERM/i);
my $t0 = Time::HiRes::time();
wait_for(sub { Time::HiRes::time() - $t0 > 1.2 }, 'another second');
$t->signal('TERM');
my $code = $t->wait_exit();
ok(defined $code, 'a second TERM ends it');
cmp_ok(Time::HiRes::time() - $t0, '<', 60, 'at once');
is($api->settled('late'), 1, 'nothing completed twice');
is(scalar($api->seen(kind => 'repeated')), 0, 'not even repeated');
