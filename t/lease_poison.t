#!/usr/bin/perl

# A job that kills its slot each time is begun again `retries` times, then it
# ends as INTERNAL_ERROR and says where its slots died; the next job is done.
# What must not be done twice is not, by a successor either.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(11)->write_app_conf(main => 'retries 1;
	    respawn_max 100ms; respawn_burst 64;');
my $api = $t->api();
my $engine = $t->engine();
$t->run();

$api->push_job(flow_job(id => 'bad', engine => [
	{ do => 'never' } ]));
for my $n (1 .. 2) {
	$engine->wait_record('operation', $n);
	my ($slot, $pid) = $t->wait_job('bad');
	$t->log_mark();
	kill 'KILL', $pid;
	ok($t->wait_log(qr/a job goes on whose slot died.* deaths=$n/),
		"death $n");
}
my $done = $api->wait_done('bad');
is($done->{status}, 'INTERNAL_ERROR', 'the job ends');
like($done->{errorMessage}, qr/the worker died 2 times while it had this job: in "run" after \d+ ms, in "run" after \d+ ms/,
	'and says where its slots died');
my ($log) = $api->seen(kind => 'rpc', method => 'uploadRunLog',
	payload => { runId => 'run-bad' });
is($log->{payload}{status}, 'INTERNAL_ERROR', 'the run is reported');
is(scalar(my @o = $engine->records('operation')), 2, 'run twice, not more');
is(scalar @{ $api->job('bad')->{handed} }, 1, 'handed out once');

# a webhook: its runs were submitted, or may have been
$api->version(flow_version(id => 'fv-hook', engine => [ { do => 'answer',
	value => { status => 'OK', response => { output => [ 1 ],
	    success => JSON::PP::true() } } } ]));
$api->rule(at => 'rpc:submitPayloads', do => 'never');
$api->push_job({ jobId => 'hook', engineToken => 'engine-token-hook',
	jobData => { jobType => 'EXECUTE_WEBHOOK', schemaVersion => 10,
	    projectId => 'p1', platformId => 'pl1', flowId => 'f1',
	    flowVersionIdToRun => 'fv-hook', requestId => 'req1',
	    payload => { type => 'inline', value => {} },
	    runEnvironment => 'PRODUCTION', saveSampleData => JSON::PP::false(),
	    execute => JSON::PP::true() } });
$api->wait_call('submitPayloads');
my ($slot, $pid) = $t->wait_job('hook');
kill 'KILL', $pid;
is($api->wait_done('hook')->{status}, 'OK', 'a webhook ends well');
is(scalar($api->calls('submitPayloads')), 1, 'its runs are not started twice');

$api->push_job(flow_job(id => 'good'));
is($api->wait_done('good')->{status}, 'OK', 'the next job is done');
$t->stop();
is(`grep -rl engine-token @{[ $t->testdir() ]}/state`, '', 'no token is left');
