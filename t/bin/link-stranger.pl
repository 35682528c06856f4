#!/usr/bin/perl

# A process that is not the engine's, at the port of its link: says "on" when
# it has come there as often as it will at a time, then goes on until its input
# ends.
#
#	link-stranger.pl hold PORT	connections that say nothing, 90 of them
#	link-stranger.pl slow PORT	heads that never end
#	link-stranger.pl token PORT	a wrong token, again and again
#	link-stranger.pl bodies PORT	sessions, and to each as much as it takes

use strict;
use warnings;

use Fcntl qw/F_SETFL O_NONBLOCK/;
use Socket qw/AF_INET SOCK_STREAM sockaddr_in inet_aton MSG_NOSIGNAL/;

my ($kind, $port) = @ARGV;
my $to = sockaddr_in($port, inet_aton('127.0.0.1'));
my $poll = '/worker/ws/?EIO=4&transport=polling';
my $wrong = '40{"sandboxId":"x","connectionToken":"' . 'a' x 64 . '"}';
my $chunk = 'A' x 65536;

sub post {
	my ($sid, $n) = @_;
	return "POST $poll&sid=$sid HTTP/1.1\r\nHost: x\r\n"
		. "Content-Type: text/plain\r\nContent-Length: $n\r\n\r\n";
}

# what is said first; what is said to who has a session; then without end
my %kinds = (
	hold => { n => 90, first => '' },
	slow => { n => 90, first => "GET $poll HTTP/1.1\r\nX: " },
	token => { n => 4, first => "GET $poll HTTP/1.1\r\nHost: x\r\n\r\n",
		then => sub { post($_[0], length $wrong) . $wrong } },
	bodies => { n => 32, first => "GET $poll HTTP/1.1\r\nHost: x\r\n\r\n",
		then => sub { post($_[0], 100e6) . '4' }, more => 1 },
);
my $k = $kinds{$kind} or die "no such kind";

sub one {
	socket my $s, AF_INET, SOCK_STREAM, 0 or die "socket: $!";
	fcntl $s, F_SETFL, O_NONBLOCK;
	connect $s, $to;
	return { s => $s, in => '', out => $k->{first} };
}

# true: it has ended
sub turn {
	my ($c) = @_;

	if (length $c->{out}) {
		my $n = send $c->{s}, $c->{out}, MSG_NOSIGNAL;
		substr $c->{out}, 0, $n, '' if $n;
		return 1 if !defined $n && !$!{EAGAIN} && !$!{ENOTCONN};
	}
	my $n = sysread $c->{s}, $c->{in}, 65536, length $c->{in};
	return 1 if defined $n && $n == 0;
	return 1 if !defined $n && !$!{EAGAIN} && !$!{ENOTCONN};
	if ($k->{then} && !$c->{sid} && $c->{in} =~ /"sid":"([^"]+)"/) {
		$c->{sid} = $1;
		$c->{out} .= $k->{then}->($1);
	} elsif ($c->{sid} && $k->{more} && length $c->{out} < 65536) {
		$c->{out} .= $chunk;
	}
	return 0;
}

$| = 1;
my @all = map { one() } 1 .. $k->{n};
my $said;
while (1) {
	for my $c (@all) {
		$c = one() if turn($c);
	}
	print "on\n" unless $said++;
	vec(my $in = '', 0, 1) = 1;
	select $in, undef, undef, 0.005;
	last if vec $in, 0, 1;
}
