#!/usr/bin/perl

# What a stop waits for, and for how long: polls that are parked have a bound of
# their own, drain_timeout is for jobs.  Two signals at once are one; `stop
# --now` needs no second.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw/time/;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(26);
$t->write_file('main.js', '');

sub conf {
	my ($main, $poll) = @_;
	$t->write_conf(<<"EOC");
slots 2;
sandbox UNSANDBOXED;
$main
source app { url http://127.0.0.1:9; token t; poll_timeout $poll; }
engine { node /bin/true; bundle %%TESTDIR%%/main.js; }
stock { path %%TESTDIR%%/stock; }
EOC
}

sub start {
	my (%orders) = @_;
	order($t, $_, $orders{$_}) for 1, 2;
	$t->run();
	$t->wait_status(sub { $_->{slots_able} == 2 }) or die 'not up';
	$t->log_mark();
	return time();
}

# Signals that come together are one: `timeout`, a Ctrl-C, groups send two.

conf('drain_timeout 60s;', '65s');
for my $signals ([qw/TERM TERM/], [qw/INT INT TERM/], [qw/QUIT TERM INT/]) {
	start(1 => 'busy=j1 linger=2500');
	kill $_, $t->pid() for @$signals;
	$t->wait_log(qr/master stopping slots=/);
	kill $signals->[-1], $t->pid();		# seen by now, and the same
	is($t->wait_exit(), 0, "@$signals at once");
	unlike($t->log(@{ $t->{mark} }), qr/stopping at once|killed/,
		'nobody was killed');
}

# stop --now: at once, whatever is in hand, in every state

for my $before ('', 'QUIT', 'TERM') {
	start(1 => 'busy=j1 linger', 2 => 'deaf');
	if ($before) {
		$t->signal($before);
		$t->wait_log($before eq 'QUIT' ? qr/draining, then stopping/ :
			qr/master stopping slots=/);
	}
	my $from = time();
	my ($code, $out, $err) = $t->ctl('stop', '--now');
	is($code, 0, 'stop --now' . ($before && " after $before"))
		or diag($err);
	cmp_ok(time() - $from, '<', 15, 'at once');
	is($t->wait_exit(), 0, 'it has left');
	$t->wait_log(qr/stopping at once why="told to stop now"/);
}

# A parked poll outlives drain_timeout, and is told of; a job does not.

conf('drain_timeout 1s;', '65s');
my $from = start(1 => 'parked=31000 linger=8000', 2 => 'busy=j2 linger');
$t->signal('TERM');
ok($t->wait_log(qr/draining: 1 slot busy, longest \d s, 1 s left; 1 poll parked, (2\d|3[01]) s left/),
	'the log says what is waited for');
ok($t->wait_log(qr/slot ended slot=2 .*job=j2 .*cause="killed while leaving"/),
	'drain_timeout is for the job');
ok($t->wait_status(sub { $_->{leaving} && $_->{leaving}{polls_parked} == 1
	&& !$_->{leaving}{busy} && $_->{leaving}{poll_left_ms} > 20000 }),
	'/status says it, too');
like(($t->ctl('status'))[1], qr/waits for: 1 poll parked, \d\d s left/,
	'and apworkerctl');
is($t->wait_exit(), 0, 'it leaves once the poll is over');
cmp_ok(time() - $from, '>=', 7.9, 'not before');
unlike($t->log(@{ $t->{mark} }), qr/slot ended slot=1/, 'and was not killed');

# One that is not answered ends by its own bound; a record that lies, too.

conf('drain_timeout 60s;', '2s');
for my $parked (1000, 3600000) {
	$from = start(1 => "parked=$parked linger");
	$t->signal('TERM');
	is($t->wait_exit(), 0, 'a poll without an answer');
	ok($t->wait_log(qr/stopping at once why="its poll was not answered" slots=1/),
		'is given up by its bound');
}
