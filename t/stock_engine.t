#!/usr/bin/perl

# The engine's files: the bundle and the scripts beside it are one generation,
# whole or not there; engines that run keep theirs; what a bundle names and is
# not there is told, with what to do.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node/)->plan(24);
my $dir = $t->testdir();
my $s = Test::Apworker::Stock->new($t, negative_ttl_ms => 0);
my $common = $s->path('common');

# A folder of its own, as a release has it.
sub engine {
	my (%file) = @_;
	$t->write_file("engine/$_", $file{$_}) for keys %file;
}
$s->{engine} = "$dir/engine/main.js";

my $main = 'process.stdout.write(String(require("./piece-child.js")))';
engine('main.js' => $main, 'piece-child.js' => 'module.exports = 1;',
	'main.js.map' => '{}', 'notes.txt' => 'no', '.hidden.js' => 'no',
	'main.js.meta.json' => '{}');

my $got = $s->order();
is($got->{fault}, 'OK', 'an engine of two scripts') or diag($got->{error});
my $first = $got->{generation};
is(`node $common/main.js`, '1', 'finds what it loads later');
ok(-e "$common/main.js.map", 'with its map');
ok(!-e "$common/$_", "without $_")
	for qw/notes.txt .hidden.js main.js.meta.json/;
is($s->order()->{generation}, $first, 'stays the same');

# an engine that runs while the next comes in
my $old = readlink "$common/main.js";
engine('piece-child.js' => 'module.exports = 2;');
$got = $s->order();
isnt($got->{generation}, $first, 'another script is another generation');
is(`node $common/main.js`, '2', 'the new one is served');
is(`node $common/$old`, '1', 'the old one loads its own still');
my $second = $got->{generation};

engine('extra.cjs' => 'module.exports = 3;');
isnt($s->order()->{generation}, $second, 'one script more, too');
ok(-e "$common/extra.cjs", 'is there');
unlink "$dir/engine/extra.cjs";
$got = $s->order();
is($got->{generation}, $second, 'one less is the one before');
ok(!-l "$common/extra.cjs", 'without it');
like($got->{log}, qr/engine installed/, 'which is linked again');
is(`node $common/main.js`, '2', 'and whole');

# what others did to it
my $now = readlink "$common/main.js";
unlink "$common/" . $now =~ s/main\.js/piece-child.js/r;
is($s->order()->{generation}, $second, 'a file that somebody took away');
is(`node $common/main.js`, '2', 'is put back');
unlink "$common/main.js";
$t->write_file("$common/main.js", 'broken');
is($s->order()->{generation}, $second, 'a file in place of the link');
is(`node $common/main.js`, '2', 'is put right');

# a release whose folder was copied in part
unlink "$dir/engine/piece-child.js";
$got = $s->order();
is($got->{fault}, 'OURS', 'a bundle that names a script that is not there');
like($got->{error}, qr/main\.js starts piece-child\.js, which is not beside it: copy all files/,
	'says what to do');
is(`node $common/main.js`, '2', 'the one before is left alone');

# a bundle of another name, in a folder with others
engine('piece-child.js' => 'module.exports = 2;', 'engine-0.88.js' => $main);
$s->{engine} = "$dir/engine/engine-0.88.js";
is($s->order()->{fault}, 'OK', 'a bundle of another name');
