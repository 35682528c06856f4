#!/usr/bin/perl

# How long from the kill -9 of a slot until its job runs again, and with which
# engine:  perl -It/lib contrib/bench/lease.pl [ROUNDS [MAIN.JS]]
#
# Without MAIN.JS (the reference engine's bundle, contrib/engine/dist/main.js)
# the engine double does it.  One JSON line: milliseconds, sorted.

use strict;
use warnings;

use Cwd ();
use File::Basename ();
use Time::HiRes qw/time/;

use Test::Apworker;

my ($rounds, $bundle) = @ARGV;
$rounds ||= 15;
$bundle = Cwd::abs_path($bundle) if $bundle;
$Test::Apworker::CHECKS = 0;

my $t = Test::Apworker->new();
$t->write_app_conf(main => 'retries 10; respawn_max 100ms;
	respawn_burst 64; log_level debug;');
$t->{conf} =~ s/%%FAKE_ESBUILD%%/%%ESBUILD%%/;
if ($bundle) {
	my $modules = File::Basename::dirname($bundle) . '/../node_modules';
	$t->{conf} =~ s/%%BUNDLE%%;/$bundle; node_path $modules;/;
}
my $api = $t->api();
$t->run();

my (@up, @all);
for my $n (1 .. $rounds) {
	my $id = "r$n";
	$api->push_job(flow_job(id => $id, engine => [ { do => 'wait',
		name => $id }, { do => 'answer' } ], step => code_step(code =>
		'export const code = async () => { await new Promise(r => '
		. 'setTimeout(r, 3000)); return 1; };')));
	$t->log_mark();
	$t->wait_log(qr/job=$id job goes on step=run/);
	my ($slot, $pid) = $t->wait_job($id);
	$t->log_mark();
	my $from = time();
	kill 'KILL', $pid;
	$t->wait_log(qr/a job goes on whose slot died/);
	$t->wait_log(qr/job=$id job goes on step=run/);
	my @line = grep { /a job goes on whose|job=$id job goes on step=run/ }
		split /\n/, $t->log(@{ $t->{mark} });
	my @ms = map { /T\d\d:(\d\d):([\d.]+)Z/ ? ($1 * 60 + $2) * 1000 : () }
		@line[0, -1];
	my $base = ($from - 3600 * int($from / 3600)) * 1000;
	push @up, int $ms[0] - $base;
	push @all, int $ms[1] - $base;
	$t->engine()->release($id) unless $bundle;
	$api->wait_done($id);
}
@$_ = sort { $a <=> $b } @$_ for \@up, \@all;
print json({ bench => 'slot killed until its job runs again',
	engine => $bundle ? 'reference' : 'double', rounds => $rounds,
	taken_over_p50_ms => $up[@up / 2], runs_p50_ms => $all[@all / 2],
	runs_max_ms => $all[-1], runs_ms => \@all }), "\n";
$t->stop();
$t->discard();
