#!/usr/bin/perl

# A long job keeps its lock: it is extended each quarter of the time that it
# lasts, which is 30 seconds.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(6)->write_app_conf();
like(slurp($t->srcdir() . '/../conf/apworker.conf.full'),
	qr/^#\tlock_time 120s;/m, 'a lock lasts 120 s');
$t->write_app_conf(source => 'lock_time 12s;');
my $api = $t->api(lock_ms => 12000, jobs => [ flow_job(id => 'j1', engine => [
	{ do => 'wait', name => 'on' }, { do => 'answer' } ]) ]);
$t->run();

my $call = $api->wait_call('extendLock', 1);
my $job = $api->job('j1');
is_deeply($call->{payload}, { jobId => 'j1', queueName => 'workerJobs',
	token => $job->{handed}[0]{token} }, 'lock extended');
my $took = $call->{t_ms} - $job->{handed}[0]{t_ms};
cmp_ok($took, '>', 2500, 'after a quarter of it');
cmp_ok($took, '<', 12000, 'and before it ends');
$t->engine()->release('on');
is($api->wait_done('j1')->{status}, 'OK', 'job done');
is($api->job('j1')->{extended_late}, 0, 'no extension after the end');
