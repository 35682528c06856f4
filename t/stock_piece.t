#!/usr/bin/perl

# Pieces are installed once, where the engine will look for them, and one bad
# piece does not take the others with it.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node bun/)->plan(42);
my $s = Test::Apworker::Stock->new($t);
my $frame = "exports.load = () => { exports.n = (exports.n || 0) + 1;"
	. " return exports.n; };\n";
my $uses = "exports.piece = 'P' + require('frame').load();\n";
my %packages = (
	frame => { versions => { '1.0.0' => { files => {
		'src/index.js' => $frame } } } },
	'@ap/piece-one' => { versions => {
		'0.1.0' => piece_package('one'),
		'0.2.0' => piece_package('two') } },
	'piece-two' => { versions => { '0.2.0' => { files => {
		'src/index.js' => $uses }, dependencies =>
		{ frame => '^1.0.0' } } } },
	'@ap/piece-three' => { versions => { '0.3.0' => { files => {
		'src/index.js' => $uses }, dependencies =>
		{ frame => '1.x' } } } },
	'piece-main' => { versions => { '1.0.0' => { main => 'lib/m.js',
		files => { 'lib/m.js' => "exports.piece = 'main';\n" } } } },
	'no-piece' => { versions => { '1.0.0' => { main => 'gone.js',
		files => { 'README' => 'x' } } } },
	'piece-needs' => { versions => { '1.0.0' => piece_package('needs',
		dependencies => { 'not-there' => '1' }) } },
);
$s->registry(%packages);
my @three = (piece_of('@ap/piece-one', '0.1.0'),
	piece_of('piece-two', '0.2.0'), piece_of('@ap/piece-three', '0.3.0'));

my $got = $s->order(pieces => [ @three, $three[0] ]);
is($got->{fault}, 'OK', 'three pieces') or diag($got->{error});
like($got->{log}, qr/pieces installed count=3/, 'in one run');
is($s->load('@ap/piece-one', '0.1.0'), 'one', 'a scoped one');
is($s->load('piece-two', '0.2.0'), 'P1', 'one with a package');
is($s->load('@ap/piece-three', '0.3.0'), 'P1', 'another one');
my ($code, $out) = $t->run_command([ 'node', '-p', join ' + ', map {
	"require('" . $s->path("common/pieces/$_/src/index.js") . "').piece" }
	'piece-two-0.2.0/node_modules/piece-two',
	'@ap/piece-three-0.3.0/node_modules/@ap/piece-three' ]);
is($out, "P1P2\n", 'the two share one copy of their package');
is(slurp($s->path('common/pieces/piece-two-0.2.0/ready')), 'true', 'ready');

my $n = $s->requests(qr/./);
$got = $s->order(pieces => \@three, repeat => 3);
is($got->{fault}, 'OK', 'again');
is(scalar($s->requests(qr/./)), $n, 'without a request');
unlike($got->{log}, qr/installed/, 'or an install');

# later ones join the same store
$got = $s->order(pieces => [ piece_of('piece-main', '1.0.0') ]);
is($got->{fault}, 'OK', 'a piece that names its main file');
is($s->load('piece-two', '0.2.0'), 'P1', 'the others are as they were');

# one bad piece among good ones
$got = $s->order(pieces => [ piece_of('@ap/piece-one', '0.1.0'),
	piece_of('nowhere', '1.0.0'), piece_of('no-piece', '1.0.0'),
	piece_of('@ap/piece-one', '0.9.0'), piece_of('piece-needs', '1.0.0') ]);
is($got->{fault}, 'USER', 'four bad pieces');
like($got->{error}, qr/\Q$_\E/, "$_ is named")
	for 'nowhere@1.0.0', 'no-piece@1.0.0', 'piece-one@0.9.0';
ok(!-e $s->path("common/pieces/$_-1.0.0"), "$_ is not to be seen")
	for 'nowhere', 'no-piece', 'piece-needs';
$s->registry(%packages, 'piece-busy' => { status => 503 },
	'piece-late' => { versions => { '1.0.0' => piece_package('late') } });
