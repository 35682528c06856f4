#!/usr/bin/perl

# kill -9 of a slot in each phase of a job: the next one goes on with it at once.
# Every job is handed out once and settled once; what had its result is not run
# again, and no token of a dead life stays on the disk.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

# name, what the app does, what the engine does, when to kill, runs seen, what
# happens when the slot is dead
my @cases = (
	[ 'booting', sub { $_[0]->engine()->behave(connect_delay_ms => 60000) },
	    [ { do => 'answer' } ], sub { $_[2]->wait_record('start',
		1 + $_[5]); $_[2]->behave() }, 1 ],
	[ 'asking for the flow', [ at => 'rpc:getFlowVersion', do => 'never' ],
	    [ { do => 'answer' } ],
	    sub { $_[0]->wait_seen(kind => 'rpc', method => 'getFlowVersion',
		payload => { versionId => "fv-$_[1]" }) }, 1 ],
	[ 'building', sub { $_[0]->tool('esbuild', { wait => 'built' }) },
	    [ { do => 'answer' } ], sub { $_[4]->tool('esbuild')->wait_call(1) },
	    1, sub { $_[0]->tool('esbuild')->release('built') } ],
	[ 'running', undef, [ { do => 'wait', name => 'on' },
	    { do => 'answer' } ],
	    sub { $_[2]->wait_record('operation', $_[3] + 1) }, 2,
	    sub { $_[0]->engine()->release('on') } ],
	[ 'in a call of the engine', [ at => 'rpc:uploadRunLog', do => 'never' ],
	    [ { do => 'rpc', method => 'uploadRunLog',
		payload => { status => 'RUNNING' } }, { do => 'answer' } ],
	    sub { $_[0]->wait_seen(kind => 'rpc', method => 'uploadRunLog',
		payload => { runId => "run-$_[1]" }) }, 2 ],
	[ 'reporting', [ at => 'rpc:uploadRunLog', do => 'never' ],
	    [ { do => 'exit', code => 9 } ],
	    sub { $_[0]->wait_seen(kind => 'rpc', method => 'uploadRunLog',
		payload => { runId => "run-$_[1]" }) }, 1 ],
	[ 'completing', [ at => 'rpc:completeJob', do => 'never' ],
	    [ { do => 'answer' } ],
	    sub { $_[0]->wait_seen(kind => 'rpc', method => 'completeJob',
		payload => { jobId => $_[1] }) }, 1 ],
	# nor does it get through before it is dead
	[ 'completed, the answer lost', sub { my ($api) = $_[0]->api();
		$api->rule(at => 'rpc:completeJob', do => 'drop_after');
		$api->rule(at => 'connect', do => 'drop', times => 0) },
	    [ { do => 'answer' } ],
	    sub { $_[0]->wait_done($_[1]) }, 1,
	    sub { $_[0]->api()->clear_rules() } ],
);

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(4 * @cases + 3)->write_app_conf(main => ($> ? '' :
	    'user nobody;') . 'respawn_max 100ms; respawn_burst 64;');
my $api = $t->api();
my $engine = $t->engine();
$t->run();

my $n = 0;
for my $case (@cases) {
	my ($name, $rule, $script, $when, $runs, $then) = @$case;
	my $id = 'j' . ++$n;
	my $before = () = $engine->records('operation');
	my $starts = () = $engine->starts();

	$api->rule(@$rule) if ref $rule eq 'ARRAY';
	$rule->($t) if ref $rule eq 'CODE';
	$t->log_mark();
	$api->push_job(flow_job(id => $id, engine => $script,
		$name eq 'building' ? (step => code_step()) : ()));
	my ($slot, $pid) = $t->wait_job($id);
	$when->($api, $id, $engine, $before, $t, $starts);
	kill 'KILL', $pid;
	$then->($t) if $then;
	ok($t->wait_log(qr/a job goes on whose slot died/),
		"$name: the next slot goes on");
	my $status = $api->wait_done($id)->{status};
	is($status, $name eq 'reporting' ? 'INTERNAL_ERROR' : 'OK',
		'job done');
	ok(wait_for(sub { !grep { ($_->{job} || {})->{id} } $t->slots() },
		'the slot is done'), 'and closed');
	my $job = $api->job($id);
	my $ran = () = $engine->records('operation');
	is_deeply([ scalar @{ $job->{handed} }, $job->{settled},
		$ran - $before ], [ 1, 1, $runs ],
		'handed out once, settled once, run as often as it must');
	$api->clear_rules();
}

is(scalar($api->seen(kind => 'late')), 0, 'nothing after another had it');
$t->stop();
my $left = `grep -rl engine-token @{[ $t->testdir() ]}/state 2>/dev/null`;
is($left, '', 'no token is left in the state directory');
my @files = glob $t->testdir() . '/state/leases/*';
is_deeply(\@files, [], 'nor a lease');
