#!/usr/bin/perl

# SIGTERM to an idle daemon whose poll is parked: it is waited for beyond
# drain_timeout, a job that comes by it is run, and has drain_timeout from when
# it came.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw/time/;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(15)->write_app_conf(main => 'drain_timeout 15s;');
my $api = $t->api(poll_ms => 60000);
my $polls = 0;

# Up, idle, its poll parked; told to stop, and longer ago than drain_timeout.
sub stopped_idle {
	$t->run();
	$api->wait_call('poll', $polls + 1);
	$polls = $api->calls('poll');
	my $from = time();
	$t->log_mark()->signal('TERM');
	ok($t->wait_log(qr/draining: 1 poll parked, \d\d s left/),
		'what is waited for is told');
	wait_for(sub { time() - $from > 16 }, 'drain_timeout and more');
	ok(!$t->reap(), 'a parked poll outlives drain_timeout');
}

# Each release: the app's word for a lost connection differs, its polls do not.
for my $release ('0.85.4', '0.88.3') {
	$api->ask(set => { settings => { APP_VERSION => $release } })
		if $release ne '0.85.4';
	stopped_idle();
	$api->push_job(flow_job(id => "late-$release"));
	is($api->wait_done("late-$release")->{status}, 'OK',
		"$release: the job it brings is run");
	is($t->wait_exit(), 0, 'then it leaves');
	is($api->settled("late-$release"), 1, 'the job was told once');
}

# drain_timeout is counted from when the job came, and it counts.
stopped_idle();
my $from = time();
$api->push_job(flow_job(id => 'endless', engine => [ { do => 'never' } ]));
ok($t->wait_log(qr/stopping at once why="drain_timeout is over" slots=1/),
	'a late job has drain_timeout, and no more');
cmp_ok(time() - $from, '>=', 14, 'from when it came');
is($t->wait_exit(), 0, 'then it is over');
