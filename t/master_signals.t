#!/usr/bin/perl

# Leaving: QUIT waits as long as it takes, TERM waits drain_timeout, a second
# TERM does not wait.  USR1 reopens logs, WINCH drains the slots.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw/time/;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(39);
fake_conf($t, main => 'drain_timeout 1s;')->write_file('main.js', '');

sub start {
	my (%orders) = @_;
	order($t, $_, $orders{$_}) for 1, 2;
	$t->run();
	$t->wait_status(sub { $_->{slots_able} == 2 }) or die 'not up';
	return time();
}

# QUIT: as long as the job takes, longer than drain_timeout

my $from = start(1 => 'busy=j1 linger=2000');
$t->signal('QUIT');
ok($t->wait_status(sub { $_->{draining} && !$_->{ready} }), 'leaving');
my ($code, $body) = $t->http_get('/readyz');
is($code, 503, 'not ready');
is(unjson($body)->{reason}, 'the daemon is leaving', 'and why');
is(($t->http_get('/livez'))[0], 200, 'but alive');
$t->signal('QUIT');
$t->signal('HUP');
is($t->wait_exit(), 0, 'QUIT: exit status');
cmp_ok(time() - $from, '>=', 1.9, 'waited for the job');
unlike($t->log(), qr/was killed/, 'nobody was killed');
like($t->log(), qr/reload ignored: on our way out/, 'no reload meanwhile');

# TERM: the job is done before drain_timeout

fake_conf($t, main => 'drain_timeout 60s;');
start(1 => 'busy=j1 linger=500');
$t->signal('TERM');
is($t->wait_exit(), 0, 'TERM: exit status');
unlike($t->log(), qr/was killed/, 'nobody was killed');
fake_conf($t, main => 'drain_timeout 1s;');

# TERM: drain_timeout is over

$from = start(1 => 'busy=j1 linger');
$t->signal('TERM');
is($t->wait_exit(), 0, 'TERM with a job without end');
cmp_ok(time() - $from, '>=', 1, 'waited for drain_timeout');
like($t->log(), qr/stopping at once why="drain_timeout is over" slots=1/,
	'the limit is told');
like($t->log(), qr/slot ended slot=1 .*job=j1 .*cause="killed while leaving"/,
	'and who was killed');

# TERM twice; INT is the same

for my $signals ([qw/TERM TERM/], [qw/INT INT/], [qw/QUIT TERM TERM/],
    [qw/TERM INT/]) {
	fake_conf($t, main => 'drain_timeout 60s;');
	$from = start(1 => 'busy=j1 linger', 2 => 'deaf');
	my $log = length $t->read_file('error.log');
	my $since = sub { substr $t->read_file('error.log'), $log };
	# two signals within a second are one (master_stop.t)
	my @lines = (qr/master stopping slots=/,
		qr/stopping at once/);
	my $told = 0;
	for my $s (@$signals) {
		my $line = $s eq 'QUIT' ? qr/draining, then/ : shift @lines;
		wait_for(sub { time() - $told > 1.2 }, 'another second');
		$t->signal($s);
		wait_for(sub { $since->() =~ $line }, "$s begins");
		$told = time() unless $s eq 'QUIT';
	}
	is($t->wait_exit(), 0, "@$signals: exit status");
	cmp_ok(time() - $from, '<', 60, 'at once');
	like($since->(), qr/stopping at once why="second SIG/,
		'told');
}

# Ctrl-C reaches all of the terminal's process group: that is the master alone

fake_conf($t);
start(1 => 'busy=j1 linger=300');
my $group = getpgrp $t->pid();
isnt($_, $group, 'in another process group')
	for map { getpgrp $_->[0] } @{ family($t) }{'slot 1', 'monitor'};
$t->stop();

# USR1: the log of yesterday is moved away

fake_conf($t);
start(1 => undef, 2 => undef);
rename "$t->{testdir}/error.log", "$t->{testdir}/error.log.1";
$t->signal('USR1');
ok($t->wait_log(qr/master log reopened/), 'the master reopens');
ok(wait_for(sub { (() = $t->read_file('error.log')
	=~ /slot reopened the log/g) == 2 }, 'slots'), 'so do the slots');
ok(wait_for(sub { !grep { /error\.log\.1/ }
	map { Test::Apworker::Proc::fds($_) } $t->pid(),
	map { @$_ } values %{ family($t) } }, 'the old one'),
	'nobody keeps the old one');
$t->write_file('error.log.1', '');

# USR1 when the log cannot be opened: the old one stays

unlink "$t->{testdir}/error.log";
mkdir "$t->{testdir}/error.log";
$t->signal('USR1');
ok(wait_for(sub { grep { /error\.log \(deleted\)/ }
	Test::Apworker::Proc::fds($t->pid()) }, 'kept'), 'the old log is kept');
rmdir "$t->{testdir}/error.log";
$t->signal('USR1');
ok($t->wait_log(qr/master log reopened/), 'and left later');

# WINCH: no slots, but a master; HUP brings them back

SKIP: {
	skip 'has a terminal', 4 if open my $tty, '<', '/dev/tty';
	$t->signal('WINCH');
	ok($t->wait_status(sub { !@{ $_->{slots} } }), 'WINCH drains the slots');
	ok(wait_for(sub { join(',', keys %{ family($t) }) eq 'monitor' }, 'the rest'),
		'only the monitor is left');
	($code, $body) = $t->http_get('/readyz');
	is($code . unjson($body)->{reason}, '503no slots are wanted', 'not ready');
	$t->reload();
	ok($t->wait_status(sub { $_->{slots_able} == 2 }), 'HUP starts new ones');
}

# a slot that is still starting can leave too, and leaves no core

$t->stop();
order($t, 1, 'slow=60000');
order($t, 2, 'slow=60000');
$t->run();
ok($t->wait_status(sub { 2 == grep { $_->{state} eq 'booting' }
	@{ $_->{slots} } }), 'booting');
($code) = $t->http_get('/readyz');
is($code, 503, 'booting is not ready');
