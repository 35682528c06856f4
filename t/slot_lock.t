#!/usr/bin/perl

# A long job keeps its lock: it is extended every 30 seconds.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(5)->write_app_conf();
my $api = $t->api(jobs => [ flow_job(id => 'j1', engine => [
	{ do => 'wait', name => 'on' }, { do => 'answer' } ]) ]);
$t->run();

my $call = $api->wait_call('extendLock', 1, 100);
my $job = $api->job('j1');
is_deeply($call->{payload}, { jobId => 'j1', queueName => 'workerJobs',
	token => $job->{handed}[0]{token} }, 'lock extended');
my $took = $call->{t_ms} - $job->{handed}[0]{t_ms};
cmp_ok($took, '>', 28000, 'after 30 s');
cmp_ok($took, '<', 60000, 'and long before it ends');
$t->engine()->release('on');
is($api->wait_done('j1')->{status}, 'OK', 'job done');
is($api->job('j1')->{extended_late}, 0, 'no extension after the end');
