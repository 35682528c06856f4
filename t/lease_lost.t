#!/usr/bin/perl

# The lease runs out, or cannot be proven: the job is the app's again, and is
# not run by us beside the one who gets it; an app that says yes to every
# extension does not change that.  From 0.86 on the app takes jobs back itself.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(11)->write_app_conf(source => 'lock_time 5s;',
	    main => 'respawn_max 100ms; respawn_burst 64;');
my $api = $t->api(lock_ms => 5000, stalled_ms => 100, poll_ms => 1200,
	ping_interval_ms => 1000, ping_timeout_ms => 2000);
my $engine = $t->engine();
$t->run();

sub script { return [ { do => 'wait', name => $_[0] }, { do => 'answer' } ] }

# kept alive for much longer than the lock lasts
$api->push_job(flow_job(id => 'long', engine => script('long')));
$api->wait_seen(kind => 'rpc', method => 'extendLock', n => 6);
is(scalar @{ $api->job('long')->{handed} }, 1, 'a lease is kept');
$engine->release('long');
is($api->wait_done('long')->{status}, 'OK', 'for a long job');

# the app is away for longer than the lock lasts
$api->push_job(flow_job(id => 'away', engine => script('away')));
$engine->wait_record('operation', 2);
$t->log_mark();
$api->down();
ok($t->wait_log(qr/job is given up why="its lock at the app has run out/),
	'away for too long: given up');
$engine->release('away');
$api->up();
is($api->wait_done('away')->{status}, 'OK', 'done when it is handed out again');
is_deeply([ scalar @{ $api->job('away')->{handed} },
	$api->settled('away'), scalar @{ $api->job('away')->{late} } ],
	[ 2, 1, 0 ], 'settled once, by who had it last');

# the extension is answered, but for the lease before: no proof
$api->push_job(flow_job(id => 'liar', engine => script('liar')));
my $ops = $engine->wait_record('operation', 4);
$api->rule(at => 'rpc:extendLock', do => 'never', times => 0);
$t->log_mark();
ok($t->wait_log(qr/job is given up why="its lock at the app has run out/),
	'extensions without an answer: given up');
$api->clear_rules();
$engine->release('liar');
is($api->wait_done('liar')->{status}, 'OK', 'done when handed out again');
is($api->settled('liar'), 1, 'settled once');

# result in hand, and the lease is over before the app can be told
$api->rule(at => 'rpc:completeJob', do => 'freeze');
$api->rule(at => 'connect', do => 'drop', times => 0);
$t->log_mark();
$api->push_job(flow_job(id => 'told'));
ok($t->wait_log(qr/job is given up|could not be completed/), 'a result that came too late is dropped');
$api->clear_rules();
is($api->wait_done('told')->{status}, 'OK', 'and made again');
is($api->settled('told'), 1, 'settled once');
