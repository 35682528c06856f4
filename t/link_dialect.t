#!/usr/bin/perl

# Apps and engines of other generations: found out by what they say, each
# spoken to as it wants.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Engine;

my @old = (without => [ qw/APP_VERSION NETWORK_MODE/ ]);

sub daemon {
	my ($bundle, %conf) = @_;
	my $t = Test::Apworker->new()
		->has(qw/daemon node node_modules esbuild/);
	$t->{engine} = Test::Apworker::Engine->new($t, name => $bundle)
		if $bundle;
	return $t->write_app_conf(%conf);
}

sub operation {
	my ($t, $type) = @_;
	wait_for(sub { grep { $_->{operationType} eq $type }
		$t->engine()->records('operation') }, "an operation $type");
	return (grep { $_->{operationType} eq $type }
		$t->engine()->records('operation'))[-1]{operation};
}

sub webhook_job {
	my ($id, $payload, @double) = @_;
	my $job = flow_job(id => $id, engine => \@double);
	my ($from) = $job->{jobData};
	$job->{jobData} = { (map { $_ => $from->{$_} }
		qw/projectId platformId schemaVersion flowId/),
		jobType => 'EXECUTE_WEBHOOK', requestId => "q-$id",
		flowVersionIdToRun => $from->{flowVersionId},
		runEnvironment => 'PRODUCTION', saveSampleData => \0,
		execute => \1, payload => $payload };
	return $job;
}

# ------------------------------------------------------------- L1 with B0
{
	my $t = daemon('engine-b0');
	my $api = $t->api(@old, settings => { SSRF_PROTECTION_ENABLED => \0 },
		rules => [ { at => 'rpc:getPayloadFile', do => 'binary',
			value => 'eyJib2R5Ijp7ImEiOjF9fQ==', times => 0 } ]);
	$t->run();
	ok($t->wait_log(qr/connected to the app.*dialect=L1/), 'L1 is found');
	my $job = flow_job(id => 'j1', data => {
		progressUpdateType => 'TEST_FLOW', synchronousHandlerId => 'h1',
		logsUploadUrl => 'http://127.0.0.1/logs' }, engine => [
		{ do => 'call', method => 'nonsense', payload => {}, ms => 300 },
		{ do => 'call', method => 'sendFlowResponse', payload => {
			workerHandlerId => 'h1', httpRequestId => 'r1',
			runResponse => {} } },
		{ do => 'answer', value => { status => 'OK',
			delayInSeconds => 30 } } ]);
	$job->{jobData}{httpRequestId} = 'r1';
	delete $job->{jobData}{streamStepProgress};
	$api->push_job($job);
	my $done = $api->wait_done('j1');
	is($done->{status}, 'OK', 'L1, B0: a run');
	is($done->{delayInSeconds}, 30, 'with its delay');
	like($done->{logs}, qr/hello/, 'and its output');
	my $op = operation($t, 'EXECUTE_FLOW');
	is($op->{serverHandlerId}, 'h1', 'serverHandlerId');
	is($op->{progressUpdateType}, 'TEST_FLOW', 'progressUpdateType');
	is($op->{logsUploadUrl}, 'http://127.0.0.1/logs', 'logsUploadUrl');
	ok(!exists $op->{streamStepProgress} && !exists $op->{workerHandlerId},
		'no newer names');
	my %reply = map { $_->{method} => $_->{value} }
		$t->engine()->records('reply');
	like($reply{nonsense}{silence} // '', qr/timed out/,
		'a call that fails is not answered');
	ok(!defined $reply{sendFlowResponse}, 'one that does not is');

	$api->push_job(webhook_job('w1', { type => 'ref', fileId => 'pf1' }));
	is($api->wait_done('w1')->{status}, 'OK', 'a webhook');
	is_deeply(operation($t, 'EXECUTE_TRIGGER_HOOK')->{triggerPayload},
		{ body => { a => 1 } }, 'its payload is fetched');
	is_deeply(($api->calls('getPayloadFile'))[0]{payload},
		{ fileId => 'pf1', projectId => 'p1' }, 'by its id');
	my @polls = $api->calls('poll');
	ok(!exists $polls[-1]{payload}{sandboxes} &&
		!exists $polls[-1]{payload}{workerProps}{version},
		'machine information of its time');
	$t->finish();
}

