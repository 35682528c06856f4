#!/usr/bin/perl

# Slots and engines are killed at any time, connections drop, while jobs run:
# every job is settled exactly once, none is lost, and none runs after it was
# settled.  CHAOS_JOBS, CHAOS_SEED, CHAOS_SECONDS and CHAOS_RELOAD make it longer
# and repeatable.

use strict;
use warnings;

use Test::More;
use Time::HiRes ();

use lib 't/lib', 'lib';
use Test::Apworker;

my $jobs = $ENV{CHAOS_JOBS} || 30;
my $seed = $ENV{CHAOS_SEED} || 7;
srand $seed;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(6)->write_app_conf(slots => 3,
	    source => 'lock_time 5s;', main => 'retries 10;
	    respawn_max 100ms; respawn_burst 64; respawn_window 1s;');
# a job that was handed to a slot which died before it could read it is the
# app's own matter: its lock runs out
my $api = $t->api(lock_ms => 5000, stalled_ms => 250);
my $engine = $t->engine();
$t->run();

my $n = 0;
sub next_jobs {
	my ($many) = @_;
	my @list;

	while ($many-- && $n < $jobs) {
		$n++;
		push @list, flow_job(id => "c$n", engine => [
			{ do => 'note', text => "c$n" },
			{ do => 'rpc', method => 'uploadRunLog',
			    payload => { status => 'RUNNING' } },
			{ do => 'sleep', ms => int rand 120 },
			{ do => 'answer' } ]);
	}
	$api->push_job(@list) if @list;
}

my %killed = (slot => 0, engine => 0, link => 0);
while (1) {
	my @busy = grep { ($_->{job} || {})->{id} } $t->slots();
	next_jobs(3 - @busy);
	my @open = grep { !$api->settled("c$_") } 1 .. $n;
	last if $n >= $jobs && !@open;
	my $one = $busy[rand @busy] if @busy;
	my $dice = int rand 8;
	if ($one && $dice == 0) {
		$killed{slot}++;
		kill 'KILL', $one->{pid};
	} elsif ($one && $dice == 1 && $one->{engine_pid}) {
		$killed{engine}++;
		kill 'KILL', $one->{engine_pid};
	} elsif ($ENV{CHAOS_RELOAD} && rand() < 0.02) {
		$killed{reload}++;
		$t->reload();
	} elsif ($dice == 2 && rand() < 0.3) {
		$killed{link}++;
		$api->act('drop');
	} else {
		Time::HiRes::sleep(0.02);
	}
	last if Time::HiRes::time() - $^T > ($ENV{CHAOS_SECONDS} || 120);
}
diag("seed $seed: " . join ', ', map { "$killed{$_} x $_" } sort keys %killed);
cmp_ok($killed{slot}, '>', 0, 'slots were killed');

my (@lost, @twice, @late);
for my $job (map { $api->job("c$_") } 1 .. $n) {
	push @lost, $job->{id} if $job->{settled} == 0;
	push @twice, $job->{id} if $job->{settled} > 1;
}
is("@lost", '', "every job of $n is settled");
is("@twice", '', 'once');
is(scalar($api->seen(kind => 'late')), 0, 'by who had it');
# what an engine wrote down against when the app was told
my $zero = $api->ask('zero');
my %settled = map { $_->{job} => $_->{t_ms} } $api->seen(kind => 'settled');
my $wall = Time::HiRes::time() * 1000 - $api->ask('clock');
push @late, $_->{text} for grep { $_->{t} > $wall + $settled{$_->{text}} + 50 }
	$engine->records('note');
is("@late", '', 'no job runs after it was settled');
$t->stop();
is(`grep -rl engine-token @{[ $t->testdir() ]}/state`, '', 'no token is left');
