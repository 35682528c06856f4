#!/usr/bin/perl

# An errand that finds nothing to do is not started again at once each time a
# slot has been free for a moment: the next one is longer in coming.

use strict;
use warnings;

use Test::More;
use Time::Local qw/timegm/;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(6)->write_app_conf(slots => 2);
my $api = $t->api(release => '0.86.0', poll_ms => 1000);

sub waiting_job {
	my ($id) = @_;
	return flow_job(id => $id, engine => [ { do => 'wait', name => $id } ]);
}

sub log_times {
	my ($what) = @_;
	return map { /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)\.(\d+)Z .*$what/ ?
		timegm($6, $5, $4, $3, $2 - 1, $1) * 1000 + $7 : () }
		split(/\n/, $t->log());
}

sub errand { return $t->status()->{errand} }

$t->run();
$t->wait_ready();
$api->push_job(waiting_job('long'));
$t->wait_job('long');
for my $n (1 .. 4) {
	$api->push_job(waiting_job("run$n"));
	$t->wait_job("run$n");
	wait_for(sub { my $e = errand(); $e && $e->{poll_left_ms} },
		"errand $n", 60);
	$t->engine()->release("run$n");
	$api->wait_done("run$n");
	wait_for(sub { !errand() }, "end of errand $n");
}
my @started = log_times('an errand is started');
my @left = log_times('process left process=errand');
is(scalar(@started), 4, 'four rounds');
for my $n (1 .. 3) {
	my $least = 1000 * 2 ** ($n - 1);
	my $pause = $started[$n] - $left[$n - 1];
	cmp_ok($pause, '>=', $least - 100, "at least $least ms after $n of no use");
}
$t->engine()->release('long');
is($api->wait_done('long')->{status}, 'OK', 'the long one ends');
is($api->settled("long"), 1, 'once');
