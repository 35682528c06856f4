#!/usr/bin/perl

# A log that nobody reads costs lines, not the daemon: it starts, works, obeys
# and leaves; the lines are counted, and told of once they go again.

use warnings;
use strict;

use Fcntl;
use POSIX ();
use Test::More;
use Time::HiRes qw/time/;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(43);
$t->write_file('main.js', '');
my $dir = $t->testdir();
my $fifo = "$dir/fifo";
POSIX::mkfifo($fifo, 0600) or die "mkfifo: $!";

# Standard error is this FIFO, as small as can be, and blocks; `fill`: it is
# full before the daemon is there.
sub on_stderr {
	my ($fill) = @_;
	return [ $^X, '-MFcntl', '-e', 'my $fill = shift;
		sysopen F, shift, O_WRONLY or die $!;
		fcntl F, 1031, 4096;
		if ($fill) { fcntl F, F_SETFL, O_NONBLOCK;
			1 while syswrite F, "x" x 64; 1 while syswrite F, "x";
			fcntl F, F_SETFL, 0; }
		open STDERR, ">&F"; close F; exec @ARGV or die $!;',
		$fill ? 1 : 0, $fifo ];
}

sub reader {
	sysopen my $r, $fifo, O_RDONLY | O_NONBLOCK or die "$fifo: $!";
	return $r;
}

# All that is in there now.
sub drained {
	my ($r) = @_;
	my $all = '';
	while (sysread $r, my $part, 65536) {
		$all .= $part;
	}
	return $all;
}

sub dropped {
	my $st;
	$t->wait_status(sub { $st = $_; 1 });
	return $st->{total}{log_dropped};
}

# What must go on: a reload, new slots, the log's rotation, an end.
sub works {
	my ($what) = @_;
	ok($t->wait_status(sub { $_->{slots_able} == 2 }), "$what: up");
	for (1 .. 3) {
		my ($code, $out, $err) = $t->ctl('reload');
		is($code, 0, "$what: reload $_") or diag($err);
	}
	$t->signal('USR1');
	kill 'KILL', pid_of($t, 'slot 1');
	ok($t->wait_status(sub { $_->{total}{deaths} > 0
		&& $_->{slots_able} == 2 }), "$what: a slot that died is back");
	cmp_ok(dropped(), '>', 0, "$what: lines are counted");
}

fake_conf($t, main => 'log stderr debug;');
for my $fill (0, 1) {
	my $what = $fill ? 'full before the start' : 'full after a while';
	my $r = reader();
	local $t->{as} = on_stderr($fill);
	$t->run();
	works($what);
	my ($code, $body) = $t->http_get('/metrics');
	like($body, qr/^apworkerd_log_dropped_lines_total [1-9]/m,
		"$what: and measured");

	# somebody reads again
	drained($r);
	$t->signal('HUP');
	my $got = '';
	ok(wait_for(sub { $got .= drained($r);
		$got =~ /master log lines were dropped: they could not be written lines=\d+ for_ms=\d+ why="nobody read them"/ },
		'the count'), "$what: told in one line");
	ok(!(grep { !/^\d{4}-\d\d-\d\dT[\d:.]+Z \w+ \S+ / } $got =~ /^(.*)\n/gm),
		"$what: no line is half a line");
	$t->signal('TERM');
	is($t->wait_exit(), 0, "$what: TERM ends it");
}

# stop, and stop --now, through a pipe that nobody reads
for my $how ([], ['--now']) {
	my $r = reader();
	local $t->{as} = on_stderr(1);
	order($t, 1, 'busy=j1 linger' . (@$how ? '' : '=500'));
	$t->run();
	$t->wait_status(sub { $_->{slots_able} == 2 });
	my ($code, $out, $err) = $t->ctl('stop', @$how);
	is($code, 0, "stop @$how") or diag($err);
	is($t->wait_exit(), 0, 'it has left');
	order($t, 1, undef);
}

# The reader goes away: no SIGPIPE.
{
	my $r = reader();
	local $t->{as} = on_stderr(0);
	$t->run();
	drained($r);
	close $r;
	works('without a reader');
	$t->signal('TERM');
	is($t->wait_exit(), 0, 'TERM ends it');
}

# A FIFO by its name: no reader at the start, then one, then another.
fake_conf($t, main => "log $fifo debug;");
my ($code, $out) = $t->test_conf();
is($code, 0, 'log FIFO: -t') or diag($out);
$t->run();
ok($t->wait_status(sub { $_->{slots_able} == 2 }), 'log FIFO: up');
my $r = reader();
my $got = '';
ok(wait_for(sub { ($got .= drained($r)) =~ /master starting/ }, 'lines'),
	'a reader that comes late has the first line');
close $r;
$t->ctl('reload');
$r = reader();
ok(wait_for(sub { ($got = drained($r)) =~ /reloaded/ }, 'lines'),
	'so has the next one');
$t->signal('TERM');
is($t->wait_exit(), 0, 'and TERM ends it');
close $r;

# A device that takes nothing.
fake_conf($t, main => 'log /dev/full debug;');
$t->run();
works('/dev/full');
$t->signal('TERM');
is($t->wait_exit(), 0, 'TERM ends it');
fake_conf($t);		# nobody reads that one to its end
unlink $fifo;
