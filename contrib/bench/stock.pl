#!/usr/bin/perl

# What the stock costs when everything is there, and when eight want the same
# new thing at once, as JSON lines:
#
#	APW_BUILD=DIR perl -It/lib contrib/bench/stock.pl
#
# DIR is a tree built without sanitizers, with t/bin/stock-tool (make
# check-unit); without it, this one.  Lines that are no JSON are the harness's.  The tools are the tests' doubles: it is
# the stock that is measured, and not bun.  strace counts the calls of 200
# orders that find all they want; without it that line is missing.

use strict;
use warnings;

use Test::More;

use Test::Apworker;
use Test::Apworker::Has;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new();
my ($bun, $esbuild) = ($t->tool('bun'), $t->tool('esbuild'));
my $s = Test::Apworker::Stock->new($t, jail => 0,
	installer_path => $bun->path(), bundler_path => $esbuild->path());

sub line { print json({ @_ }), "\n" }

# A flow of so many steps and ten pieces, asked for again and again.
for my $steps (1, 50) {
	my %order = (flow_version_id => "flow$steps",
		codes => [ map { step("step_$_", 'export const code = 1; //'
			. 'x' x 2000) } 1 .. $steps ],
		pieces => [ map { piece_of("piece-$_", '1.0.0') } 1 .. 10 ]);
	$s->order(%order)->{fault} eq 'OK' or die 'order';
	$s->order(%order);
	my $calls = () = ($bun->calls(), $esbuild->calls());
	my $got = $s->order(%order, repeat => 1000);
	my @us = sort { $a <=> $b } @{ $got->{us} }[1 .. 999];
	line(what => 'cached flow', steps => $steps, pieces => 10,
		us_median => $us[499], us_p99 => $us[988],
		tools_started => scalar(() = ($bun->calls(),
		$esbuild->calls())) - $calls);
	my $strace = Test::Apworker::Has::find('strace') or next;
	local $s->{as} = [ $strace, '-f', '-c', '-o',
		$t->testdir() . '/calls', '-e', 'trace=fsync,fdatasync,syncfs,'
		. 'sync,rename,renameat,renameat2,mkdir,mkdirat,fork,vfork,'
		. 'clone,clone3,execve' ];
	$s->order(%order, repeat => 200);
	line(what => 'calls of 200 orders', steps => $steps,
		map { my @f = split; ($f[-1] => 0 + $f[3]) }
		grep { /^\s*[\d.]+\s.* [a-z]\w+$/ && !/ total$/ }
		split /\n/, slurp($t->testdir() . '/calls'));
}

# Eight processes at once, as slots and daemons are.
my @orders = map { $s->start(flow_version_id => 'new', codes => [ step('s',
	'export const code = 2;', '{"dependencies":{"x":"1.0.0"}}') ]) } 1 .. 8;
my $good = grep { $s->wait($_)->{fault} eq 'OK' } @orders;
my @calls = grep { "@{ $_->{argv} }" !~ /--version/ }
	($bun->calls(), $esbuild->calls());
line(what => 'eight want the same new flow', good => $good,
	installs => scalar(grep { $_->{argv}[0] eq 'install'
	&& "@{ $_->{argv} }" =~ /hoisted/ } @calls));
