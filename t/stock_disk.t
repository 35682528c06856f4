#!/usr/bin/perl

# Disks that are full, read-only or hold what others left there.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node bun esbuild/)->plan(29);
my $dir = $t->testdir();
my $s = Test::Apworker::Stock->new($t, negative_ttl_ms => 0);
my $code = step('s', 'export const code = async () => 1;');

# the volume of another worker
$t->write_file('stock/v12/codes/fv/s/cache.json', '{"x":"y"}');
$t->write_file('stock/v12/codes/fv/s/index.js', 'exports.code = 7;');
$t->write_file('stock/v12/common/cache.json', '{"ENGINE_INSTALLED":"z"}');
$t->write_file('stock/v12/common/main.js', '// another engine');
$t->write_file('stock/v12/common/package.json', '{"name":"fast-workspace"}');
my $old = 'stock/v12/common/pieces/piece-old-1.0.0';
$t->write_file("$old/ready", 'true');
$t->write_file("$old/node_modules/piece-old/src/index.js",
	"exports.piece = 'old';\n");
my $got = $s->order(codes => [ $code ],
	pieces => [ piece_of('piece-old', '1.0.0') ]);
is($got->{fault}, 'OK', 'a volume that was used before')
	or diag($got->{error});
is($s->result('s'), '1', 'the step is built anew');
is(slurp($s->path('common/main.js')), "// an engine\n", 'the engine too');
is($s->load('piece-old', '1.0.0'), 'old', 'a good piece stays');

# the engine
my $generation = $got->{generation};
like($generation, qr/^[0-9a-f]{16}$/, 'a generation');
is($s->order()->{generation}, $generation, 'stays the same');
utime 1000, 1000, "$dir/main.js";
$got = $s->order();
is($got->{generation}, $generation, 'also when only the time changed');
unlike($got->{log}, qr/installed/, 'and nothing is copied');
$t->write_file('main.js', "// a new engine\n");
$t->write_file('main.js.map', '{}');
$got = $s->order();
isnt($got->{generation}, $generation, 'a new engine, a new generation');
is(slurp($s->path('common/main.js.map')), '{}', 'with its map');
$generation = $got->{generation};
$t->write_file('stock/v12/common/main.js', '// broken');
$got = $s->order();
is($got->{generation}, $generation, 'what others changed');
is(slurp($s->path('common/main.js')), "// a new engine\n", 'is put right');
rename "$dir/main.js", "$dir/gone.js";
$got = $s->order();
is($got->{fault}, 'HOST', 'no bundle');
like($got->{error}, qr/engine bundle .*main\.js: No such file/, 'says so');
rename "$dir/gone.js", "$dir/main.js";

# ends of the order that cannot be reached
chmod 0777, "$dir/stock";
is($s->order()->{fault}, 'OPEN', 'a stock that everybody may write');
chmod 0755, "$dir/stock";
is($s->order(stock => { path => "$dir/main.js" })->{fault}, 'OPEN',
	'a stock that is a file');
is($s->order(stock => { path => "$dir/no/such" })->{fault}, 'OPEN',
	'a stock without a parent');
is($s->order(codes => [ step('n', 'export const code = 1;') ], stock => {
	bundler_path => '/nonexistent/esbuild' })->{fault}, 'OURS',
	'no bundler');
is($s->order(codes => [ step('n', 'export const code = 1;',
	'{"dependencies":{"x":"1"}}') ], stock => { installer_path =>
	'/nonexistent/bun' })->{fault}, 'OURS', 'no installer');

SKIP: {
	skip 'mounts need root', 10 if $> != 0;
	mkdir "$dir/small";
	my $small = "mount -t tmpfs -o size=%s,mode=755 apw $dir/small";
	skip 'no mounts here', 10 if system(sprintf($small, '400k')
		. ' 2>/dev/null') != 0;

	my $d = Test::Apworker::Stock->new($t, negative_ttl_ms => 0,
		path => "$dir/small");
	$d->registry(big => { versions => { '1.0.0' => { files => {
		'src/index.js' => 'exports.x = "' . join('', map { rand }
		1 .. 60000) . '";' } } } },
		fine => { versions => { '1.0.0' => piece_package('fine') } });
	is($d->order()->{fault}, 'OK', 'a small disk');
	is($d->order(codes => [ step('b', '//' . 'x' x (1 << 20)) ])->{fault},
		'HOST', 'code larger than the disk');
	is($d->order(codes => [ step('b', 'export const code = "'
		. 'x' x 250000 . '";') ])->{fault}, 'OURS',
		'a bundle larger than the disk');
	$got = $d->order(pieces => [ piece_of('big', '1.0.0') ]);
	is($got->{fault}, 'OURS', 'a piece larger than the disk');
	is_deeply([ $d->staged() ], [], 'nothing is left of it');
	system 'rm', '-rf', $d->path('.cache');
	is($d->order(codes => [ $code ])->{fault}, 'OK', 'the next is fine')
		or diag($d->order(codes => [ $code ])->{error});
	system "mount -o remount,bind,ro $dir/small";
	is($d->order(codes => [ $code ])->{fault}, 'OK',
		'a read-only disk that has all');
	$got = $d->order(codes => [ step('m', 'export const code = 1;') ]);
	is($got->{fault}, 'OURS', 'and one that has not');
	like($got->{error}, qr/Read-only/, 'says so');
	system "umount $dir/small";
	ok(!-e "$dir/small/v12", 'unmounted');
}
