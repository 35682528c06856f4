#!/usr/bin/perl

# From 0.86 on: a flow's bundle is taken when it is good, given after a
# successful build, and whatever is wrong with it, the job is done without.

use strict;
use warnings;

use MIME::Base64;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules/)
	->plan(54)->write_app_conf();
my @pieces = map { { name => "\@activepieces/piece-$_", version => '0.1.0' } }
	qw/a b/;
my $api = $t->api(settings => { APP_VERSION => '0.86.0',
	FILE_STORAGE_LOCATION => 'S3' },
	pieces => \@pieces);
my ($bun, $esbuild) = ($t->tool('bun'), $t->tool('esbuild'));
my @look = ({ do => 'code', step => 'step_1' }, { do => 'answer' });
my $seen = 0;
$t->run();

sub flow {
	my ($id, %o) = @_;
	return flow_job(id => $id, engine => \@look, step => code_step(
		code => $o{code} || 'export const code = async () => "built";',
		next => piece_step(name => 'step_2', piece =>
		'@activepieces/piece-a', version => '0.1.0')),
		fields => { state => $o{state} || 'LOCKED' });
}

# What the step of the next job gives.
sub runs {
	my ($job) = @_;
	$api->push_job($job);
	my $done = $api->wait_done($job->{jobId});
	return $done->{errorMessage} if $done->{status} ne 'OK';
	my $code = $t->engine()->wait_record('code', ++$seen);
	return "$done->{status} " . ($code->{output} // $code->{error} // '');
}

sub bundle_of {
	my ($job, %o) = @_;
	return encode_base64(json({ flowVersion => { %{ $job->{flowVersion} },
		%{ $o{fields} || {} } }, pieces => $o{pieces} || [ {
		packageType => 'REGISTRY', pieceType => 'OFFICIAL',
		pieceName => '@activepieces/piece-a',
		pieceVersion => '0.1.0' } ], codes => $o{codes} || [ {
		stepName => 'step_1', compiledJs =>
		"exports.code = async () => 'taken \x{e9}';" } ] }), '');
}

sub asked {
	my ($method, $id) = @_;
	return scalar(() = $api->seen(kind => 'rpc', method => $method,
		payload => { $method eq 'getFlowVersion' ? 'versionId' :
		'flowVersionId' => $id }));
}

# The first flow has none, is built, and published.
is(runs(flow('j1')), 'OK built', 'without a bundle');
my $call = $api->wait_seen(kind => 'rpc', method => 'uploadFlowBundle');
ok($call, 'then it is published');
my $size = ($api->calls('prepareFlowBundleUpload'))[0]{payload};
my $bytes = pack 'C*', @{ $call->{payload}{data}{data} };
is_deeply([ @$size{qw/flowVersionId projectId platformId size/} ],
	[ 'fv-j1', 'p1', 'pl1', length $bytes ], 'announced');
my $got = unjson($bytes);
is($got->{flowVersion}{id}, 'fv-j1', 'with the flow version');
is_deeply($got->{pieces}, [ { packageType => 'REGISTRY', pieceType =>
	'OFFICIAL', pieceName => '@activepieces/piece-a', pieceVersion =>
	'0.1.0' } ], 'its pieces');
is($got->{codes}[0]{stepName}, 'step_1', 'and its steps');
like($got->{codes}[0]{compiledJs}, qr/"built"/, 'as they were built');
is(asked('getFlowBundle', 'fv-j1'), 1, 'it had been asked for');

# Its next run asks for nothing.
my $again = flow('j1b');
delete $again->{flowVersion};
$again->{jobData}{flowVersionId} = 'fv-j1';
is(runs($again), 'OK built', 'its next run');
is(asked('getFlowBundle', 'fv-j1') + asked('getFlowVersion', 'fv-j1'), 2,
	'knows all that');

# Another one has a bundle: inline, or somewhere else.
for my $kind (qw/inline url/) {
	my $job = flow("take-$kind");
	my $fv = $job->{flowVersion};
	my $built = () = $esbuild->calls();
	my $pieces = () = $api->calls('getPiece');
	$api->ask(bundle => { id => $fv->{id}, kind => $kind,
		encoding => 'base64', text => bundle_of($job) });
	is(runs($job), "OK taken \x{e9}", "a bundle, $kind");
	is(scalar(() = $esbuild->calls()), $built, 'builds nothing');
	is(asked('getFlowVersion', $fv->{id}), 0, 'asks for no version');
	is(scalar(() = $api->calls('getPiece')), $pieces, 'and no piece');
	is(asked('prepareFlowBundleUpload', $fv->{id}), 0,
		'nor publishes it again');
}

# What it does not have is built.
my $job = flow('part');
$api->ask(bundle => { id => 'fv-part', encoding => 'base64', text => bundle_of($job, codes => [
	{ stepName => '../evil', compiledJs => 'x' }, 7,
	{ stepName => 'step_1', compiledJs => '' } ], pieces => []) });
is(runs($job), 'OK built', 'half a bundle');

# What is no good is not used.
my %bad = (
	garbage => encode_base64('{"flowVersion":'),
	list => encode_base64('[]'),
	nothing => encode_base64('{}'),
	other => bundle_of(flow('x')),
	draft => sub { bundle_of($_[0], fields => { state => 'DRAFT' }) },
	schema => sub { bundle_of($_[0], fields => { schemaVersion => '21' }) },
	steps => sub { bundle_of($_[0], fields => { trigger => 7 }) },
	codes => sub { bundle_of($_[0], codes => {}) },
);
for my $how (sort keys %bad) {
	$job = flow("bad-$how");
	$api->ask(bundle => { id => "fv-bad-$how",
		encoding => 'base64', text => ref $bad{$how}
		? $bad{$how}->($job) : $bad{$how} });
	is(runs($job), 'OK built', "bad bundle: $how");
}
$api->ask(rule => { at => 'rpc:getFlowBundle', do => 'error',
	match => { flowVersionId => 'fv-refused' } });
is(runs(flow('refused')), 'OK built', 'the app refuses');
is(asked('prepareFlowBundleUpload', 'fv-refused'), 0,
	'a failure is not taken for a lack');
$api->ask(rule => { at => 'rpc:getFlowBundle', do => 'value',
	value => { kind => 'url', url => 'http://127.0.0.1:9/x' } });
is(runs(flow('away')), 'OK built', 'nobody at its URL');

# What does not compile, or may change, is not published.
$t->tool('esbuild', { exit => 1, stderr => "index.ts:1: no\n" });
$api->push_job(flow('broken'));
is($api->wait_done('broken')->{status}, 'OK', 'a step that does not compile');
$t->engine()->wait_record('code', ++$seen);
$t->tool('esbuild', {});
is(runs(flow('draft', state => 'DRAFT')), 'OK built', 'a draft');
$api->ask(set => { bundles => 'url' });
is(runs(flow('put')), 'OK built', 'one that is published by URL');
ok($api->wait_seen(kind => 'http', method => 'PUT'), 'is put there');
is(asked('prepareFlowBundleUpload', 'fv-broken')
	+ asked('prepareFlowBundleUpload', 'fv-draft'), 0,
	'the others were not published');
$got = $api->ask(file => { id => 'bundle-fv-put' });
is(unjson(decode_base64($got))->{flowVersion}{id}, 'fv-put', 'whole');

# What an agent may call is installed with the rest.
$api->push_job(flow_job(id => 'agent', step => piece_step(
	piece => '@activepieces/piece-a', version => '0.1.0', input => {
	agentTools => [ { type => 'PIECE', pieceMetadata => { pieceName =>
	'@activepieces/piece-b', pieceVersion => '0.1.0' } } ] })));
is($api->wait_done('agent')->{status}, 'OK', 'a flow with an agent');
is_deeply(($api->calls('getPiece'))[-1]{payload}, { platformId => 'pl1',
	name => '@activepieces/piece-b', version => '0.1.0' },
	'its tool is asked for');
ok(-e $t->testdir() . '/stock/v12/common/pieces/@activepieces/piece-b-0.1.0/'
	. 'ready', 'and installed');

# A script that only says why a step could not be built is not taken for one,
# nor given to others when it was there before.
my %stub = (worker => "\n    exports.code = async (params) => {\n      throw new"
	. " Error(\"Compilation Error no\");\n    };\n", old => "exports.code = "
	. "async (params) => { throw new Error(`Compilation Error no`); };",
	ours => 'exports.code = async () => { throw new Error("Failed to '
	. 'install dependencies. no"); };');
for my $who (sort keys %stub) {
	$job = flow("stub-$who");
	$api->ask(bundle => { id => "fv-stub-$who", encoding => 'base64',
		text => bundle_of($job, codes => [ { stepName => 'step_1',
		compiledJs => $stub{$who} } ]) });
	is(runs($job), 'OK built', "a bundle with a step that failed, $who");
}

# A flow version of another schema is nobody's to publish.
is(runs({ %{ $job = flow('schema') }, flowVersion => { %{ $job->{flowVersion} },
	schemaVersion => '21' } }), 'OK built', 'a version of another schema');
is(asked('prepareFlowBundleUpload', 'fv-schema'), 0, 'is not published');

# An app that keeps its files in the database has no use for them.
$api->ask(set => { bundles => 'skip' });
is(runs(flow('db1')), 'OK built', 'an app that keeps none');
ok($api->wait_seen(kind => 'rpc', method => 'prepareFlowBundleUpload',
	payload => { flowVersionId => 'fv-db1' }), 'is offered one');
$t->wait_log(qr/the app keeps no bundles of flows/);
is(runs(flow('db2')), 'OK built', 'the next flow');
is(asked('getFlowBundle', 'fv-db2') + asked('prepareFlowBundleUpload',
	'fv-db2'), 0, 'is not asked for, nor offered');

# Of the newest releases the form is not known.
$api->settings(APP_VERSION => '0.88.4');
$api->act('drop');
$api->wait_seen(kind => 'settings', n => 2);
is(runs(flow('new')), 'OK built', 'a release whose form is not known');
is(asked('getFlowBundle', 'fv-new') + asked('prepareFlowBundleUpload',
	'fv-new'), 0, 'is neither asked nor offered');

# The settings may say that there are none.
$api->ask(set => { bundles => 'inline' });
$api->settings(APP_VERSION => '0.86.0', FILE_STORAGE_LOCATION => 'DB');
$api->act('drop');
$api->wait_seen(kind => 'settings', n => 3);
is(runs(flow('db3')), 'OK built', 'an app with its files in the database');
is(asked('getFlowBundle', 'fv-db3') + asked('prepareFlowBundleUpload',
	'fv-db3'), 0, 'is neither asked nor offered');
