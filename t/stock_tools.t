#!/usr/bin/perl

# apworkerd -t says which tools will be used, and what is wrong with them.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Has;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node bun esbuild/)->plan(15);
my $dir = $t->testdir();
my %real = map { $_ => Test::Apworker::Has::find($_) } qw/bun esbuild/;

sub tested {
	my ($stock) = @_;
	$t->write_conf("source spool { path %%TESTDIR%%/spool; }\n"
		. "engine { node %%NODE%%; bundle %%BUNDLE%%; }\n"
		. "stock { path %%TESTDIR%%/stock; $stock }\n");
	return $t->test_conf();
}

sub tool {
	my ($name, $body) = @_;
	$t->write_file("$name/tool", "#!/bin/sh\n$body\n", 0755);
	return "$dir/$name/tool";
}

my ($code, $out) = tested("installer_path $real{bun}; "
	. "bundler_path $real{esbuild};");
is($code, 0, 'real tools') or diag($out);
like($out, qr/^apworkerd: installer bun \d+\.\d+\.\d+\S* \(\Q$real{bun}\E\)$/m,
	'the installer, its version and place');
like($out, qr/^apworkerd: bundler esbuild \d+\.\d+\.\d+ \(\Q$real{esbuild}\E\)$/m,
	'the bundler');
# as root, without "user": sockets of whatever else runs here
$out =~ s/^.*can open root's sockets.*\n//m;
unlike($out, qr/warning/, 'nothing is wrong');

my $old = tool('old', 'echo 1.1.38');
($code, $out) = tested("installer_path $old; bundler bun; bundler_path $old;");
is($code, 0, 'old tools: the rest may work');
like($out, qr/^apworkerd: warning: bun 1\.1\.38 is too old: expected 1\.2\.19 or later, which has --linker isolated; jobs/m,
	'the installer is too old');
like($out, qr/^apworkerd: warning: bun 1\.1\.38 is too old: expected 1\.3\.\d+ or later, which has --metafile; jobs/m,
	'the bundler too');
($code, $out) = tested('installer npm; installer_path '
	. tool('npm', 'echo 6.14.18') . '; bundler_path '
	. tool('esb', 'echo 0.14.0') . ';');
like($out, qr/npm 6\.14\.18 is too old: expected 7\.0\.0/, 'npm');
like($out, qr/esbuild 0\.14\.0 is too old: expected 0\.17\.0/, 'esbuild');

($code, $out) = tested('installer_path ' . tool('mute', 'exit 3')
	. '; bundler_path ' . tool('odd', 'printf "what\\033[2J\\n0"') . ';');
like($out, qr/warning: installer bun \(\S+mute\/tool\) does not tell its version: jobs that need it will fail/,
	'a tool that does not run');
like($out, qr/^apworkerd: bundler esbuild what\?\[2J \(/m,
	'one with no version: what it said, harmless');
($code, $out) = tested("installer_path $dir/none; bundler_path $dir/old;");
is($code, 1, 'tools that are none: not good');
like($out, qr/"installer_path" is "\S+none": No such file or directory; expected a program/,
	'which, and why');
like($out, qr/"bundler_path" is "\S+old": not executable; expected a program/,
	'the other one too');
$t->write_file('npmrc', "registry=http://127.0.0.1:4873/\n");
($code, $out) = tested("installer npm; installer_path $old; "
	. "bundler_path $real{esbuild}; registry http://127.0.0.1:4873/; "
	. "npmrc $dir/npmrc; build_memory 512m;");
is($code, 0, 'directives of hosts without a way out');
