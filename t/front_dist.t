#!/usr/bin/perl

# A release is whole: what git has is in the lists of make dist, and what is in
# the lists is there.

use strict;
use warnings;

use Cwd ();
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

# Of the repository alone.
my %repository = map { $_ => 1 } qw{.gitignore .ci/run};

my $t = Test::Apworker->new()->has('daemon')->plan(4);
my $top = Cwd::abs_path($t->srcdir() . '/..');
my $build = $ENV{APW_BUILD} || $top;

# Nothing is made anew because of this: others of make check may run.
my ($code, $out, $err) = $t->run_command([ qw/make -s -C/, $build,
	qw/-o Makefile dist-list/ ]);
is($code, 0, 'the lists') or diag($err);
my %listed = map { s{^\./}{}r => 1 }
	map { s{^\Q$top\E/}{}r } split /\n/, $out;
cmp_ok(scalar keys %listed, '>', 500, 'are long');

# A file is listed, or a folder that it is in.
sub listed {
	my ($file) = @_;

	while (!$listed{$file}) {
		$file =~ s{/[^/]+$}{} or return 0;
	}
	return 1;
}

SKIP: {
	skip 'a release, not a clone', 1 unless -e "$top/.git";
	($code, $out, $err) = $t->run_command([ qw/git -c safe.directory=*/,
		'-C', $top, 'ls-files' ]);
	my @missing = grep { !$repository{$_} && -e "$top/$_" && !listed($_) }
		split /\n/, $out;
	is("$code: @missing", '0: ', 'all that git has is in a release')
		or diag($err, 'list it in the Makefile.inc of its room');
}

# What is made by make dist itself is in the build's folder.
is(join(' ', grep { !-e "$top/$_" && !-e "$build/$_" } sort keys %listed), '',
	'and all that is listed is there');
