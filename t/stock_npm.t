#!/usr/bin/perl

# npm as installer and bun as bundler give what bun and esbuild give.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Has;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node npm bun/)->plan(12);
my $npm = Test::Apworker::Has::find('npm');
my $bun = Test::Apworker::Has::find('bun');
my $s = Test::Apworker::Stock->new($t, installer => 'npm', bundler => 'bun',
	installer_path => $npm, bundler_path => $bun, negative_ttl_ms => 0);
$s->registry(
	word => { versions => { '1.0.0' => { files => {
		'src/index.js' => "module.exports = 'word';\n" } } } },
	'@ap/piece-one' => { versions => { '0.1.0' => piece_package('one') } },
	'piece-two' => { versions => { '0.2.0' => { files => {
		'src/index.js' => "exports.piece = require('word');\n" },
		dependencies => { word => '^1.0.0' } } } },
	busy => { status => 404 },
);

my $got = $s->order(codes => [ step('s', "import word from 'word';\n"
	. 'export const code = async (i) => word + i.a;',
	'{"dependencies":{"word":"1.x"}}') ], pieces => [
	piece_of('@ap/piece-one', '0.1.0'), piece_of('piece-two', '0.2.0') ]);
is($got->{fault}, 'OK', 'a step and two pieces') or diag($got->{error});
unlike($got->{log}, qr/does not/, 'the tools tell their versions');
is($s->result('s', { a => 1 }), '"word1"', 'the step');
is($s->load('@ap/piece-one', '0.1.0'), 'one', 'a piece');
is($s->load('piece-two', '0.2.0'), 'word', 'a piece with a package');
unlike($s->order(pieces => [ piece_of('piece-two', '0.2.0') ])->{log},
	qr/installed/, 'not installed again');

$got = $s->order(codes => [ step('u', 'export const code = 1;',
	'{"dependencies":{"unknown-word":"1.0.0"}}') ]);
is($got->{fault}, 'USER', 'an unknown package') or diag($got->{error});
$got = $s->order(pieces => [ piece_of('@ap/piece-one', '9.9.9') ]);
is($got->{fault}, 'USER', 'an unknown version') or diag($got->{error});

$got = $s->order(codes => [ step('e', 'export const code = async ( => {') ]);
is($got->{fault}, 'OK', 'a compile error');
my $said = $s->result('e');
like($said, qr/^threw Compilation Error /, 'is thrown');
unlike($said, qr/staging/, 'and tells no folder of ours');
$t->write_file('secret.ts', "export const secret = 'top secret';\n");
$s->order(codes => [ step('o', "import { secret } from '" . $t->testdir()
	. "/secret.ts'; export const code = async () => secret;") ], stock => {
	jail => JSON::PP::false });
unlike(join('', map { slurp($_) } glob $s->path('codes/fv/o/*.js')),
	qr/top secret/, 'no file from outside');
