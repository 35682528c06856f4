#!/usr/bin/perl

# What the kernel counts for a user, or for all together, is no box's to use
# up: inotify, requests of AIO, bytes in sockets, System V memory.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Box;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/linux userns/);
my @memory = ('-m', '128m');
# SYS_inotify_init1, SYS_fanotify_init, SYS_io_setup
my ($inotify, $fanotify, $io_setup) =
	`uname -m` =~ /x86_64/ ? (294, 300, 206) : (26, 262, 0);
my $most = slurp('/proc/sys/fs/inotify/max_user_instances') / 2;

for my $box (Test::Apworker::Box::everybody($t)) {
	my $who = $box->name();
	my $grouped = $box->sh([ '-d' ], 'true') =~ /memory/;

	$box->put('common/hold.pl', <<'EOP');
$| = 1; my ($nr, $stay, $n) = (@ARGV, 0);
$n++ while $n < 4096 && syscall($nr, 0) >= 0;
print "$n $!\n"; sleep 600 if $stay;
EOP
	for my $net ([], [ '-n' ]) {
		my $kind = "$who" . (@$net ? ', own network' : '');
		my $pid = $box->start([ @$net, '-s', 1 ], '/usr/bin/perl',
			'/root/common/hold.pl', $inotify, 1);
		ok(wait_for(sub { slurp($box->{out}) =~ /\n/ }, 'a box that holds'),
			"$kind: a box has all it gets");
		my ($n) = slurp($box->{out}) =~ /^(\d+) /;
		cmp_ok($n, '>', 0, "$kind: some instances of inotify");
		cmp_ok($n, '<=', $most, "$kind: but not all of a user's");
		my $other = $box->sh([ '-s', 2 ],
			"/usr/bin/perl /root/common/hold.pl $inotify 0");
		cmp_ok($other =~ /^(\d+)/ ? $1 : 0, '>', 0,
			"$kind: another box has its own");
		ok(one_more($box), "$kind: and who made it");
		kill 'KILL', $pid;
		waitpid $pid, 0;
		unlink @$box{qw/out err/};
	}
	is($box->sh([], "/usr/bin/perl /root/common/hold.pl $io_setup 0"),
		'0 Function not implemented', "$who: no AIO");
	is($box->sh([], "/usr/bin/perl /root/common/hold.pl $fanotify 0"),
		'0 Operation not permitted', "$who: no fanotify");
	is($box->sh([], 'cat /proc/sys/user/max_user_namespaces'), 0,
		"$who: no namespaces in there");
	my ($code, $files) = $t->run_command([ '/bin/sh', '-c',
		'ulimit -Sn 1000; exec "$@"', '-', @{ $box->command([],
		'/bin/sh', '-c', 'ulimit -n') } ]);
	cmp_ok($files, '<=', 1000 - 253, "$who: fewer descriptors on their way "
		. 'than its maker may have') unless $box->is_root();
	SKIP: {
		skip 'a group holds its memory', 4 if $grouped;
		sockets($box, $who);
	}
	ipc($box, $who, @$_) for [ 'plain', '-H' ], [ 'hardened', '-H', '-S' ];
}

# As whoever makes the boxes.
sub one_more {
	my ($box) = @_;
	my ($code) = $t->run_command([ @{ $box->{as} || [] }, '/usr/bin/perl',
		'-e', "exit(syscall($inotify, 0) < 0)" ]);
	return $code == 0;
}

# Each process: as much again as a half of its memory, whatever it asks for.
sub sockets {
	my ($box, $who) = @_;
	$box->put('common/fill.pl', <<'EOP');
use Socket; use Fcntl; my ($kind) = @ARGV; my (@s, $t); my $b = 'x' x 65536;
sub fill { for (@_) { fcntl $_, F_SETFL, O_NONBLOCK;
	setsockopt $_, SOL_SOCKET, SO_SNDBUF, 4e6;
	setsockopt $_, SOL_SOCKET, SO_RCVBUF, 4e6;
	while (my $n = syswrite $_, $b) { $t += $n } } push @s, @_ }
socket my $l, AF_INET, SOCK_STREAM, 0;
bind $l, pack_sockaddr_in(0, INADDR_LOOPBACK); listen $l, 4096;
while ($t < 1e9) {
	if ($kind eq 'pipe') { pipe my $r, my $w or last;
		push @s, $r; fcntl $w, 1031, 1 << 20; fill($w) }
	elsif ($kind eq 'tcp') { socket my $c, AF_INET, SOCK_STREAM, 0 or last;
		connect $c, getsockname $l or last; accept my $a, $l or last;
		fill($c, $a) }
	else { socketpair my $a, my $c, AF_UNIX, $kind eq 'stream' ?
		SOCK_STREAM : SOCK_DGRAM, 0 or last; fill($a, $c) } }
print int $t >> 20;
EOP
	for my $kind (qw/stream dgram pipe tcp/) {
		my $mib = $box->sh([ @memory, $kind eq 'tcp' ? '-n' : () ],
			"/usr/bin/perl /root/common/fill.pl $kind");
		cmp_ok($mib =~ /^(\d+)$/ ? $1 : 9999, '<', 128,
			"$who: what it may keep by $kind") or diag($mib);
	}
}

# Engines that keep the host's files: their System V memory is theirs.
sub ipc {
	my ($box, $who, $kind, @flags) = @_;
	my $key = 0x41505700 + $$ % 256;
	my $perl = "my \$s = shmget($key, 4096, 01666)";

	my ($code, $out, $err) = $box->run([ '-w', '/', @flags ], '/usr/bin/perl', '-e',
		"$perl; print defined \$s ? 'made' : 'refused'");
	like($out, qr/^made$/, "$who, $kind: System V memory can be had")
		or diag($err);
	($code, $out) = $t->run_command([ '/usr/bin/perl', '-e',
		"print defined shmget($key, 0, 0) ? 'there' : 'gone'" ]);
	is($out, 'gone', "$who, $kind: and is gone with the engine");
	($code, $out) = $t->run_command([ '/usr/bin/perl', '-e',
		"shmctl(shmget($key, 0, 0), 0, 0)" ]) if $out eq 'there';
}
