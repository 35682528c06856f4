#!/usr/bin/perl

# An engine that is stopped by a signal: the lock of its job is held until the
# job's time is over, then it is killed, and the slot goes on.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(7)->write_app_conf();
my $api = $t->api(settings => { FLOW_TIMEOUT_SECONDS => 2 },
	jobs => [ flow_job(id => 'j1', engine => [ { do => 'never' } ]) ]);
$t->run();
sub engine_pid {
	my $pid;
	wait_for(sub { ($pid) = grep { $_ } map { $_->{engine_pid} } $t->slots() },
		'engine');
	return $pid;
}
$t->wait_job('j1');
$t->wait_status(sub { $_->{slots}[0]{job}
	&& $_->{slots}[0]{job}{phase} eq 'run' });
my $pid = engine_pid();
kill 'STOP', $pid;
is($api->wait_done('j1')->{status}, 'TIMEOUT', 'ends by its time limit');
is($api->settled('j1'), 1, 'once');
ok(wait_for(sub { !kill 0, $pid }, 'engine'), 'the engine is killed');

$api->push_job(flow_job(id => 'j2', engine => [ { do => 'answer' } ]));
is($api->wait_done('j2')->{status}, 'OK', 'the next job has another one');

# one that is stopped while it is idle
$pid = engine_pid();
kill 'STOP', $pid;
$api->push_job(flow_job(id => 'j3', engine => [ { do => 'answer' } ]));
is($api->wait_done('j3')->{status}, 'TIMEOUT', 'its job ends by the limit');
$api->push_job(flow_job(id => 'j4', engine => [ { do => 'answer' } ]));
is($api->wait_done('j4')->{status}, 'OK', 'and the one after it is done');
is(scalar($api->seen(kind => 'settled')), 4, 'each settled once');
