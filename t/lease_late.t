#!/usr/bin/perl

# Who comes too late: a daemon, or a slot that stood still.  An app that says
# yes to every extension does not make the lease last.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(6)->write_app_conf(source => 'lock_time 4s;',
	    main => 'respawn_max 100ms; respawn_burst 64;');
my $api = $t->api(lock_ms => 4000, stalled_ms => 100, poll_ms => 1200);
my $engine = $t->engine();
$t->run();

sub script { return [ { do => 'wait', name => $_[0] }, { do => 'answer' } ] }

# a daemon that comes back late, to an app that says yes to everything
$t->expect_exit('signal 9');
$api->push_job(flow_job(id => 'late', engine => script('late')));
$engine->wait_record('operation');
my @below = Test::Apworker::Proc::descendants($t->pid());
$t->signal('KILL');
$t->wait_exit();
wait_for(sub { !grep { Test::Apworker::Proc::alive($_) } @below }, 'all gone');
$api->wait_seen(kind => 'stalled', job => 'late');
$engine->release('late');
$t->log_mark();
$t->expect_exit(0);
$t->run();
ok($t->wait_log(qr/left to the app .*why="its lock has run out"/),
	'a late successor leaves it to the app');
is($api->wait_done('late')->{status}, 'OK', 'done when handed out again');
# a machine that stops for seconds may make it late again, which it says
my $again = () = $t->log() =~ /job=late job is given up why="its lock at/g;
is_deeply([ @{ $api->job('late')->{handed} } - $again, $api->settled('late') ],
	[ 2, 1 ], 'settled once');

# a slot that stood still while a job was handed to it
$t->wait_status(sub { grep { $_->{state} eq 'idle' } @{ $_->{slots} } });
my ($still) = map { $_->{pid} } $t->slots();
my ($before, $stood);
for my $n (1 .. 20) {
	$api->wait_call('poll', 1 + $api->calls('poll'));
	$before = () = $engine->records('operation');
	kill 'STOP', $still;
	wait_for(sub { Test::Apworker::Proc::state_of($still) eq 'T' }, 'a stop');
	$api->push_job(flow_job(id => $stood = "stood$n"));
	last if @{ $api->job($stood)->{handed} };
	# its poll had ended before
	kill 'CONT', $still;
	$api->wait_done($stood);
}
$api->wait_seen(kind => 'stalled', job => $stood);
$t->log_mark();
kill 'CONT', $still;
ok($t->wait_log(qr/it had waited for us longer than its lock lasts/),
	'a job that waited in a slot that stood still is not begun');
is($api->wait_done($stood)->{status}, 'OK', 'done when handed out again');
is((() = $engine->records('operation')) - $before, 1, 'run once');
