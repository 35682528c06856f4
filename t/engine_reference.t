#!/usr/bin/perl

# The reference engine against a real Socket.IO server: its own suite, in Node.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::Apworker::Has;

my $engine = "$FindBin::Bin/../contrib/engine";
for my $what (qw/node node_modules reference_engine/) {
	my $missing = Test::Apworker::Has::missing(undef, $what);
	plan(skip_all => $missing) if defined $missing;
}
plan(skip_all => 'no contrib/engine/dist/main.js (contrib/install-deps.sh)')
	unless -e "$engine/dist/main.js";

my @suites = sort glob "$engine/test/*.test.js";
plan(tests => scalar @suites);

$ENV{NODE_PATH} = "$FindBin::Bin/node_modules";
for my $suite (@suites) {
	my ($name) = $suite =~ m{([^/]+)$};
	open my $pipe, '-|', Test::Apworker::Has::find('node'),
		qw/--no-node-snapshot --test --test-reporter=tap/, $suite
		or die "node: $!";
	my @out = <$pipe>;
	close $pipe;
	my $status = $?;
	my ($run) = map { /^# tests (\d+)/ ? $1 : () } @out;

	ok($status == 0 && $run, "$name: " . ($run // 0) . ' tests')
		or diag(grep { !/^\s*duration_ms|^#/ } @out);
	note(grep { /# SKIP/ } @out);
}
