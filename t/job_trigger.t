#!/usr/bin/perl

# Jobs that ask a flow's trigger: webhooks, polling, renewal and the hooks that
# somebody waits for.  What each tells the app for every way it can end.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my %family = (
	webhook => { jobType => 'EXECUTE_WEBHOOK', requestId => 'q1',
		runEnvironment => 'PRODUCTION', saveSampleData => \0,
		execute => \1, payload => { type => 'ref', fileId => 'pf1' } },
	polling => { jobType => 'EXECUTE_POLLING',
		triggerType => 'PIECE_TRIGGER' },
	renew => { jobType => 'RENEW_WEBHOOK' },
	hook => { jobType => 'EXECUTE_TRIGGER_HOOK', test => \1,
		hookType => 'TEST', requestId => 'q2', webserverId => 's1',
		triggerPayload => { body => { a => 1 }, headers => {},
			queryParams => {} } },
);
my @families = qw/webhook polling renew hook/;

sub job {
	my ($id, $family, %o) = @_;
	my $fv = $o{version} || "fv-$id";
	my %data = (schemaVersion => 10, projectId => 'p1', platformId => 'pl1',
		flowId => 'f1', ($family eq 'webhook' ? 'flowVersionIdToRun'
		: 'flowVersionId') => $fv, %{ $family{$family} },
		%{ $o{data} || {} });
	my $job = flow_job(id => $id, version => $fv, %o);
	return { %$job, jobData => \%data };
}

# Status and what went with it.
sub told {
	my ($done) = @_;
	return join ' ', $done->{status} // 'nothing',
		grep { exists $done->{$_} } qw/errorMessage logs response/;
}

my $said = { do => 'stdout', text => "said\n" };
my $dying = { do => 'real_stderr', text => "said\n" };
my $FAIL = 'INTERNAL_ERROR errorMessage logs';
my @cases = (
	# name, engine, webhook, polling, renew, hook
	[ ok => [ $said, { do => 'answer', value => { status => 'OK',
		response => { output => [] } } } ],
		'OK logs', 'OK logs', 'OK', 'OK logs response' ],
	[ quiet => [ { do => 'answer' } ], 'OK', 'OK', 'OK', 'OK' ],
	[ user => [ $said, { do => 'answer', value => {
		status => 'USER_FAILURE', error => '{"message":"bad"}' } } ],
		'OK logs', 'OK logs', 'OK', 'USER_FAILURE errorMessage logs' ],
	[ internal => [ $said, { do => 'answer', value => {
		status => 'INTERNAL_ERROR', error => 'broken' } } ],
		'OK logs', 'OK logs', 'OK', $FAIL ],
	[ output => [ { do => 'answer', value => { status => 'OK',
		response => { output => 'no array' } } } ],
		'OK', 'OK', 'OK', 'OK response' ],
	[ foreign => [ { do => 'rpc', method => 'uploadRunLog', exact => \1,
		payload => { runId => 'other', projectId => 'p1',
		status => 'SUCCEEDED' } }, { do => 'answer' } ],
		'OK', 'OK', 'OK', 'OK' ],
	[ limit => [ $said, { do => 'never' } ],
		'OK', 'OK', $FAIL, 'TIMEOUT' ],
	[ exit => [ $dying, { do => 'exit', code => 7 } ],
		$FAIL, 'OK', $FAIL, $FAIL ],
	[ memory => [ $dying, { do => 'exit', code => 134 } ],
		$FAIL, 'OK', $FAIL, $FAIL ],
);

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->write_app_conf();
my $api = $t->api(settings => { TRIGGER_TIMEOUT_SECONDS => 60,
	TRIGGER_HOOKS_TIMEOUT_SECONDS => 90, APP_WEBHOOK_SECRETS => json({
	'@activepieces/piece-chat' => { webhookSecret => { key => 'k' } } }) },
	pieces => [ { name => '@activepieces/piece-chat',
		version => '0.1.0' } ]);
$t->run();

# From the next connection on.
sub limits {
	my ($trigger, $hooks) = @_;
	my $seen = $api->seen(kind => 'settings');
	$api->settings(TRIGGER_TIMEOUT_SECONDS => $trigger,
		TRIGGER_HOOKS_TIMEOUT_SECONDS => $hooks);
	$api->act('drop');
	$api->wait_seen(kind => 'settings', n => $seen + 1);
}

