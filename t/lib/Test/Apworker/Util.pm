package Test::Apworker::Util;

# Small things that the harness and its doubles share: waiting, JSON, files.

use strict;
use warnings;

use JSON::PP ();
use Test::More ();
use Time::HiRes ();

use base 'Exporter';
our @EXPORT = qw/slurp deadline slow wait_for json unjson/;

sub slurp {
	my ($path) = @_;
	open my $fh, '<:raw', $path or return '';
	local $/;
	return scalar(<$fh>) // '';
}

sub deadline { return 60 * slow() }
sub slow { return $ENV{APW_TEST_SLOW} || 1 }

# Polls until check->() is true, at most `seconds` (scaled).  Without `what`
# running out of time is not worth a word.
sub wait_for {
	my ($check, $what, $seconds) = @_;

	my $limit = defined $seconds ? $seconds * slow() : deadline();
	my $end = Time::HiRes::time() + $limit;
	my $pause = 0.005;
	while (1) {
		my $got = $check->();
		return $got if $got;
		last if Time::HiRes::time() > $end;
		select undef, undef, undef, $pause;
		$pause *= 1.5 if $pause < 0.1;
	}
	Test::More::diag("waited ${limit}s in vain for $what") if defined $what;
	return undef;
}

my $codec = JSON::PP->new->utf8->canonical->allow_nonref->max_depth(20000);
sub json { return $codec->encode($_[0]) }
sub unjson { return $codec->decode($_[0]) }

1;
