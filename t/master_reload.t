#!/usr/bin/perl

# SIGHUP: a good file starts new slots and drains the old ones; a bad one
# changes nothing and says why.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(37);
my $own = $t->port('MONITOR');
my $pid = 'pid %%TESTDIR%%/apworkerd.pid;';
my %usual = (main => $pid, monitor => "monitor { listen 127.0.0.1:$own; }");
fake_conf($t, %usual)->write_file('main.js', '');
order($t, 1, 'busy=long linger once');
$t->run();
$t->wait_status(sub { $_->{slots_able} == 2 });
my $master = $t->pid();
my ($n, $old1) = $t->wait_job('long');
my $old2 = pid_of($t, 'slot 2');
my $mon = pid_of($t, 'monitor');

# a good one: three slots; the busy old one stays until it is done

fake_conf($t, %usual, slots => 3, engine => 'max_jobs 7;');
$t->reload();
ok($t->wait_status(sub { $_->{cycle} == 2 && $_->{slots_able} == 3 }),
	'three new slots');
is($t->status()->{reload}{ok}, 1, 'counted');
like($t->status()->{reload}{at}, qr/^\d{4}-.*Z$/, 'with the time');
ok($t->wait_status(sub { grep { $_->{pid} == $old1
	&& $_->{state} eq 'draining' } @{ $_->{slots} } }), 'the old one drains');
is($t->status()->{slots}[0]{job}{id}, 'long', 'with its job');
is(($t->http_get('/readyz'))[0], 200, 'ready all the time');
ok(wait_for(sub { !Test::Apworker::Proc::alive($old2) }, 'old slot 2'),
	'the idle one is gone');
is(pid_of($t, 'monitor'), $mon, 'the monitor is none of its business');
is($t->pid(), $master, 'the master is the same');

# its end does not bring it back, and frees the old configuration

kill 'KILL', $old1;
like($t->wait_log(qr/slot ended slot=1 pid=$old1/),
	qr/notice .*job=long .*next="was leaving"/, 'obituary of a draining slot');
like($t->wait_log(qr/configuration freed/), qr/cycle=1/, 'freed');
ok($t->wait_status(sub { @{ $_->{slots} } == 3 }), 'three slots are left');
is(scalar(keys %{ family($t) }), 4, 'and no other process');

# a bad one

my %before = %{ family($t) };
$t->write_conf("slots 2;\nslotz 3;\nlisten 1;\n")->reload();
my $st = $t->wait_status(sub { $_->{reload}{failed} == 1 && $_ });
ok($st, 'refused');
like($st->{reload}{message}, qr/apworker\.conf:2:1: error: .*slotz.*slots/,
	'status says where');
is($st->{cycle}, 2, 'the configuration stays');
is_deeply(family($t), \%before, 'and all processes');
like($t->log(), qr/error master reload refused what=.*slotz/, 'log line');

# no file at all

rename "$t->{testdir}/apworker.conf", "$t->{testdir}/away";
kill 'HUP', $master;
ok($t->wait_status(sub { $_->{reload}{failed} == 2 }), 'no file');
is_deeply(family($t), \%before, 'nothing changed');

# a listener that is taken

my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
my $port = $taken->sockport();
fake_conf($t, main => $pid, monitor => "monitor { listen 127.0.0.1:$own; "
	. "listen unix:%%TESTDIR%%/new.sock; listen 127.0.0.1:$port; }");
$t->reload();
$st = $t->wait_status(sub { $_->{reload}{failed} == 3 && $_ });
like($st->{reload}{message}, qr/cannot listen on 127\.0\.0\.1:$port: .*in use/,
	'a listener that is taken refuses the reload');
is_deeply(family($t), \%before, 'nothing changed');
ok(!-e "$t->{testdir}/new.sock", 'and nothing is left of it');

# free again: old and new listeners

close $taken;
$t->reload();
ok($t->wait_status(sub { $_->{cycle} == 3 && $_->{slots_able} == 2 }),
	'two slots, more listeners');
for my $to ("127.0.0.1:$own", "unix:$t->{testdir}/new.sock",
    "127.0.0.1:$port") {
	is(($t->http_get('/livez', address => $to))[0], 200, "listens on $to");
}
fake_conf($t, %usual)->reload();
ok($t->wait_status(sub { $_->{cycle} == 4 }), 'fewer listeners');
ok(wait_for(sub { !$t->http_get('/livez', address => "127.0.0.1:$port") },
	'closed'), 'the listener is closed');
ok(!-e "$t->{testdir}/new.sock", 'and the socket file removed');

# what needs a restart

fake_conf($t, %usual, main => 'pid %%TESTDIR%%/other.pid;')->reload();
$st = $t->wait_status(sub { $_->{reload}{ok} == 4 && $_ });
like($st->{reload}{message}, qr/"pid".*needs a restart/, 'told in the status');
like($t->wait_log(qr/needs a restart what=/), qr/warn/, 'and in the log');
ok(!-e "$t->{testdir}/other.pid", 'no new pidfile');
fake_conf($t, %usual);

# slots that stay down are started by a reload

$t->wait_status(sub { !$_->{reload}{pending} && @{ $_->{slots} } == 2 });
order($t, 'all', 'exit=78');
kill 'KILL', @{ family($t)->{'slot 1'} };
$t->wait_log(qr/stays down until a reload/);
order($t, 'all', undef);
$t->reload();
ok($t->wait_status(sub { $_->{slots_able} == 2 }), 'all are up again');

# a storm

my $cycle = $t->status()->{cycle};
for (1 .. 30) {
	kill 'HUP', $master;
	select undef, undef, undef, 0.005;
}
# those that come while nobody looks are one
$t->wait_status(sub { $_->{cycle} > $cycle });
$t->reload();
ok($t->wait_status(sub { $_->{cycle} > $cycle + 1 && $_->{slots_able} == 2
	&& @{ $_->{slots} } == 2 }), 'thirty reloads');
ok(wait_for(sub {
	my $f = family($t);
	return keys %$f == 3 && !grep { @$_ != 1 } values %$f;
}, 'one of each'), 'and exactly one of each');
is($t->pid(), $master, 'the master is still the same');