for my $case (@cases) {
	my ($name, $engine, @want) = @$case;
	limits(2, 3) if $name eq 'limit';
	for my $family (@families) {
		my $id = "$name-$family";
		$api->push_job(job($id, $family, engine => $engine));
		my $done = $api->wait_done($id);
		is(told($done), shift @want, "$family: $name")
			or diag(json($done));
	}
	limits(60, 90) if $name eq 'limit';
}
is(scalar(my @none = $api->calls('uploadRunLog')), 0,
	'no report of a run, for there is none');
my @refused = grep { $_->{value} && $_->{value}{__rpcError} }
	$t->engine()->records('reply');
is(scalar @refused, 4, 'calls about runs were refused');
$t->wait_log(qr/a call of the engine was refused method=uploadRunLog/);
is(scalar(@none = $api->calls('submitPayloads')), 0, 'nothing was submitted');

# Before the engine.
for my $case ([ no_version => { no_version => 1 }, 'OK',
	    'INTERNAL_ERROR errorMessage', 'OK', 'OK' ],
	[ no_piece => { step => piece_step(piece => '@activepieces/piece-none',
	    version => '1.2.3') }, ('OK') x 4 ],
	[ install => { step => code_step(
	    package => '{"dependencies":{"no-such":"1.0.0"}}') },
	    ('INTERNAL_ERROR errorMessage') x 4 ]) {
	my ($name, $o, @want) = @$case;
	$t->tool('bun', { exit => 1, stderr => "no such package\n" })
		if $name eq 'install';
	for my $family (@families) {
		$api->push_job(job("$name-$family", $family, %$o));
		is(told($api->wait_done("$name-$family")), shift @want,
			"$family: $name");
	}
}
is(scalar(@none = $api->calls('disableFlow')), 4,
	'a flow with a piece that does not exist is disabled');
$t->tool('bun', {});

# What the engine is asked: each family its own.
sub operation {
	my ($id) = @_;
	my ($op) = grep { $_->{operation}{engineToken} eq "engine-token-$id" }
		reverse $t->engine()->records('operation');
	return $op ? $op->{operation} : {};
}

my %base = (flowVersion => unjson(json(flow_version(id => 'fv-x',
		engine => $cases[1][1]))),
	webhookUrl => 'http://127.0.0.1/api/v1/webhooks/f1', test => 0,
	projectId => 'p1', platformId => 'pl1',
	internalApiUrl => $api->url() . '/api/',
	publicApiUrl => 'http://127.0.0.1/api/', timeoutInSeconds => 60);
my %want = (
	webhook => { %base, hookType => 'RUN', triggerPayload => {
		type => 'ref', fileId => 'pf1' } },
	polling => { %base, hookType => 'RUN' },
	renew => { %base, hookType => 'RENEW', timeoutInSeconds => 90 },
	hook => { %base, hookType => 'TEST', timeoutInSeconds => 90, test => 1,
		webhookUrl => "$base{webhookUrl}/test",
		triggerPayload => { type => 'inline', value =>
			$family{hook}{triggerPayload} } },
);
for my $family (@families) {
	my $op = operation("quiet-$family");
	$op->{test} = $op->{test} ? 1 : 0;
	$op->{flowVersion}{$_} = 'fv-x' for qw/id displayName/;
	is_deeply($op, { %{ $want{$family} },
		engineToken => "engine-token-quiet-$family" },
		"$family: operation");
}

# A webhook of an app: its URL and secret.
my %chat = (fields => { trigger => { name => 'trigger', valid => \1,
	type => 'PIECE_TRIGGER', displayName => 't', settings => {
		pieceName => '@activepieces/piece-chat', pieceVersion => '0.1.0',
		input => { double => $cases[1][1] } } } });
$api->push_job(job('app', 'webhook', %chat), job('plain', 'polling', %chat));
is($api->wait_done($_)->{status}, 'OK', "$_: done") for qw/app plain/;
is(operation('app')->{appWebhookUrl},
	'http://127.0.0.1/api/v1/app-events/chat', 'URL for events of the app');
