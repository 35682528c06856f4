#!/usr/bin/perl

# A run may wait for another job, the refresh of a connection's token, and no
# slot be free for it: one process more takes the jobs that somebody waits for
# and nothing else.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(35)->write_app_conf(slots => 2, main => 'log_level debug;');
$t->engine(starts => [ { operations => [ [ { do => 'answer', value => {
	status => 'OK', response => { skipped => JSON::PP::false } } } ] ] } ]);
my $api = $t->api(release => '0.86.0', poll_ms => 8000,
	pieces => [ { name => '@activepieces/piece-a',
	version => '0.1.0' } ]);

sub errand_job {
	my ($id, $type) = @_;
	return { jobId => $id, attempsStarted => 0,
		engineToken => "engine-token-$id", jobData => {
		schemaVersion => 10, platformId => 'pl1', projectId => 'p1',
		jobType => $type, requestId => $id, webserverId => 's1',
		propertyName => 'channel', actionOrTriggerName => 'send',
		input => {}, connectionValue => { token => 'geheim' },
		piece => { packageType => 'REGISTRY', pieceType => 'OFFICIAL',
		pieceName => '@activepieces/piece-a', pieceVersion => '0.1.0' } } };
}

sub waiting_job {
	my ($id) = @_;
	return flow_job(id => $id, engine => [ { do => 'wait', name => $id } ]);
}

sub errand { return $t->status()->{errand} }

sub wait_errand {
	my ($what, $check) = @_;
	ok(wait_for(sub { my $e = errand(); $e && $check->($e) }, $what), $what);
}

$t->run();
$t->wait_ready();
$api->push_job(waiting_job('run1'));
$t->wait_job('run1');
is(errand(), undef, 'a slot is free: nobody else is needed');
$api->push_job(waiting_job('run2'));
$t->wait_job('run2');

# All wait: what they wait for is done beside them.
wait_errand('one more polls', sub { $_[0]{poll_left_ms} });
my $first = errand()->{pid};
ok(!exists errand()->{slot}, 'it is none of the slots');
is(scalar(@{ $t->status()->{slots} }), 2, 'of which there are as many');
my ($code, $out) = $t->ctl('status');
like($out, qr/^  \+1  idle /m, 'apworkerctl shows it');
for my $type (qw/TOKEN_REFRESH PROPERTY VALIDATION
	EXTRACT_PIECE_INFORMATION/) {
	$api->push_job(errand_job($type, "EXECUTE_$type"));
	is($api->wait_done($type)->{status}, 'OK', "EXECUTE_$type");
}
is(errand()->{pid}, $first, 'one after the other');
is_deeply([ sort map { $_->{job}{id} } @{ $t->status()->{slots} } ],
	[ 'run1', 'run2' ], 'the runs still go on');
is(errand()->{jobs}{ok}, 4, 'its jobs are counted');

# What nobody waits for is not its own: that goes back, unbegun, and the pause
# before the next look does not keep what comes first for long.
$api->push_job(waiting_job('run3'));
$api->wait_seen(kind => 'taken_back', job => 'run3');
ok(wait_for(sub { (errand() || {})->{state} =~ /connecting/ },
	'it stays away'), 'it stays away for a while');
is($api->settled('run3'), 0, 'the flow is not run by it');
$api->push_job(errand_job('later', 'EXECUTE_TOKEN_REFRESH'));
is($api->job('run3')->{state}, 'queued', 'it waits for a slot');

# A slot is free again: it has the run, and the errand leaves.
$t->engine()->release('run1');
is($api->wait_done('run1')->{status}, 'OK', 'the run goes on');
ok(wait_for(sub { my ($s) = grep { ($_->{job}{id} || '') eq 'run3' }
	@{ $t->status()->{slots} }; $s }, 'run3 in a slot'),
	'the slot takes the next');
wait_errand('which leaves nobody for the refresh: another round',
	sub { 1 });
is($api->wait_done('later')->{status}, 'OK', 'it is done by the errand');
$t->engine()->release($_) for qw/run2 run3/;
is($api->wait_done($_)->{status}, 'OK', "$_ ends") for qw/run2 run3/;
is($api->settled($_), 1, "$_ once") for qw/run1 run2 run3 later/;
ok(wait_for(sub { !errand() }, 'end of the errand'), 'it is gone');
unlike($t->log(), qr/geheim/, 'a secret is in no log');

# Told to drain, the daemon waits for both, and leaves nobody behind.
$api->push_job(waiting_job('run4'), waiting_job('run5'));
$api->push_job(errand_job('last', 'EXECUTE_TOKEN_REFRESH'));
is($api->wait_done('last')->{status}, 'OK', 'another round');
wait_errand('its poll is parked', sub { $_[0]{poll_left_ms} && !$_[0]{job} });
$t->signal('QUIT');
ok(wait_for(sub { errand()->{state} eq 'draining' }, 'draining errand'),
	'the errand drains with the slots');
$api->push_job(waiting_job('run6'));
$api->wait_seen(kind => 'taken_back', job => 'run6');
ok(wait_for(sub { !errand() }, 'end of the errand'),
	'what still comes to it goes back, and it leaves');
is($api->job('run6')->{state}, 'queued', 'for others to take');
$t->engine()->release($_) for qw/run4 run5/;
is($api->wait_done($_)->{status}, 'OK', "$_ ends") for qw/run4 run5/;
is($t->wait_exit(), 0, 'the daemon ends');
