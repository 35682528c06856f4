#!/usr/bin/perl

# Liveness follows the master's loop; the monitor has no secret; a reload and
# a dead monitor refuse no connection.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots root/)->plan(13);
$t->write_file('main.js', '')->write_file('token', "SECRETTOKENVALUE\n", 0600);
$t->write_conf(<<'EOC');
slots 1;
source app { url http://127.0.0.1:1; token_file %%TESTDIR%%/token; }
engine { node /bin/true; bundle %%TESTDIR%%/main.js; }
sandbox UNSANDBOXED;
stock { path %%TESTDIR%%/stock; }
EOC
$t->run(env => { AP_WORKER_TOKEN => 'SECRETENVVALUE' });
ok($t->wait_status(sub { $_->{slots_able} == 1 }), 'up');

# its memory

sub memory_has {
	my ($pid, $what) = @_;
	no warnings 'portable';
	open my $maps, '<', "/proc/$pid/maps" or return undef;
	open my $mem, '<:raw', "/proc/$pid/mem" or return undef;
	while (my $line = <$maps>) {
		my ($from, $to) = $line =~ /^(\w+)-(\w+) rw/ or next;
		next if hex($to) - hex($from) > (1 << 30);
		seek $mem, hex $from, 0;
		my $got = 0;
		my $left = hex($to) - hex($from);
		my $tail = '';
		while ($left > 0) {
			my $n = sysread_at($mem, hex($to) - $left,
				$left > 1048576 ? 1048576 : $left, \my $buf)
				or last;
			return 1 if index($tail . $buf, $what) >= 0;
			$tail = substr $buf, -64;
			$left -= $n;
		}
	}
	return 0;
}

sub sysread_at {
	my ($fh, $at, $n, $buf) = @_;
	sysseek $fh, $at, 0 or return 0;
	return sysread($fh, $$buf, $n) || 0;
}

my $mon = pid_of($t, 'monitor');
is(memory_has(pid_of($t, 'slot 1'), 'SECRETTOKEN' . 'VALUE'), 1,
	'a slot knows the token');
is(memory_has($mon, 'SECRETTOKEN' . 'VALUE'), 0, 'the monitor does not');
SKIP: {
	skip 'a sanitizer keeps a copy of the environment', 1
		if slurp("/proc/$mon/exe") =~ /__asan_init/;
	is(memory_has($mon, 'SECRETENV' . 'VALUE'), 0,
		'nor what the environment had');
}
unlike($t->log() . join('', map { Test::Apworker::Proc::cmdline($_) }
	$mon, $t->pid()), qr/SECRET/, 'and no line shows it');

# no connection is refused while monitors come and go

my ($ok, $bad) = (0, 0);
for my $round (1 .. 5) {
	$round % 2 ? $t->reload() : kill 'KILL', pid_of($t, 'monitor');
	for (1 .. 20) {
		my ($code) = $t->http_get('/livez');
		($code || 0) == 200 ? $ok++ : $bad++;
		last if $bad;
	}
}
cmp_ok($ok, '>=', 99, 'asked while monitors come and go');
is($bad, 0, 'always answered');
ok($t->wait_log(qr/monitor ended .*next="starts again at once"/), 'restarts');

# a stopped master: not alive any more, and again

my $tick = sub { unjson(($t->http_get('/livez'))[1])->{master_tick_age_ms} };
cmp_ok($tick->(), '<', 15000, 'ticks');
$t->signal('STOP');
ok(wait_for(sub { ($t->http_get('/livez'))[0] == 503 }, '503'),
	'a stopped master is not alive');
is(unjson(($t->http_get('/livez'))[1])->{alive}, unjson('[false]')->[0],
	'and it is said');
$t->signal('CONT');
ok(wait_for(sub { ($t->http_get('/livez'))[0] == 200 }, '200'), 'it goes on');
unlike($t->log(), qr/made no progress/, 'no slot was blamed for it');