is_deeply(operation('app')->{webhookSecret}, { key => 'k' }, 'their secret');
ok(!exists operation('plain')->{webhookSecret}, 'for webhooks only');

# Neither sample nor run: no engine is asked.
$api->push_job(job('neither', 'webhook', data => { execute => \0 }));
is(told($api->wait_done('neither')), 'OK', 'nothing to run');
is_deeply(operation('neither'), {}, 'no operation');

# Both: two operations; the sample is not waited for.
my @out = ($said, { do => 'answer', value => { status => 'OK',
	response => { output => [ { id => 1 }, { id => 2 } ] } } });
$api->rule(at => 'rpc:savePayloads', do => 'never', times => 0);
$api->push_job(job('both', 'webhook', engine => \@out, data => {
	saveSampleData => \1, parentRunId => 'pr1',
	failParentOnFailure => \0 }));
is(told($api->wait_done('both')), 'OK logs', 'sample and run');
my @ops = grep { $_->{operation}{engineToken} eq 'engine-token-both' }
	$t->engine()->records('operation');
is_deeply([ map { [ $_->{operation}{test} ? 1 : 0,
	$_->{operation}{webhookUrl} ] } @ops ],
	[ [ 1, "$base{webhookUrl}/test" ], [ 0, $base{webhookUrl} ] ],
	'two operations');
is_deeply([ map { $_->{payload} } $api->calls('savePayloads') ], [ {
	flowId => 'f1', flowVersionId => 'fv-both', projectId => 'p1',
	payloads => [ { id => 1 }, { id => 2 } ] } ], 'sample saved');
is_deeply([ map { $_->{payload} } $api->calls('submitPayloads') ], [ {
	flowVersionId => 'fv-both', projectId => 'p1', httpRequestId => 'q1',
	environment => 'PRODUCTION', streamStepProgress => 'NONE',
	parentRunId => 'pr1', failParentOnFailure => JSON::PP::false,
	payloads => [ { id => 1 }, { id => 2 } ] } ], 'runs submitted');

# The sample alone, and one that fails.
$api->push_job(job('sample', 'webhook', engine => \@out, data => {
	saveSampleData => \1, execute => \0 }));
is(told($api->wait_done('sample')), 'OK', 'sample alone: no logs');

# A submission that the app refuses.
$api->rule(at => 'rpc:submitPayloads', do => 'error', message => 'not now',
	times => 2);
$api->push_job(job('refused', 'webhook', engine => \@out),
	job('refused-polling', 'polling', engine => \@out));
my $done = $api->wait_done('refused');
is(told($done), $FAIL, 'webhook: refused submission');
like($done->{errorMessage}, qr/submitPayloads.*not now/, 'message');
is(told($api->wait_done('refused-polling')), 'OK',
	'polling: refused submission');

# One whose answer is lost with the connection may have happened: never again.
$api->clear_rules();
$api->rule(at => 'rpc:submitPayloads', do => 'drop_after', times => 2);
for my $family (qw/webhook polling/) {
	$api->push_job(job("lost-$family", $family, engine => \@out));
	is($api->wait_done("lost-$family")->{status}, 'OK',
		"$family: submission of unknown fate");
	is(scalar(my @n = $api->seen(kind => 'rpc', method => 'submitPayloads',
		payload => { flowVersionId => "fv-lost-$family" })), 1,
		'it is sent once');
}

# One that was not sent waits for the connection.
$api->clear_rules();
$api->push_job(job('late', 'webhook', engine => [ { do => 'wait',
	name => 'down' }, @out ], data => {}));
$t->engine()->wait_record('operation', scalar(@ops =
	$t->engine()->records('operation')) + 1);
$t->log_mark();
$api->down();
$t->wait_log(qr/connection to the source lost/);
$t->engine()->release('down');
$t->wait_log(qr/job goes on step=follow/);
$api->up();
is(told($api->wait_done('late')), 'OK logs', 'submission over an outage');
is(scalar(my @n = $api->seen(kind => 'rpc', method => 'submitPayloads',
	payload => { flowVersionId => 'fv-late' })), 1, 'it is sent once');
is($api->settled($_), 1, "$_: settled once") for qw/late lost-webhook both/;
