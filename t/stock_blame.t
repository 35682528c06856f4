#!/usr/bin/perl

# Whose fault it is when packages are not to be had, by the words of the real
# tools: the user's (asking again changes nothing) or ours, that is the host's,
# the operator's or the registry's.  And what a step without code is.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Has;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node npm bun esbuild/)->plan(94);
my %tools = map { $_ => Test::Apworker::Has::find($_) }
	qw/npm bun esbuild/;
my $s = Test::Apworker::Stock->new($t, negative_ttl_ms => 0,
	install_timeout_ms => 60000);
my $none = { files => { 'src/index.js' => 'exports.x = 1;' } };
my %packages = (
	good => { versions => { '1.0.0' => $none } },
	empty => { versions => {} },
	gone => { status => 410 },
	lawful => { status => 451 },
	private => { status => 401 },
	forbidden => { status => 403 },
	odd => { status => 400 },
	'no-archive' => { versions => { '1.0.0' => $none },
		tarball => { status => 404 } },
	cut => { versions => { '1.0.0' => $none }, tarball => { cut => 20 } },
	wrong => { versions => { '1.0.0' => $none }, tarball => { wrong => 1 } },
	map({ ("needs-$_->[0]" => { versions => { '1.0.0' => {
		dependencies => { $_->[1] => $_->[2] } } } }) }
		[ missing => 'not-there-at-all', '1.0.0' ],
		[ version => 'good', '9.0.0' ], [ tag => 'good', 'next' ],
		[ git => 'x', 'git+ssh://git@127.0.0.1:1/x/y.git' ],
		[ url => 'x', 'http://127.0.0.1:1/x.tgz' ],
		[ workspace => 'x', 'workspace:*' ]),
	bsd => { versions => { '1.0.0' => { %$none,
		more => { os => [ 'openbsd' ] } } } },
);
$s->registry(%packages);

# what is asked for, whose fault it is, words that the error must have, and for
# which installer, where one will do
my @cases = (
	[ 'good', 'next', 'USER', qr/good.*next/ ],
	[ 'good', 'Timeout', 'USER', qr/Timeout/, 'bun' ],
	[ 'good', '^7.0.0', 'USER', qr/\^7/, 'bun' ],
	[ 'EPERM', '1', 'USER', qr/404/, 'bun' ],
	[ 'other', 'npm:not-there-at-all@1', 'USER', qr/404/, 'bun' ],
	[ 'empty', '1', 'USER', qr/empty/ ],
	[ 'gone', '1', 'USER', qr/410/ ],
	[ 'lawful', '1', 'USER', qr/451/, 'bun' ],
	[ 'no-archive', '1.0.0', 'USER', qr/404/ ],
	[ 'needs-missing', '1.0.0', 'USER', qr/not-there-at-all/, 'bun' ],
	[ 'needs-version', '1.0.0', 'USER', qr/good.*9\.0\.0/, 'bun' ],
	[ 'needs-tag', '1.0.0', 'USER', qr/good.*next/, 'bun' ],
	[ 'needs-workspace', '1.0.0', 'USER', qr/workspace/i ],
	[ 'private', '1', 'OURS', qr/credentials.*npmrc of stock.*401/s ],
	[ 'forbidden', '1', 'OURS', qr/credentials.*npmrc of stock.*403/s, 'bun' ],
	[ 'odd', '1', 'OURS', qr/400/, 'bun' ],
	[ 'cut', '1.0.0', 'OURS', qr/./, 'bun' ],
	[ 'wrong', '1.0.0', 'OURS', qr/integrity/i, 'bun' ],
	# it runs git, of which there is none in a builder's box
	[ 'needs-git', '1.0.0', 'USER', qr/git/, 'bun' ],
	[ 'needs-url', '1.0.0', 'OURS', qr/No way to|ConnectionRefused/,
		'bun' ],
	[ 'bsd', '1.0.0', 'USER', qr/EBADPLATFORM/, 'npm' ],
);

for my $installer (qw/bun npm/) {
	$s->set(installer => $installer, installer_path => $tools{$installer});
	for my $case (@cases) {
		my ($package, $version, $fault, $re, $only) = @$case;
		next if ($only // $installer) ne $installer;
		my $got = $s->order(codes => [ step('s', "import x from"
			. " '$package'; export const code = async () => x;",
			json({ dependencies => { $package => $version } })) ]);
		is($got->{fault}, $fault, "$installer: $package\@$version")
			or diag($got->{error});
		like($got->{error}, qr/packages of step "s": .*$re/s,
			'and why');
	}
}
$s->set(installer => 'bun', installer_path => $tools{bun});

# from 0.86.3 on what the user asks for in vain fails the step, and is asked
# for again when the failure is old enough
my $want = step('later', "import x from 'later'; export const code = async ()"
	. ' => x.x;', '{"dependencies":{"later":"1.0.0"}}');
my $got = $s->order(codes => [ $want ], release => 86003,
	stock => { negative_ttl_ms => 60000 });
is($got->{fault}, 'OK', 'a step whose package does not exist');
like($s->result('later'), qr/^threw Failed to install dependencies\. Error: Exit 1\n.*404/s,
	'throws it');
my $n = $s->requests(qr/later/);
$got = $s->order(codes => [ $want ], release => 86003,
	stock => { negative_ttl_ms => 60000 });
is(scalar($s->requests(qr/later/)), $n, 'it is not asked for at once');
$got = $s->order(codes => [ $want ], release => 86002);
is($got->{fault}, 'USER', 'before 0.86.3 the order fails');
$got = $s->order(codes => [ step('denied', "import x from 'private';"
	. ' export const code = async () => x;',
	'{"dependencies":{"private":"1"}}') ], release => 86003);
is($got->{fault}, 'OURS', 'what is not the user\'s fails the order');

# code that says nothing to a machine, and what the engine makes of it
my %nothing = (
	empty => '',
	blank => " \t\r\n\n",
	bom => "\x{feff}",
	comment => "// todo\n",
	comments => "/* a\n * b */ // c",
	semicolon => ';',
	types => "export interface A { a: string }\ntype B = A | null;\n",
	plain_types => "interface A { a: string }\ntype B = A | null;\n",
	declared => 'declare const x: number;',
	strict => '"use strict";',
	elided => "import type { A } from 'fs'; import { B } from 'fs';",
	nothing_out => 'export {}',
	number => '7',
	null => 'null;',
	legal => '/*! mine */',
	space => 'namespace A {}',
);
for my $bundler (qw/esbuild bun/) {
	$s->set(bundler => $bundler, bundler_path => $tools{$bundler});
	$got = $s->order(codes => [ map { step($_, $nothing{$_}) }
		sort keys %nothing ], packages => $bundler eq 'bun');
	is($got->{fault}, 'OK', "$bundler: code without code")
		or diag($got->{error});
	for my $step (sort keys %nothing) {
		my ($code, $out, $err) = $t->run_command([
			Test::Apworker::Has::find('node'), '-p',
			"typeof require('" . $s->path("codes/fv/$step/index.js")
			. "').code" ]);
		is("$out$err", "undefined\n", "$step exports nothing");
	}
}
is_deeply([ $s->staged() ], [], 'no staging is left');
