#!/usr/bin/perl

# kill -9 of a slot, then of the master, in mid-job: no engine and nothing that
# an engine started survives it.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(8)->write_app_conf(main => 'journal off;');
my @job = ([ { do => 'fork' }, { do => 'never' } ]);
my $api = $t->api(jobs => [ flow_job(id => 'j1', engine => $job[0]) ]);
$t->run();

sub gone { return !grep { Test::Apworker::Proc::alive($_) } @_ }

# the slot

my ($n, $slot) = $t->wait_job('j1');
my $engine = $t->engine()->wait_record('start')->{pid};
my $child = $t->engine()->wait_record('fork')->{child};
is(scalar(grep { Test::Apworker::Proc::alive($_) } $slot, $engine, $child), 3,
	'a slot, its engine, and a process of the engine in its own session');
kill 'KILL', $slot;
ok(wait_for(sub { gone($engine, $child) }, 'end'), 'slot killed: all gone');
like($t->wait_log(qr/slot ended slot=1/), qr/job=j1 .*signal=9/, 'obituary');
isnt(pid_of($t, 'slot 1', $slot), undef, 'the slot is back');

# the master

$api->push_job(flow_job(id => 'j2', engine => $job[0]));
($n, $slot) = $t->wait_job('j2');
$t->engine()->wait_record('fork', 2);
my @below = Test::Apworker::Proc::descendants($t->pid());
cmp_ok(scalar @below, '>=', 4, 'monitor, slot, engine, and below');
$t->expect_exit('signal 9');
$t->signal('KILL');
ok(wait_for(sub { gone(@below) }, 'end'), 'master killed: all gone')
	or diag(join "\n", map { Test::Apworker::Proc::cmdline($_) }
		grep { !gone($_) } @below);
is($t->wait_exit(), 'signal 9', 'killed');
ok(-e $t->pidfile(), 'the pidfile is left: the next one takes it over');
