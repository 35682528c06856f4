#!/usr/bin/perl

# Agents and AI steps are answered, not done: whoever waits (chat, flow, engine)
# is told so at once.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my %agent = (jobType => 'EXECUTE_AGENT_RUN', schemaVersion => 10,
	conversationId => 'c1', runId => 'cr1', projectId => 'p1',
	platformId => 'pl1', userId => 'u1', userMessage => 'do it',
	modelName => undef);
my %step = (%agent, source => 'FLOW_STEP', flowRunId => 'r1',
	waitpointId => 'w1', tools => [], flowTools => []);
my %ids = (conversationId => 'c1', runId => 'cr1');

# The calls of a job, without polls and leases.
sub calls {
	my ($api, $from) = @_;
	return grep { $_->{method} !~ /^(?:poll|extendLock|getPrewarmData)$/ }
		grep { $_->{n} >= $from } $api->seen(kind => 'rpc');
}

sub told {
	my ($done) = @_;
	return join ' ', $done->{status} // 'nothing',
		grep { exists $done->{$_} } qw/errorMessage logs response/;
}

my $n = 0;
sub run_job {
	my ($api, $data) = @_;
	my $id = 'j' . ++$n;
	my $mark = $api->seen();
	$api->push_job({ jobId => $id, jobData => $data });
	my $done = $api->wait_done($id);
	return ($done, calls($api, $mark));
}

# All that is told of a reason.
sub told_everybody {
	my ($name, $why, $code, @calls) = @_;
	my $output = { prompt => 'do it', status => 'FAILED', steps => [
		{ type => 'MARKDOWN', markdown => $why } ] };
	my %flow = (conversationId => 'c1', flowRunId => 'r1');
	my %event = (userId => 'u1', %ids);
	my @want = (
		[ updateFlowStepProgress => { %flow, output => $output,
			sequence => 1 } ],
		[ resumeFlowStep => { %flow, waitpointId => 'w1',
			output => $output } ],
		[ saveAgentMessages => { %ids, messages => [],
			uiMessages => [] } ],
		[ sendAgentEvent => { %event, event => { type => 'ERROR',
			data => { message => $why,
			$code ? (code => $code) : () } } } ],
		[ sendAgentEvent => { %event, event => { type => 'FINISHED',
			data => { conversationId => 'c1' } } } ]);
	# the flow is resumed again until the app has the conversation
	my @got = map { [ $_->{method}, $_->{payload} ] } @calls;
	shift @got if $got[0][0] eq 'getAgentConfig';
	pop @got if $got[-1][0] eq 'completeJob';
	@got = @got[grep { !$_ || json($got[$_]) ne json($got[$_ - 1]) }
		0 .. $#got];
	is_deeply(\@got, \@want, "$name: chat, flow and page are told");
}

{
	my $t = Test::Apworker->new()->has(qw/daemon node node_modules/)
		->write_app_conf();
	my $api = $t->api(release => '0.88.3', agent_row_ms => 300);
	$t->run();

	# The app has no model: in its own words.  The conversation it makes
	# meanwhile is there a little later.
	my ($done, @calls) = run_job($api, \%step);
	my $none = 'RPC [getAgentConfig] handler threw: ENTITY_NOT_FOUND: '
		. 'no AI provider on this platform is enabled for chat';
	is(told($done) . " $done->{errorMessage}",
		"INTERNAL_ERROR errorMessage $none", 'no model: completed');
	is_deeply($calls[0]{payload}, { %ids, platformId => 'pl1',
		userId => 'u1', userMessage => 'do it', modelName => undef,
		source => 'FLOW_STEP', projectId => 'p1' },
		'the configuration is asked for first');
	cmp_ok(scalar(grep { $_->{method} eq 'resumeFlowStep' } @calls), '>', 1,
		'the flow is resumed once the app knows the conversation');
	told_everybody('no model', $none, undef, @calls);

	# Nobody pays: that is no failure.
	$api->rule(at => 'rpc:getAgentConfig', do => 'error',
		message => '402 no more Credits');
	($done, @calls) = run_job($api, \%step);
	is(told($done), 'OK', 'no credits: completed');
	told_everybody('no credits',
		'RPC [getAgentConfig] handler threw: 402 no more Credits',
		'QUOTA_EXCEEDED', @calls);

	# There is one: it is us who do not.
	$api->rule(at => 'rpc:getAgentConfig', do => 'null', times => 0);
	($done, @calls) = run_job($api, \%step);
	is(told($done), 'INTERNAL_ERROR errorMessage', 'a model: completed');
	my $ours = $done->{errorMessage};
	like($ours, qr/^This worker does not run agents/, 'it is us');
	told_everybody('a model', $ours, undef, @calls);

	# A chat, of no flow.
	($done, @calls) = run_job($api, \%agent);
	is(join(' ', map { $_->{method} } @calls), 'getAgentConfig '
		. 'saveAgentMessages sendAgentEvent sendAgentEvent '
		. 'completeJob', 'a chat alone');

	# The flow cannot be resumed at all: the chat is told all the same.
	$api->rule(at => 'rpc:resumeFlowStep', do => 'error', message =>
		'AUTHORIZATION', times => 0);
	($done, @calls) = run_job($api, \%step);
	is($done->{status}, 'INTERNAL_ERROR', 'refused: completed');
	is((grep { $_->{method} eq 'sendAgentEvent' } @calls) . '', '2',
		'refused: the page is told');
	cmp_ok(scalar(grep { $_->{method} eq 'resumeFlowStep' } @calls), '>=',
		5, 'refused: tried often enough');
	$t->finish();
}

# AI steps of later releases.
{
	my $t = Test::Apworker->new()->has(qw/daemon node node_modules/)
		->write_app_conf();
	my $api = $t->api(release => '0.92.2');
	my %ai = (jobType => 'EXECUTE_AI', schemaVersion => 10,
		requestId => 'q', projectId => 'p1', platformId => 'pl1',
		flowId => 'f1', flowRunId => 'r1', provider => 'x',
		modelId => 'm', prompt => 'say it', action => 'ASK_AI');
	$t->run();
	my ($done, @calls) = run_job($api, { %ai, waitpointId => 'w1' });
	is(told($done), 'OK', 'AI step of a flow: completed');
	is($calls[0]{method}, 'resumeAiStep', 'the flow goes on');
	my $failure = delete $calls[0]{payload}{output}{failure};
	like($failure, qr/^This worker does not run AI steps\. Ask the admin/,
		'and says why, to its author');
	is_deeply($calls[0]{payload}, { projectId => 'p1', flowRunId => 'r1',
		waitpointId => 'w1', output => {} }, 'and nothing else');
	($done, @calls) = run_job($api, { %ai, webserverId => 's' });
	is(told($done), 'OK response', 'somebody waits: completed');
	is_deeply($done->{response}, { failure => $failure }, 'told the same');
	is(scalar @calls, 1, 'at once');
	$api->rule(at => 'rpc:resumeAiStep', do => 'error', message => 'gone',
		times => 0);
	($done, @calls) = run_job($api, { %ai, waitpointId => 'w1' });
	is(told($done), 'INTERNAL_ERROR errorMessage', 'refused: completed');
	cmp_ok(scalar @calls, '>', 3, 'refused: tried again');
	$t->finish();
}
done_testing();
