#!/usr/bin/perl

# An upgrade with jobs in flight: they end under the binary that began them,
# new ones go to both; the app's token, which came by the environment, gets to
# the new binary and is not to be seen on the way.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;

my $token = 'token-that-nobody-may-see-4711';
my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(12)->write_app_conf(slots => 2);
$t->{conf} =~ s/\btoken(?:_file)? [^;]+;//;
my $api = $t->api(poll_ms => 1000, token => $token, jobs => [
	flow_job(id => 'long', engine => [ { do => 'wait', name => 'go' },
	{ do => 'answer' } ]) ]);
my $engine = $t->engine();
$t->run(env => { AP_WORKER_TOKEN => $token });
$t->wait_job('long');
my $old = $t->pid();

$t->log_mark()->signal('USR2');
ok($t->wait_log(qr/the new binary is up/), 'a new binary');
my $new = slurp($t->pidfile()) + 0;
isnt($new, $old, 'is another process');
ok($t->wait_status(sub { $_->{pid} == $new && $_->{slots_able} == 2 }),
	'its slots have the token');
my @all = map { ($_, Test::Apworker::Proc::descendants($_)) } $old, $new;
is(scalar(grep { (slurp("/proc/$_/environ") // '') =~ /\Q$token\E/
	|| (slurp("/proc/$_/cmdline") // '') =~ /\Q$token\E/ } @all), 0,
	'nobody shows it');
unlike($t->log(), qr/\Q$token\E/, 'the log does not either');

kill 'QUIT', $old;
$api->push_job(flow_job(id => 'next', engine => [ { do => 'answer' } ]));
is($api->wait_done('next')->{status}, 'OK', 'a new job goes on');
ok(Test::Apworker::Proc::alive($old), 'the old binary has its job still');
$engine->release('go');
is($api->wait_done('long')->{status}, 'OK', 'and ends it');
is($t->wait_exit(), 0, 'then it leaves');
@$t{qw/pid adopted/} = ($new, 1);
is(scalar($api->seen(kind => 'handed')), 2, 'no job went out twice');

# and on: a reload of the new one still has the token
kill 'HUP', $new;
ok($t->wait_status(sub { $_->{reload}{ok} == 1 && !$_->{reload}{pending} }),
	'a reload of the new one');
$api->push_job(flow_job(id => 'last', engine => [ { do => 'answer' } ]));
is($api->wait_done('last')->{status}, 'OK', 'has it, too');
