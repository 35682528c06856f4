#!/usr/bin/perl

# Code steps are built once, by real tools, and tell their errors when run.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node bun esbuild/)->plan(37);
my $s = Test::Apworker::Stock->new($t);
$s->registry(odd => { versions => { '1.0.0' => { files => {
	'src/index.js' => "module.exports = (n) => n % 2 === 1;\n" } },
	'2.0.0' => { scripts => { postinstall => 'touch ' . $t->testdir()
		. '/script-ran' }, files => {
	'src/index.js' => "module.exports = () => 'two';\n" } } } },
	broken => { status => 503 });

my $plain = step('plain', 'export const code = async (i) => i.a + 1;');
my $with = step('with', "import odd from 'odd';\n"
	. 'export const code = async (i) => odd(i.a);',
	'{"dependencies":{"odd":"^1.0.0"}}');

my $got = $s->order(codes => [ $plain, $with ], repeat => 2);
is($got->{fault}, 'OK', 'two steps') or diag($got->{error}, $got->{log});
ok(!$got->{early}, 'done is never called from inside');
is($s->result('plain', { a => 1 }), '2', 'a step alone');
is($s->result('with', { a => 3 }), 'true', 'a step with a package');
is(-e $s->path('codes/fv/with/node_modules'), undef, 'packages are gone');
my @before = stat $s->path('codes/fv/plain/index.js');
$got = $s->order(codes => [ $plain, $with ]);
is($got->{fault}, 'OK', 'again');
unlike($got->{log}, qr/built/, 'nothing is built again');
my @after = stat $s->path('codes/fv/plain/index.js');
is($after[1], $before[1], 'the same file');

# what goes into the hash
$got = $s->order(codes => [ $plain ], packages => 0);
like($got->{log}, qr/built.*step=plain/, 'packages or not: another build');
$got = $s->order(codes => [ step('with', 'export const code = async () => 1;',
	'{"dependencies":{"odd":"file:/etc"}}') ], packages => 0);
is($s->result('with'), '1', 'without packages package.json is ignored');

# the user's errors are told when the step runs, as the app's own worker has them
my $error = qr/^threw Compilation Error Error: /;
my $outside = qr/${error}Importing files outside the step folder is not allowed(?: \(index\.ts:1:14\))?$/;
for my $case (
	[ 'syntax', 'export const code = async ( => {', '{}',
		qr/^threw Compilation Error Error: .* \(index\.ts:1:28\)$/ ],
	[ 'backticks', 'export const code = 1; import "${process.exit(7)}`"',
		'{}', qr/^threw Compilation Error .*\$\{process\.exit\(7\)\}/s ],
	[ 'missing', "import x from 'nothing-there'; export const code = x;",
		'{}', qr/${error}Could not resolve "nothing-there" \(index\.ts:1:14\)$/ ],
	[ 'many', "import x from 'a-a';\nimport y from 'b-b';\nexport const code"
		. ' = x + y;', '{}', qr/${error}Could not resolve "a-a" \(index\.ts:1:14\)\nCould not resolve "b-b" \(index\.ts:2:14\)$/ ],
	[ 'file_dep', 'export const code = 1;',
		'{"dependencies":{"x":"file:/etc"}}',
		qr/^threw Compilation Error package\.json: "x"/ ],
	[ 'absolute', "import x from '/usr/lib/os-release'; export const code"
		. ' = async () => x;', '{}', $outside ],
	[ 'upwards', "import x from '../../../codes/fv/plain/package.json';"
		. ' export const code = async () => x;', '{}', $outside ],
	[ 'json', "import x from '/etc/passwd'; export const code"
		. ' = async () => x;', '{}', $outside ],
	[ 'gone', "import x from '../../gone'; export const code"
		. ' = async () => x;', '{}', $outside ],
	[ 'url', "import x from 'file:///gone'; export const code"
		. ' = async () => x;', '{}', $outside ],
) {
	my ($step, $code, $package, $re) = @$case;
	$got = $s->order(codes => [ step($step, $code, $package) ]);
	is($got->{fault}, 'OK', "$step is not a failed order")
		or diag($got->{error});
	my $said = $s->result($step);
	like($said, $re, "$step says so");
	unlike($said, qr/root:|PRETTY_NAME/, "$step tells no file")
		if $step =~ /absolute|json/;
}

# no JSON counts as nothing
$got = $s->order(codes => [ step('bad_json', 'export const code = async () => 5;',
	'{"dependencies":') ]);
is($s->result('bad_json'), '5', 'a package.json that is no JSON');

# scripts of packages never run
$got = $s->order(codes => [ step('scripts', "import x from 'odd';\n"
	. 'export const code = async () => x();',
	'{"dependencies":{"odd":"2.0.0"},"scripts":{"install":"false"}}') ]);
is($s->result('scripts'), '"two"', 'a package with scripts');
ok(!-e $t->testdir() . '/script-ran', 'they did not run');

# large ones
$got = $s->order(codes => [ step('large', 'export const code = async () => "'
	. 'x' x (5 << 20) . '".length;') ]);
is($s->result('large'), 5 << 20, '5 MB of code');
is_deeply([ $s->staged() ], [], 'no staging is left');
