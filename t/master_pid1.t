#!/usr/bin/perl

# As PID 1 of a container: reaps whatever is left to it, keeps its slots, and
# leaves on SIGTERM.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots root unshare/)->plan(9);
fake_conf($t)->write_file('main.js', '');
$t->write_conf_now();

# the front stays outside and ends as the daemon does
my %env = $t->environment();
my $front = Test::Apworker::Proc::spawn([ 'unshare', '--pid', '--fork',
	'--mount-proc', '--kill-child', $t->command() ], env => \%env,
	cwd => $t->testdir(), out => "$t->{testdir}/stderr.log", append => 1);
ok($t->wait_status(sub { $_->{slots_able} == 2 }), 'starts');
is($t->status()->{pid}, 1, 'as PID 1');
my ($init) = Test::Apworker::Proc::children($front);

# processes that somebody else started in there and left

my $n = 200;
my $script = 'i=0; while [ $i -lt ' . $n . ' ]; do (true & ) ; i=$((i+1)); '
	. 'done; (sleep 1000 &) ; echo done';
my ($code, $out) = $t->run_command([ 'nsenter', '-t', $init, '-p', '-m',
	'sh', '-c', $script ]);
is($out, "done\n", "$n orphans");
ok(wait_for(sub { !grep { (Test::Apworker::Proc::state_of($_) // '') eq 'Z' }
	Test::Apworker::Proc::children($init) }, 'no zombies'), 'all reaped');
my $sleep;
wait_for(sub { ($sleep) = grep { Test::Apworker::Proc::cmdline($_) =~ /^sleep/ }
	Test::Apworker::Proc::children($init) }, 'a sleep');
ok($sleep, 'one that lives is left to PID 1');

# a slot dies: its own are killed, the stranger is not

my ($slot) = grep { Test::Apworker::Proc::cmdline($_) =~ /slot 1/ }
	Test::Apworker::Proc::children($init);
wait_for(sub { $t->status()->{uptime_ms} > 2500 }, 'a tick or two');
kill 'KILL', $slot;
ok($t->wait_status(sub { $_->{total}{deaths} == 1 && $_->{slots_able} == 2 }),
	'a slot comes back');
ok(Test::Apworker::Proc::alive($sleep), 'the stranger lives');

kill 'TERM', $init;
my $ended = wait_for(sub { waitpid($front, POSIX::WNOHANG()) == $front },
	'end');
ok($ended, 'ends on SIGTERM');
is($? >> 8, 0, 'with status 0');
