package Test::Apworker::Egress;

# The egress proxy without a box (bin/egress-proxy), in a network namespace
# that the test makes for itself: nothing but loopback, which gets the
# addresses of a small internet.  A name server double and origins live in
# there, too; no packet has a way out.

use strict;
use warnings;

use IO::Handle;
use IO::Select;
use IO::Socket::IP;
use POSIX ();
use Socket qw/:all/;
use Time::HiRes qw/time/;

use Test::Apworker::Util;

my (@children, @inputs);
END { my $rc = $?; kill 'KILL', @children if @children; $? = $rc }

# Run the test itself in a network of its own.
sub alone {
	my ($class, @addresses) = @_;

	if (!$ENV{APW_EGRESS_ALONE}) {
		$ENV{APW_EGRESS_ALONE} = 1;
		exec 'unshare', ($> == 0 ? '-n' : '-rn'), '--', $^X,
			(map { "-I$_" } @INC), $0, @ARGV;
		die "unshare: $!";
	}
	my @links = grep { !/^\s*lo:/ } split /\n/, slurp('/proc/net/dev');
	die "this is not a network of our own\n" if @links > 2;
	system('ip link set lo up') == 0 or die 'ip link';
	for my $a (@addresses) {
		system('ip', 'addr', 'add', $a . ($a =~ /:/ ? '/128' : '/32'),
			'dev', 'lo', $a =~ /:/ ? 'nodad' : ()) == 0
			or die "ip addr $a";
	}
	delete $ENV{$_} for qw/HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy
		https_proxy no_proxy/;
	return;
}

sub new {
	my ($class, $t) = @_;
	return bless { t => $t, dir => $t->testdir(), n => 0 }, $class;
}

sub spawn {
	my ($run) = @_;
	my $parent = $$;
	my $pid = fork() // die "fork: $!";
	if ($pid == 0) {
		@children = ();
		close $_ for @inputs;	# their end is the test's to make
		$SIG{PIPE} = 'IGNORE';
		# PR_SET_PDEATHSIG
		syscall(157, 1, 9) if (POSIX::uname())[4] eq 'x86_64';
		$run->() if getppid() == $parent;
		POSIX::_exit(0);
	}
	push @children, $pid;
	return $pid;
}

# --- names ---

