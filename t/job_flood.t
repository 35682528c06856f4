#!/usr/bin/perl

# An engine that talks and calls without end delays no lock extension, its time
# limit is kept, and the next job is fine.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(7)->write_app_conf(main => 'progress_timeout 60s;');
# an app that does not answer the flood: all of it is in flight
my $api = $t->api(settings => { FLOW_TIMEOUT_SECONDS => 34 }, rules => [
	{ at => 'rpc:uploadRunLog', do => 'never', times => 0,
		match => { runId => 'run-flood', status => 'RUNNING' } } ]);
my $call = { do => 'rpc_nowait', method => 'uploadRunLog', payload => {
	status => 'RUNNING', tags => [ 'x' x 4096 ] } };
my $foreign = { do => 'rpc_nowait', method => 'sendFlowResponse', payload => {
	workerHandlerId => 'other', httpRequestId => 'other' } };
$api->push_job(flow_job(id => 'flood', engine => [
	{ do => 'upgraded' }, ($foreign) x 300, ($call) x 300,
	({ do => 'flood', bytes => 1 << 30, pace => 1 }) x 100 ]));
$t->run();

my $extended = $api->wait_call('extendLock', 1, 100);
my $handed = $api->job('flood')->{handed}[0]{t_ms};
cmp_ok($extended->{t_ms} - $handed, '<', 100000,
	'the lock is extended in time');
is($api->wait_done('flood', 100)->{status}, 'TIMEOUT', 'the time limit is kept');
my $done = $api->job('flood')->{completions}[0];
cmp_ok($done->{t_ms} - $handed, '<', 100000, 'in time');
my @bad = $api->seen(kind => 'rpc', method => 'sendFlowResponse');
is(scalar @bad, 0, 'calls for others are not passed on');
@bad = $t->log() =~ /(a call of the engine was refused method=sendFlowResponse)/g;
is(scalar @bad, 1, 'and are told once');
$api->push_job(flow_job(id => 'next'));
is($api->wait_done('next')->{status}, 'OK', 'the next job is fine');
$t->stop();
like($t->log(), qr/a call of the engine was refused: \d+ more in the last/,
	'and the others counted');