$got = $s->order(pieces => [ piece_of('piece-late', '1.0.0'),
	piece_of('piece-busy', '1.0.0'), piece_of('nowhere', '1.0.0') ]);
is($got->{fault}, 'OURS', 'ours when one of them is');
is($s->load('piece-late', '1.0.0'), 'late', 'the good one is there');

# bad names
for my $bad (piece_of('../../x', '1.0.0'), piece_of('@a/../b', '1.0.0'),
    piece_of('a', '../1'), piece_of('a', '^1.0.0'), piece_of('a', 'latest'),
    piece_of('x' x 300, '1.0.0')) {
	is($s->order(pieces => [ $bad ])->{fault}, 'USER',
		'a bad name is refused');
}

# what somebody else left there
my $dir = $s->path('common/pieces/@ap/piece-one-0.1.0');
unlink "$dir/node_modules/\@ap/piece-one";
symlink '/etc', "$dir/node_modules/\@ap/piece-one";
$got = $s->order(pieces => [ $three[0] ]);
is($got->{fault}, 'OK', 'a link that leads outside');
is($s->load('@ap/piece-one', '0.1.0'), 'one', 'is replaced');
system "rm -rf '$dir/node_modules'";
$got = $s->order(pieces => [ $three[0] ]);
is($s->load('@ap/piece-one', '0.1.0'), 'one', 'ready without content too');
system "rm -rf '" . $s->path('common/node_modules/.bun/frame@1.0.0') . "'";
unlink $s->path('common/pieces/piece-two-0.2.0/ready');
$got = $s->order(pieces => [ $three[1] ]);
is($s->load('piece-two', '0.2.0'), 'P1', 'and a lost package');

# an archive is put by the caller
my $archive = piece_of('piece-own', '1.0.0', packageType => 'ARCHIVE',
	pieceType => 'CUSTOM', archiveId => 'arch1', platformId => 'plat');
$got = $s->order(pieces => [ $archive ], per_platform => 1);
like($got->{error}, qr/arch1 .*not fetched/, 'an archive that is not there');
$t->write_file('pack/package/package.json',
	'{"name":"piece-own","version":"1.0.0","main":"src/index.js"}');
$t->write_file('pack/package/src/index.js', "exports.piece = 'own';\n");
system 'tar', '-C', $t->testdir() . '/pack', '-czf',
	$t->testdir() . '/own.tgz', 'package';
$got = $s->order(pieces => [ $archive ], per_platform => 1,
	archive => $t->testdir() . '/own.tgz', stock => { negative_ttl_ms => 0 });
is($got->{fault}, 'OK', 'an archive') or diag($got->{error});
is($s->load('piece-own', '1.0.0', 'custom_pieces/plat'), 'own',
	'in the platform\'s own folder');
$got = $s->order(pieces => [ { %$archive, archiveId => 'arch2' } ],
	per_platform => 1);
is($got->{fault}, 'OURS', 'another archive of the name is not that one');

# what the app gave of a piece of the registry
$got = $s->order(pieces => [ piece_of('piece-given', '1.0.0') ],
	archive => $t->testdir() . '/own.tgz', stock => { negative_ttl_ms => 0 });
is($got->{fault}, 'OK', 'a package that the app gave') or diag($got->{error});
is($s->load('piece-given', '1.0.0'), 'own', 'is that which is used');
$t->write_file('bad.tgz', "\x1f\x8bno archive at all");
$got = $s->order(pieces => [ piece_of('@ap/piece-one', '0.2.0') ],
	archive => $t->testdir() . '/bad.tgz');
is($got->{fault}, 'OK', 'one that is no good') or diag($got->{error});
is($s->load('@ap/piece-one', '0.2.0'), 'two', 'comes from the registry');
like($got->{log}, qr/the app gave of a piece cannot be installed: the registry is/,
	'and the log says so');
ok(!-e $s->path('common/pieces/@ap/piece-one-0.2.0/bundle.tgz'),
	'what it was is gone');
is_deeply([ $s->staged() ], [], 'no staging is left');
