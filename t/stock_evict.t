#!/usr/bin/perl

# Above max_size the longest unused goes first; never what is in use, by
# whatever process, and never a package that a piece needs.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node bun/)->plan(21);
my $esbuild = $t->tool('esbuild');
my $s = Test::Apworker::Stock->new($t, jail => 0,
	bundler_path => $esbuild->path());
my $text = 'x' x 100_000;
$s->registry(
	(map { my $n = $_; ("frame$n" => { versions => { '1.0.0' => { files => {
		'src/index.js' => "module.exports = 'f$n'; //$text" } } } }) }
		1 .. 2),
	common => { versions => { '1.0.0' => { files => {
		'src/index.js' => "module.exports = 'c';" } } } },
	(map { my $n = $_; ("piece-$n" => { versions => { '1.0.0' => { files => {
		'src/index.js' => "exports.piece = require('frame$n')"
		. " + require('common');" }, dependencies => { "frame$n" =>
		'1.0.0', common => '1.0.0' } } } }) } 1 .. 2),
);

sub steps { map { step("s$_", "exports.code = async () => $_; //$text") } @_ }

# Ten steps of 200 kB and two pieces; s1 is the oldest, s9 and s10 are new.
my $got = $s->order(codes => [ steps(1 .. 10) ],
	pieces => [ map { piece_of("piece-$_", '1.0.0') } 1, 2 ]);
is($got->{fault}, 'OK', 'ten steps and two pieces') or diag($got->{error});
for my $n (1 .. 10) {
	utime 1000 + $n, 1000 + $n,
		$s->path("codes/fv/s$n/.apworkerd") or die $!;
}
utime 500, 500, $s->path('common/pieces/piece-1-1.0.0/ready');

# Texts: of old flows and pieces, of those in use, and what a Node worker left.
my %texts = map { $_ => 1 } qw{flows/old/apw-0.85.4.json flows/old/cache.json
	flows/fv/apw-0.85.4.json flows/node/cache.json
	pieces-metadata/@a/piece-old-1.0.0-pl/apw-piece.json
	pieces-metadata/piece-2-1.0.0-pl/apw-piece.json
	codes/node/step_1/index.js};
for my $file (map { $s->path($_) } sort keys %texts) {
	$t->write_file($file, $text);
	utime 400, 400, $file, $file =~ s{/[^/]+$}{}r or die $!;
}

# One process uses s1, the oldest, and stays.
my $holder = $s->start(codes => [ steps(1) ], platform_id => 'pl',
	pieces => [ piece_of('piece-2', '1.0.0') ], until => $t->testdir() . '/leave');
wait_for(sub { grep { slurp($_) =~ m{codes/fv/s1\n} }
	glob $s->path('.use') . '/*' }, 'the list of the holder');
utime 1, 1, $s->path('codes/fv/s1/.apworkerd');	# not by its age alone

# Another one brings something new and has a budget.
my $tidier = $s->start(codes => [ steps(10), step('new',
	'exports.code = 1;') ], stock => { max_bytes => 1_500_000 },
	until => $t->testdir() . '/leave');
ok(wait_for(sub { slurp("$tidier->{base}.err") =~ /stock tidied/ },
	'the janitor'), 'the janitor came');
my ($left) = slurp("$tidier->{base}.err") =~ / bytes=(\d+)/;
cmp_ok($left, '<=', 1_500_000, 'and made it small enough');
ok(-e $s->path('codes/fv/s1/index.js'), 'what another process uses stays');
ok(-e $s->path('codes/fv/s10/index.js'), 'what this process uses too');
ok(-e $s->path('codes/fv/new/index.js'), 'and what came in');
ok(!-e $s->path('codes/fv/s2'), 'the longest unused is gone');
ok(!-e $s->path('common/pieces/piece-1-1.0.0'), 'so is the old piece');
ok(!-e $s->path('common/node_modules/.bun/frame1@1.0.0'),
	'and the package that it alone needed');
is($s->load('piece-2', '1.0.0'), 'f2c', 'the other piece is whole');
ok(-e $s->path('common/main.js'), 'the engine stays');
ok(!-e $s->path("flows/$_"), "the flow that nobody runs is gone: $_")
	for qw/old node/;
ok(!-e $s->path('pieces-metadata/@a/piece-old-1.0.0-pl'),
	'so is what was known of a piece');
ok(!-e $s->path('codes/node'), 'and code that only a Node worker could use');
ok(-e $s->path('flows/fv/apw-0.85.4.json'), 'the flow in use stays');
ok(-e $s->path('pieces-metadata/piece-2-1.0.0-pl/apw-piece.json'),
	'and the piece');
$t->write_file('leave', '');
is($s->wait($holder)->{fault}, 'OK', 'the holder leaves');
is($s->wait($tidier)->{fault}, 'OK', 'the other one too');

# What is gone comes back when it is wanted.
$got = $s->order(codes => [ steps(2) ], pieces => [ piece_of('piece-1',
	'1.0.0') ]);
is($s->load('piece-1', '1.0.0'), 'f1c', 'what is gone comes back');
is_deeply([ glob $s->path('.use') . '/*-*' ], [], 'no list is left');
