#!/usr/bin/perl

# A build ends at the step's own folder: whatever an import, a package, a link,
# a tsconfig, a loader or a macro says, no file of the host gets into a bundle
# or into the text of an error; with the kernel's help and without.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node bun esbuild/)->plan(46);
my $dir = $t->testdir();
my $up = '../' x 7;	# from a package to the directory of the test
$t->write_file('secret.js', "module.exports = 'top secret';\n", 0644);
$t->write_file('secret.json', '{"compilerOptions":{"paths":{"x":'
	. '["./secret.js"]},"jsxFactory":"top secret"}}', 0644);
$t->write_file('secret.txt', "top secret\n", 0644);

sub package_json { return json({ name => $_[0], version => '1.0.0', %{ $_[1] } }) }

# What packages say of themselves.
my %package = (
	'main-up' => { 'package.json' => package_json('main-up',
		{ main => "${up}secret.js" }) },
	'main-abs' => { 'package.json' => package_json('main-abs',
		{ main => "$dir/secret.js" }) },
	module => { 'package.json' => package_json('module',
		{ main => 'no.js', module => "${up}secret.js" }) },
	browser => { 'package.json' => package_json('browser', { main =>
		'src/index.js', browser => "$dir/secret.js" }) },
	exports => { 'package.json' => package_json('exports',
		{ exports => { '.' => "./${up}secret.js" } }) },
	imports => { 'package.json' => package_json('imports', { main =>
		'src/index.js', imports => { '#x' => "$dir/secret.js" } }),
		'src/index.js' => "module.exports = require('#x');\n" },
	relative => { 'src/index.js' => "module.exports = require('../../"
		. "${up}secret.js');\n" },
	link => { 'src/index.js' => "module.exports = require('../away.js');\n",
		'away.js' => { link => "$dir/secret.js" } },
	folder => { 'src/index.js' =>
		"module.exports = require('../away/secret.js');\n",
		'away' => { link => $dir } },
	tsconfig => { 'tsconfig.json' => json({ extends => "$dir/secret.json",
		compilerOptions => { baseUrl => $dir, paths => {
		x => [ "$dir/secret.js" ] } } }),
		'package.json' => package_json('tsconfig', { main => 'a.ts' }),
		'a.ts' => "import x from 'x'; export default x;\n" },
	text => { 'src/index.js' => "import x from '../${up}secret.txt' with "
		. "{ type: 'text' }; export default x;\n" },
	macro => { 'src/index.js' => "import { x } from './m.js' with "
		. "{ type: 'macro' }; export default x();\n",
		'src/m.js' => "import fs from 'fs'; export const x = () => "
		. "fs.readFileSync('$dir/secret.txt', 'utf8');\n" },
	loader => { 'bunfig.toml' => "preload = [\"$dir/secret.js\"]\n",
		'esbuild.config.js' => "throw new Error('ran');\n",
		'src/index.js' => "module.exports = 'harmless';\n" },
);
# What the code itself says.
my %code = (
	absolute => "import x from '$dir/secret.js';",
	up => "import x from '../../../../../secret.js';",
	url => "import x from 'file://$dir/secret.js';",
	attribute => "import x from '$dir/secret.txt' with { type: 'text' };",
	loader => "import x from '$dir/secret.txt?raw';",
	dynamic => "const x = require('$dir/secret.js');",
	glob => "const n = 'secret'; const x = require(`../../../../../\${n}.js`);",
	macro => "import { readFileSync } from 'fs' with { type: 'macro' };"
		. "const x = readFileSync('$dir/secret.txt', 'utf8');",
	reference => "/// <reference path=\"$dir/secret.txt\" />\nconst x = 1;",
);

my @way = map { my $bundler = $_; map { my $s = Test::Apworker::Stock->new($t,
	jail => $_, negative_ttl_ms => 0, bundler => $bundler,
	path => "$dir/$bundler-$_", $bundler eq 'bun' ? (bundler_path =>
	Test::Apworker::Has::find('bun')) : ());
	[ "$bundler, jail $_", $s ] } 0, 1 } qw/esbuild bun/;
for my $way (@way) {
	my ($name, $s) = @$way;
	$s->registry(map { ($_ => { versions => { '1.0.0' => {
		files => $package{$_} } } }) } keys %package);
	my @all = ((map { step("p_$_" =~ s/-/_/gr, "import x from '$_';\n"
		. 'export const code = async () => x;', json({ dependencies =>
		{ $_ => '1.0.0' } })) } sort keys %package),
		map { step("c_$_", "$code{$_}\n"
		. 'export const code = async () => x;') } sort keys %code);
	my $got = $s->order(codes => \@all);
	is($got->{fault}, 'OK', "$name: all of it is built, or says why not")
		or diag($got->{error});
	my @leaks = grep { slurp($_) =~ /top secret/ }
		glob $s->path('codes/fv/*/*');
	is_deeply(\@leaks, [], "$name: no secret in it");
	my $said = $s->result('p_loader');
	is($said, '"harmless"', "$name: what is harmless is built");
	unlike($got->{error} // '', qr/top secret/, "$name: nor in an error");
}

# Names, as long as they may be and longer.
my $s = $way[0][1];
my $long = 'x' x 300;
for my $bad ($long, "\@$long/a", 'a b', '../a', 'a/b/c', "a\nb", '.a', '@/a') {
	is($s->order(pieces => [ piece_of($bad, '1.0.0') ])->{fault}, 'USER',
		'piece ' . substr(json($bad), 0, 12));
	is($s->order(pieces => [ piece_of('a', $bad) ])->{fault}, 'USER',
		'version ' . substr(json($bad), 0, 12));
	is($s->order(per_platform => 1, pieces => [ { packageType => 'ARCHIVE',
		pieceType => 'CUSTOM', pieceName => 'a', pieceVersion =>
		'1.0.0', archiveId => $bad, platformId => 'p' } ])->{fault},
		$bad =~ m{/|\n} || length $bad > 200 ? 'USER' : 'OURS',
		'archive ' . substr(json($bad), 0, 12));
}
is($s->order(codes => [ step('y' x 200, 'export const code = 1;') ])->{fault},
	'OK', 'a step with 200 letters');

# A tree that takes too much is ended, and it is not the user's fault.
$t->write_file('hog/bun', <<'EOS', 0755);
#!/bin/sh
[ "$1" = --version ] && { echo 9.9.9; exit 0; }
node -e 'const a = []; setInterval(() => a.push(Buffer.alloc(40 << 20, 1)), 20)' &
wait
EOS
$t->write_file('bomb/bun', <<'EOS', 0755);
#!/bin/sh
[ "$1" = --version ] && { echo 9.9.9; exit 0; }
i=0
while [ $i -lt 400 ]; do sleep 60 & i=$((i + 1)); done
wait
EOS
my $got = $s->order(pieces => [ piece_of('h', '1.0.0') ], stock => {
	installer_path => "$dir/hog/bun", build_memory => 300 << 20 });
is($got->{fault}, 'OURS', 'an installer that takes all memory');
like($got->{error}, qr/Ended for using more memory than build_memory/,
	'is ended');
$got = $s->order(pieces => [ piece_of('b', '1.0.0') ], stock => {
	installer_path => "$dir/bomb/bun" });
is($got->{fault}, 'OURS', 'one that starts four hundred processes');
like($got->{error}, qr/too many processes/, 'is ended');
is_deeply([ $s->staged() ], [], 'nothing is left of them');
