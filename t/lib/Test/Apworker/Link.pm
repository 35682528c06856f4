package Test::Apworker::Link;

# Programs that talk in lines (the test drivers of the links, their Node peers),
# and raw sockets for what no library would send.
#
#	my $d = Test::Apworker::Link->new($t, 'bin/engine-link-peer', '-m', 1000);
#	my ($port) = $d->expect(qr/^port (\d+)/);
#	$d->say('expect sb1');

use strict;
use warnings;

use IO::Socket::INET;
use JSON::PP ();
use POSIX qw/:sys_wait_h/;

use Test::Apworker::Util;

use base 'Exporter';
our @EXPORT = qw/link_program raw_connect http_request http_answer ws_open
	ws_frame ws_read raw_eof post_packet/;

sub link_program { return __PACKAGE__->new(@_) }

# path below t/; programs that are built are found in the build tree.
sub new {
	my ($class, $t, $path, @args) = @_;

	my $build = $ENV{APW_BUILD};
	my $file = defined $build && -x "$build/t/$path" ? "$build/t/$path"
		: $t->srcdir() . "/$path";
	my @cmd = $file =~ /\.js$/ ? ('node', $file, @args) : ($file, @args);
	pipe my $child_in, my $in or die "pipe: $!";
	pipe my $out, my $child_out or die "pipe: $!";
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		close $in;
		close $out;
		open STDIN, '<&', $child_in or die $!;
		open STDOUT, '>&', $child_out or die $!;
		open STDERR, '>>', $t->testdir() . '/drivers.err' or die $!;
		$ENV{APW_TEST_DIR} = $t->testdir();
		$ENV{$_} = "log_path=" . $t->testdir() . "/san:exitcode=99"
			. ($_ eq 'ASAN_OPTIONS' ? ':quarantine_size_mb=4' : '')
			for qw/ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS/;
		{ no warnings; exec { $cmd[0] } @cmd; }
		POSIX::_exit(127);
	}
	close $child_in;
	close $child_out;
	$in->autoflush(1);
	my $self = bless { t => $t, pid => $pid, in => $in, out => $out,
		buffer => '', name => "$path @args" },
		$class;
	push @{ $t->{doubles} }, $self;
	return $self;
}

sub pid { return $_[0]->{pid} }

sub say {
	my ($self, @what) = @_;
	local $SIG{PIPE} = 'IGNORE';
	print { $self->{in} } map { (ref $_ ? json($_) : $_) . "\n" } @what;
	return $self;
}

# The next line, or undef at the end or after so many seconds.
sub line {
	my ($self, $seconds) = @_;

	my $left = patience($seconds // deadline());
	while ($self->{buffer} !~ /\n/) {
		return undef unless readable($self->{out}, $left);
		my $n = sysread $self->{out}, $self->{buffer}, 65536,
			length $self->{buffer};
		return undef unless $n;
	}
	$self->{buffer} =~ s/^(.*)\n//;
	push @{ $self->{seen} }, $1;
	return $1;
}

# Skips lines until one matches: what the groups caught (or 1); else nothing.
sub expect {
	my ($self, $re, $seconds) = @_;

	my @skipped;
	while (defined(my $line = $self->line($seconds))) {
		if ($line =~ $re) {
			return map { substr $line, $-[$_], $+[$_] - $-[$_] }
				1 .. $#+ if $#+;
			return 1;
		}
		push @skipped, $line;
	}
	Test::More::diag("$self->{name}: no line like $re; got:", map {
		"\n    $_" } @skipped);
	return;
}

# Skips lines until each of these has had one, in whatever order they come;
# how many had.
sub expect_all {
	my ($self, @re) = @_;

	my $want = @re;
	while (@re && defined(my $line = $self->line())) {
		my ($hit) = grep { $line =~ $re[$_] } 0 .. $#re;
		splice @re, $hit, 1 if defined $hit;
	}
	Test::More::diag("$self->{name}: no line like $_") for @re;
	return $want - @re;
}

# Ends it by ending its input.
sub stop {
	my ($self) = @_;

	return if $self->{stopped}++;
	close $self->{in};
	my $gone = wait_for(sub {
		waitpid($self->{pid}, WNOHANG) == $self->{pid} });
	my $status = $?;
	if (!$gone) {
		kill 'KILL', $self->{pid};
		waitpid $self->{pid}, 0;
		$status = 'killed';
	}
	push @{ $self->{t}{exits} }, "$self->{name}: status $status"
		if $status ne '0';
	return $status;
}

# Peak memory in KiB since its start.
sub peak_kib {
	my ($self) = @_;
	return slurp("/proc/$self->{pid}/status") =~ /^VmHWM:\s+(\d+)/m ? $1
		: 0;
}

# ------------------------------------------------------------------ raw

sub raw_connect {
	my ($port, $host) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => $host || '127.0.0.1',
		PeerPort => $port, Timeout => deadline()) or die "connect: $!";
	$s->autoflush(1);
	return $s;
}

