#!/usr/bin/perl

# A monitor that hangs and a slot whose loop does not turn are replaced; what
# the kernel says of them is in the log.  While draining the log tells how far.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(9);
my $own = $t->port('MONITOR');
fake_conf($t, main => 'progress_timeout 2s;',
	monitor => "monitor { listen 127.0.0.1:$own; }")
	->write_file('main.js', '');
order($t, 2, 'deaf once');
$t->run();
$t->wait_status(sub { $_->{slots_able} >= 1 });

my $line = $t->wait_log(qr/no progress: killing it process=slot\/2/) // '';
like($line, qr/why="its event loop does not turn"/, 'a deaf slot is looked at');
like($line, qr/state=[A-Z] wchan=\S+ syscall=/, 'with what the kernel knows');
like($t->wait_log(qr/slot ended slot=2/) // '',
	qr/cause="made no progress, was killed"/, 'and killed');
ok($t->wait_status(sub { $_->{slots_able} == 2 }), 'another one is there');

my $mon = pid_of($t, 'monitor');
kill 'STOP', $mon;
$line = $t->wait_log(qr/no progress: killing it process=monitor/) // '';
like($line, qr/pid=$mon .*state=T/, 'a monitor that is stopped, too');
isnt(pid_of($t, 'monitor', $mon), $mon, 'a new monitor');
is(($t->http_get('/livez'))[0], 200, 'answers');

my $slot = pid_of($t, 'slot 1');
kill 'STOP', $slot;
ok($t->wait_log(qr/no progress: killing it process=slot\/1/),
	'a slot that is stopped');
ok($t->wait_status(sub { $_->{slots_able} == 2 }), 'is replaced');
