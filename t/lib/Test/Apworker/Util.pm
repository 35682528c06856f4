package Test::Apworker::Util;

# Small things that the harness and its doubles share: waiting, JSON, files.

use strict;
use warnings;

use JSON::PP ();
use Test::More ();
use Time::HiRes ();

use base 'Exporter';
our @EXPORT = qw/slurp deadline slow patience readable wait_for json unjson/;

sub slurp {
	my ($path) = @_;
	open my $fh, '<:raw', $path or return '';
	local $/;
	return scalar(<$fh>) // '';
}

sub deadline { return 60 * slow() }
sub slow { return $ENV{APW_TEST_SLOW} || 1 }

# How many seconds are left, each time it is called.  A machine that stands
# still uses none of them up: what lies between two calls counts as a second at
# most, so who waits longer must ask again.
sub patience {
	my ($left) = @_;
	my $last = Time::HiRes::clock_gettime(Time::HiRes::CLOCK_MONOTONIC());

	return sub {
		my $now = Time::HiRes::clock_gettime(
			Time::HiRes::CLOCK_MONOTONIC());
		$left -= $now - $last < 1 ? $now - $last : 1;
		$last = $now;
		return $left > 0 ? $left : 0;
	};
}

# Is there something to read before patience ends?
sub readable {
	my ($fh, $left) = @_;

	while (my $seconds = $left->()) {
		vec(my $r = '', fileno $fh, 1) = 1;
		return 1 if select($r, undef, undef,
			$seconds < 0.9 ? $seconds : 0.9) > 0;
	}
	return 0;
}

# Polls until check->() is true, at most `seconds` (scaled).  Without `what`
# running out of time is not worth a word.
sub wait_for {
	my ($check, $what, $seconds) = @_;

	my $limit = defined $seconds ? $seconds * slow() : deadline();
	my $left = patience($limit);
	my $pause = 0.005;
	while (1) {
		my $got = $check->();
		return $got if $got;
		last unless $left->();
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
