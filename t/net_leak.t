#!/usr/bin/perl

# A box that finds that its network is not what it must be is killed before
# anything of an engine runs in it; its slot takes no job, and readiness says
# why.  bin/leaky-box.c makes it so.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/leaky_boxes node node_modules esbuild userns/);
my %said = (
	interface => qr/has other network interfaces than its loopback/,
	route => qr/has routes that lead out of it/,
	canary => qr/can reach the host's loopback/,
	listener => qr/cannot reach its own listeners/,
);
$t->{env}{APW_TEST_LEAK} = $t->testdir() . '/leak';
leak('');

my $api = $t->api();
my @boxed = qw/SANDBOX_PROCESS SANDBOX_CODE_AND_PROCESS/;

# The configuration's word: there is no start without it.
for my $mode (@boxed) {
	$t->write_app_conf(mode => $mode, main => 'network strict;');
	for my $what (sort keys %said) {
		leak($what);
		my ($code, $out) = $t->test_conf();
		isnt($code, 0, "$mode, $what: -t says no");
		like($out, $said{$what}, 'and why');
	}
}

# The app's: there are no jobs without it.
$api->settings(NETWORK_MODE => 'STRICT');
for my $mode (@boxed) {
	my @whats = $mode eq $boxed[0] ? qw/canary interface/ : ();
	my $before = started();
	$t->write_app_conf(mode => $mode, engine => 'standby 0;');
	leak('route');
	$t->run();
	blocked("$mode, from the start", $said{route});
	is(started(), $before, "$mode: nothing ran");
	leak('');
	again();
	runs("$mode-1", "$mode: it is mended");

	# in between: the job that finds out is not to blame, and is kept
	for my $what (@whats) {
		$before = started();
		leak($what);
		$api->push_job(flow_job(id => "$mode-$what"));
		blocked("$mode, $what", $said{$what});
		is(started(), $before, "$mode, $what: nothing ran");
		is($api->settled("$mode-$what"), 0,
			"$mode, $what later: no fault of the flow");
		leak('');
		again();
		is($api->wait_done("$mode-$what")->{status}, 'OK',
			"$mode, $what: its job is done");
		runs("$mode-$what-2", "$mode, $what: mended");
	}
	$t->stop();
}

# The box that stands by for the next job finds out before there is one.
$t->write_app_conf(mode => $boxed[0], engine => 'standby 1;');
my $before = started();
$t->run();
runs('s1', 'with a standby');
wait_for(sub { started() >= $before + 2 }, 'the next box');
leak('interface');
$api->push_job(flow_job(id => 's2'));
is($api->wait_done('s2')->{status}, 'OK',
	'a box that has proved itself is good for its job');
blocked('the next one', $said{interface});
is($api->settled('s2'), 1, 'and no job was lost to it');
$t->stop();

# A plain engine has something else to be held by.
SKIP: {
	skip 'no Landlock', 1 unless -e '/sys/kernel/security/lsm'
		? slurp('/sys/kernel/security/lsm') =~ /landlock/ : 1;
	$t->write_app_conf(mode => 'UNSANDBOXED', main => 'network strict;');
	leak('route');
	$t->run();
	ok($t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
		$s && $s->{network}{held_by} eq 'ports' }),
		'UNSANDBOXED: by its ports instead');
	$t->stop();
}

# The app's settings come again: the slot looks whether it is fit.
sub again {
	my $seen = $api->seen(kind => 'settings');
	$api->act('drop');
	$api->wait_seen(kind => 'settings', n => $seen + 1);
}

sub runs {
	my ($id, $name) = @_;
	$api->push_job(flow_job(id => $id));
	is($api->wait_done($id)->{status}, 'OK', "$name: a job runs");
}

sub started { return scalar(() = $t->log() =~ /engine started pid=/g) }

sub blocked {
	my ($name, $why) = @_;
	my $slot = $t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
		$s && $s->{state} eq 'blocked' && $s->{why} =~ $why && $s });
	ok($slot, "$name: blocked") or diag($t->log_tail(10));
	my ($code, $body) = $t->http_get('/readyz');
	is($code, 503, 'not ready');
	like($body, $why, 'and says why');
}

# In place: the daemon has it mapped.
sub leak {
	my ($what) = @_;
	open my $f, (-e $t->{env}{APW_TEST_LEAK} ? '+<' : '+>'),
		$t->{env}{APW_TEST_LEAK} or die "leak: $!";
	syswrite $f, pack 'a16', $what;
	close $f;
}
