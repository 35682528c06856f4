#!/usr/bin/perl

# One slot, whose engine is in a box, in a run that waits: the errand has a box
# of its own, leaves with a reload, and holds up no stop.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild userns/)
	->plan(7)->write_app_conf(mode => 'SANDBOX_PROCESS',
	main => 'drain_timeout 1s;', engine => 'memory 256m;');
$t->engine(starts => [ { operations => [ [ { do => 'answer', value => {
	status => 'OK', response => { skipped => JSON::PP::false } } } ] ] } ]);
my $api = $t->api(release => '0.86.0', poll_ms => 2000,
	pieces => [ { name => '@activepieces/piece-a', version => '0.1.0' } ]);

sub refresh_job {
	my ($id) = @_;
	return { jobId => $id, attempsStarted => 0, engineToken => 'e',
		jobData => { schemaVersion => 10, platformId => 'pl1',
		jobType => 'EXECUTE_TOKEN_REFRESH', requestId => $id,
		webserverId => 's1', connectionValue => { token => 't' },
		piece => { packageType => 'REGISTRY', pieceType => 'OFFICIAL',
		pieceName => '@activepieces/piece-a', pieceVersion => '0.1.0' } } };
}

sub errand { return ($t->status() || {})->{errand} }

sub wait_errand {
	my ($what, $check) = @_;
	return ok(wait_for(sub { my $e = errand(); $e && $check->($e) },
		$what), $what);
}

$t->run();
$t->wait_ready();
$api->push_job(flow_job(id => 'run', engine => [ { do => 'never' } ]),
	refresh_job('r1'));
is($api->wait_done('r1')->{status}, 'OK', 'what the run waits for is done');
wait_errand('the errand polls again', sub { $_[0]{poll_left_ms} });
my $first = errand()->{pid};

# the new slot polls; the old one goes on with its run
$t->reload();
$t->wait_log(qr/ reloaded /);
ok(wait_for(sub { ((errand() || {})->{pid} // 0) != $first },
	'end of the errand'), 'the errand leaves with the old slots');

# and has a run as well
$api->push_job(flow_job(id => 'run2', engine => [ { do => 'never' } ]),
	refresh_job('r2'));
is($api->wait_done('r2')->{status}, 'OK', 'the new configuration has its own');
wait_errand('it polls', sub { $_[0]{poll_left_ms} && $_[0]{pid} != $first });
ok(errand()->{cycle} > 1, 'it is of that configuration');
$t->signal('TERM');
is($t->wait_exit(), 0, 'a stop ends all of them');