# ------------------------------------------------------------- L2 with B0
{
	my $t = daemon('engine-b0');
	my $api = $t->api(@old, settings => { OTEL_ENABLED => \0 });
	$t->run();
	ok($t->wait_log(qr/connected to the app.*dialect=L2/), 'L2 is found');
	$api->push_job(flow_job(id => 'j1', engine => [
		{ do => 'call', method => 'nonsense', payload => {} },
		{ do => 'answer', value => { status => 'INTERNAL_ERROR',
			error => 'x' } } ]));
	is($api->wait_done('j1')->{status}, 'INTERNAL_ERROR', 'L2, B0: a run');
	my ($reply) = $t->engine()->records('reply');
	ok(exists $reply->{value}{__rpcError}, 'a call that fails is told');
	my ($report) = $api->seen(kind => 'rpc', method => 'uploadRunLog',
		payload => { status => 'INTERNAL_ERROR' });
	ok($report && !exists $report->{payload}{internalError} &&
		!exists $report->{payload}{logsFileId}, 'a report of its time');
	my $op = operation($t, 'EXECUTE_FLOW');
	is($op->{streamStepProgress}, 'NONE', 'the newer names');
	$api->push_job(webhook_job('w1', { type => 'inline', value => [ 1 ] }));
	is($api->wait_done('w1')->{status}, 'OK', 'a webhook');
	is_deeply(operation($t, 'EXECUTE_TRIGGER_HOOK')->{triggerPayload}, [ 1 ],
		'its payload is the value alone');
	$t->finish();
}

# ------------------------------------------------ L3 to L5, by release or word
for my $case ([ '0.85.4', '', 'L3' ], [ '0.86.0', '', 'L4' ],
	[ '0.86.1', '', 'L5' ], [ '0.88.3', '', 'L5' ], [ '0.91.0', '', 'L5' ],
	[ '0.85.4', 'dialect l4;', 'L4' ]) {
	my ($release, $words, $want) = @$case;
	my $t = daemon(undef, source => $words);
	my $api = $t->api(settings => { APP_VERSION => $release },
		jobs => [ flow_job(id => 'j1') ]);
	$t->run();
	ok($t->wait_log(qr/connected to the app.*dialect=$want/),
		"release $release $words: $want");
	is($api->wait_done('j1')->{status}, 'OK', 'a run');
	my ($log) = $t->log() =~ /(newer than any release)/;
	is($log // '', $release eq '0.91.0' ? 'newer than any release' : '',
		'a notice only of what is unknown');
	is(scalar(grep { exists $_->{payload}{runMs} }
		$api->calls('uploadRunLog')), $want eq 'L3' ? 0 : 1,
		'timings from L4 on') if wait_for(sub { $want eq 'L3' ||
		grep { exists $_->{payload}{runMs} }
		$api->calls('uploadRunLog') }, 'timings');
	$t->finish();
}

# ------------------------------- a group, before anybody knows who will answer
for my $case ([ '', 'platformIdForDedicatedWorker workerGroupId' ],
	[ 'dialect l1;', 'platformIdForDedicatedWorker' ],
	[ 'dialect l3;', 'workerGroupId' ]) {
	my ($words, $want) = @$case;
	my $t = daemon(undef, source => "group g1; $words");
	my $api = $t->api();
	$t->run();
	ok($t->wait_log(qr/connected to the app/), "group $words");
	my ($connect) = $api->seen(kind => 'connect');
	my %auth = %{ $connect->{payload} };
	is(join(' ', grep { ($auth{$_} // '') eq 'g1' } sort keys %auth), $want,
		"is called $want");
	$t->finish();
}

# ------------------------------------- engines of dialect A: one port for all
{
	my $t = daemon('engine-a', slots => 2);
	my $api = $t->api();
	$t->run();
	$api->push_job(flow_job(id => "j$_", data => { payload =>
		{ type => 'inline', value => { n => $_ } },
		streamStepProgress => 'WEBSOCKET' },
		engine => [ { do => 'wait', name => 'on' }, { do => 'twice' } ]))
		for 1, 2;
	ok(wait_for(sub { $t->engine()->records('operation') == 2 },
		'two engines at once'), 'A: two slots have an engine each');
	$t->engine()->release('on');
	is($api->wait_done("j$_")->{status}, 'OK', "A: run $_") for 1, 2;
	my @ops = sort { $a->{operation}{triggerPayload}{n} <=>
		$b->{operation}{triggerPayload}{n} }
		$t->engine()->records('operation');
	is_deeply([ map { $_->{operation}{triggerPayload}{n} } @ops ], [ 1, 2 ],
		'each with its own payload, the value alone');
	is_deeply($ops[0]{operation}{executionState}, { steps => {}, tags => [] },
		'with a state to begin with');
	is($ops[0]{operation}{progressUpdateType}, 'TEST_FLOW',
		'with the word of its time');
	is($ops[0]{operation}{serverHandlerId}, undef, 'and the name');
	isnt($ops[0]{sandbox}, $ops[1]{sandbox}, 'by two engines');
	is(scalar(my @r = $t->engine()->records('refused')), 0,
		'nobody was refused');
	$api->push_job(flow_job(id => 'j3'));
	is($api->wait_done('j3')->{status}, 'OK', 'one of them goes on');
	$t->finish();
}

done_testing();
