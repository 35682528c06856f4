#!/usr/bin/perl

# From release 0.86 on the app takes the job in hand back when the connection
# is lost: it is stopped at once, nothing is said about it, and the slot goes
# on with the next one.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(6)->write_app_conf();
my $api = $t->api(settings => { APP_VERSION => '0.86.0' },
	jobs => [ flow_job(id => 'j1', engine => [
		{ do => 'wait', name => 'never' }, { do => 'answer' } ]) ]);
$t->run();

$t->engine()->wait_record('operation');
$t->log_mark();
$api->act('drop');
ok($t->wait_log(qr/job is given up/), 'the job is given up');
$api->push_job(flow_job(id => 'j2'));
is($api->wait_done('j2')->{status}, 'OK', 'the next job is done');
is(scalar(my @s = $t->engine()->starts()), 2, 'by a new engine');
is(scalar($api->seen(kind => 'rpc', method => 'completeJob',
	payload => { jobId => 'j1' })), 0, 'the first is not completed by us');
is(scalar($api->seen(kind => 'rpc', method => 'uploadRunLog',
	payload => { runId => 'run-j1' })), 0, 'nor reported');
is(scalar($api->seen(kind => 'rpc', method => 'markPieceAsUsed')), 0,
	'and what 0.86 does not know is not called');
