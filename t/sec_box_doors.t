#!/usr/bin/perl

# Every door that hostile code in a box would try is shut: as root and as an
# ordinary user, with a network of its own and with the host's.

use strict;
use warnings;

use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw/SOCK_STREAM pack_sockaddr_un AF_UNIX/;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Box;

my $t = Test::Apworker->new()->has(qw/linux userns/);

# What the host has that a box must not reach.
my $tcp = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5)
	or die "listen: $!";
my $path = "$t->{testdir}/host.sock";
my $unix = IO::Socket::UNIX->new(Local => $path, Listen => 5) or die $!;
chmod 0777, $path;
my $abstract = "apw-test-$$";
socket my $abs, AF_UNIX, SOCK_STREAM, 0 or die $!;
bind $abs, pack_sockaddr_un("\0$abstract") or die "abstract: $!";
listen $abs, 5;

for my $box (Test::Apworker::Box::everybody($t)) {
	for my $net ('own network', 'the host\'s network') {
		doors($box, $net, $net eq 'own network');
	}
}

sub doors {
	my ($box, $net, $own) = @_;
	my @facts = ("host_file=" . $box->dir() . '/host-secret',
		"abstract=$abstract", "path=$path", "outside_pid=$$");
	push @facts, 'port=' . $tcp->sockport() if $own;

	my ($code, $out, $err) = $box->run([ '-p', 64, '-m', '256m',
		'-f', 'mine', '-x', 'p1', ($own ? '-n' : ()) ],
		'/root/common/box-attack', 'doors', @facts);
	my $who = $box->name() . ", $net";
	is($code, 0, "$who: the attack ran") or diag($err);
	like($out, qr/^done$/m, "$who: to its end");
	my @open = $out =~ /^OPEN (.*)/mg;
	is(join('; ', @open), '', "$who: no door is open");
	my @refused = $out =~ /^refused (.*)/mg;
	cmp_ok(scalar @refused, '>', 150, "$who: all were tried");
	# refused for the right reason: not because they were not found
	my %why = map { /^(.*): (\w+)$/ } @refused;
	is($why{'read /root/codes/other'}, 'ENOENT', "$who: others' code is "
		. 'not there at all');
	is($why{'abstract socket of the host'},
		$own ? 'ECONNREFUSED' : 'EPERM', "$who: abstract socket");
	is($why{'signal a process outside'}, 'ESRCH',
		"$who: processes outside are not there");
	is($why{'loopback of the host'}, 'ECONNREFUSED',
		"$who: the host's loopback") if $own;
}

# what the scenery is worth: the same doors are open outside
ok(IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	PeerPort => $tcp->sockport()), 'outside, the port answers');
ok(IO::Socket::UNIX->new(Peer => $path), 'outside, the socket answers');
socket my $c, AF_UNIX, SOCK_STREAM, 0 or die $!;
ok(connect($c, pack_sockaddr_un("\0$abstract")),
	'outside, the abstract socket answers');
