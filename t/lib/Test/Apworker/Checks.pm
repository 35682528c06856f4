package Test::Apworker::Checks;

# The free checks that follow each test file, and the wait for what a check
# needs.  Methods of Test::Apworker.

use strict;
use warnings;

use Test::More;

use Test::Apworker::Proc;
use Test::Apworker::Util;

sub allow_alert {
	my ($self, $re) = @_;
	push @{ $self->{allow_alert} }, $re;
	return $self;
}

# What the daemon must never say: a level above error, a failed assertion.
sub check_alerts {
	my ($self) = @_;

	my @bad = grep {
		/\[(?:alert|emerg|crit)\]/ || /^\S+ (?:alert|emerg|crit) /
		|| /"level":"(?:alert|emerg|crit)"/
		|| /\bassert(?:ion)?\b.*\bfailed\b|\bpanic\b|\bcore dumped\b/i
	} split /\n/, $self->log();
	for my $ok (@{ $self->{allow_alert} }) {
		@bad = grep { !/$ok/ } @bad;
	}
	ok(!@bad, 'no alerts') or diag(join "\n", @bad);
}

sub check_sanitizers {
	my ($self) = @_;

	my $text = '';
	$text .= "$_:\n" . slurp($_) for glob "$self->{testdir}/san.*";
	my $said = join "\n", $self->log() =~
		/^(.*(?:runtime error:|ERROR: \w+Sanitizer).*)$/mg;
	ok($text eq '' && $said eq '', 'no sanitizer report')
		or diag("$said\n$text");
}

sub check_exit {
	my ($self) = @_;

	my @wrong = @{ $self->{exits} || [] };
	ok(!@wrong, 'exit status as expected') or diag(join "\n", @wrong);
}

sub check_strays {
	my ($self, @strays) = @_;

	ok(!@strays, 'no stray process')
		or diag(join "\n", map { "$_->{pid}: $_->{cmd} ($_->{why})" }
			@strays);
}

sub check_leftovers {
	my ($self) = @_;

	my @left;
	wait_for(sub { !(@left = Test::Apworker::Proc::leftovers($self)) },
		undef, 10);
	ok(!@left, 'nothing left behind') or diag(join "\n", @left);
}

1;
