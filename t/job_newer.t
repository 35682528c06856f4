#!/usr/bin/perl

# Jobs of an app that is newer than any release we know: more than we ask for
# is passed over, or passed on where it is relayed; forms that nobody has seen
# are left alone; what cannot be done ends, with the reason in it.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(19)->write_app_conf(main => 'network auto { allow 127.0.0.1; }');
my $api = $t->api(release => '0.92.2', bundles => 'teleport', settings => {
	FILE_STORAGE_LOCATION => 'S3', S3_USE_SIGNED_URLS => 'true',
	QUOTAS => { tokens => [ 1, undef, "\x{e9}\x{1f600}" ] },
	SANDBOX_PROPAGATED_ENV_VARS => [], NEW_SWITCH => \1 },
	pieces => [ { name => 'piece-strange', version => '1.0.0',
	packageType => 'OCI_IMAGE', pieceType => 'OFFICIAL' } ]);
$t->engine(transports => ['websocket']);
$t->run();
$t->wait_ready();

# ---------------------------------------------------------- more than we know
my %more = (placement => { region => "\x{fc}ber" }, priorities => [ 3, 2 ]);
my $job = flow_job(id => 'more', data => \%more, fields => {
	aiHints => \%more, schemaVersion => '31' }, engine => [
	{ do => 'notify', method => 'telemetry', text => 'x' },
	{ do => 'answer', value => { status => 'OK', cost => { usd => 1 },
		response => undef } } ]);
$job->{lease} = { until => 4853600000 };
$api->push_job($job);
is($api->wait_done('more')->{status}, 'OK', 'members that nobody knows');
my ($op) = $t->engine()->records('operation');
is(json($op->{operation}{flowVersion}{aiHints}), json(\%more),
	'what is relayed is relayed as it came');
is($op->{operation}{flowVersion}{schemaVersion}, '31', 'of whatever schema');

$api->act(emit => event => 'rpc-notify', args => [ $_ ]) for
	{ method => 'flowRecalled', payload => { flowId => 'f1' } },
	{ method => 'flowPublished', payload => { everything => \1 } },
	{ method => 'flowPublished' }, {}, 'nothing';
$api->act(emit => event => 'worker-upgrade', args => [ 1, [] ]);
$api->push_job(flow_job(id => 'told'));
is($api->wait_done('told')->{status}, 'OK', 'notices that nobody knows');
is($api->stats()->{open}, 1, 'on the same connection');

# ------------------------------------------------------- forms nobody has seen
my %code = (step => code_step());
$api->push_job(flow_job(id => 'kind', %code));
is($api->wait_done('kind')->{status}, 'OK', 'a storage of an unknown kind');
$api->ask(bundle => { id => 'fv-made', kind => 'teleport', text => 'x' });
$api->push_job(flow_job(id => 'made', %code));
is($api->wait_done('made')->{status}, 'OK',
	'a bundle of an unknown kind: the flow is built');
$api->ask(bundle => { id => 'fv-form', text => json({ flowVersion => {
	id => 'fv-form' }, form => 9, units => [ {} ] }) });
$api->push_job(flow_job(id => 'form', %code));
is($api->wait_done('form')->{status}, 'OK',
	'a bundle of an unknown form: the same');
ok(!(grep { $_->{method} eq 'uploadFlowBundle' } $api->seen(kind => 'rpc')),
	'nothing is published in a way that is not known');
$api->settings(FILE_STORAGE_LOCATION => 'ICE');
$api->act('drop');
$api->push_job(flow_job(id => 'ice', %code));
is($api->wait_done('ice')->{status}, 'OK', 'files at a place of no known name');

$api->push_job(flow_job(id => 'oci', step => piece_step(
	piece => 'piece-strange', version => '1.0.0')));
my $done = $api->wait_done('oci');
ok(defined $done->{status}, 'a package of an unknown type: the job ends')
	or diag(json($done));
my ($report) = grep { ($_->{payload}{runId} // '') eq 'run-oci' }
	$api->calls('uploadRunLog');
ok($report, 'and the run with it');

# ------------------------------------------------------------------ EXECUTE_AI
sub ai_job {
	my ($id, %more) = @_;
	return { jobId => $id, engineToken => 'et', jobData => {
		jobType => 'EXECUTE_AI', schemaVersion => 11, requestId => $id,
		projectId => 'p1', platformId => 'pl1', flowId => 'f1',
		flowRunId => "run-$id", provider => 'openai',
		modelId => 'gpt', action => 'ASK_AI', prompt => 'hi', %more } };
}

$api->push_job(ai_job('ai1', waitpointId => 'w1'));
$done = $api->wait_done('ai1');
is($done->{status}, 'OK', 'a step that waits for an AI: done');
my ($resumed) = $api->calls('resumeAiStep');
is(json({ %{ $resumed->{payload} || {} }, output => undef }), json({
	projectId => 'p1', flowRunId => 'run-ai1', waitpointId => 'w1',
	output => undef }), 'and its flow goes on');
like($resumed->{payload}{output}{failure}, qr/\w+ \w+/, 'with the reason');
$api->push_job(ai_job('ai2', webserverId => 's1'));
$done = $api->wait_done('ai2');
is($done->{status}, 'OK', 'a caller who waits for an AI: answered');
like($done->{response}{failure}, qr/\w+ \w+/, 'with the reason');

# ------------------------------------------------------------------- and after
$api->push_job(flow_job(id => 'last'));
is($api->wait_done('last')->{status}, 'OK', 'the slot is as it was');
is(scalar(() = $t->log() =~ /the app is newer than any release/g), 1,
	'one notice of all this');
