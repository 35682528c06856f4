#!/usr/bin/perl

# Code steps of releases that run what the user wrote: index.ts, package.json
# and the packages beside it, with no bundler; and of those before, as ever.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node bun esbuild/)->plan(26);
my $s = Test::Apworker::Stock->new($t);
$s->registry(left => { versions => { '1.0.0' => { main => 'i.js', files =>
	{ 'i.js' => "module.exports = 'L';\n" } } } });
my $code = "import l from 'left';\nexport const code = async (i: any) => l;\n";
my $dir = $s->path('codes/fv');

sub has {
	my ($step) = @_;
	return join ' ', sort map { s{.*/}{}r }
		grep { !/\.apworkerd$/ } glob("$dir/$step/*");
}

sub built { return scalar(() = $_[0]{log} =~ /code step built/g) }

# No bundler is needed.
my $got = $s->order(release => 92002, codes => [ step('s', $code,
	'{"dependencies":{"left":"1.0.0"}}'), step('t', 'export const code = 1') ],
	stock => { bundler_path => '/nonexistent/esbuild' });
is($got->{fault}, 'OK', 'two steps') or diag($got->{error});
is(has('s'), 'index.ts node_modules package.json',
	'one with a package') or diag($got->{log});
is(slurp("$dir/s/index.ts"), $code, 'as the user wrote it');
is(slurp("$dir/s/node_modules/left/i.js"), "module.exports = 'L';\n",
	'with its package');
is_deeply(unjson(slurp("$dir/s/package.json")), { dependencies =>
	{ left => '1.0.0' } }, 'as its package.json says');
is(has('t'), 'index.ts package.json', 'one without');
my $requests = () = $s->requests(qr/./);
$got = $s->order(release => 92002, codes => [ step('s', $code,
	'{"dependencies":{"left":"1.0.0"}}') ], stock => { bundler_path =>
	'/nonexistent/esbuild' });
is($got->{fault} . built($got), 'OK0', 'is there the next time');
is(scalar(() = $s->requests(qr/./)), $requests, 'with no request');

# Packages are not allowed.
$got = $s->order(release => 92002, packages => 0, codes => [ step('u',
	'export const code = 2', '{"dependencies":{"left":"1.0.0"}}') ]);
is(has('u'), 'index.ts package.json', 'one that may not have packages');
is(slurp("$dir/u/package.json"), '{"dependencies":{}}', 'as it says');

# A package that does not exist: the step says so, for a while.
$got = $s->order(release => 92002, codes => [ step('v', $code,
	'{"dependencies":{"nowhere":"1.0.0"}}') ]);
is($got->{fault}, 'OK', 'a package that does not exist');
is(index(slurp("$dir/v/index.ts"), 'export const code = async () => { throw '
	. 'new Error("Failed to install dependencies. '), 0,
	'is what the step throws');
ok(!-e "$dir/v/node_modules", 'and nothing is installed');

# Nobody waits for it: then nothing is left that says so.
$got = $s->order(release => 92002, background => 1, codes => [ step('w',
	$code, '{"dependencies":{"nowhere":"1.0.0"}}') ]);
isnt($got->{fault}, 'OK', 'made ready ahead it fails');
ok(!-e "$dir/w", 'and leaves no step');
unlike(join("\n", glob($s->path('.failed') . '/*')), qr/ w /, 'nor a note');

# The same step of one release, then of the other.
$got = $s->order(release => 88003, codes => [ step('t',
	'export const code = async () => 3') ]);
is(built($got), 1, 'an older release builds anew');
is(has('t'), 'index.js index.ts package.json tsconfig.json', 'a bundle');
is($s->result('t'), '3', 'that runs');
$got = $s->order(release => 92002, codes => [ step('t',
	'export const code = async () => 3') ]);
is(has('t'), 'index.ts package.json', 'and the newer one its own');

# Between them the engine's own bundle tells.
for my $round ([ 'index.js', 'index.js index.ts package.json tsconfig.json' ],
    [ 'index.ts', 'index.ts package.json' ]) {
	my ($script, $want) = @$round;
	$t->write_file('main.js', "// loads $script\n");
	$got = $s->order(release => 88004, codes => [ step('x',
		'export const code = async () => 4') ]);
	is($got->{fault}, 'OK', "an engine that loads $script");
	is(has('x'), $want, 'gets it');
}
$got = $s->order(release => 88003, codes => [ step('x',
	'export const code = async () => 4') ]);
is(has('x'), 'index.js index.ts package.json tsconfig.json',
	'a release that is known has its form by itself');
is_deeply([ $s->staged() ], [], 'no staging is left');
