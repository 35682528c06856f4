#!/usr/bin/perl

# The engine link with the real socket.io client at its other end.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Link;

my $t = Test::Apworker->new()->has(qw/node node_modules/);

sub peer {
	my $d = link_program($t, 'bin/engine-link-peer', @_);
	my ($port) = $d->expect(qr/^port (\d+)/);
	my ($token) = $d->say('expect sb1')->expect(qr/^token (\w{64})$/);
	return ($d, $port, $token);
}

sub engine {
	my ($port, $token, %o) = @_;
	return link_program($t, 'bin/link-engine.js', $port, json({
		sandboxId => $o{id} || 'sb1',
		defined $token ? (connectionToken => $token) : () }),
		json($o{options} || {}));
}

# one operation with all that belongs to it, over each kind of transport
for my $options ({}, { transports => ['websocket'] },
	{ transports => ['polling'] }) {
	my $name = join '+', @{ $options->{transports} || ['both'] };
	my ($d, $port, $token) = peer();
	my $e = engine($port, $token, options => $options);

	ok($d->expect(qr/^ready$/), "$name: admitted");
	ok($e->expect(qr/^connect /), "$name: joined");
	# numbers and escapes pass as they are
	$d->say('execute EXECUTE_FLOW {"n":1.50,"u":"\\ud800","u":"é"}');
	is(($e->expect(qr/^operation (.*)/))[0],
		'{"method":"executeOperation","payload":{"operationType":'
		. '"EXECUTE_FLOW","operation":{"n":1.5,"u":"' . "\xc3\xa9"
		. '"}}}', "$name: operation");
	$d->say('execute EXECUTE_FLOW {}');
	ok($d->expect(qr/^failed .*busy/), "$name: one at a time");
	$e->say([ 'notify', 'stdout', { message => "out\n" } ],
		[ 'notify', 'stderr', { message => "err \"x\"\n" } ]);
	ok($d->expect(qr/^output 1 "out\\n"$/), "$name: stdout");
	ok($d->expect(qr/^output 2 "err \\"x\\"\\n"$/), "$name: stderr");
	$e->say(map { [ 'rpc', 'uploadRunLog', { n => $_ } ] } 1 .. 3);
	my @calls = map { ($d->expect(
		qr/^call (\d+) uploadRunLog \{"n":$_\}$/))[0] } 1 .. 3;
	$d->say("answer $calls[1] {\"x\":1}", "error $calls[0] no \"app\"",
		"answer $calls[2]", "answer $calls[2]", "answer 99");
	is(join('|', map { ($e->expect(qr/^reply (.*)/))[0] } 1 .. 3),
		'{"x":1}|{"__rpcError":"no \"app\""}|null',
		"$name: answers to calls");
	$e->say([ 'result', { status => 'OK', response => [ 1 ] } ]);
	ok($d->expect(qr/^result \{"response":\[1\],"status":"OK"\}$/),
		"$name: result");
	$d->say('execute EXECUTE_FLOW {"second":1}');
	ok($e->expect(qr/second/), "$name: warm");
	$e->say([ 'result' ]);
	ok($d->expect(qr/^result null$/), "$name: empty result");
	$e->say([ 'leave' ]);
	ok($d->expect(qr/^lost /), "$name: lost");
	$_->stop() for $d, $e;
}

# admission
{
	my ($d, $port, $token) = peer();
	for my $bad ([ 'wrong token', 'x' x 64 ], [ 'short token', 'abc' ],
		[ 'no token', undef ]) {
		my $e = engine($port, $bad->[1]);
		ok($e->expect(qr/^connect_error unauthorized$/), $bad->[0]);
		ok($d->expect(qr/^refused wrong connection token$/),
			"$bad->[0]: told");
		$e->stop();
	}
	my $e = engine($port, $token, id => 'sb2');
	ok($e->expect(qr/^connect_error unauthorized$/), 'wrong sandbox id');
	ok($d->expect(qr/^refused wrong sandbox id$/), 'told');
	$e->stop();

	my $first = engine($port, $token);
	ok($d->expect(qr/^ready$/) && $first->expect(qr/^connect /), 'first');
	for my $transports ([ 'polling', 'websocket' ], [ 'polling' ],
		[ 'websocket' ]) {
		my $second = engine($port, $token,
			options => { transports => $transports });
		ok($second->expect(qr/^disconnect io server disconnect$/),
			"second connection is sent away: @$transports");
		ok($d->expect(qr/^refused second connection$/), 'told');
		$second->stop();
	}
	$d->say('execute EXECUTE_FLOW {}');
	ok($first->expect(qr/^operation /), 'the first is unharmed');
	$first->say([ 'text', '3999["x"]' ], [ 'text', '30[{"status":"OK"}]' ],
		[ 'text', '30[{"status":"AGAIN"}]' ]);
	ok($d->expect(qr/^result \{"status":"OK"\}$/), 'result by hand');
	$d->say('execute EXECUTE_FLOW {"n":2}');
	ok($first->expect(qr/"n":2/), 'a second result was ignored');

	$d->say('reset');
	ok($first->expect(qr/^disconnect /), 'reset ends the connection');
	my $late = engine($port, $token);
	ok($late->expect(qr/^connect_error unauthorized$/), 'token is void');
	ok($d->expect(qr/^refused no engine is expected$/), 'told');
	my ($fresh) = $d->say('expect sb1')->expect(qr/^token (\w+)$/);
	isnt($fresh, $token, 'a fresh token for each start');
	my $next = engine($port, $fresh);
	ok($d->expect(qr/^ready$/), 'next engine on the same port');
	$_->stop() for $first, $late, $next, $d;
}