sub raw_bytes {
	my ($s, $n, $seconds) = @_;

	my $got = '';
	my $left = patience($seconds // deadline());
	while (length $got < $n) {
		return undef unless readable($s, $left);
		my $r = sysread $s, $got, $n - length $got, length $got;
		return undef unless $r;
	}
	return $got;
}

# True when the other side ends the stream; what came before is dropped.
sub raw_eof {
	my ($s, $seconds) = @_;

	my $left = patience($seconds // deadline());
	while (1) {
		return 0 unless readable($s, $left);
		my $r = sysread $s, my $junk, 65536;
		return 1 unless $r;
	}
}

sub http_request {
	my ($s, $method, $path, $body, @headers) = @_;

	local $SIG{PIPE} = 'IGNORE';
	print $s join "\r\n", "$method $path HTTP/1.1", 'Host: localhost',
		@headers, defined $body ? 'Content-Length: ' . length $body : (),
		'', $body // '';
	return $s;
}

# (status, headers as text, body), or nothing when the stream ends.
sub http_answer {
	my ($s) = @_;

	my $head = '';
	until ($head =~ /\r\n\r\n$/) {
		my $c = raw_bytes($s, 1);
		return unless defined $c;
		$head .= $c;
	}
	my ($status) = $head =~ m{^HTTP/1\.1 (\d+)} or return;
	my $body = $head =~ /^content-length: (\d+)/mi && $1 > 0
		? raw_bytes($s, $1) : '';
	return ($status, $head, $body);
}

# A WebSocket by hand; (socket, status).
sub ws_open {
	my ($port, $path) = @_;

	my $s = raw_connect($port);
	http_request($s, 'GET', $path, undef, 'Upgrade: websocket',
		'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
		'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==');
	my ($status) = http_answer($s);
	return wantarray ? ($s, $status) : $s;
}

# A frame as a client sends it; mask => 0, fin => 0, rsv => N, op => N.
sub ws_frame {
	my ($data, %o) = @_;

	my $op = $o{op} // 1;
	my $n = $o{length} // length $data;
	my $mask = $o{mask} // 1;
	my $head = chr(($o{fin} // 1) << 7 | ($o{rsv} // 0) << 4 | $op);
	my $bit = $mask ? 0x80 : 0;
	$head .= $n < 126 ? chr($bit | $n)
		: $n < 65536 ? chr($bit | 126) . pack('n', $n)
		: chr($bit | 127) . pack('Q>', $n);
	return $head . $data unless $mask;
	my $key = "\x11\x22\x33\x44";
	my $long = $key x (length($data) / 4 + 1);
	return $head . $key . ($data ^ substr $long, 0, length $data);
}

# (opcode, payload) of the next frame, or nothing at the end of the stream.
sub ws_read {
	my ($s, $seconds) = @_;

	my $head = raw_bytes($s, 2, $seconds) // return;
	my ($b0, $b1) = unpack 'CC', $head;
	my $n = $b1 & 0x7f;
	my $key;
	$n = unpack 'n', raw_bytes($s, 2) if $n == 126;
	$n = unpack 'Q>', raw_bytes($s, 8) if $n == 127;
	$key = raw_bytes($s, 4) if $b1 & 0x80;
	my $data = $n ? raw_bytes($s, $n) : '';
	$data ^= substr $key x ($n / 4 + 1), 0, $n if defined $key;
	return ($b0 & 15, $data);
}

sub post_packet {
	my ($port, $path, $sid, $text) = @_;

	my $s = raw_connect($port);
	http_request($s, 'POST', "$path?EIO=4&transport=polling&sid=$sid",
		$text, 'Connection: close');
	return http_answer($s);
}

1;
