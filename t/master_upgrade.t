#!/usr/bin/perl

# SIGUSR2 starts another binary beside the running one, with its sockets and
# its lock; QUIT to the old one ends the change, QUIT to the new one undoes it.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use File::Copy ();
use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(42);
my $own = $t->port('MONITOR');
my $program = "$t->{testdir}/apworkerd";
my $fake = $t->daemon_path();
File::Copy::copy($fake, $program) or die "$program: $!";
chmod 0755, $program;
$t->{program} = $program;
my $pidfile = "$t->{testdir}/apworkerd.pid";
fake_conf($t, main => "pid $pidfile;", monitor => "monitor { "
	. "listen 127.0.0.1:$own; listen unix:%%TESTDIR%%/mon.sock; }")
	->write_file('main.js', '');
order($t, 1, 'busy=long linger=700 once');
$t->run();
$t->wait_status(sub { $_->{slots_able} == 2 });
my $old = $t->pid();

sub alive { return Test::Apworker::Proc::alive($_[0]) }
sub file { my $n = slurp($_[0]) // ''; $n =~ s/\s//g; return $n }
sub answers { return scalar grep { (($t->http_get('/livez',
	address => $_))[0] || 0) == 200 } "127.0.0.1:$own",
	"unix:$t->{testdir}/mon.sock" }

# Sends USR2 and returns the pid of the new master, once it serves.
sub upgrade {
	my ($from) = @_;
	$t->log_mark();
	kill 'USR2', $from;
	return is_up();
}

sub is_up {
	$t->wait_log(qr/the new binary is up/) or return 0;
	return file($pidfile);
}

# two that have nothing to do with each other

my ($code, undef, $err) = $t->run_command([ $program, '-c', $t->conf_file(),
	'-g', $t->globals() . " pid $t->{testdir}/other.pid;" ]);
isnt($code, 0, 'another daemon on the same state directory does not start');
like($err, qr/the state directory \S+ is in use/, 'and says why');

# there and back, with another file in the program's place

File::Copy::copy($fake, "$program.new");
chmod 0755, "$program.new";
rename "$program.new", $program;
my $new = upgrade($old);
ok($new && $new != $old, 'a new master');
is(file("$pidfile.oldbin"), $old, 'the old one has its pid in .oldbin');
# the old monitor has still to leave
ok($t->wait_status(sub { $_->{pid} == $new }), 'the new one answers');
is(answers(), 2, 'on all addresses');
ok($t->wait_status(sub { $_->{slots_able} == 2 }), 'its slots take jobs');
is(scalar(grep { /^slot/ } keys %{ family($t, $old) }), 2,
	'those of the old one, too');
ok(wait_for(sub { !exists family($t, $old)->{monitor} }, 'monitor'),
	'the old monitor leaves');
my $exe = readlink "/proc/$new/exe";
is($exe, $program, 'it is the program of that path');
unlike(slurp("/proc/$new/environ"), qr/HANDOFF=\D/, 'nothing but a number');
kill 'USR2', $old;
ok($t->wait_log(qr/upgrade ignored why="a new binary is running/),
	'not twice');
kill 'USR2', $new;
ok($t->wait_log(qr/upgrade ignored why="the old binary is still/),
	'and not from the new one');

kill 'QUIT', $new;
ok(wait_for(sub { !alive($new) }, 'the new one'), 'back: the new one leaves');
ok(wait_for(sub { file($pidfile) == $old }, 'pidfile'), 'the pidfile is back');
ok(!-e "$pidfile.oldbin", 'and has one name');
ok($t->wait_status(sub { $_->{pid} == $old && $_->{slots_able} == 2 }),
	'the old one answers again');
is(answers(), 2, 'on all addresses');

# a new binary that dies at once, one that is none, one with a bad file

for my $case ([ 'exit 7', qr/the new binary ended.* exit=7/ ],
    [ 'kill -9 $$', qr/the new binary ended.*signal=9/ ]) {
	$t->log_mark();
	$t->write_file('apworkerd.new', "#!/bin/sh\n$case->[0]\n", 0755);
	rename "$program.new", $program;
	kill 'USR2', $old;
	like($t->wait_log(qr/the new binary ended/) // '', $case->[1],
		"a new binary that does '$case->[0]'");
	ok(wait_for(sub { file($pidfile) == $old }, 'pidfile'),
		'the pidfile is as before');
	is($t->status()->{pid}, $old, 'and the old one goes on');
}
$t->log_mark()->write_file('apworkerd.new', "no program\n", 0755);
rename "$program.new", $program;
kill 'USR2', $old;
ok($t->wait_log(qr/the new binary ended/), 'what cannot be executed');
unlink $program;
$t->log_mark();
kill 'USR2', $old;
ok($t->wait_log(qr/cannot upgrade: all stays as it is/), 'no file at all');
is(file($pidfile), $old, 'the pidfile is as before');
File::Copy::copy($fake, $program);
chmod 0755, $program;

# a reload of the old one meanwhile, an upgrade asked for during a reload

order($t, 'all', 'slow');
$t->log_mark();
fake_conf($t, engine => 'max_jobs 5;', main => "pid $pidfile;",
	monitor => "monitor { listen 127.0.0.1:$own; "
	. "listen unix:%%TESTDIR%%/mon.sock; }");
kill 'HUP', $old;
$t->wait_log(qr/trying a new configuration/);
kill 'USR2', $old;
ok($t->wait_log(qr/the upgrade waits for the reload/), 'an upgrade waits for a reload');
$t->write_file('state/go', '');
$new = is_up();
ok($new && $new != $old, 'and is made after it');
order($t, 'all', undef);
$t->log_mark();
kill 'HUP', $old;
ok($t->wait_log(qr/reloaded/), 'the old one can be reloaded');
ok($t->wait_status(sub { $_->{pid} == $new && $_->{slots_able} == 2 }),
	'the new one answers all the same');

# for good; no connection is refused all the while

my $refused = 0;
$t->expect_exit(0);
kill 'QUIT', $old;
ok(wait_for(sub { $refused++ if answers() != 2; $t->reap() }, 'the old one'),
	'the old one leaves');
is($t->{status}, 0, 'with 0');
is($refused, 0, 'somebody answered all the time');
is(answers(), 2, 'the socket file is still there');
is(file($pidfile), $new, 'the pidfile is the new one\'s');
ok(!-e "$pidfile.oldbin", 'and the only one');
$t->{pid} = $new;
$t->{adopted} = 1;
ok($t->wait_log(qr/the old binary has gone/), 'the new one knows');

# and again, from the new one; the old one killed

my $third = upgrade($new);
ok($third && $third != $new, 'the next upgrade');
wait_for(sub { !exists family($t, $new)->{monitor} }, 'monitor');
kill 'KILL', $new;
ok(wait_for(sub { !alive($new) && !-e "$pidfile.oldbin" }, 'gone'),
	'one that is killed is cleaned up after');
is(file($pidfile), $third, 'the pidfile stays');
$t->{pid} = $third;
ok($t->wait_status(sub { $_->{pid} == $third && $_->{slots_able} == 2 }),
	'and the new one works');
