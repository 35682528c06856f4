#!/usr/bin/perl

# Jobs as apps from 0.86 to 0.88.3 hand them out, and what those apps are told:
# statistics of triggers, the step that failed, codes of errors, whose a
# connection is.  Apps before are told what they know.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my %common = (schemaVersion => 10, projectId => 'p1', platformId => 'pl1');
my %flow = (%common, flowId => 'f1');
my @trigger = (trigger => { name => 'trigger', type => 'PIECE_TRIGGER',
	valid => \1, displayName => 'When it rains', settings => {
	pieceName => '@x/piece-rain', pieceVersion => '1.0.0', input => {} } });

# A flow version whose trigger is a piece's, with an engine's script.
sub version {
	my ($id, $engine, @more) = @_;
	my $fv = flow_version(id => $id, fields => { @trigger, @more });
	$fv->{trigger} = { %{ $fv->{trigger} }, settings => {
		%{ $fv->{trigger}{settings} },
		input => { double => $engine } } } if $engine;
	return $fv;
}

sub daemon {
	my ($release, %o) = @_;
	my $t = Test::Apworker->new()->has(qw/daemon node node_modules
		esbuild/)->write_app_conf(mode => 'UNSANDBOXED { harden off; }');
	my $api = $t->api(release => $release, settings => {
		TRIGGER_TIMEOUT_SECONDS => 3, %{ $o{settings} || {} } },
		pieces => [ map { { name => $_, version => '1.0.0' } }
			qw{@x/piece-rain @x/piece-a} ]);
	$t->tool('bun', {});
	return ($t, $api);
}

sub told {
	my ($done) = @_;
	return join ' ', $done->{status} // 'nothing',
		grep { exists $done->{$_} } qw/errorMessage logs response/;
}

my $n = 0;
sub run_job {
	my ($api, $data, $fv) = @_;
	my $id = 'j' . ++$n;
	$api->version($fv) if $fv;
	$api->push_job({ jobId => $id, jobData => $data,
		engineToken => "engine-token-$id" });
	return ($id, $api->wait_done($id));
}

my $some = { status => 'OK', response => { output => [ { a => 1 } ] } };
my $none = { status => 'OK', response => { output => [] } };
my %webhook = (%flow, jobType => 'EXECUTE_WEBHOOK', requestId => 'q1',
	runEnvironment => 'PRODUCTION', saveSampleData => \0, execute => \1,
	payload => { type => 'inline', value => {} });
my %polling = (%flow, jobType => 'EXECUTE_POLLING',
	triggerType => 'PIECE_TRIGGER');

