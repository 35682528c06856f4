#!/usr/bin/perl

# An app that refuses to extend proves nothing: the job of a dead slot is left
# to it.  From 0.86 on the app takes the jobs of dead slots back itself.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(6)->write_app_conf(main => 'respawn_max 100ms;
	    respawn_burst 64;');
my $api = $t->api();
my $engine = $t->engine();
$t->run();

sub script { return [ { do => 'wait', name => $_[0] }, { do => 'answer' } ] }

# an app that refuses to extend: neither who has the job nor who finds it goes on
$api->rule(at => 'rpc:extendLock', do => 'error', times => 0);
$api->push_job(flow_job(id => 'no', engine => script('no')));
my ($number, $first) = $t->wait_job('no');
$engine->wait_record('operation', 1);
$t->log_mark();
kill 'KILL', $first;
ok($t->wait_log(qr/left to the app .*why="the app does not extend/),
	'no extension, no proof');
$api->clear_rules();
$engine->release('no');
$api->ask(expire => { id => 'no' });
is($api->wait_done('no')->{status}, 'OK', 'done when handed out again');
is_deeply([ scalar @{ $api->job('no')->{handed} }, $api->settled('no') ],
	[ 2, 1 ], 'settled once');

# 0.86: what a dead slot had is the app's
$api->settings(APP_VERSION => '0.86.0');
$api->act('drop');
$api->push_job(flow_job(id => 'new', engine => script('new')));
my ($slot, $pid) = $t->wait_job('new');
$engine->wait_record('operation', 3);
$t->log_mark();
kill 'KILL', $pid;
ok($t->wait_log(qr/left to the app .*why="the app takes jobs back/),
	'0.86: the job of a dead slot is left to the app');
$engine->release('new');
$api->ask(expire => { id => 'new' });
is($api->wait_done('new')->{status}, 'OK', 'which hands it out again');
is($api->settled('new'), 1, 'settled once');
