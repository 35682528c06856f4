#!/usr/bin/perl

# Recorded traffic of the real app and engine, played again: the daemon does
# what the recorded worker did.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Replay;
use Test::Apworker::Util;

my $dir = Test::Apworker::srcdir() . '/recordings';
my @files = @ARGV ? @ARGV : grep { !m{/session-} }
	glob "$dir/*.jsonl";

# Where we decide otherwise, on purpose: a kill from outside is no memory.
my %expect = ('fail-engine-killed' => { status => {
	MEMORY_ISSUE => 'INTERNAL_ERROR',
	MEMORY_LIMIT_EXCEEDED => 'INTERNAL_ERROR' } },
	# One slot does not wait for what only another job of its own can bring:
	# the app answers savePayloads after the simulation has been disabled.
	map { $_ => { one_engine => 1, status => { INTERNAL_ERROR => 'OK' },
		rules => [ { at => 'rpc:savePayloads', do => 'never' } ] } }
		qw/webhook-simulate webhook-simulate-two-slots/);

Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)->discard();
my @all = map { Test::Apworker::Replay::load($_) } @files;
my $n = 0;
$n += $_->plan_of() + $Test::Apworker::CHECKS for @all;
plan(tests => $n + 1);

# None of them was lost on the way; those of sessions are job_replay_session.t's.
is_deeply([ sort map { m{([^/]+)\.jsonl$} } glob "$dir/*.jsonl" ],
	[ sort split /\n/, slurp("$dir/CASES") ], 'all recordings are there');

for my $rec (@all) {
	my $case = $rec->{case}{case};
	# the engine double has to reach its script and its records
	my $t = Test::Apworker->new()->write_app_conf(
		mode => "$rec->{case}{mode} { harden off; }",
		main => 'network auto { allow 127.0.0.1; }');
	$t->tool('bun', { exit => 1, stderr => "404\n" })
		if $case =~ /^(?:fail-piece-uninstallable|extract-not-found)$/;
	$rec->play($t, %{ $expect{$case} || {} });
	$t->finish();
}
