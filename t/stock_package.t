#!/usr/bin/perl

# What of a code step's package.json counts is the word of the app's release;
# what does not count is told, in the log and by the step that misses it.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Has;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node npm bun esbuild/)->plan(40);
my %tools = map { $_ => Test::Apworker::Has::find($_) } qw/npm bun/;
my $s = Test::Apworker::Stock->new($t, negative_ttl_ms => 0);
my %number = map { ($_ => { files => { 'src/index.js' =>
	"module.exports = '$_';\n" } }) } qw/6.0.0 7.0.0/;
$s->registry(
	word => { versions => { '1.0.0' => { files => { 'src/index.js' =>
		"module.exports = 'word';\n" } } } },
	odd => { versions => { '1.0.0' => { files => { 'src/index.js' =>
		"module.exports = require('number');\n" },
		dependencies => { number => '^6.0.0' } } } },
	number => { versions => \%number },
);
my $word = "import word from 'word';\nexport const code = async () => word;";
my $odd = "import odd from 'odd';\nexport const code = async () => odd;";
my $last = 0;

# Orders it as a step of its own; the answer, with what the step gives.
sub ordered {
	my ($code, $package, %more) = @_;
	my $step = 's' . ++$last;
	my $got = $s->order(codes => [ step($step, $code, $package) ], %more);

	is($got->{fault}, 'OK', "$step: " . $package =~ s/\s+/ /gr)
		or diag($got->{error});
	$got->{gives} = $s->result($step);
	return $got;
}

for my $installer (qw/bun npm/) {
	$s->set(installer => $installer, installer_path => $tools{$installer});
	for my $member ($installer eq 'bun' ? qw/dev optional peer/ : 'dev') {
		my $package = json({ name => 'step',
			"${member}Dependencies" => { word => '1.0.0' } });
		my $got = ordered($word, $package, release => 86002);
		is($got->{gives}, '"word"', 'up to 0.86.2 it counts');
	}
	my $got = ordered($odd, json({ dependencies => { odd => '1.0.0' },
		overrides => { number => '7.0.0' } }));
	is($got->{gives}, '"7.0.0"', 'overrides count, too');
	unlike($got->{log}, qr/not all/, 'nothing is left out');
}
$s->set(installer => 'bun', installer_path => $tools{bun});

my $got = ordered($word, '{"devDependencies":{"word":"1.0.0"}}',
	release => 86003);
like($got->{gives}, qr/^threw\ Compilation\ Error\ .*Could\ not\ resolve\ "word"
	.*package\.json:\ "devDependencies"\ does\ not\ count.*dependencies/sx,
	'from 0.86.3 on the step tells what does not count');
like($got->{log}, qr/warn .*a code step's package\.json .*step=s.*devDep/,
	'and the log');
$got = ordered($odd, json({ dependencies => { odd => '1.0.0' },
	overrides => { number => '7.0.0' } }), release => 86003);
is($got->{gives}, '"6.0.0"', 'without the overrides');
like($got->{log}, qr/overrides/, 'which the log tells');
$got = ordered($word, '{"dependencies":{"word":"1.0.0","x":"file:/etc"}}',
	release => 86003);
is($got->{gives}, '"word"', 'a file is left out');

# the same source is another step in another release
my $package = '{"peerDependencies":{"word":"1.0.0"}}';
$s->order(codes => [ step('same', $word, $package) ], release => 86003);
like($s->result('same'), qr/^threw/, 'a step of 0.86.3');
$s->order(codes => [ step('same', $word, $package) ], release => 85004);
is($s->result('same'), '"word"', 'is built anew for 0.85.4');

for my $case (
	[ "{\n \"dependencies\": {\n  \"word\": \"1.0.0\",\n }\n}",
		qr/package\.json: it is not JSON/ ],
	[ "\x{feff}{\"dependencies\":{\"word\":\"1.0.0\"}}", qr/byte order mark/ ],
	[ "// deps\n{\"dependencies\":{\"word\":\"1.0.0\"}}", qr/is not JSON/ ],
	[ '{"dependencies":["word"]}', qr/dependencies is an array/ ],
	[ '{"dependancies":{"word":"1.0.0"}}', qr/"dependancies" does not/ ],
) {
	my ($package, $re) = @$case;
	$got = ordered($word, $package);
	like($got->{gives}, qr/Could not resolve.*$re/s, 'the step says why');
}
$got = ordered($word, '{}');
like($got->{gives}, qr/Error: Could not resolve "word" \(index\.ts:1:\d+\)$/,
	'a file that names none says it all');
$got = ordered($word, '{"dependencies":{"word":"1.0.0"}}', packages => 0);
like($got->{gives}, qr/package\.json: it does not count.*execution mode/,
	'a mode without packages');
$s->set(bundler => 'bun', bundler_path => $tools{bun});
$got = ordered($word, '[]');
like($got->{gives}, qr/Could not resolve.*package\.json: it is an array/s,
	'and bun as the bundler');
