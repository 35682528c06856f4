#!/usr/bin/perl

# The driver of bench.sh: runs the daemon between the app double and an engine
# that does nothing, and prints one JSON line for each figure.
#
# Times of a job come from three places on one clock (CLOCK_MONOTONIC): the app
# double when it hands out and when completeJob has arrived, the engine when the
# operation has arrived and when it answers.  What lies between and is not the
# engine is the worker's (and half of the peers' own socket handling, see floor).

use strict;
use warnings;

use List::Util qw/min sum0/;

use Test::Apworker;
use Test::Apworker::Engine;

my $jobs = shift // 1000;
my $starts = 10;

sub line { print json({ @_ }), "\n"; $| = 1 }

sub quantile {
	my ($q, @v) = @_;
	@v = sort { $a <=> $b } @v;
	return @v ? 0 + sprintf '%.3f', $v[min($#v, int($q * @v))] : undef;
}

sub fresh {
	my $t = Test::Apworker->new();
	$t->{engine} = Test::Apworker::Engine->new($t, name => 'engine-nop');
	# nothing is built here: tools that only tell their version
	$t->write_file('tools/quick', "#!/bin/sh\necho 1.0.0\n", 0755);
	$t->write_app_conf(main => 'log_level notice;');
	$t->{conf} =~ s/%%FAKE_\w+%%/%%TESTDIR%%\/tools\/quick/g;
	return $t;
}

my $goal_start = 150;
my $goal_added = 1;
my $goal_pss = 12 * 1024;

# Start to first poll.
my @start;
for (1 .. $starts) {
	my $t = fresh();
	my $api = $t->api();
	my $t0 = $api->ask('clock');
	$t->start();
	my $poll = $api->wait_call('poll') or die $t->log_tail(20);
	push @start, $poll->{t_ms} - $t0;
	$t->wait_pidfile();
	$t->stop()->discard();
}
my $p50 = quantile(0.5, @start);
line(bench => 'start_to_first_poll', starts => $starts, p50_ms => $p50,
	min_ms => quantile(0, @start), max_ms => quantile(1, @start), goal_ms => $goal_start,
	of_goal => 0 + sprintf '%.2f', $p50 / $goal_start);

# Warm jobs, always one waiting; the first ones warm up.
my $t = fresh();
my $warmup = int $jobs / 10 + 1;
my @list = map { flow_job(id => "j$_", version => 'fv') } 1 .. $jobs + $warmup;
delete $_->{flowVersion} for @list[1 .. $#list];
my $api = $t->api();
$t->run();
$api->push_job(@list);
$api->wait_seen(kind => 'settled', n => scalar @list, seconds => 600)
	or die $t->log_tail(20);

my %handed = map { $_->{job} => $_->{t_ms} } $api->seen(kind => 'handed');
my %settled = map { $_->{job} => $_->{t_ms} } $api->seen(kind => 'settled');
my $zero = $api->ask('zero');
my %engine = map { $_->{run} => $_ } $t->engine()->records('nop');
my (@total, @added, @before, @after, @last);
for my $n ($warmup + 1 .. @list) {
	my $e = $engine{"run-j$n"} or next;
	my ($in, $out) = ($e->{in} - $zero, $e->{out} - $zero);
	push @total, $settled{"j$n"} - $handed{"j$n"};
	push @before, $in - $handed{"j$n"};
	push @after, $settled{"j$n"} - $out;
	push @added, $before[-1] + $after[-1];
}
my $span = $settled{ 'j' . @list } - $handed{ 'j' . ($warmup + 1) };
$p50 = quantile(0.5, @added);
line(bench => 'warm_job', jobs => scalar @added,
	jobs_per_s => int(1000 * $jobs / $span),
	total_p50_ms => quantile(0.5, @total),
	total_p99_ms => quantile(0.99, @total),
	before_engine_p50_ms => quantile(0.5, @before),
	after_engine_p50_ms => quantile(0.5, @after),
	added_p50_ms => $p50, added_p99_ms => quantile(0.99, @added),
	goal_ms => $goal_added, of_goal => 0 + sprintf '%.2f', $p50 / $goal_added);

# Memory of what is running now, the engine left out.
my ($master) = $t->pid();
my @below = grep { my $e = readlink "/proc/$_/exe";
	defined $e && $e !~ m{/node$} } Test::Apworker::Proc::descendants($master);
my $slots = { map { $_->{pid} => 1 } $t->slots() };
my %pss = (master => Test::Apworker::Proc::pss_kib($master));
for my $pid (@below) {
	my $kind = $slots->{$pid} ? 'slot' : 'other';
	$pss{$kind} = ($pss{$kind} // 0)
		+ (Test::Apworker::Proc::pss_kib($pid) // 0);
}
my $sum = sum0(values %pss);
line(bench => 'memory', jobs_done => scalar @list, pss_kib => \%pss,
	sum_kib => $sum, goal_kib => $goal_pss,
	of_goal => 0 + sprintf '%.2f', $sum / $goal_pss);

# The floor: one round trip of each peer without a worker in between.
my ($code, $out, $err) = $t->run_command([ 'node', $t->srcdir()
	. '/../contrib/bench/floor.js', $api->url(), $t->engine()->bundle(), 500 ]);
die $err if $code;
my $floor = unjson($out);
my $ground = $floor->{app_ms} + $floor->{engine_ms};
line(bench => 'floor', app_round_trip_p50_ms => $floor->{app_ms},
	engine_round_trip_p50_ms => $floor->{engine_ms},
	app_handshake_p50_ms => $floor->{handshake_ms},
	job_to_floor => 0 + sprintf '%.2f', quantile(0.5, @total) / $ground);

$t->stop()->discard();