# how it ends
{
	my ($d, $port, $token) = peer('-i', 200, '-t', 1000);
	my $e = engine($port, $token);
	$d->expect(qr/^ready$/);
	kill 'STOP', $e->pid();
	ok($d->expect(qr/^lost ping timeout$/), 'an engine that stands still');
	kill 'CONT', $e->pid();
	ok($e->expect(qr/^disconnect /), 'learns it');
	$_->stop() for $e, $d;
}

# the same with time to spare: what ends it is told apart from silence
{
	my ($d, $port, $token) = peer();
	my $e = engine($port, $token);
	$d->expect(qr/^ready$/);
	# between two polls there would be no connection to lose
	$e->expect(qr/^upgrade/);
	kill 'KILL', $e->pid();
	ok($d->expect(qr/^lost transport (close|error)/), 'a killed engine');
	waitpid $e->pid(), 0;
	$e->{stopped} = 1;

	($token) = $d->say('expect sb1')->expect(qr/^token (\w+)$/);
	$e = engine($port, $token);
	$d->expect(qr/^ready$/);
	$e->expect(qr/^upgrade/);
	$e->say([ 'text', '2{}' ]);
	ok($d->expect(qr/^lost parse error$/), 'a packet that is none');
	$e->stop();

	($token) = $d->say('expect sb1')->expect(qr/^token (\w+)$/);
	$e = engine($port, $token);
	$d->expect(qr/^ready$/);
	$e->expect(qr/^connect /);
	$d->say('free-on-result', 'execute EXECUTE_FLOW {}');
	$e->expect(qr/^operation /);
	$e->say([ 'result', 1 ]);
	ok($d->expect(qr/^freed$/), 'freed from within a callback');
	ok($e->expect(qr/^disconnect /), 'the engine is told');
	$_->stop() for $e, $d;
}

# bounds
{
	my ($d, $port, $token) = peer('-n', 2, '-C', 1000, '-m', 2000000);
	my $e = engine($port, $token);
	$d->expect(qr/^ready$/);
	$e->expect(qr/^upgrade/);
	$e->say(map { [ 'rpc', 'uploadRunLog', { n => $_ } ] } 1 .. 3);
	is(($e->expect(qr/^reply (.*)/))[0],
		'{"__rpcError":"too many calls in flight"}', 'too many calls');
	is(join('|', map { ($e->expect(qr/^reply (.*)/))[0] } 1 .. 2),
		join('|', ('{"__rpcError":"the worker got no answer in time"}')
		x 2), 'calls nobody answers');
	$e->say([ 'emit', 'rpc', 1 ], [ 'rpc', 'a b' ], [ 'emit', 'other' ],
		[ 'notify', 'nothing', {} ], [ 'notify', 'stdout', {} ]);
	ok($e->expect(qr/^reply .*no such method/), 'odd calls are survived');
	$d->say('big EXECUTE_FLOW 2000000');
	ok($d->expect(qr/^failed .*Message too long/), 'operation too large');
	$d->say('big EXECUTE_FLOW 1900000');
	ok($e->expect(qr/^operation 19000\d\d$/), 'large operation');
	$e->say([ 'result', 'x' x 1000000 ]);
	ok($d->expect(qr/^result of 1000002 bytes$/), 'large result');
	$d->say('quiet');
	$e->say([ 'flood', 20000, 1000 ]);
	$e->expect(qr/^flooded/);
	$e->say([ 'notify', 'stdout', { message => 'end' } ],
		[ 'rpc', 'uploadRunLog', 1 ]);
	my ($call) = $d->expect(qr/^call (\d+)/);
	$d->say('count');
	is(($d->expect(qr/^count \d+ (\d+)/))[0], 20000003,
		'a flood of notifications arrives');
	cmp_ok($d->peak_kib(), '<', 150000, 'within bounded memory');
	$e->say([ 'big', 2000000 ]);
	ok($d->expect(qr/^lost transport error: message too large$/),
		'a message that is too large');
	$_->stop() for $e, $d;
}

# older generations
{
	my ($d, $port) = peer('-d', 'B0');
	my $e = engine($port, undef);
	ok($d->expect(qr/^ready$/), 'B0: no token');
	$e->expect(qr/^connect /);
	$d->say('execute EXECUTE_FLOW {}');
	ok($e->expect(qr/^operation /), 'B0: operation');
	$e->say([ 'result', { __rpcError => 'boom' } ]);
	ok($d->expect(qr/^result \{"__rpcError":"boom"\}$/),
		'B0: an error is a result');
	$_->stop() for $e, $d;

	($d, $port) = peer('-d', 'A');
	$e = engine($port, undef);
	ok($d->expect(qr/^ready$/), 'A: no token');
	$e->expect(qr/^connect /);
	$d->say('execute EXECUTE_FLOW {"a":1}');
	ok($e->expect(qr/^event \["engine-operation",\{"operationType":"EXECUTE_FLOW","operation":\{"a":1\}\}\]$/),
		'A: operation');
	$e->say([ 'emit', 'command', { event => 'engine-stdout',
		payload => { message => 'hi' } } ]);
	ok($d->expect(qr/^output 1 "hi"$/), 'A: output');
	$e->say([ 'ack', 'command', { event => 'upload-run-log',
		payload => { x => 1 } } ]);
	my ($call) = $d->expect(qr/^call (\d+) uploadRunLog \{"x":1\}$/);
	$d->say("answer $call");
	ok($e->expect(qr/^reply null$/), 'A: call');
	$e->say([ 'ack', 'command', { event => 'engine-response',
		payload => { status => 'OK' } } ]) for 1 .. 2;
	ok($e->expect(qr/^reply null$/) && $e->expect(qr/^reply null$/),
		'A: result is acknowledged each time');
	ok($d->expect(qr/^result \{"status":"OK"\}$/), 'A: result');
	$_->stop() for $e, $d;
}

