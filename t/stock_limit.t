#!/usr/bin/perl

# What an install or build may put on the disk: more is the user's fault, told
# clearly, gone at once, and the next order is fine.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node bun esbuild/)->plan(40);
my $dir = $t->testdir();
my $s = Test::Apworker::Stock->new($t, negative_ttl_ms => 0,
	build_disk => 4 << 20);
my $over = qr/Ended for using more disk than build_disk/;

sub tool {
	my ($name, $perl) = @_;
	$t->write_file("$name/tool", "#!$^X\n"
		. "if (\"\@ARGV\" eq '--version') { print \"9.9.9\\n\"; exit 0 }\n"
		. $perl, 0755);
	return "$dir/$name/tool";
}

my $many = '{ open my $f, ">", "%s" . $n++ or die "$!\n"; %s }';

# A real package that grows when it is unpacked, beside a good one.
$s->registry(bomb => { versions => { '1.0.0' => { files => {
		'src/index.js' => '//', 'zeroes' => '0' x (8 << 20) } } } },
	crumbs => { versions => { '1.0.0' => { files => { 'src/index.js' =>
		'//', map { ("f$_" => '') } 1 .. 1100 } } } },
	fine => { versions => { '1.0.0' => piece_package('fine') } });
my $got = $s->order(pieces => [ map { piece_of($_, '1.0.0') }
	qw/bomb fine/ ]);
is($got->{fault}, 'USER', 'a package that grows');
like($got->{error}, qr/piece bomb\@1\.0\.0: $over/, 'is named');
is($s->load('fine', '1.0.0'), 'fine', 'its neighbour is installed');
ok(!-e $s->path('common/pieces/bomb-1.0.0'), 'it is not');
is_deeply([ $s->staged() ], [], 'and nothing is left of it');
$got = $s->order(pieces => [ piece_of('crumbs', '1.0.0') ]);
is($got->{fault}, 'USER', 'a package of many files');
like($got->{error}, $over, 'says the same');
my $step = step('s', "import 'bomb';\nexport const code = async () => 1;",
	'{"dependencies":{"bomb":"1.0.0"}}');
$got = $s->order(codes => [ $step ]);
is($got->{fault}, 'USER', 'a step that needs it');
like($got->{error}, qr/packages of step "s": $over/, 'is named too');

# No limit.
$got = $s->order(pieces => [ map { piece_of($_, '1.0.0') } qw/bomb crumbs/ ],
	stock => { build_disk => 0 });
is($got->{fault}, 'OK', 'build_disk 0') or diag($got->{error});
is($s->load('crumbs', '1.0.0'), 'undefined', 'takes them');

# Tools that do not end by themselves: in the work folder, and in TMPDIR.
my $n = 0;
for (['', 'print $f "x" x (1 << 20)', 'large files'],
    ['$ENV{TMPDIR}/', '', 'empty files, in TMPDIR']) {
	my ($where, $what, $name) = @$_;
	$got = $s->order(pieces => [ piece_of('p' . ++$n, '1.0.0') ], stock => {
		installer_path => tool("t$n", 'my $n = 0; while ($n < 1500) '
		. sprintf($many, $where, $what) . ' sleep 1000;') });
	is($got->{fault}, 'USER', "one that does not end: $name");
}
like($got->{error}, $over, 'told');
is_deeply([ $s->staged() ], [], 'gone');

# One that is faster than any look.
$got = $s->order(pieces => [ piece_of('quick', '1.0.0') ], stock => {
	installer_path => tool('quick', 'my $n = 0; while ($n < 1100) '
	. sprintf($many, '', '')) });
is($got->{fault}, 'USER', 'one that has ended');
like($got->{error}, $over, 'is seen as well');

# What a tool keeps for the next time, in its cache: the same, and what was in
# there before is not its own.
for my $installer (qw/bun npm/) {
	my $var = $installer eq 'npm' ? 'npm_config_cache'
		: 'BUN_INSTALL_CACHE_DIR';
	my %as = (negative_ttl_ms => 0, installer => $installer);
	my $cache = sub { join ' ', sort map { s{.*/}{}r }
		glob $s->path(".cache/0/$installer") . "/$_[0]*" };
	my $fill = sub {
		my ($name, $n, $end) = @_;
		return tool("$installer-$name", 'my $n = 0; while ($n < '
			. "$n) " . sprintf($many, "\$ENV{$var}/$name",
			'print $f "x" x (1 << 20)') . $end);
	};
	$s->order(pieces => [ piece_of('c1', '1.0.0') ], stock => { %as,
		installer_path => $fill->('old', 3, ' exit 1') });
	is($cache->('old'), 'old0 old1 old2', "$installer: what one has left");
	$got = $s->order(pieces => [ piece_of('c2', '1.0.0') ], stock => { %as,
		installer_path => $fill->('more', 3, ' exit 1') });
	unlike($got->{error}, $over, "$installer: does not count for the next");
	$got = $s->order(pieces => [ piece_of('c3', '1.0.0') ], stock => { %as,
		installer_path => $fill->('new', 6, ' sleep 1000') });
	is($got->{fault}, 'USER', "$installer: too much of its own");
	like($got->{error}, $over, 'told');
	is(join(' ', map { $cache->($_) || () } qw/more old new/),
		'more0 more1 more2 old0 old1 old2',
		'it is gone, and nothing else');

	# two at once: each has one of its own
	my @both = map { $s->start(pieces => [ piece_of("c$_", '1.0.0') ],
		stock => { %as, installer_path => $fill->("n$_", 3,
		" my \$t = \"\$ENV{$var}/../../there-$installer\"; "
		. "open my \$x, '>', \"\$t-$_\"; select undef, undef, undef, .1 "
		. "until -e \"\$t-" . (9 - $_) . '"; exit 1') }) } 4, 5;
	for my $order (@both) {
		unlike($s->wait($order)->{error}, $over,
			"$installer: a neighbour's is not its own");
	}
	ok(-d $s->path(".cache/1/$installer"), 'they do not share one');
}

# A bundler: that is how the step compiles.
$got = $s->order(codes => [ step('b', 'export const code = 1;') ], stock => {
	bundler_path => tool('bundler', 'my $n = 0; while ($n < 10) '
	. sprintf($many, '', 'print $f "x" x (1 << 20)')) });
is($got->{fault}, 'OK', 'a build that writes too much');
like($s->result('b'), qr/^threw Compilation Error $over/, 'does not compile');

# Folders in folders: too deep to be a package, and removed all the same.
$got = $s->order(pieces => [ piece_of('deep', '1.0.0') ], stock => {
	installer_path => tool('deep', 'for (1 .. 700) { mkdir "d" or die $!; '
	. 'chdir "d" or die $! } ') });
is($got->{fault}, 'USER', 'seven hundred folders in each other');
is_deeply([ $s->staged() ], [], 'are removed');

is($s->order(pieces => [ piece_of('fine', '1.0.0') ], codes => [ step('after',
	'export const code = async () => 5;') ])->{fault}, 'OK',
	'the next order is fine');
is($s->result('after'), '5', 'and built');
my ($code, $out) = $t->run_command([ 'du', '-sk', $s->path('.staging') ]);
cmp_ok((split ' ', $out)[0], '<', 100, 'the disk has its room back');
