#!/usr/bin/perl

# Chats, timings of runs, job data that is not what it should
# be, and an engine that talks without end.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->write_app_conf(mode => 'UNSANDBOXED');
my $api = $t->api(settings => { APP_VERSION => '0.86.0' });
$api->rule(at => 'rpc:saveChatMessages', do => 'null', times => 0);
$api->rule(at => 'rpc:sendChatEvent', do => 'null', times => 0);
$t->run();

sub told {
	my ($done) = @_;
	return join ' ', $done->{status} // 'nothing',
		grep { exists $done->{$_} } qw/errorMessage logs response/;
}

# A chat is answered: saved, told, finished.
my %chat = (jobType => 'EXECUTE_CHAT_AGENT', schemaVersion => 10,
	conversationId => 'c1', runId => 'cr1', projectId => undef,
	platformId => 'pl1', userId => 'u1', userMessage => 'hello',
	modelName => undef);
$api->push_job({ jobId => 'chat', jobData => \%chat });
is(told($api->wait_done('chat')), 'OK', 'chat: completed');
my @calls = grep { $_->{method} =~ /hat/ } $api->seen(kind => 'rpc');
is_deeply([ map { $_->{method} } @calls ],
	[ qw/saveChatMessages sendChatEvent sendChatEvent/ ], 'three calls');
is_deeply($calls[0]{payload}, { conversationId => 'c1', messages => [],
	uiMessages => [] }, 'saved');
my $text = delete $calls[1]{payload}{event}{data}{message};
like($text, qr/does not run chat agents/, 'told why');
is_deeply([ map { $_->{payload} } @calls[1, 2] ], [ map { { userId => 'u1',
	conversationId => 'c1', runId => 'cr1', event => $_ } }
	{ type => 'ERROR', data => {} },
	{ type => 'FINISHED', data => { conversationId => 'c1' } } ], 'events');
$api->clear_rules();
$api->push_job({ jobId => 'deaf', jobData => \%chat });
is(told($api->wait_done('deaf')), 'OK', 'chat: an app without these methods');

# How long it took, without a status.
$api->push_job(flow_job(id => 'timed'));
is(told($api->wait_done('timed')), 'OK', 'run: completed');
my ($timings) = grep { exists $_->{payload}{runMs} }
	$api->calls('uploadRunLog');
is(join(' ', sort keys %{ $timings->{payload} }),
	'bootMs projectId provisionMs runId runMs', 'timings of the run');
is($timings->{payload}{runId}, 'run-timed', 'of this run');
ok(!(grep { $timings->{payload}{$_} !~ /^\d+$/ }
	qw/bootMs provisionMs runMs/), 'in milliseconds');
my @none = $api->calls('markPieceAsUsed');
is(scalar @none, 0, 'methods that are gone are not called');

# Job data that is not what it should be: told, and the next job is fine.
my %good = (
	EXECUTE_WEBHOOK => { flowVersionIdToRun => 'fv', requestId => 'q',
		runEnvironment => 'PRODUCTION', saveSampleData => \0,
		execute => \1, payload => {} },
	EXECUTE_POLLING => { flowVersionId => 'fv' },
	RENEW_WEBHOOK => { flowVersionId => 'fv' },
	EXECUTE_TRIGGER_HOOK => { flowVersionId => 'fv', test => \1,
		hookType => 'RUN' },
	EXECUTE_PROPERTY => { piece => {}, propertyName => 'p', input => {},
		actionOrTriggerName => 'a' },
	EXECUTE_VALIDATION => { piece => {}, connectionValue => {} },
	EXECUTE_TOKEN_REFRESH => { piece => {}, connectionValue => {} },
	EXECUTE_EXTRACT_PIECE_INFORMATION => { piece => {} },
	EVENT_DESTINATION => { webhookUrl => 'x', payload => {} },
	EXECUTE_CHAT_AGENT => { conversationId => 'c', userId => 'u' },
	EXECUTE_AGENT_RUN => { conversationId => 'c', userId => 'u',
		userMessage => 'm' },
	EXECUTE_RESOLVE_CONNECTION_IDENTIFIER => { piece => {},
		connectionValue => {}, connectionType => 'OAUTH2' },
	EXECUTE_ACTION => { step => {}, expiresAt => 1 },
);
my $deep = 1;
$deep = [ $deep ] for 1 .. 3000;
my $n = 0;
my @bad;
for my $type (sort keys %good) {
	my %data = (jobType => $type, schemaVersion => 10, %{ $good{$type} },
		platformId => 'pl1', projectId => 'p1', flowId => 'f1');
	my @keys = sort keys %{ $good{$type} };
	for my $key (@keys) {
		my $is = ref $data{$key} eq 'HASH' ? 'x' : { a => 1 };
		for my $value ($is, undef, \'absent') {
			my %d = (%data, $key => $value);
			delete $d{$key} if ref $value eq 'SCALAR';
			push @bad, [ "$type $key", \%d ];
		}
	}
	push @bad, [ "$type deep", { %data, $keys[0] => $deep } ];
}
push @bad, map { [ "flow version '$_->[0]'", { jobType => 'EXECUTE_POLLING',
	platformId => 'pl1', projectId => 'p1', flowId => 'f1',
	flowVersionId => $_->[1] } ] } [ up => '../x' ], [ nul => "a\0b" ],
	[ long => 'x' x 300 ], [ empty => '' ];
push @bad, [ 'type', { jobType => [] } ], [ 'no type', {} ],
	[ 'unknown', { jobType => 'EXECUTE_SOMETHING_NEW' } ];
$api->push_job(map { { jobId => 'bad' . $n++, jobData => $_->[1] } } @bad);
my @odd;
for my $i (0 .. $#bad) {
	my $got = told($api->wait_done("bad$i"));
	push @odd, "$bad[$i][0]: $got" if $got ne 'INTERNAL_ERROR errorMessage';
}
is_deeply(\@odd, [], scalar(@bad) . ' bad jobs are told so');

# Hostile flow versions.
my @versions = ([], 'text', { id => 'v' }, { trigger => $deep },
	{ trigger => { type => 'PIECE_TRIGGER', settings => 7 } },
	{ trigger => { type => 'EMPTY', name => 't', settings => {
		pieceName => { a => 1 } } } });
@odd = ();
for my $i (0 .. $#versions) {
	my $id = "version$i";
	$api->clear_rules();
	$api->rule(at => 'rpc:getFlowVersion', do => 'value', times => 0,
		value => $versions[$i]);
	$api->push_job({ jobId => $id, jobData => { jobType =>
		'EXECUTE_POLLING', platformId => 'pl1', projectId => 'p1',
		flowId => 'f1', flowVersionId => "fv-$id" } });
	push @odd, "$i: " . told($api->wait_done($id))
		if told($api->wait_done($id)) !~
		/^(?:INTERNAL_ERROR errorMessage|OK)/;
}
is_deeply(\@odd, [], 'flow versions that are none');
$api->clear_rules();

$api->push_job(flow_job(id => 'fine'));
is($api->wait_done('fine')->{status}, 'OK', 'the next job is fine');
