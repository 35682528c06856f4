#!/usr/bin/perl

# A run that does not end is ended at its time limit, one that eats memory at
# its memory limit, and all it started goes with it.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(13)->write_app_conf();
my $api = $t->api(settings => { FLOW_TIMEOUT_SECONDS => 2,
	SANDBOX_MEMORY_LIMIT => '32768' }, jobs => [
	flow_job(id => 'never', engine => [ { do => 'fork' },
		{ do => 'stdout', text => "so far\n" }, { do => 'never' } ]),
	flow_job(id => 'spin', engine => [ { do => 'spin', ms => 60000 } ]) ]);
$t->run();

my $done = $api->wait_done('never');
is($done->{status}, 'TIMEOUT', 'completed TIMEOUT');
ok(!exists $done->{errorMessage}, 'no message');
my ($report) = $api->seen(kind => 'rpc', method => 'uploadRunLog',
	payload => { runId => 'run-never' });
is($report->{payload}{status}, 'TIMEOUT', 'reported');
ok(!exists $report->{payload}{internalError}, 'not as an internal error');

my $took = $api->job('never');
$took = $took->{completions}[0]{t_ms} - $took->{handed}[0]{t_ms};
cmp_ok($took, '>=', 2000, 'not before the limit');
cmp_ok($took, '<', 32000, 'soon after');

my $child = $t->engine()->wait_record('fork')->{child};
ok(wait_for(sub { !Test::Apworker::Proc::alive($child) }, 'end of the child'),
	'a child with a session of its own is gone too');

is($api->wait_done('spin')->{status}, 'TIMEOUT', 'busy engine too');
$api->settings(FLOW_TIMEOUT_SECONDS => 60);
my $seen = $api->seen(kind => 'settings');
$api->act('drop');
$api->wait_seen(kind => 'settings', n => $seen + 1);
$api->push_job(flow_job(id => 'ok'));
is($api->wait_done('ok')->{status}, 'OK', 'the next job finds a new engine');
is(scalar($t->engine()->starts()), 3, 'three engines in all');

$api->push_job(flow_job(id => 'oom', engine => [ { do => 'oom' } ]));
is($api->wait_done('oom', 60)->{status}, 'MEMORY_ISSUE', 'heap used up');
($report) = $api->seen(kind => 'rpc', method => 'uploadRunLog',
	payload => { runId => 'run-oom' });
is($report->{payload}{status}, 'MEMORY_LIMIT_EXCEEDED', 'reported');

SKIP: {
	my $limited = -w '/sys/fs/cgroup/memory'
		|| -w '/sys/fs/cgroup/cgroup.procs';
	skip 'no memory controller here', 1 unless $limited && $> == 0;
	$api->push_job(flow_job(id => 'hog', engine => [ { do => 'hog' } ]));
	is($api->wait_done('hog', 60)->{status}, 'MEMORY_ISSUE',
		'memory that is no heap, of a plain engine');
}
