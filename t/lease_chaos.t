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
			{ do => 'sleep', ms => 200 + int rand 200 },
			{ do => 'answer' } ]);
	}
	$api->push_job(@list) if @list;
}

# what becomes of those that are seen at work, one after the other
my @fates = qw/slot none engine none link none slot engine/;
my %killed = map { $_ => 0 } @fates;
my %seen;
while (1) {
	my @busy = grep { ($_->{job} || {})->{id} } $t->slots();
	next_jobs(3 - @busy);
	last if $n >= $jobs && !grep { !$api->settled("c$_") } 1 .. $n;
	last if Time::HiRes::time() - $^T > ($ENV{CHAOS_SECONDS} || 120);
	my @new = grep { !$seen{$_->{job}{id}}++ } @busy;
	Time::HiRes::sleep(0.02) unless @new;
	Time::HiRes::sleep(rand 0.1) if @new;
	for my $one (@new) {
		my $fate = $fates[keys(%seen) % @fates];
		kill 'KILL', $one->{pid} if $fate eq 'slot';
		next if $fate eq 'engine' && !$one->{engine_pid};
		kill 'KILL', $one->{engine_pid} if $fate eq 'engine';
		$api->act('drop') if $fate eq 'link';
		$killed{$fate}++;
	}
	if ($ENV{CHAOS_RELOAD} && rand() < 0.02) {
		$killed{reload}++;
		$t->reload();
	}
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
# of a number of looks at both clocks the one that took least
my ($wall) = sort { $a <=> $b } map { my $ms = $api->ask('clock');
	Time::HiRes::time() * 1000 - $ms } 1 .. 20;
push @late, $_->{text} for grep { $_->{t} > $wall + $settled{$_->{text}} + 50 }
	$engine->records('note');
is("@late", '', 'no job runs after it was settled');
$t->stop();
is(`grep -rl engine-token @{[ $t->testdir() ]}/state`, '', 'no token is left');
