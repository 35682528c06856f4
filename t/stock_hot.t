#!/usr/bin/perl

# An order of which everything is there starts nothing and writes nothing.

use strict;
use warnings;

use Test::More;
use Time::HiRes ();

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node/)->plan(8);
my ($bun, $esbuild) = ($t->tool('bun'), $t->tool('esbuild'));
my $s = Test::Apworker::Stock->new($t, jail => 0,
	installer_path => $bun->path(), bundler_path => $esbuild->path());
my %order = (
	codes => [ map { step("step_$_", 'export const code = async () => '
		. "$_; //" . 'x' x 2000) } 1 .. 50 ],
	pieces => [ map { piece_of("piece-$_", '1.0.0') } 1 .. 10 ],
);

sub tree {
	return join '', map { my @st = Time::HiRes::lstat($_);
		"$_ $st[1] $st[7] $st[9] $st[10]\n" }
		grep { !m{/v12(/\.use)?$} } sort split /\n/, qx{find '$_[0]'};
}

my $got = $s->order(%order);
is($got->{fault}, 'OK', '50 steps and 10 pieces') or diag($got->{error});
# the first look of a process compares the engine's content once
$got = $s->order(%order);
unlike($got->{log}, qr/installed|built/, 'all is there');
my $calls = () = ($bun->calls(), $esbuild->calls());
my $before = tree($s->path());
$got = $s->order(%order, repeat => 200);
is($got->{fault}, 'OK', 'ordered 200 times');
is(tree($s->path()), $before, 'nothing was written');
is(scalar(() = ($bun->calls(), $esbuild->calls())), $calls,
	'no tool was started');
my @us = sort { $a <=> $b } @{ $got->{us} }[1 .. 199];
my $limit_us = slurp(($ENV{APW_BUILD} || $t->srcdir() . '/..') . '/config.h') =~
	/^#define APW_DEVELOPER 1/m ? 20000 : 1000;
cmp_ok($us[100], '<', $limit_us, "in $us[100] us");
diag("an order of 60 entries takes $us[100] us (median of 199)");
cmp_ok($got->{us}[0], '<', 1000000, 'the first one takes the engine in');
is(scalar @us, 199, 'each was answered');
