#!/usr/bin/perl

# Several processes, slow tools, kills in the middle: one install, nothing
# half-done, no process left, and the next order is fine.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node/)->plan(31);
my ($bun, $esbuild) = ($t->tool('bun'), $t->tool('esbuild'));
my $s = Test::Apworker::Stock->new($t, jail => 0, negative_ttl_ms => 0,
	installer_path => $bun->path(), bundler_path => $esbuild->path());
my %order = (pieces => [ piece_of('piece-a', '1.0.0') ], codes => [
	step('s', 'export const code = async () => 1;',
	'{"dependencies":{"x":"1"}}') ]);

sub installs { scalar grep { $_->{argv}[0] eq 'install' } $bun->calls() }
sub builds { scalar grep { $_->{argv}[0] ne '--version' } $esbuild->calls() }

sub gone {
	my ($pid, $what) = @_;
	ok(wait_for(sub { !Test::Apworker::Proc::alive($pid) }, undef, 30),
		$what);
}

$bun->behave({ wait => 'go' }, {});

# eight at once
my @orders = map { $s->start(%order) } 1 .. 8;
wait_for(sub { installs() >= 1 }, 'the first install');
$bun->release('go');
my @got = map { $s->wait($_) } @orders;
is_deeply([ map { $_->{fault} } @got ], [ ('OK') x 8 ],
	'eight processes want the same') or diag(map { $_->{log} } @got);
is(installs(), 2, 'one install each of packages and piece');
is(builds(), 1, 'one build');
is($s->load('piece-a', '1.0.0'), 'undefined', 'the piece loads');

# a second run starts nothing
my $got = $s->order(%order, repeat => 10);
is($got->{fault}, 'OK', 'ordered ten times more');
is(installs() + builds(), 3, 'no tool was started');

# a tool that hangs, with a child that hangs
sub hang_next {
	my ($tool, %what) = @_;
	my $n = $tool->calls();
	$tool->behave(({}) x $n, { hang => 1, fork => 1, %what }, {});
	return $n;
}

my $n = hang_next($bun);
my %next = (pieces => [ piece_of('piece-b', '1.0.0') ]);
$got = $s->order(%next, stock => { install_timeout_ms => 3000 });
is($got->{fault}, 'OURS', 'an installer that hangs');
like($got->{error}, qr/within 3000 ms/, 'runs out of time');
gone(($bun->calls())[$n]{pid}, 'and is gone');
is($s->order(%next)->{fault}, 'OK', 'the next order is fine');

$n = hang_next($esbuild);
my %code = (codes => [ step('t', 'export const code = 2;') ]);
$got = $s->order(%code, stock => { build_timeout_ms => 3000 });
is($got->{fault}, 'OURS', 'a bundler that hangs is not a compile error');
gone(($esbuild->calls())[$n]{pid}, 'and is gone');
is($s->order(%code)->{fault}, 'OK', 'the next order is fine');

# the slot cancels
$n = hang_next($bun);
%next = (pieces => [ piece_of('piece-c', '1.0.0') ]);
my $order = $s->start(%next, cancel => $t->testdir() . '/cancel');
my $pid = $bun->wait_call($n + 1)->{pid};
$t->write_file('cancel', '');
$got = $s->wait($order);
is($got->{fault}, 'CANCELLED', 'a cancelled order');
gone($pid, 'its tool is gone');

# the slot is killed in the middle
$n = hang_next($bun);
$order = $s->start(%next);
$pid = $bun->wait_call($n + 1)->{pid};
my @below;
wait_for(sub { 3 <= (@below = Test::Apworker::Proc::descendants($order->{pid})) },
	'all of them');
cmp_ok(scalar @below, '>=', 3, 'keeper, tool and its child');
kill 'KILL', $order->{pid};
$s->wait($order);
ok(wait_for(sub { !grep { Test::Apworker::Proc::alive($_) } @below }, undef, 30),
	'nothing outlives the slot');
ok(!-e $s->path('common/pieces/piece-c-1.0.0'), 'nothing is to be seen');

# the keeper is killed in the middle
$n = hang_next($bun, fork => 0);
$order = $s->start(%next);
$pid = $bun->wait_call($n + 1)->{pid};
my ($keeper) = Test::Apworker::Proc::children($order->{pid});
kill 'KILL', $keeper;
$got = $s->wait($order);
is($got->{fault}, 'OURS', 'a killed keeper');
like($got->{error}, qr/keeper died .*signal 9/, 'is told');
gone($pid, 'its tool is gone');
is($s->order(%next)->{fault}, 'OK', 'the next order is fine');

# tools that lie or die
sub next_call {
	my ($tool, %what) = @_;
	$tool->behave(({}) x $tool->calls(), { %what }, {});
}

next_call($bun, exit => 0);
%next = (pieces => [ piece_of('piece-d', '1.0.0') ]);
$got = $s->order(%next);
is($got->{fault}, 'OURS', 'an installer that did nothing');
like($got->{error}, qr/does not lead to the package/, 'is found out');
next_call($bun, signal => 'KILL');
$got = $s->order(%next);
like($got->{error}, qr/Killed by signal 9/, 'an installer that is killed');
next_call($bun, bytes => 5 << 20, exit => 1);
$got = $s->order(%next);
is($got->{fault}, 'OURS', 'an installer that floods');
next_call($esbuild, exit => 0);
$got = $s->order(codes => [ step('u', 'export const code = 3;') ]);
is($got->{fault}, 'OURS', 'a bundler that did nothing');

# a failed batch is tried one by one
next_call($bun, exit => 1, stderr => "error: GET x - 404\n");
$n = installs();
$got = $s->order(pieces => [ map { piece_of("piece-$_", '1.0.0') }
	qw/e f g/ ]);
is($got->{fault}, 'OK', 'a failed batch');
is(installs() - $n, 4, 'is tried one by one');

# what the killed keeper left is swept once it is old enough
is(scalar(my @left = $s->staged()), 1, 'the killed keeper left its staging');
utime 1000, 1000, map { $s->path(".staging/$_") } @left;
$s->order(pieces => [ piece_of('piece-h', '1.0.0') ]);
is_deeply([ $s->staged() ], [], 'it is swept');
