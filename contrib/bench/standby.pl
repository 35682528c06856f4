#!/usr/bin/perl

# What a job waits for when its engine is not warm: in UNSANDBOXED with a warm
# engine, and in SANDBOX_PROCESS cold (no engine stands by), first (the first
# job of a slot, when its engine stands by) and standby (each job after, with
# a pause), in one run.  From handing out to completeJob, as the app sees it;
# one JSON line for each.
#
#	perl -It/lib contrib/bench/standby.pl [JOBS [BUNDLE | nop]]
#
# BENCH_STEP=1 in the environment gives the flow a code step; BENCH_REST=MS
# rests so long between an engine that is ready and its job: what it loads
# ahead is loaded then.
#
# Needs a built tree without sanitizers, the packages of the tests, esbuild, and
# the reference engine (contrib/install-deps.sh) where no BUNDLE is named.  nop
# is an engine that does nothing: then what is left is ours and its link's.

use strict;
use warnings;

use File::Path qw/remove_tree/;
use FindBin;
use List::Util qw/min/;

use Test::Apworker;
use Test::Apworker::Engine;
use Test::Apworker::Util;

my $jobs = shift // 15;
my $bundle = shift // "$FindBin::Bin/../engine/dist/main.js";
my $stock = "/tmp/apworker-standby-bench.$$";
# without one the flow is its trigger: code steps boot a process of their own
my $step = !$ENV{BENCH_STEP} ? undef :
	code_step(code => 'export const code = async () => ({ n: 1 });');

die "no $bundle: run contrib/install-deps.sh\n"
	unless $bundle eq 'nop' || -e $bundle;
END { remove_tree($stock) if $stock }

sub median {
	my @v = sort { $a <=> $b } @_;
	return 0 + sprintf '%.1f', $v[min($#v, int(@v / 2))];
}

sub daemon {
	my ($mode, $engine) = @_;
	my $t = Test::Apworker->new();
	$t->{engine} = Test::Apworker::Engine->new($t, name => 'engine-nop');
	$t->write_app_conf(mode => $mode, engine => $engine // '');
	$t->{conf} =~ s/%%FAKE_ESBUILD%%/%%ESBUILD%%/g;
	$t->{conf} =~ s/%%BUNDLE%%/$bundle/g unless $bundle eq 'nop';
	$t->{conf} =~ s{path %%TESTDIR%%/stock}{path $stock};
	my $api = $t->api();
	# no app for the engine's own requests
	$api->settings(PUBLIC_URL => '', $ENV{BENCH_SETTINGS} ?
		%{ unjson($ENV{BENCH_SETTINGS}) } : ());
	$t->run();
	return ($t, $api);
}

# The n-th engine that stands by is there.
sub standing {
	my ($t, $n) = @_;
	wait_for(sub {
		my $log = $t->log();
		my @ids = ($log =~ /standby engine started .*sandbox=(\S+)/g);
		my $id = $ids[$n - 1] // return 0;
		$log =~ /engine ready sandbox=\Q$id\E/;
	}, "engine $n that stands by", 30) or die $t->log_tail(20);
	select undef, undef, undef, ($ENV{BENCH_REST} || 0) / 1000;
}

# Milliseconds that the app saw.
sub job {
	my ($api, $id) = @_;
	$api->push_job(flow_job(id => $id, version => 'fv', step => $step));
	my $done = $api->wait_done($id) or die "no end of $id";
	die "$id: $done->{status}\n" unless $done->{status} eq 'OK';
	my ($from) = grep { $_->{job} eq $id } $api->seen(kind => 'handed');
	my ($to) = grep { $_->{job} eq $id } $api->seen(kind => 'settled');
	return $to->{t_ms} - $from->{t_ms};
}

my %ms;
sub line {
	my ($what, @took) = @_;
	$ms{$what} = median(@took);
	print json({ bench => $what, jobs => scalar @took,
		p50_ms => $ms{$what}, min_ms => 0 + sprintf('%.1f', min(@took)),
		$ms{warm} ? (over_warm_ms =>
			0 + sprintf '%.1f', $ms{$what} - $ms{warm}) : () }), "\n";
	$| = 1;
}

my ($t, $api) = daemon('UNSANDBOXED');
job($api, "w$_") for 1 .. 3;		# builds the code, too
line('warm', map { job($api, "warm$_") } 1 .. $jobs);
$t->stop()->discard();

($t, $api) = daemon('SANDBOX_PROCESS', 'standby 0;');
line('cold', map { job($api, "cold$_") } 1 .. ($jobs + 2) / 3);
$t->stop()->discard();

my @first;
for my $n (1 .. 4) {
	($t, $api) = daemon('SANDBOX_PROCESS');
	eval { standing($t, 1); 1 } or warn "the first job of a slot boots\n";
	push @first, job($api, 'first');
	$t->stop()->discard() if $n < 4;
}
line('first', @first);
my $n = () = $t->log() =~ /standby engine started/g;
line('standby', map {
	standing($t, $n++);
	job($api, "standby$_");
} 1 .. $jobs);
$t->stop()->discard();
