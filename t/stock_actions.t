#!/usr/bin/perl

# Code of steps that are run for themselves: each version in a folder of its
# own, whose time is its last use.  What is old goes, and the longest unused of
# too many; never what was used just now or is in use.

use strict;
use warnings;

use JSON::PP ();
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node/)->plan(15);
my $esbuild = $t->tool('esbuild');
my $s = Test::Apworker::Stock->new($t, jail => 0,
	bundler_path => $esbuild->path());

sub folder { return "action-runs/pl_$_[0]" }
sub left { return join ' ', sort map { m{pl_(\w+)$} }
	glob $s->path('codes/action-runs/*') }
sub order {
	my ($name, %o) = @_;
	return $s->order(code_folder => folder($name), flow_version_id => undef,
		codes => [ step('s1', "exports.code = async () => '$name';") ],
		%o);
}
sub aged {
	my ($name, $seconds) = @_;
	my $then = time - $seconds;
	utime $then, $then, $s->path('codes/' . folder($name)) or die $!;
}

# Built and found again.
for my $time (1, 2) {
	my $got = order('a');
	is($got->{fault}, 'OK', "$time: in its folder") or diag($got->{error});
}
is(scalar(() = $esbuild->calls()), 1, 'built once');
like(slurp($s->path('codes/' . folder('a') . '/s1/index.js')), qr/'a'/,
	'the code');
for my $bad ('action-runs', 'action-runs/', 'action-runs/..',
	'action-runs/a/b', 'other/a', '..') {
	my $got = $s->order(code_folder => $bad, flow_version_id => undef,
		codes => [ step('s1', 'exports.code = 1;') ]);
	is($got->{fault}, 'USER', "not in \"$bad\"");
}

# Old ones, and one of a flow.
order($_) for qw/old older young/;
is($s->order(codes => [ step('s1', 'exports.code = async () => 1;') ])->{fault},
	'OK', 'a flow has code, too');
my $flow = $s->path('codes/fv');
utime 1, 1, $flow;
aged(old => 7300);
aged(older => 90000);
aged(young => 7000);
aged(a => 90000);
# the one of this order was used just now
order('a', sweep => JSON::PP::true);
is(left(), 'a young', 'older than two hours: gone; used just now: not');
ok(-d $flow, 'nothing of flows');

# Too many: 203 at once, five of them used lately.
mkdir $s->path('codes/' . folder("n$_")) or die $! for 1 .. 200;
mkdir $s->path('codes/' . folder("n$_") . '/s1') for 1 .. 200;
aged("n$_" => 2000 + $_) for 1 .. 195;
aged("n$_" => 300) for 196 .. 200;
aged(young => 1800);
order('a', sweep => JSON::PP::true);
my @left = split / /, left();
is(scalar @left, 200, 'no more than 200');
is(join(' ', grep { $_ ne 'n195' && $_ ne 'n194' } @left), join(' ', @left),
	'the longest unused are gone');