# { name => records }; records: [addresses], [[first answer], [second], ...],
# 'silent', 'nxdomain', 'servfail', 'truncated', 'garbage', or
# { drop => 'AAAA', late => { AAAA => seconds }, cname => ..., a => [...],
# ttl => N, cut => 'A AAAA', tcp => HOW }: types that are dropped are never
# answered; types
# that are cut are truncated over UDP, and whole over TCP, unless HOW is
# 'silent', 'close', 'short', 'lie' (of the length) or 'garbage'.
sub dns {
	my ($self, $zone, $address, $port) = @_;
	$address ||= '127.0.0.53';
	my $s = IO::Socket::IP->new(LocalHost => $address,
		LocalPort => $port || 0, Proto => 'udp') or die "dns: $!";
	my $log = "$self->{dir}/dns.log";
	my $tcp = IO::Socket::IP->new(LocalHost => $address,
		LocalPort => $s->sockport(), Listen => 50, ReuseAddr => 1)
		or die "dns: $!";
	spawn(sub {
		$SIG{CHLD} = 'IGNORE';
		while (1) {
			my $c = $tcp->accept() or next;
			next if fork();
			dns_tcp($c, $zone, $log);
			POSIX::_exit(0);
		}
	});
	close $tcp;
	spawn(sub {
		my %asked;
		$SIG{CHLD} = 'IGNORE';
		while (defined(my $peer = recv($s, my $q, 1500, 0))) {
			my ($name, $type) = question($q) or next;
			asks($log, "$name $type");
			my $r = $zone->{lc $name};
			$r = 'truncated' if ref $r eq 'HASH'
				&& ($r->{cut} // '') =~ /\b$type\b/;
			next if ref $r eq 'HASH'
				&& ($r->{drop} // '') =~ /\b$type\b/;
			my $late = ref $r eq 'HASH' ? $r->{late}{$type} : 0;
			$r = answer($q, $r, $type, $asked{lc "$name $type"}++);
			next unless defined $r;
			if (!$late) {
				send($s, $r, 0, $peer);
			} elsif (!fork()) {
				select undef, undef, undef, $late;
				send($s, $r, 0, $peer);
				POSIX::_exit(0);
			}
		}
	});
	return ($address =~ /:/ ? "[$address]:" : "$address:") . $s->sockport();
}

sub asks {
	my ($log, $line) = @_;
	open my $f, '>>', $log;
	syswrite $f, "$line\n";
	close $f;
}

# Questions of one connection.
sub dns_tcp {
	my ($c, $zone, $log) = @_;
	my $in = '';
	while (sysread $c, $in, 65536, length $in) {
		while (length $in > 2 and my $n = unpack 'n', $in) {
			last if length $in < 2 + $n;
			my $q = substr $in, 2, $n;
			$in = substr $in, 2 + $n;
			my ($name, $type) = question($q);
			asks($log, "$name $type/tcp");
			my $r = $zone->{lc $name};
			my $how = ref $r eq 'HASH' && $r->{tcp} || '';
			next if $how eq 'silent';
			return if $how eq 'close' || $r eq 'truncated';
			my $a = answer($q, $how eq 'garbage' ? $how : $r,
				$type, 0);
			syswrite $c, pack('n', $how eq 'lie' ? 65535 :
				length $a) . substr($a, 0, $how eq 'short'
				? length($a) / 2 : length $a);
			return if $how eq 'short';
		}
	}
}

sub question {
	my ($q) = @_;
	my ($at, @labels) = (12);
	while ($at < length $q and my $n = unpack 'C', substr $q, $at, 1) {
		push @labels, substr $q, $at + 1, $n;
		$at += $n + 1;
	}
	my ($type) = unpack 'n', substr $q, $at + 1, 2;
	return (join('.', @labels), $type == 1 ? 'A' : $type == 28 ? 'AAAA' :
		$type);
}

sub answer {
	my ($q, $r, $type, $times) = @_;
	my ($name) = question($q);
	my $end = 12 + length($name) + 2 + 4;
	my $head = sub {
		return substr($q, 0, 2) . pack('n5', 0x8180 | $_[0], 1, $_[1],
			0, 0) . substr($q, 12, $end - 12);
	};
	return $head->(3, 0) if !defined $r || $r eq 'nxdomain';
	return undef if $r eq 'silent';
	return $head->(2, 0) if $r eq 'servfail';
	return substr($q, 0, 2) . pack('n5', 0x8380, 1, 0, 0, 0)
		. substr($q, 12, $end - 12) if $r eq 'truncated';
	return substr($q, 0, 2) . "\x81\x80\0\1\xff\xff\0\0\0\0\xc0\xff" x 9
		if $r eq 'garbage';
	my ($ttl, $cname, $own, $n) = (60, undef, pack('n', 0xc00c), 0);
	if (ref $r eq 'HASH') {
		($ttl, $cname) = ($r->{ttl} // 60, $r->{cname});
		$r = $r->{a};
	}
	$r = $r->[$times < @$r ? $times : $#$r] if ref $r->[0];
	my $out = '';
	if ($cname) {
		my $to = join('', map { pack 'C/a', $_ } split /\./, $cname)
			. "\0";
		$out .= $own . pack('nnNn', 5, 1, $ttl, length $to) . $to;
		$own = $to;
		$n++;
	}
	for my $a (@$r) {
		my $v6 = $a =~ /:/;
		next if ($type eq 'AAAA') != ($v6 ? 1 : 0);
		my $data = inet_pton($v6 ? AF_INET6 : AF_INET, $a);
		$out .= $own . pack('nnNn', $v6 ? 28 : 1, 1, $ttl,
			length $data) . $data;
		$n++;
	}
	return $head->(0, $n) . $out;
}

# How often the names were asked for: { 'name TYPE' => times }.
sub asked {
	my ($self) = @_;
	my %n;
	$n{lc((split / /, $_)[0]) . ' ' . (split / /, $_)[1]}++
		for split /\n/, slurp("$self->{dir}/dns.log");
	return \%n;
}

# --- origins ---

# An HTTP server on "ADDR:PORT"s; what it got is in got().  run($fd, $head,
# $body) may answer itself; else paths are obeyed.
sub origin {
	my ($self, $run, @at) = @_;
	my @listen = map {
		my ($host, $port) = /^\[?(.*?)\]?:(\d+)$/;
		my $s = IO::Socket::IP->new(LocalHost => $host,
			LocalPort => $port, Listen => 600, ReuseAddr => 1)
			or die "origin $_: $!";
		[ $_, $s ]
	} @at;
	my $log = "$self->{dir}/origin.log";
	for my $l (@listen) {
		spawn(sub {
			$SIG{CHLD} = 'IGNORE';
			while (1) {
				my $c = $l->[1]->accept() or next;
				my $pid = fork();
				if (!$pid) {
					serve($c, $l->[0], $log, $run);
					POSIX::_exit(0);
				}
				close $c;
			}
		});
		close $l->[1];
	}
	return;
}

sub serve {
	my ($c, $name, $log, $run) = @_;
	my $in = '';
	$c->autoflush(1);
	while ($in !~ /\r\n\r\n/) {
		sysread($c, $in, 65536, length $in) or return
			note($log, $name, $in);
	}
	my ($head, $body) = split /\r\n\r\n/, $in, 2;
	if ($head =~ /^Content-Length: (\d+)/mi) {
		while (length $body < $1) {
			sysread($c, $body, 65536, length $body) or last;
		}
	} elsif ($head =~ /^Transfer-Encoding: chunked/mi) {
		while ($body !~ /(^|\r\n)0\r\n\r\n/) {
			sysread($c, $body, 65536, length $body) or last;
		}
	}
	note($log, $name, "$head\r\n\r\n$body");
	return if $run && $run->($c, $head, $body);
	my ($method, $path) = $head =~ m{^(\S+) (\S+)};
	my $answer = "at $name: " . ($path =~ m{^/echo} ? $body : $path);
	my @more = ('Content-Length: ' . length $answer, 'X-Origin: yes',
		'Connection: keep-alive, X-Hop', 'X-Hop: 1',
		'Keep-Alive: timeout=5', 'Upgrade: h2c');
	if ($path =~ m{^/chunked}) {
		@more = ('Transfer-Encoding: chunked');
		$answer = join '', map { sprintf "%x\r\n%s\r\n", length, $_ }
			$answer, 'x' x 70000;
		$answer .= "0\r\nX-Trailer: 1\r\n\r\n";
	} elsif ($path =~ m{^/big/(\d+)}) {
		($answer, my $n) = ('b' x 65536, $1);
		print $c "HTTP/1.1 200 OK\r\nContent-Length: $n\r\n\r\n";
		for (; $n > 0; $n -= length $answer) {
			substr($answer, $n) = '' if $n < length $answer;
			print $c $answer or return;
		}
		return;
	} elsif ($path =~ m{^/until-end}) {
		@more = ();
		$answer = 'e' x 100000;
	} elsif ($path =~ m{^/to/(.*)}) {
		print $c "HTTP/1.1 302 Found\r\nLocation: http://$1/\r\n"
			. "Content-Length: 0\r\n\r\n";
		return;
	} elsif ($path =~ m{^/early}) {
		print $c "HTTP/1.1 100 Continue\r\n\r\n";
	}
	print $c join "\r\n", 'HTTP/1.1 200 OK', @more, '', '';
	print $c $answer if $method ne 'HEAD';
	# a server that keeps the connection: its peer has to know the end
	sysread($c, $in, 1) if $path !~ m{^/until-end};
	return;
}

# A listener that answers nobody: its queue is full.
sub stuck {
	my ($self, $host, $port) = @_;
	my $s = IO::Socket::IP->new(LocalHost => $host, LocalPort => $port,
		Listen => 1) or die "stuck: $!";
	listen $s, 0;
	push @{$self->{stuck}}, $s, map {
		IO::Socket::IP->new(PeerHost => $host, PeerPort => $port,
			Blocking => 0)
	} 1 .. 4;
	return;
}

# An echo for hundreds at the same time; its address.
sub echo {
	my ($self, $host) = @_;
	my $l = IO::Socket::IP->new(LocalHost => $host, LocalPort => 0,
		Listen => 600) or die "echo: $!";
	spawn(sub {
		my $set = IO::Select->new($l);
		while (1) {
			for my $s ($set->can_read()) {
				if ($s == $l) {
					$set->add(scalar $l->accept());
				} elsif (sysread $s, my $in, 65536) {
					syswrite $s, $in;
				} else {
					$set->remove($s);
					close $s;
				}
			}
		}
	});
	return "$host:" . $l->sockport();
}

sub note {
	my ($log, $name, $text) = @_;
	open my $f, '>>', $log;
	syswrite $f, json([ $name, $text ]) . "\n";
	close $f;
	return;
}

# [ [ADDR:PORT, request], ... ]
sub got {
	my ($self) = @_;
	return map { unjson($_) } split /\n/, slurp("$self->{dir}/origin.log");
}

# --- the proxy ---

sub proxy {
	my ($self, $rules, %o) = @_;
	my $n = ++$self->{n};
	my $conf = "$self->{dir}/proxy$n.conf";
	$self->{t}->write_file($conf, "$rules\n");
	my $top = $ENV{APW_BUILD} || $self->{t}->srcdir() . '/..';
	pipe(my $out, my $out_w) or die;
	pipe(my $in_r, my $in) or die;
	my $log = "$self->{dir}/proxy$n.log";
	my $pid = fork() // die;
	if ($pid == 0) {
		close $in;
		open STDIN, '<&', $in_r;
		open STDOUT, '>&', $out_w;
		open STDERR, '>', $log;
		$ENV{$_} = $o{env}{$_} for keys %{$o{env} || {}};
		{ exec "$top/t/bin/egress-proxy", '-c', $conf,
			$o{api} ? ('-a', $o{api}) : (),
			map { ('-l', $_) } @{$o{app} || []} }
		POSIX::_exit(127);
	}
	$in->autoflush(1);
	push @inputs, $in;
	my $p = bless { pid => $pid, in => $in, out => $out, log => $log,
		egress => $self }, 'Test::Apworker::Egress::Proxy';
	close $in_r;
	close $out_w;
	my ($port) = ($p->line() || '') =~ /^ready (\d+)/
		or die 'no proxy: ' . slurp($log);
	$p->{port} = $port;
	$self->{t}->note_pids($pid) if $self->{t}->can('note_pids');
	return $p;
}

package Test::Apworker::Egress::Proxy;

use Time::HiRes qw/time/;
use Test::Apworker::Util;

sub port { return $_[0]{port} }
sub pid { return $_[0]{pid} }
sub log { return slurp($_[0]{log}) }

sub line {
	my ($p) = @_;
	my $s = IO::Select->new($p->{out});
	my $end = time() + deadline();
	while (($p->{buf} // '') !~ /\n/) {
		return undef unless $s->can_read($end - time());
		sysread($p->{out}, $p->{buf}, 4096, length($p->{buf} // ''))
			or return undef;
	}
	$p->{buf} =~ s/^(.*)\n//;
	return $1;
}

sub tell {
	my ($p, $line) = @_;
	print { $p->{in} } "$line\n";
	return $p->line();
}

# Clients that just left are seen a moment later.
sub count_is {
	my ($p, $n) = @_;
	my $got;
	wait_for(sub { ($got = $p->tell('count')) == $n }, "$n clients");
	return $got;
}

# The lines of decisions, as hashes.
sub decisions {
	my ($p) = @_;
	return map {
		my %f;
		while (/ (\w+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))/g) {
			$f{$1} = $2 // $3;
		}
		\%f
	} grep { / egress run=/ } split /\n/, $p->log();
}

sub wait_log {
	my ($p, $re) = @_;
	return wait_for(sub { $p->log() =~ $re }, "$re in the proxy's log");
}

# It ends with the end of its stdin; its exit status.
sub stop {
	my ($p) = @_;
	close $p->{in};
	waitpid $p->{pid}, 0;
	return $?;
}

sub connect {
	my ($p) = @_;
	return IO::Socket::IP->new(PeerHost => '127.0.0.1',
		PeerPort => $p->{port}) || die "proxy: $!";
}

# Send bytes, read until the end (or until it matches); what came.
sub raw {
	my ($p, $bytes, %o) = @_;
	my $s = $p->connect();
	local $SIG{PIPE} = 'IGNORE';
	syswrite $s, $bytes;
	$s->shutdown(1) if $o{half};
	my ($got, $end) = ('', time() + ($o{seconds} || deadline()));
	my $sel = IO::Select->new($s);
	while ($sel->can_read($end - time() > 0 ? $end - time() : 0)) {
		last unless sysread $s, $got, 65536, length $got;
		last if $o{until} && $got =~ $o{until};
	}
	return wantarray ? ($got, $s) : $got;
}

# The status line's number and the body.
sub status {
	my ($p, @args) = @_;
	my $got = $p->raw(@args);
	my ($status) = $got =~ m{^HTTP/1\.[01] (\d+)};
	my ($body) = $got =~ m{\r\n\r\n(.*)}s;
	return wantarray ? ($status, $body) : $status;
}

sub get {
	my ($p, $url, %o) = @_;
	my ($host) = $url =~ m{^\w+://([^/?]*)};
	return $p->status("GET $url HTTP/1.1\r\nHost: $host\r\n\r\n", %o);
}

sub connect_to {
	my ($p, $target, %o) = @_;
	return $p->status("CONNECT $target HTTP/1.1\r\nHost: $target\r\n\r\n",
		until => qr/\r\n\r\n/, %o);
}

1;
