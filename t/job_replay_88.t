#!/usr/bin/perl

# Recorded traffic of the real app and engine of 0.88.3, played again: the
# daemon does what the recorded worker did.  CASES names all recordings; one
# that waits for something the daemon cannot do yet says so there.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Replay;
use Test::Apworker::Util;

my $dir = Test::Apworker::srcdir() . '/recordings/0.88.3';
my %waits = map { /^(\S+)(?: waits: (.+))?$/ ? ($1 => $2) : () }
	split /\n/, slurp("$dir/CASES");
# those of sessions are job_replay_session_88.t's
my @files = @ARGV ? @ARGV : grep { m{/([^/]+)\.jsonl$} && !$waits{$1} }
	grep { !m{/(?:session-|reconnect-)} } glob "$dir/*.jsonl";

# Where we decide otherwise, on purpose: a kill from outside is no memory.
my %expect = ('fail-engine-killed' => { status => {
	MEMORY_ISSUE => 'INTERNAL_ERROR',
	MEMORY_LIMIT_EXCEEDED => 'INTERNAL_ERROR' } });

# What the case was recorded with.
my %conf = ('two-slots-token-refresh' => { slots => 2 });

Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)->discard();
my @all = map { Test::Apworker::Replay::load($_) } @files;
my $n = 0;
$n += $_->plan_of() + $Test::Apworker::CHECKS for @all;
plan(tests => $n + 1);

is_deeply([ sort map { m{([^/]+)\.jsonl$} } glob "$dir/*.jsonl" ],
	[ sort keys %waits ], 'all recordings are there');
my @waiting = grep { $waits{$_} } sort keys %waits;
diag(scalar(@waiting) . " of " . keys(%waits) . " recordings wait:\n"
	. join "\n", map { "$_: $waits{$_}" } @waiting)
	if @waiting;

for my $rec (@all) {
	my $case = $rec->{case}{case};
	# the engine double has to reach its script and its records
	my $t = Test::Apworker->new()->write_app_conf(
		mode => "$rec->{case}{mode} { harden off; }",
		main => 'network auto { allow 127.0.0.1; }',
		%{ $conf{$case} || {} });
	# what the registry does not have either
	$t->tool('bun', { exit => 1, stderr => "404\n" })
		if $case eq 'extract-registry';
	$rec->play($t, %{ $expect{$case} || {} });
	$t->finish();
}
