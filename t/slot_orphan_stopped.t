#!/usr/bin/perl

# A slot that is stopped by a signal when its master is killed ends all the
# same: a slot is a process group of its own, which the kernel continues.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(2)->write_app_conf();
my $api = $t->api(jobs => [ flow_job(id => 'j1', engine => [ { do => 'never' } ]) ]);
$t->run();
$t->wait_job('j1');
my ($slot) = map { $_->{pid} } $t->slots();
my @below = Test::Apworker::Proc::descendants($t->pid());
kill 'STOP', $slot;
wait_for(sub { (Test::Apworker::Proc::state_of($slot) // '') eq 'T' }, 'a stop');
$t->expect_exit('signal 9');
kill 'KILL', $t->pid();
is($t->wait_exit(), 'signal 9', 'the master is killed');
ok(wait_for(sub { !grep { Test::Apworker::Proc::alive($_) } @below },
	'the others'), 'all others end');
