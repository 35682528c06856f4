#!/usr/bin/perl

# What an engine cannot do over its link: let others in, speak for other runs,
# call what is not its to call, drown the daemon, answer twice, talk nonsense.

use strict;
use warnings;

use IO::Socket::INET;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(30)->write_app_conf();
my $api = $t->api();
$t->run();

my $done = sub {
	my ($id, @steps) = @_;
	$api->push_job(flow_job(id => $id, engine => \@steps));
	return $api->wait_done($id);
};

# Loopback only.
$api->push_job(flow_job(id => 'hold', engine => [ { do => 'wait', name => 'on' },
	{ do => 'answer' } ]));
my $op = $t->engine()->wait_record('operation');
my $env = $t->engine()->wait_record('start')->{env};
my $port = $env->{AP_SANDBOX_WS_PORT};
my $hex = sprintf '%04X', $port;
my @listen = map { /^\s*\d+: (\w+):$hex \w+:0000 0A / ? $1 : () }
	map { split /\n/, slurp($_) } '/proc/net/tcp', '/proc/net/tcp6';
is("@listen", '0100007F', 'listens on 127.0.0.1 only');

# Others on this host, meanwhile.
sub knock {
	my ($text) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port")
		or return 'refused';
	print $s $text;
	$s->flush();
	my $r = '';
	vec($r, fileno $s, 1) = 1;
	select $r, undef, undef, 10;
	sysread $s, my $got, 65536;
	return $got // '';
}
like(knock("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), qr{^HTTP/1\.1 [45]|^$},
	'another path');
like(knock("\x16\x03\x01nonsense\r\n\r\n"), qr{^HTTP/1\.1 4|^$}, 'not HTTP');
my ($sid) = knock("GET /worker/ws/?EIO=4&transport=polling HTTP/1.1\r\n"
	. "Host: x\r\n\r\n") =~ /"sid":"([^"]+)"/;
if ($sid) {
	my $body = '40{"sandboxId":"' . $env->{SANDBOX_ID}
		. '","connectionToken":"' . 'a' x 64 . '"}';
	knock("POST /worker/ws/?EIO=4&transport=polling&sid=$sid HTTP/1.1\r\n"
		. "Host: x\r\nContent-Type: text/plain\r\nContent-Length: "
		. length($body) . "\r\n\r\n$body");
	my $got = knock("GET /worker/ws/?EIO=4&transport=polling&sid=$sid "
		. "HTTP/1.1\r\nHost: x\r\n\r\n");
	unlike($got, qr/40\{/, 'a stranger without the token is not let in');
} else {
	pass('a stranger is not even greeted');
}
$t->engine()->release('on');
is($api->wait_done('hold')->{status}, 'OK', 'the engine did not notice');

# Other runs, projects, requests; methods of the worker.
my @theirs = (
	[ uploadRunLog => { runId => 'run-other', status => 'SUCCEEDED' } ],
	[ uploadRunLog => { projectId => 'p-other', status => 'SUCCEEDED' } ],
	[ updateRunProgress => { flowRun => { id => 'run-other',
		projectId => 'p1' } } ],
	[ updateStepProgress => { projectId => 'p-other', stepResponse => {
		runId => 'run-other' } } ],
	[ sendFlowResponse => { workerHandlerId => 'other', httpRequestId => 'other',
		runResponse => { status => 200, body => {}, headers => {} } } ],
	[ completeJob => { jobId => 'foreign', token => 'x', status => 'OK',
		queueName => 'workerJobs' } ],
	[ poll => {} ], [ getFlowVersion => { versionId => 'fv-other' } ],
	[ disableFlow => { flowId => 'f9', projectId => 'p1' } ],
	[ nonsense => {} ],
);
my $before = $api->seen(kind => 'rpc');
is($done->('foreign', map { { do => 'rpc', method => $_->[0],
	payload => $_->[1] } } @theirs)->{status}, 'OK', 'job done');
my @replies = $t->engine()->records('reply');
for my $i (0 .. $#theirs) {
	my ($method, $payload) = @{ $theirs[$i] };
	like(json($replies[$i]{value}), qr/__rpcError/, "refused: $method "
		. json($payload));
}
my @out = grep { $_->{n} > $before && $_->{method} !~ /^(?:poll|getFlowVersion|completeJob|markPieceAsUsed|extendLock)$/ }
	$api->seen(kind => 'rpc');
is(scalar @out, 0, 'none of it reached the app') or diag(json(\@out));
is(scalar(grep { $_->{payload}{versionId} ne 'fv-foreign'
	&& $_->{payload}{versionId} ne 'fv-hold' }
	$api->calls('getFlowVersion')), 0, 'nor as a call of ours');

# Output without end.
my ($slot) = grep { $_->{slot} } $t->slots();
my $rss = sub { slurp("/proc/$slot->{pid}/status") =~ /^VmHWM:\s+(\d+)/m ? $1 : 0 };
my $low = $rss->();
my $flood = $done->('flood', { do => 'flood', bytes => 30e6, pace => 1 },
	{ do => 'real_flood', bytes => 10e6 }, { do => 'stdout', text => "end\n" },
	{ do => 'answer' });
is($flood->{status}, 'OK', 'a flood of output: job done');
cmp_ok(length $flood->{logs}, '<', 4e6, 'logs are bounded');
ok($flood->{logs} =~ /^end$/m, 'and have the end');
my $grown = $rss->() - $low;
SKIP: {
	skip 'a sanitizer keeps what is freed', 1
		if slurp("/proc/$slot->{pid}/status") =~ /^VmSize:\s+\d{10}/m;
	cmp_ok($grown, '<', 40000, 'so is memory (KiB)');
}

# Answers.
is($done->('twice', { do => 'answer_twice' })->{status}, 'OK',
	'answers twice: the first counts');
is($api->settled('twice'), 1, 'settled once');
is($done->('after', { do => 'answer' }, { do => 'stdout', text => "late\n" },
	{ do => 'rpc', method => 'uploadRunLog', payload =>
		{ status => 'FAILED' } })->{status}, 'OK', 'talks on after it');
# all of that has come when its call has its answer
$t->engine()->wait_record('reply', 1 + @replies);
is($done->('next')->{status}, 'OK', 'the next job');
unlike($api->job('next')->{payload}{logs} // '', qr/late/,
	'does not get the output of the one before');

# Nonsense ends the engine, not the slot.
my $n = 0;
for my $text ("9", "4", '42["rpc"', '429999999999999["rpc",{}]', '45-["x"]',
    '42["rpc",{"method":7}]', '450-["rpc"]') {
	my $id = 'raw-' . ++$n;
	my $st = $done->($id, { do => 'raw', text => substr $text, 1 },
		{ do => 'sleep', ms => 100 }, { do => 'answer' })->{status};
	push @out, $text unless ($st // '') =~ /^(?:OK|INTERNAL_ERROR)$/;
}
is("@out", '', 'nonsense on the link has a defined outcome');
is($done->('sane')->{status}, 'OK', 'and the slot works on');
my ($now) = grep { $_->{slot} == $slot->{slot} } $t->slots();
is($now->{pid}, $slot->{pid}, 'the same process all the time');
