#!/usr/bin/perl

# What a service manager is told, by a socket of a test in its place: start,
# reloads, state, the watchdog's food, the end; and who is the main process
# after an upgrade.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use IO::Select;
use IO::Socket::UNIX;
use Socket qw/SOCK_DGRAM/;
use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(16);
my $path = "$t->{testdir}/notify";
my $socket = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => $path)
	or die "$path: $!";
my $own = $t->port('MONITOR');
my (@told, $n);

# Waits for a datagram that matches, among those that came since the last.
sub told {
	my ($re, $seconds) = @_;
	my $found;
	wait_for(sub {
		while (IO::Select->new($socket)->can_read(0)) {
			$socket->recv(my $text, 4096);
			push @told, $text;
		}
		while (@told) {
			my $text = shift @told;
			return $found = $text if $text =~ $re;
		}
		return 0;
	}, "to be told $re", $seconds);
	return $found;
}
sub conf { return fake_conf($t, engine => 'max_jobs ' . ++$n . ';',
	monitor => "monitor { listen 127.0.0.1:$own; }") }

conf()->write_file('main.js', '');
$t->run(env => { NOTIFY_SOCKET => $path, WATCHDOG_USEC => 900000 });
my $pid = $t->pid();
like(told(qr/READY=1/), qr/^MAINPID=$pid$/m, 'ready');
like(told(qr/STATUS=2 of 2/), qr/2 of 2 slots take jobs, 0 busy/, 'state');
ok(told(qr/WATCHDOG=1/), 'the watchdog is fed');
is(scalar(grep { told(qr/WATCHDOG=1/) } 1 .. 3), 3, 'again and again');

conf();
$t->reload();
like(told(qr/RELOADING=1/), qr/^MONOTONIC_USEC=\d+$/m, 'a reload begins');
like(told(qr/READY=1/), qr/STATUS=reloaded/, 'and is taken');
order($t, 'all', 'unfit=no');
conf();
$t->reload();
ok(told(qr/RELOADING=1/), 'another one');
like(told(qr/READY=1/), qr/STATUS=reload refused/, 'is refused');
order($t, 'all', undef);

# its loop does not turn: no food
kill 'STOP', $pid;
told(qr/./, 0.3) while IO::Select->new($socket)->can_read(0.1);
ok(!IO::Select->new($socket)->can_read(1.2), 'a master that hangs feeds nobody');
kill 'CONT', $pid;
ok(told(qr/WATCHDOG=1/), 'one that goes on does');

# an upgrade: the new one is the main process when the old one leaves

kill 'USR2', $pid;
my $said = told(qr/MAINPID=/);
$t->wait_log(qr/the new binary is up/);
my $new = slurp("$t->{testdir}/apworkerd.pid") + 0;
like($said, qr/^MAINPID=$new$/m, 'the new binary says who it is');
kill 'QUIT', $pid;
like(told(qr/^MAINPID=/), qr/^MAINPID=$new$/m, 'so does the old one');
is($t->wait_exit(), 0, 'when it leaves');
@$t{qw/pid adopted/} = ($new, 1);
ok(told(qr/WATCHDOG=1/), 'the new one feeds the watchdog');
ok($t->wait_status(sub { $_->{pid} == $new && $_->{slots_able} == 2 }),
	'and works');

$t->signal('QUIT');
like(told(qr/STOPPING=1/), qr/STATUS=draining/, 'the end');
