#!/usr/bin/perl

# A slot that dies while it drains is not started again: another one that sits
# at its poll takes its job over.  So does a daemon with fewer slots.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(8)->write_app_conf(slots => 2);
my $api = $t->api(poll_ms => 1500);
my $engine = $t->engine();
sub script { return [ { do => 'wait', name => $_[0] }, { do => 'answer' } ] }

$t->run();
$api->push_job(flow_job(id => 'j1', engine => script('one')));
$engine->wait_record('operation');
my ($slot, $pid) = $t->wait_job('j1');
$t->log_mark()->reload();
wait_for(sub { grep { $_->{pid} == $pid && $_->{state} eq 'draining' }
	$t->slots() }, 'the old slot drains');
wait_for(sub { 2 == grep { $_->{state} eq 'idle' } $t->slots() },
	'the new ones poll');
kill 'KILL', $pid;
ok($t->wait_log(qr/a job goes on whose slot died/),
	'another slot takes the job of one that drained');
$engine->release('one');
is($api->wait_done('j1')->{status}, 'OK', 'job done');
is_deeply([ scalar @{ $api->job('j1')->{handed} }, $api->settled('j1') ],
	[ 1, 1 ], 'handed out once, settled once');

# both slots have a job when the daemon is killed; the next has one slot
$api->push_job(flow_job(id => 'j2', engine => script('two')),
	flow_job(id => 'j3', engine => script('two')));
$t->wait_job('j2');
$t->wait_job('j3');
wait_for(sub { 4 == (() = $engine->records('operation')) }, 'both run');
$t->expect_exit('signal 9');
my @below = Test::Apworker::Proc::descendants($t->pid());
$t->signal('KILL');
$t->wait_exit();
ok(wait_for(sub { !grep { Test::Apworker::Proc::alive($_) } @below }, 'end'),
	'the master is killed: all gone');
$engine->release('two');
$t->expect_exit(0)->write_app_conf(slots => 1);
$t->run();
for my $id (qw/j2 j3/) {
	is($api->wait_done($id)->{status}, 'OK', 'job done');
	is_deeply([ scalar @{ $api->job($id)->{handed} },
		$api->settled($id) ], [ 1, 1 ], 'by the one slot that is left');
}
