#!/usr/bin/perl

# A flow job is taken, run in an engine, reported and completed, once.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(14)->write_app_conf();

my $api = $t->api(jobs => [ flow_job(id => 'j1') ]);
$t->run();

my $done = $api->wait_done('j1');
is($done->{status}, 'OK', 'completed OK');
ok(!exists $done->{errorMessage}, 'no error message');
ok(!exists $done->{response}, 'no response');
is($done->{queueName}, 'workerJobs', 'queue name goes back');

is_deeply([ map { $_->{payload}{status} } $api->calls('uploadRunLog') ],
	[ qw/RUNNING SUCCEEDED/ ], 'reports of the engine are relayed in order');
is(($api->calls('getFlowVersion'))[0]{payload}{versionId}, 'fv-j1',
	'flow version asked for');

my $op = $t->engine()->wait_record('operation');
is($op->{type}, 'EXECUTE_FLOW', 'operation type');
is_deeply($op->{operation}, {
	flowVersion => unjson(json(flow_version(id => 'fv-j1'))),
	flowRunId => 'run-j1', projectId => 'p1', platformId => 'pl1',
	workerHandlerId => undef, httpRequestId => undef,
	runEnvironment => 'PRODUCTION', streamStepProgress => 'NONE',
	stepNameToTest => undef, logsFileId => 'log-j1',
	timeoutInSeconds => 600, engineToken => 'engine-token-j1',
	internalApiUrl => $api->url() . '/api/',
	publicApiUrl => 'http://127.0.0.1/api/', executionType => 'BEGIN',
	triggerPayload => { type => 'inline', value => {} },
	executeTrigger => JSON::PP::false,
}, 'operation has what the engine needs, and no more');

# The next ones find the engine warm.
$api->push_job(flow_job(id => 'j2', engine => [
	{ do => 'stdout', text => "hello\n" },
	{ do => 'stderr', text => "a warning\n" } ]),
	flow_job(id => 'j3', data => { workerHandlerId => 'wh1',
		httpRequestId => 'rq1' }, engine => [
	{ do => 'rpc', method => 'sendFlowResponse', payload => {
		runResponse => { status => 200, body => { a => 1 },
		headers => {} } } } ]));

$done = $api->wait_done('j2');
like($done->{logs}, qr/\Astdout:\nhello\n+stderr:\n(?:.*\n)*a warning/,
	'output of the engine becomes the logs');
is($api->wait_done('j3')->{status}, 'OK', 'third job');
is_deeply(($api->calls('sendFlowResponse'))[0]{payload}, {
	workerHandlerId => 'wh1', httpRequestId => 'rq1',
	runResponse => { status => 200, body => { a => 1 }, headers => {} } },
	'response of the flow is relayed');
is(scalar(my @s = $t->engine()->starts()), 1, 'one engine served all three');

is($api->settled($_), 1, "$_ settled once") for qw/j1 j3/;
