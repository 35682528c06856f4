#!/usr/bin/perl

# A broker that dies before the app's settings are there: nobody has asked it
# for anything, and the slot is born again with another all the same.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon root node node_modules esbuild userns/)
	->plan(6)->write_app_conf(mode => 'SANDBOX_PROCESS');
my $api = $t->api();
$api->down();
$t->run();

sub brokers {
	my ($slot) = @_;
	return grep { Test::Apworker::Proc::cmdline($_) =~
		/^apworkerd: broker/ } Test::Apworker::Proc::children($slot);
}

my $slot = $t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
	$s && $s->{state} eq 'connecting' && brokers($s->{pid}) && $s });
ok($slot, 'a slot that has not reached the app has a broker');
kill 'KILL', brokers($slot->{pid});
my $next = $t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
	$s && $s->{pid} && $s->{pid} != $slot->{pid}
	&& $s->{state} eq 'connecting' && brokers($s->{pid}) && $s });
ok($next, 'without it the slot starts again') or diag($t->log_tail(20));
like($t->log(), qr/the broker has ended/, 'and says why');

$api->up();
$api->push_job(flow_job(id => 'j1', engine => [ { do => 'answer' } ]));
is($api->wait_done('j1')->{status}, 'OK', 'the app comes: it works');
is($api->settled('j1'), 1, 'once');
unlike($t->log(), qr/no job can be taken/, 'and was never blocked');