# ------------------------------------------------------------------- 0.88.3
{
	my ($t, $api) = daemon('0.88.3', settings => {
		ENFORCE_CONNECTION_PIECE_BINDING => \1 });

	# Whose connection is it?
	my %piece = (packageType => 'REGISTRY', pieceType => 'OFFICIAL',
		pieceName => '@x/piece-a', pieceVersion => '1.0.0');
	my %identifier = (%common, jobType =>
		'EXECUTE_RESOLVE_CONNECTION_IDENTIFIER', piece => \%piece,
		connectionValue => { type => 'CUSTOM_AUTH', props => {} },
		connectionType => 'CUSTOM_AUTH', requestId => 'q',
		webserverId => 's');
	$t->engine()->behave(operations => [ [ { do => 'answer', value => {
		status => 'OK', response => { identifier => 'me' } } } ],
		[ { do => 'answer', value => { status => 'OK',
		response => {} } } ], [ { do => 'never' } ] ]);
	$t->run();
	my ($id, $done) = run_job($api, \%identifier);
	is(told($done) . ' ' . json($done->{response}),
		'OK response {"identifier":"me"}', 'an identifier');
	my ($op) = grep { $_->{operation}{engineToken} eq "engine-token-$id" }
		$t->engine()->records('operation');
	is($op->{type}, 'EXECUTE_RESOLVE_CONNECTION_IDENTIFIER', 'asked for');
	is_deeply($op->{operation}, { piece => \%piece,
		auth => $identifier{connectionValue}, connectionType =>
		'CUSTOM_AUTH', platformId => 'pl1', timeoutInSeconds => 3,
		engineToken => "engine-token-$id",
		internalApiUrl => $t->api_url() . '/api/',
		publicApiUrl => 'http://127.0.0.1/api/' }, 'with what it needs');
	($id, $done) = run_job($api, \%identifier);
	is(told($done) . json($done->{response}), 'OK response{}', 'none');
	($id, $done) = run_job($api, \%identifier);
	is(told($done) . json($done->{response}), 'TIMEOUT response{}',
		'none in time');
	$t->engine()->behave();

	# name, family, engine, recorded, completed, the app's rule
	my @cases = (
		[ polling => \%polling, [ { do => 'answer', value => $some } ],
			'COMPLETED', 'OK' ],
		[ 'polling, nothing new' => \%polling,
			[ { do => 'answer', value => $none } ],
			'COMPLETED', 'OK' ],
		[ 'polling fails' => \%polling, [ { do => 'answer', value => {
			status => 'USER_FAILURE', error => 'x' } } ],
			'FAILED', 'OK' ],
		[ 'polling, time limit' => \%polling, [ { do => 'never' } ],
			'FAILED', 'OK' ],
		[ 'polling, engine exits' => \%polling, [ { do => 'exit',
			code => 9 } ], 'FAILED', 'OK' ],
		[ 'polling, submission refused' => \%polling, [ { do =>
			'answer', value => $some } ], 'FAILED', 'OK', 1 ],
		[ webhook => \%webhook, [ { do => 'answer', value => $some } ],
			'COMPLETED', 'OK' ],
		[ 'webhook fails' => \%webhook, [ { do => 'answer', value => {
			status => 'INTERNAL_ERROR', error => 'x' } } ],
			'FAILED', 'OK' ],
		[ 'webhook, time limit' => \%webhook, [ { do => 'never' } ],
			'FAILED', 'OK' ],
		[ 'webhook, engine exits' => \%webhook, [ { do => 'exit',
			code => 9 } ], 'FAILED', 'INTERNAL_ERROR' ],
		[ 'webhook, submission refused' => \%webhook, [ { do =>
			'answer', value => $some } ], '', 'INTERNAL_ERROR',
			1 ],
		[ 'webhook, sample alone' => { %webhook, execute => \0,
			saveSampleData => \1 }, [ { do => 'answer',
			value => $none } ], '', 'OK' ],
		[ 'webhook, sample first' => { %webhook,
			saveSampleData => \1 }, [ { do => 'answer',
			value => $none } ], 'COMPLETED', 'OK' ],
		[ 'webhook, not of a piece' => \%webhook, [ { do => 'answer',
			value => $some } ], '', 'OK', 0, 'EMPTY' ],
	);
	for my $case (@cases) {
		my ($name, $data, $engine, $want, $status, $refuse, $type)
			= @$case;
		my $fv = version("fv-$n", $engine);
		$fv->{trigger}{type} = $type if $type;
		my $key = exists $data->{payload} ? 'flowVersionIdToRun'
			: 'flowVersionId';
		$api->rule(at => 'rpc:submitPayloads', do => 'error',
			message => 'no', times => 0) if $refuse;
		my $mark = $api->seen();
		my ($id, $done) = run_job($api, { %$data, $key => $fv->{id} },
			$fv);
		$api->clear_rules() if $refuse;
		is($done->{status}, $status, "$name: completed");
		my @rpc = grep { $_->{n} >= $mark } $api->seen(kind => 'rpc');
		my @got = grep { $_->{method} eq 'recordTriggerRun' } @rpc;
		is_deeply([ map { $_->{payload} } @got ], $want ? [ {
			platformId => 'pl1', pieceName => '@x/piece-rain',
			status => $want } ] : [], "$name: recorded");
	}
	# told before the job is over
	my @order = grep { /^(?:submitPayloads|recordTriggerRun|completeJob)$/ }
		map { $_->{method} } $api->seen(kind => 'rpc');
	is(join(" ", @order[3 .. 5]),
		'submitPayloads recordTriggerRun completeJob', 'in this order');

	# Enabled again; what the app says of it is passed on, and nothing else.
	my %hook = (%flow, jobType => 'EXECUTE_TRIGGER_HOOK', test => \0,
		hookType => 'ON_ENABLE', requestId => 'q', webserverId => 's');
	my $payload = { body => { a => 1 }, headers => {}, queryParams => {},
		method => 'HEAD' };
	for my $case ([ { isRepublish => \1 }, '{"isRepublish":true}' ],
		[ { isRepublish => \0 }, '{"isRepublish":false}' ],
		[ {}, '{}' ],
		[ { hookType => 'HANDSHAKE', triggerPayload => $payload },
		json({ triggerPayload => { type => 'inline',
			value => $payload } }) ]) {
		my ($more, $want) = @$case;
		my ($id) = run_job($api, { %hook, %$more,
			flowVersionId => "fv-h$n" }, version("fv-h$n",
			[ { do => 'answer' } ]));
		my ($op) = grep { $_->{operation}{engineToken} eq
			"engine-token-$id" } $t->engine()->records('operation');
		is_deeply({ map { exists $op->{operation}{$_} ?
			($_ => $op->{operation}{$_}) : () }
			qw/isRepublish triggerPayload/ }, unjson($want),
			"hook: $want");
	}

	# The step that could not be run, in the author's words.
	my $none = piece_step(piece => '@x/piece-none', version => '1.2.3');
	$none->{displayName} = 'Send it';
	$api->push_job(flow_job(id => 'missing', step => $none));
	is(told($api->wait_done('missing')), 'OK', 'unknown piece: completed');
	my ($report) = map { $_->{payload} } $api->seen(kind => 'rpc',
		method => 'uploadRunLog', payload => { runId => 'run-missing' });
	my $message = delete $report->{failedStep}{message};
	like($message, qr/\@x\/piece-none\@1\.2\.3.*not installed.*turned off/,
		'what is wrong');
	is_deeply($report->{failedStep}, { name => 'step_1',
		displayName => 'Send it' }, 'and where');
	is($report->{status} . ($report->{logsFileId} // ''), 'FAILED',
		'the run failed');
	my @disabled = $api->calls('disableFlow');
	is(scalar @disabled, 1, 'the flow is turned off');

	# A flow that is gone is nobody's error.
	$api->push_job(flow_job(id => 'gone', no_version => 1));
	is(told($api->wait_done('gone')), 'OK', 'no flow version: completed');
	($report) = map { $_->{payload} } $api->seen(kind => 'rpc',
		method => 'uploadRunLog', payload => { runId => 'run-gone' });
	is(join(' ', map { $_ // '-' } @$report{qw/status failedStep/}),
		'FAILED -', 'the run failed');
	($id, $done) = run_job($api, { %polling, flowVersionId => 'fv-gone' });
	is(told($done), 'OK', 'polling without a flow version: completed');

	# Codes of internal errors; RESUME without its log is told.
	$api->push_job(flow_job(id => 'exits', engine => [ { do => 'exit',
		code => 7 } ]));
	$api->wait_done('exits');
	$api->push_job(flow_job(id => 'resume', data => { logsFileId => undef,
		executionType => 'RESUME', resumeReason => 'WAITPOINT' }));
	is($api->wait_done('resume')->{status}, 'INTERNAL_ERROR',
		'RESUME without a log');
	my %code = map { my $run = $_; $run => join ' ', map {
		"$_->{payload}{internalError}{source} "
		. ($_->{payload}{internalError}{code} // '-') } grep {
		$_->{payload}{internalError} } $api->seen(kind => 'rpc',
		method => 'uploadRunLog', payload => { runId => "run-$run" }) }
		qw/exits resume/;
	is_deeply(\%code, { exits => 'WORKER SANDBOX_INTERNAL_ERROR',
		resume => 'WORKER RESUME_LOGS_FILE_MISSING' }, 'codes');

	# What engines are told of the app's rule for connections.
	my ($start) = $t->engine()->starts();
	is($start->{env}{AP_ENFORCE_CONNECTION_PIECE_BINDING}, 'true',
		'connections are for their pieces alone');
	$t->finish();
}

# ---------------------------------------------------------- those before that
for my $release ('0.86.1', '0.85.4') {
	my ($t, $api) = daemon($release);
	$t->run();
	my ($id, $done) = run_job($api, { %polling, flowVersionId => "fv-$n" },
		version("fv-$n", [ { do => 'answer', value => $some } ]));
	is($done->{status}, 'OK', "$release: polling");
	my @none = $api->calls('recordTriggerRun');
	is(scalar @none, 0, "$release: does not count triggers");
	my $payload = { body => 1, headers => {}, queryParams => {},
		method => 'HEAD', rawBody => 'b' };
	($id) = run_job($api, { %flow, jobType => 'EXECUTE_TRIGGER_HOOK',
		test => \0, hookType => 'HANDSHAKE', requestId => 'q',
		webserverId => 's', triggerPayload => $payload,
		flowVersionId => "fv-h$n" }, version("fv-h$n",
		[ { do => 'answer' } ]));
	my ($op) = grep { $_->{operation}{engineToken} eq "engine-token-$id" }
		$t->engine()->records('operation');
	delete $payload->{method} if $release eq '0.85.4';
	is_deeply($op->{operation}{triggerPayload}{value}, $payload,
		"$release: the payload as its engine knows it");
	my ($start) = $t->engine()->starts();
	ok(!exists $start->{env}{AP_ENFORCE_CONNECTION_PIECE_BINDING},
		"$release: no rule for connections");
	$t->finish();
}
done_testing();
