#!/usr/bin/perl

# A slot that dies comes back, at its pace, with an obituary; the others go on.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(29);
fake_conf($t, slots => 3, main => 'respawn_burst 4; respawn_window 60s; '
	. 'respawn_max 10s; progress_timeout 3s;')->write_file('main.js', '');

order($t, 2, 'busy=job-17');
$t->run()->wait_ready();
my ($slot, $pid) = $t->wait_job('job-17');
is($slot, 2, 'slot 2 has a job');
my @others = map { pid_of($t, "slot $_") } 1, 3;

# killed in mid-job: again at once, and exactly one of each

order($t, 2, undef);
kill 'KILL', $pid;
my $new = pid_of($t, 'slot 2', $pid);
ok($new, 'a new process has the slot');
like($t->wait_log(qr/slot ended slot=2/), qr/pid=$pid\ age_ms=\d+\ job=job-17
	\ type=EXECUTE_FLOW\ phase=run\ signal=9\ core=no\ cause=KILL
	\ next="starts\ again\ at\ once"/x, 'obituary');
ok($t->wait_status(sub { grep { $_->{slot} == 2 && $_->{state} eq 'idle' }
	@{ $_->{slots} } }), 'ready again');
is(slot_of($t, 2)->{job}, undef, 'without the job');
is(slot_of($t, 2)->{deaths}, 1, 'deaths are counted');
is(slot_of($t, 2)->{starts}, 2, 'starts too');
is(join(',', map { pid_of($t, "slot $_") } 1, 3), join(',', @others),
	'the others were left alone');

# the next deaths wait, the slot says so

order($t, 2, 'exit=70 once');
kill 'KILL', $new;
like($t->wait_log(qr/slot ended slot=2 .*exit=70/), qr/cause=bug
	\ next="waits\ 2\.0s\ before\ start\ \d"\ rest_ms=2000/x, 'third death');
is(slot_of($t, 2)->{state}, 'resting', 'resting');
is((grep { $_->{state} eq 'idle' } $t->slots()), 2, 'the others take jobs');
is(($t->http_get('/readyz'))[0], 200, 'and the daemon is ready');
my $third = pid_of($t, 'slot 2', $new);
ok($third, 'back');

# the burst

kill 'KILL', $third;
like($t->wait_log(qr/next="died too often, rests/), qr/slot=2 .*rest_ms=60000/,
	'too many deaths in the window');
ok($t->wait_status(sub { grep { $_->{slot} == 2 && ($_->{rest_ms} // 0) > 50000 }
	@{ $_->{slots} } }), 'rests for the window');
is(slot_of($t, 2)->{why}, 'died too often', 'and says why');

# a slot that needs another configuration stays down

order($t, 3, 'exit=78 why=token-refused');
kill 'KILL', $others[1];
like($t->wait_log(qr/slot ended slot=3 .*exit=78/),
	qr/next="stays down until a reload"/, 'exit 78');
my $s3 = slot_of($t, 3);
is($s3->{state}, 'dead', 'dead');
is($s3->{why}, 'token-refused', 'with its own reason');

# a slot without progress

order($t, 1, 'deaf once');
kill 'KILL', $others[0];
my $deaf = pid_of($t, 'slot 1', $others[0]);
ok(wait_for(sub { ($t->http_get('/readyz'))[0] == 200 }, '200', 3),
	'it looks as if it worked');
like($t->wait_log(qr/slot ended slot=1 pid=$deaf /),
	qr/signal=9 .*cause="made no progress, was killed"/, 'stuck: killed');
my $well = pid_of($t, 'slot 1', $deaf);
ok($well, 'and replaced');
ok($t->wait_status(sub { grep { $_->{slot} == 1 && $_->{state} eq 'idle' }
	@{ $_->{slots} } }), 'by one that works');

# a stopped process is stuck too

kill 'STOP', $well;
like($t->wait_log(qr/slot ended slot=1 pid=$well /),
	qr/cause="made no progress/, 'SIGSTOP');

# the monitor

my $mon = pid_of($t, 'monitor');
kill 'KILL', $mon;
isnt(pid_of($t, 'monitor', $mon), undef, 'the monitor comes back');
like($t->wait_log(qr/monitor ended/), qr/signal=9/, 'with a line');

# a reload wakes everybody

order($t, $_, undef) for 1 .. 3;
$t->reload();
ok($t->wait_status(sub { $_->{slots_able} == 3 }), 'a reload starts all');
is($t->status()->{total}{deaths}, 9, 'the deaths of all are remembered')
	or diag(Test::Apworker::json($t->status()->{total}));
ok(wait_for(sub {
	my $family = family($t);
	keys %$family == 4 && !grep { @$_ != 1 } values %$family;
}, 'one of each'), 'exactly one of each');
