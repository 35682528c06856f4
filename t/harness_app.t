#!/usr/bin/perl

# The app double behaves as the app: late listeners, doubled handlers, locks.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/node node_modules openssl/)->plan(29);

sub client {
	my ($api, @steps) = @_;
	my ($code, $out, $err) = $t->run_command([ 'node',
		$t->srcdir() . '/bin/app-client.js', $api->url(), json(\@steps) ]);
	diag($err) if $err;
	return map { unjson($_) } split /\n/, $out;
}

my $me = { workerProps => { version => '0.85.4' } };
my $api = $t->api(jobs => [ flow_job(id => 'j1') ], poll_ms => 50);

my @got = client($api, [ 'settings' ], [ rpc => 'poll', $me ],
	[ rpc => 'poll', $me ], [ rpc => 'poll', {} ], [ rpc => 'nonsense', {} ]);
is($got[1]{value}{APP_VERSION}, '0.85.4', 'settings');
is($got[2]{value}{jobId}, 'j1', 'job handed out');
my $token = $got[2]{value}{token};
is($got[3]{value}, undef, 'null after the waiting time');
is($got[4]{value}, undef, 'null for another version');
like($got[5]{value}{__rpcError}, qr/is not a function/, 'unknown method');

# Locks and settling.
my %job = (jobId => 'j1', queueName => 'workerJobs');
client($api, [ 'settings' ],
	[ rpc => 'extendLock', { %job, token => $token } ],
	[ rpc => 'completeJob', { %job, token => 'other', status => 'OK' } ],
	[ rpc => 'completeJob', { %job, token => $token, status => 'OK' } ],
	[ rpc => 'completeJob', { %job, token => $token, status => 'OK' } ]);
my $job = $api->job('j1');
is($job->{extended}, 1, 'lock extended');
is($job->{settled}, 1, 'settled once');
is($job->{repeats}, 1, 'a second call is a repeat');
is(scalar @{ $job->{late} }, 1, 'wrong token noticed');

# Two settings requests on one connection: each call is executed twice.
$api->push_job(flow_job(id => 'j2'), flow_job(id => 'j3'));
client($api, [ 'settings' ], [ 'settings' ], [ rpc => 'poll', $me ]);
is(scalar(my @h = $api->seen(kind => 'handed')), 3,
	'a doubled handler takes two jobs for one poll');

# Moments.
$api->rule(at => 'connect', do => 'reject');
@got = client($api, [ 'settings' ]);
is_deeply(\@got, [ { what => 'connect_error',
	value => 'Authentication error' } ], 'rejected');
$api->rule(at => 'settings', do => 'silent');
@got = client($api, [ settings => 100 ]);
like($got[1]{value}, qr/timed out/, 'silent on settings');
$api->rule(at => 'rpc:poll', do => 'drop');
@got = client($api, [ 'settings' ], [ rpc => 'poll', $me ]);
is((grep { $_->{what} eq 'disconnect' } @got)[0]{value}, 'transport close',
	'dropped in a poll');
$api->rule(at => 'connect', do => 'disconnect');
@got = client($api, [ 'gone' ]);
is($got[1]{value}, 'io server disconnect', 'sent away');
$api->rule(at => 'rpc:getPieceArchive', do => 'binary_split',
	value => 'AAEC');
@got = client($api, [ 'settings' ], [ rpc => 'getPieceArchive', {} ]);
is_deeply($got[2]{value}, { type => 'Buffer', data => [ 0, 1, 2 ] },
	'binary answer in split frames');
$api->rule(at => 'tcp', do => 'slow', ms => 1);
@got = client($api, [ settings => 20000 ]);
is($got[1]{what}, 'settings', 'byte by byte');

$api->down();
@got = client($api, [ 'settings' ]);
is($got[0]{value}, 'websocket error', 'down');
$api->up();
@got = client($api, [ 'settings' ]);
is($got[1]{what}, 'settings', 'and up again');

# Late listeners, TLS.
my $late = Test::Apworker::App->new($t, listen_late => 1);
@got = client($late, [ settings => 50 ], [ 'settings' ]);
is_deeply([ map { $_->{what} } @got ],
	[ qw/connect error settings/ ], 'listeners come late');
$late->stop();

my $tls = Test::Apworker::App->new($t, tls => $t->tls());
@got = client($tls, [ 'settings' ]);
is($got[1]{what}, 'settings', 'over TLS');
$tls->stop();

# An app of a release, and one that nobody has seen.
my $new = Test::Apworker::App->new($t, release => '0.88.3', poll_ms => 50);
my $m88 = { workerProps => { version => '0.88.3', WORKER_CONCURRENCY => '1' } };
$new->push_job(flow_job(id => 'n1'));
@got = client($new, [ 'settings' ], [ rpc => 'markPieceAsUsed', {} ],
	[ rpc => 'recordTriggerRun', {} ], [ rpc => 'resumeAiStep', {} ],
	[ rpc => 'poll', $m88 ]);
is($got[1]{value}{APP_VERSION}, '0.88.3', 'a release');
is_deeply([ map { ref $_->{value} ? 1 : 0 } @got[2..4] ], [ 1, 0, 1 ],
	'with the methods that it has');
is($got[5]{value}{jobId}, 'n1', 'it hands a job out');
ok($new->wait_seen(kind => 'taken_back', job => 'n1'),
	'and takes it back with the connection');
is($new->job('n1')->{state}, 'queued', 'into its queue');
is(scalar(my @m = $new->machines()), 0, 'its list of workers is empty again');
my $flow = { id => 'f', versionId => 'v', projectId => 'p' };
@got = client($new, [ 'settings' ], [ rpc => 'getPrewarmData',
	{ flow => $flow } ], [ rpc => 'resumeFlowStep',
	{ conversationId => 'c' } ], [ rpc => 'getAgentConfig',
	{ conversationId => 'c' } ], [ wait => 50 ],
	[ rpc => 'resumeFlowStep', { conversationId => 'c' } ]);
is_deeply($got[2]{value}{flows}, [ $flow ], 'a flow to prewarm');
is_deeply([ map { ref $_->{value} ? $_->{value}{__rpcError} =~ /^(\w+)/ : 0 }
	@got[3, 4, 6] ], [ 'AUTHORIZATION', 'ENTITY_NOT_FOUND', 0 ],
	'an agent has a row first');
$new->stop();

my $later = Test::Apworker::App->new($t, release => '0.92.2');
@got = client($later, [ 'settings' ], [ rpc => 'resumeAiStep', {} ]);
is($got[2]{value}, undef, 'what comes after the newest that was seen');
$later->stop();
