#!/usr/bin/perl

# The app's connection is lost in every way: the job in hand goes on, its end
# is told on the next connection, and no job is lost or completed twice.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

# where it happens, how, and how often completeJob may be seen
my @cases = (
	[ 'in a poll', 'drop' ], [ 'in a poll', 'close' ],
	[ 'in a poll', 'disconnect' ], [ 'in a poll', 'freeze' ],
	[ 'in a job', 'drop' ], [ 'in a job', 'close' ],
	[ 'in a job', 'disconnect' ], [ 'in a job', 'freeze' ],
	[ 'rpc:completeJob', 'drop' ], [ 'rpc:completeJob', 'drop_after' ],
	[ 'rpc:completeJob', 'freeze' ], [ 'rpc:completeJob', 'disconnect' ],
	[ 'rpc:uploadRunLog', 'drop' ], [ 'rpc:uploadRunLog', 'drop_after' ],
	[ 'rpc:getFlowVersion', 'drop' ],
);

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(3 * @cases + 4)->write_app_conf();
my $api = $t->api(ping_interval_ms => 500, ping_timeout_ms => 1500);
$t->run();
$api->wait_call('poll');

my $n = 0;
for my $case (@cases) {
	my ($where, $how) = @$case;
	my $id = 'j' . ++$n;
	my $name = "$how $where";
	my $before = $api->seen(kind => 'settings');

	$api->rule(at => $where, do => $how) if $where =~ /^rpc/;
	if ($where eq 'in a poll') {
		$api->act($how);
		$api->wait_seen(kind => 'settings', n => $before + 1);
	}
	$api->push_job(flow_job(id => $id, engine => [
		{ do => 'rpc', method => 'uploadRunLog',
		    payload => { status => 'RUNNING' } },
		$where eq 'in a job' ? { do => 'wait', name => $id } : (),
		{ do => 'answer' } ]));
	if ($where eq 'in a job') {
		$api->wait_seen(kind => 'rpc', method => 'uploadRunLog',
			payload => { runId => "run-$id" });
		$api->act($how);
		# one time the engine ends while nobody is there
		$t->engine()->release($id) if $how eq 'drop';
		$api->wait_seen(kind => 'settings', n => $before + 1);
		$t->engine()->release($id);
	}

	is($api->wait_done($id)->{status}, 'OK', "$name: job done");
	my $job = $api->job($id);
	is(scalar @{ $job->{handed} }, 1, 'handed out once');
	cmp_ok($job->{settled}, '==', 1, 'settled once');
	$api->clear_rules();
}

is(scalar($t->engine()->starts()), 1, 'one engine did all of it');
is(scalar($api->seen(kind => 'late')), 0, 'no completion with a wrong token');
my @conns = @{ $api->stats()->{connections} };
ok(!(grep { $_->{settings} > 1 } @conns), 'settings asked once a connection');
# Calls never go out before the settings are there.
my @early = grep { $_->{rpcs} && !$_->{settings} } @conns;
ok(!@early, 'no call before the settings');
