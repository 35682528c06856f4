#!/usr/bin/perl

# One engine a slot: kept warm where the rules allow, replaced when they do
# not, when it dies between jobs, and when its settings have changed.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(14)->write_app_conf(engine => 'max_jobs 3;');
my $api = $t->api();
$t->run();

my $n = 0;

# Runs a job; the number of engines that have been started so far.
sub job {
	my (%data) = @_;
	my $id = 'j' . ++$n;
	$api->push_job(flow_job(id => $id, data => \%data));
	is($api->wait_done($id)->{status}, 'OK', "$id: OK");
	return scalar(my @s = $t->engine()->starts());
}

is(job(), 1, 'the first job starts an engine');
is(job(), 1, 'the second has the same');

# Killed while it is idle: noticed at once, and the next job has a new one.
my ($slot) = $t->slots();
my $idle = $t->engine()->wait_record('start')->{pid};
$t->log_mark();
kill 'KILL', $idle;
ok($t->wait_log(qr/idle engine ended/), 'the death of an idle engine is told');
is(job(), 2, 'the next job starts another');
is(($t->slots())[0]{pid}, $slot->{pid}, 'in the same slot');

# It serves three jobs, as configured.
job() for 1 .. 2;
is(job(), 3, 'an engine that has served its jobs is replaced');

# Other settings, another environment: the warm one is stale.
$api->settings(MAX_FILE_SIZE_MB => 26);
my $seen = $api->seen(kind => 'settings');
$api->act('drop');
$api->wait_seen(kind => 'settings', n => $seen + 1);
is(job(), 4, 'an engine of other settings is replaced');
