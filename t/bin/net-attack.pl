#!/usr/bin/perl

# What hostile code in a box would try to reach, without any library's help:
#
#	net-attack.pl NAME=KIND,ARG... ...
#
# One line for each: "OPEN name" or "refused name: why".  It is run where tests
# have made all addresses themselves, and there only: the same list finds all
# of them open without a box.

use strict;
use warnings;

use Errno ();
use IO::Select ();
use Socket qw/:all/;

$| = 1;
my $WAIT = 3;		# seconds that an answer may take

# -wSECONDS: how long to wait where nothing is to come
my $silence = @ARGV && $ARGV[0] =~ /^-w([\d.]+)$/ && shift @ARGV ? $1 : 1;

sub refused { my ($why) = @_; die "$why\n" }
sub name_of {
	my ($n) = $! + 0;
	local $! = $n;
	for my $name (keys %!) { return $name if $!{$name} }
	return "errno $n";
}

# TCP: connected, and something came back.
sub tcp {
	my ($to, $port, $proto) = @_;
	my $family = $to =~ /:/ ? AF_INET6 : AF_INET;
	socket my $s, $family, SOCK_STREAM, $proto || 0 or refused(name_of());
	setsockopt $s, SOL_SOCKET, SO_SNDTIMEO, pack 'l!l!', $WAIT, 0;
	setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack 'l!l!', $WAIT, 0;
	connect $s, address($to, $port) or refused(name_of());
	syswrite $s, "GET / HTTP/1.0\r\n\r\n";
	sysread $s, my $got, 100 or refused('silent');
}

sub address {
	my ($to, $port) = @_;
	return $to =~ /:/ ? pack_sockaddr_in6($port, inet_pton(AF_INET6, $to))
		: pack_sockaddr_in($port, inet_pton(AF_INET, $to));
}

# Data with the handshake: a call that connects and is not named so.
sub fastopen {
	my ($to, $port) = @_;
	socket my $s, AF_INET, SOCK_STREAM, 0 or refused(name_of());
	setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack 'l!l!', $WAIT, 0;
	defined send $s, "GET / HTTP/1.0\r\n\r\n", 0x20000000,
		address($to, $port) or refused(name_of());
	sysread $s, my $got, 100 or refused('silent');
}

sub udp {
	my ($to, $port) = @_;
	my $family = $to =~ /:/ ? AF_INET6 : AF_INET;
	socket my $s, $family, SOCK_DGRAM, 0 or refused(name_of());
	defined send $s, "hello", 0, address($to, $port)
		or refused(name_of());
	IO::Select->new($s)->can_read($silence) or refused('silent');
	defined recv $s, my $got, 100, 0 or refused(name_of());
}

sub raw {
	my ($family, $type, $proto) = @_;
	socket my $s, $family, $type, $proto or refused(name_of());
}

sub unix {
	my ($path) = @_;
	$path =~ s/^@/\0/;
	socket my $s, AF_UNIX, SOCK_STREAM, 0 or refused(name_of());
	connect $s, pack_sockaddr_un($path) or refused(name_of());
}

# Interfaces beside loopback, as the kernel tells them.
sub links {
	socket my $s, 16, SOCK_RAW, 0 or refused(name_of());
	send $s, pack('LSSLL Cx15', 32, 18, 0x301, 1, 0, 0), 0
		or refused(name_of());
	my $n = 0;
	for (;;) {
		IO::Select->new($s)->can_read($WAIT) or refused('silent');
		recv $s, my $got, 65536, 0;
		while (length $got >= 16) {
			my ($len, $type) = unpack 'LS', $got;
			refused('none') if $type == 3 && $n == 0;
			return if $type == 3;
			refused('error') if $type == 2;
			my (undef, $flags) = unpack 'x20 lL', $got;
			$n++ unless $flags & 8 || !($flags & 1);
			substr $got, 0, ($len + 3) & ~3, '';
		}
	}
}

# Somebody could call us from outside of the box.
sub listener {
	my ($to, $port) = @_;
	socket my $s, AF_INET, SOCK_STREAM, 0 or refused(name_of());
	bind $s, address($to, $port) or refused(name_of());
	listen $s, 5 or refused(name_of());
}

sub program {
	my (@argv) = @_;
	open my $null, '>', '/dev/null';
	my $pid = fork // refused(name_of());
	if ($pid == 0) {
		open STDOUT, '>&', $null;
		open STDERR, '>&', $null;
		no warnings;
		exec @argv;
		exit 126;
	}
	waitpid $pid, 0;
	refused('exit ' . ($? >> 8)) if $?;
}

# Through the proxy that the engine was told of; what it says when it refuses.
sub proxy {
	my ($how, $to, $port) = @_;
	my ($at) = ($ENV{AP_EGRESS_PROXY_URL} || '') =~ /:(\d+)$/
		or refused('no proxy');
	socket my $s, AF_INET, SOCK_STREAM, 0 or refused(name_of());
	setsockopt $s, SOL_SOCKET, SO_RCVTIMEO, pack 'l!l!', 10, 0;
	connect $s, address('127.0.0.1', $at) or refused(name_of());
	$to = "[$to]" if $to =~ /:/;
	syswrite $s, $how eq 'connect' ? "CONNECT $to:$port HTTP/1.1\r\n"
		. "Host: $to:$port\r\n\r\n" : "GET http://$to:$port/ "
		. "HTTP/1.1\r\nHost: $to:$port\r\nConnection: close\r\n\r\n";
	sysread $s, my $got, 1000 or refused('silent');
	refused($1) if $got !~ m{^HTTP/1\.. 200} && $got =~ m{^HTTP/1\.. (\d+)};
	return if $how ne 'connect';
	syswrite $s, "GET / HTTP/1.0\r\n\r\n";
	1 while sysread $s, $got, 1000, length $got;
	refused('silent') if $got !~ m{\r\n\r\nHTTP/1\.. 200};
}

# All that one box can hold open: silent, half a request, a request that goes
# on too early; for as long as it is told, or until SIGUSR1.
sub flood {
	my ($n, $seconds, $to, $port) = @_;
	my ($at) = ($ENV{AP_EGRESS_PROXY_URL} || '') =~ /:(\d+)$/
		or refused('no proxy');
	my @all;
	for my $i (1 .. $n) {
		socket my $s, AF_INET, SOCK_STREAM, 0 or last;
		connect $s, address('127.0.0.1', $at) or last;
		syswrite $s, $i % 3 == 0 ? 'CONNECT x' : $i % 3 == 1 ? ''
			: "CONNECT $to:$port HTTP/1.1\r\nHost: $to:$port\r\n\r\n"
			. ("GET / HTTP/1.0\r\n\r\n");
		push @all, $s;
	}
	my $have = @all;
	local $SIG{USR1} = sub { die "enough\n" };
	eval { sleep $seconds };
	print "flood $have\n";
}

my %kinds = (flood => \&flood, proxy => \&proxy, tcp => \&tcp, udp => \&udp, raw => \&raw, unix => \&unix,
	links => \&links, fastopen => \&fastopen, listen => \&listener,
	run => \&program);

for my $what (@ARGV) {
	my ($name, $how) = split /=/, $what, 2;
	my ($kind, @args) = split /,/, $how;
	if (eval { $kinds{$kind}->(@args); 1 }) {
		print "OPEN $name\n";
	} else {
		chomp(my $why = $@);
		print "refused $name: $why\n";
	}
}
print "done\n";
