package Test::Apworker::Monitor;

# Talks to the monitor of the daemon under test: plain HTTP, the scoreboard of
# /status, and waiting for what it shows.  Methods of Test::Apworker.

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::UNIX;
use Test::More;

use Test::Apworker::Util;

sub monitor_address {
	my ($self) = @_;

	my ($listen) = ($self->{conf} // '') =~
		/^\s*monitor\s*\{[^}]*?\blisten\s+(\S+?);/ms;
	return '127.0.0.1:' . $self->port('MONITOR') unless defined $listen;
	return $self->expand($listen);
}

# One HTTP request: (status, body, head).  Not even a status: ().
sub http_get {
	my ($self, $path, %opt) = @_;

	my $to = $opt{address} || $self->monitor_address();
	if ($path =~ m{^http://([^/]+)(/.*)?$}) {
		($to, $path) = ($1, $2 // '/');
	}
	my $s = $to =~ /^unix:(.*)/
		? IO::Socket::UNIX->new(Peer => $1)
		: IO::Socket::INET->new(PeerAddr => $to, Timeout => 5);
	return () unless $s;
	my $method = $opt{method} || 'GET';
	local $SIG{PIPE} = 'IGNORE';
	print $s "$method $path HTTP/1.1\r\nHost: localhost\r\n"
		. "Connection: close\r\n\r\n";
	$s->flush();
	my $text = '';
	my $left = patience(deadline());
	while (readable($s, $left)) {
		last unless sysread $s, $text, 65536, length $text;
	}
	my ($head, $body) = split /\r\n\r\n/, $text, 2;
	my ($status) = ($head // '') =~ m{^HTTP/1\.\d (\d+)} or return ();
	$body = unchunk($body) if $head =~ /^transfer-encoding:\s*chunked/mi;
	return ($status, $body // '', $head);
}

sub unchunk {
	my ($in) = @_;
	my $out = '';
	while ($in =~ s/^([0-9a-fA-F]+)[^\r\n]*\r\n//) {
		my $n = hex $1 or last;
		$out .= substr $in, 0, $n;
		substr($in, 0, $n + 2) = '';
	}
	return $out;
}

# The scoreboard as /status shows it; undef while nobody answers.
sub status {
	my ($self) = @_;

	my ($code, $body) = $self->http_get('/status') or return undef;
	return undef unless $code == 200;
	return eval { unjson($body) };
}

# Waits until check(status) is true and returns what it gave.
sub wait_status {
	my ($self, $check, $what, $seconds) = @_;

	my $got;
	wait_for(sub {
		my $st = $self->status() or return 0;
		local $_ = $st;
		return $got = $check->($st);
	}, $what || 'status', $seconds) or return undef;
	return $got;
}

sub wait_ready {
	my ($self, $seconds) = @_;

	wait_for(sub {
		my ($code) = $self->http_get('/readyz') or return 0;
		return $code == 200;
	}, 'readiness', $seconds) or diag($self->log_tail(20));
	return $self;
}

sub slots { return @{ ($_[0]->status() || {})->{slots} || [] } }

# Waits until a slot has the job: (slot number, pid of the slot).
sub wait_job {
	my ($self, $job, $seconds) = @_;

	my $slot = $self->wait_status(sub {
		for my $s (@{ $_[0]{slots} || [] }) {
			my $j = $s->{job};
			$j = $j->{id} if ref $j eq 'HASH';
			return $s if defined $j && $j eq $job;
		}
		return undef;
	}, "job $job in a slot", $seconds) or return ();
	return ($slot->{slot}, $slot->{pid});
}

1;
