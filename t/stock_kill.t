#!/usr/bin/perl

# kill -9 of slot, keeper or tool at any moment: nothing half-done is seen, and
# the next order has what it wants.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $rounds = 10;
my $t = Test::Apworker->new()->has(qw/node bun esbuild/)->plan(5 * $rounds);
my $s = Test::Apworker::Stock->new($t, negative_ttl_ms => 0);
my $seed = $ENV{APW_TEST_SEED} || time;
srand $seed;

# Packages in a chain, so that a lost one is missed by many; a piece for each.
my %packages = map { ("lib$_" => { versions => { '1.0.0' => {
	files => { 'src/index.js' => $_ == 0 ? 'exports.n = 0;'
		: 'exports.n = require("lib' . ($_ - 1) . '").n + 1;' },
	dependencies => $_ == 0 ? {} : { 'lib' . ($_ - 1) => '1.x' } } } }) }
	0 .. 20;
$packages{"piece-$_"} = { versions => { '1.0.0' => { files => {
	'src/index.js' => "exports.piece = require('lib$_').n;" },
	dependencies => { "lib$_" => '1.x' } } } } for 0 .. 20;
$s->registry(%packages);

for my $round (1 .. $rounds) {
	my @n = (int rand 21, int rand 21, $round);
	my @pieces = map { piece_of("piece-$_", '1.0.0') } @n;
	my @codes = (step("s$round", "import x from 'lib$n[0]';\n"
		. 'export const code = async () => x.n;',
		"{\"dependencies\":{\"lib$n[0]\":\"1.x\"}}"));
	my $order = $s->start(pieces => \@pieces, codes => \@codes);

	# the moment is the point: any will do
	select undef, undef, undef, rand 0.6;
	my @below = Test::Apworker::Proc::descendants($order->{pid});
	my $victim = rand() < 0.5 && @below ? $below[rand @below]
		: $order->{pid};
	kill 'KILL', $victim;
	$s->wait($order);

	my $got = $s->order(pieces => \@pieces, codes => \@codes);
	is($got->{fault}, 'OK', "round $round") or diag($got->{error});
	is($s->load("piece-$_", '1.0.0'), $_, "piece-$_ is whole") for @n;
	is($s->result("s$round"), $n[0], 'so is the step');
}
diag("APW_TEST_SEED=$seed") unless Test::More->builder->is_passing;
