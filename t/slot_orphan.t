#!/usr/bin/perl

# A slot whose loop hangs in the moment its master is killed ends all the same,
# and the next daemon finds nothing in its way.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(3)->write_app_conf();
my $dir = $t->testdir();
my $api = $t->api(poll_ms => 1000);
$t->{program} = $t->daemon_path('t/bin/apworkerd-stops');
mkdir "$dir/stops";
$t->run(env => { APW_STOPS => "$dir/stops" });
my ($slot) = map { $_->{pid} } $t->slots();
$t->write_file('stops/at', "hang\n");
$api->push_job(flow_job(id => 'j1', engine => [ { do => 'answer' } ]));
ok(wait_for(sub { slurp("$dir/stops/stopped") =~ /^$slot$/ }, 'slot hangs'),
	'the slot hangs');
my @below = Test::Apworker::Proc::descendants($t->pid());
$t->expect_exit('signal 9');
kill 'KILL', $t->pid();
is($t->wait_exit(), 'signal 9', 'the master is killed');
ok(wait_for(sub { !grep { Test::Apworker::Proc::alive($_) } @below },
	'the others'), 'all others end');
