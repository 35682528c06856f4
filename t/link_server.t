#!/usr/bin/perl

# The server role as a stranger meets it: every error of the protocols, slow
# and greedy clients, the races of an upgrade.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Link;

my $t = Test::Apworker->new();
my $d = link_program($t, 'bin/sio-server', '-p', 0, '-i', 20000, '-t', 20000,
	'-c', 20000, '-m', 100000, '-o', 300000, '-H', 2000);
my ($port) = $d->expect(qr/^port (\d+)/);
my $e = '/engine.io/';
my $poll = "$e?EIO=4&transport=polling";
my $ws = "$e?EIO=4&transport=websocket";

sub ask {
	my ($method, $path, $body, @headers) = @_;
	my $s = raw_connect($port);
	http_request($s, $method, $path, $body, @headers);
	return http_answer($s);
}

sub session {
	my ($path) = @_;
	my (undef, undef, $body) = ask('GET', $path || $poll);
	return $body =~ /"sid":"([\w-]{20})"/ ? $1 : die "no session: $body";
}

sub get { return (ask('GET', "$poll&sid=$_[0]"))[2] }
sub post { return ask('POST', "$poll&sid=$_[0]", $_[1]) }

# ---------------------------------------------------------- requests
my @codes = map { sprintf '{"code":%d,"message":"%s"}', @$_ }
	[ 0, 'Transport unknown' ], [ 1, 'Session ID unknown' ],
	[ 2, 'Bad handshake method' ], [ 3, 'Bad request' ], [ 4, 'Forbidden' ],
	[ 5, 'Unsupported protocol version' ];

for my $case (
	[ 404, undef, 'GET', '/' ], [ 404, undef, 'GET', '/engine.io' ],
	[ 400, 0, 'GET', "$e?EIO=4" ],
	[ 400, 0, 'GET', "$e?EIO=4&transport=flash" ],
	[ 400, 0, 'GET', "$poll&transport=polling" ],
	[ 400, 1, 'GET', "$poll&sid=nobody" ],
	[ 400, 1, 'GET', "$poll&sid=" . 'x' x 100 ],
	[ 400, 1, 'POST', "$poll&sid=nobody" ],
	[ 400, 2, 'POST', $poll ], [ 400, 2, 'PUT', $poll ],
	[ 400, 3, 'GET', $ws ],
	[ 400, 5, 'GET', "$e?transport=polling" ],
	[ 400, 5, 'GET', "$e?EIO=3&transport=polling" ],
	[ 400, 3, 'GET', "$e?EIO=3&transport=polling&sid=" . session() ],
	[ 400, 3, 'GET', "$ws&sid=" . session() ],
	[ 400, 3, 'DELETE', "$poll&sid=" . session() ],
) {
	my ($status, $code, $method, $path) = @$case;
	my ($got, $head, $body) = ask($method, $path);
	is($got, $status, "$method $path: status");
	is($body, $codes[$code], "$method $path: body") if defined $code;
	like($head, qr/^Access-Control-Allow-Origin: \*\r$/m, 'CORS');
}

for my $case ([ "$e?EIO=4&transport=x", 'Transport unknown' ],
	[ "$ws&sid=nobody", 'Session ID unknown' ],
	[ "$e?EIO=3&transport=websocket", 'Unsupported protocol version' ],
	[ $poll, 'Bad request' ],
) {
	my $s = raw_connect($port);
	http_request($s, 'GET', $case->[0], undef, 'Upgrade: websocket',
		'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
		'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==');
	my ($status, $head, $body) = http_answer($s);
	is("$status $body", "400 $case->[1]", "upgrade $case->[0]");
	ok(raw_eof($s), 'and the stream ends');
}

{
	my ($status, $head) = ask('OPTIONS', $e, undef,
		'Access-Control-Request-Headers: x-one');
	is($status, 204, 'preflight');
	like($head, qr/^Access-Control-Allow-Headers: x-one\r$/m, 'headers');
	($status, $head) = ask('GET', $poll);
	like($head, qr/^Content-Type: text\/plain; charset=UTF-8\r$/m, 'type');
	like($head, qr/^cache-control: no-store\r$/m, 'no store');
	unlike($head, qr/^set-cookie/mi, 'no cookie');
}

for my $junk ("\0\1\2\3", "GET / HTTP/1.1\r\n\r\n", "GET /x\r\n\r\n",
	"GET $poll HTTP/1.1\nHost: a\n\nGET / HTTP/1.1\r\n\r\n",
	"POST $poll HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
		. "Transfer-Encoding: chunked\r\n\r\n",
	'X' x 20000, "GET / HTTP/1.1\r\nHost: a\r\nX: " . 'y' x 20000) {
	my $s = raw_connect($port);
	local $SIG{PIPE} = 'IGNORE';
	print $s $junk;
	my ($status) = http_answer($s);
	is($status, 400, 'broken head: ' . substr $junk =~ s/\W+/./gr, 0, 20);
	ok(raw_eof($s), 'hangs up');
}

# several requests on one connection, in one write
{
	my $s = raw_connect($port);
	print $s "GET $poll HTTP/1.1\r\nHost: a\r\n\r\n" x 3;
	is(join(' ', map { (http_answer($s))[0] } 1 .. 3), '200 200 200',
		'pipelined');
}

# ---------------------------------------------------------- polling
{
	my $sid = session();
	is((post($sid, "4a\x1e4b"))[2], 'ok', 'POST');
	is(get($sid), "4a\x1e4b", 'GET');
	is((post($sid, "bAQIDBA=="))[2], 'ok', 'binary');
	is(get($sid), 'bAQIDBA==', 'binary back');
	for my $bad ('abc', '', "4a\x1e", "4\xff", 'bA', 'bAQ=A', '2', '7') {
		$sid = session();
		my ($status) = post($sid, $bad);
		ok($status == 400 || $bad eq '2', "POST '$bad' is refused");
		is((ask('GET', "$poll&sid=$sid"))[0], 400, 'session is over');
	}
	$sid = session();
	is((ask('POST', "$poll&sid=$sid", '4x',
		'Content-Type: application/octet-stream'))[0], 400,
		'octets are refused');
	is((ask('GET', "$poll&sid=$sid"))[2], $codes[1], 'session is over');
	$sid = session();
	my $s = raw_connect($port);
	http_request($s, 'POST', "$poll&sid=$sid", undef,
		'Content-Length: 100001');
	is((http_answer($s))[0], 413, 'body too large');
	$s = raw_connect($port);
	http_request($s, 'POST', "$poll&sid=" . session());
	is((http_answer($s))[0], 411, 'no length');
	is((post(session(), '4' . 'x' x 99999))[0], 200, 'as large as may be');

	# two at once
	$sid = session();
	my $one = raw_connect($port);
	http_request($one, 'GET', "$poll&sid=$sid");
	my $two = raw_connect($port);
	# the first must be parked before the second comes
	select undef, undef, undef, 0.1;
	http_request($two, 'GET', "$poll&sid=$sid");
	is(join(' ', (http_answer($one))[0, 2]), '200 1', 'first GET is closed');
	is((http_answer($two))[0], 400, 'second GET is refused');
	is((ask('GET', "$poll&sid=$sid"))[0], 400, 'session is over');
	$sid = session();
	$one = raw_connect($port);
	http_request($one, 'POST', "$poll&sid=$sid", undef,
		'Content-Length: 10');
	select undef, undef, undef, 0.1;
	is((post($sid, '4a'))[0], 400, 'second POST is refused');
	is((ask('GET', "$poll&sid=$sid"))[0], 400, 'session is over');

	# the peer hangs up
	$sid = session();
	$one = raw_connect($port);
	http_request($one, 'GET', "$poll&sid=$sid");
	select undef, undef, undef, 0.1;
	close $one;
	ok(wait_for(sub { (ask('GET', "$poll&sid=$sid&x"))[0] != 200 || 1 }),
		'parked GET is dropped');
	is((ask('POST', "$poll&sid=$sid", '4a'))[0], 400, 'session is over');

	# the client closes; the GET that was under way is released, once
	for my $parked (1, 0) {
		$sid = session();
		$one = raw_connect($port);
		http_request($one, 'GET', "$poll&sid=$sid") if $parked;
		select undef, undef, undef, 0.1 if $parked;
		is((post($sid, '1'))[2], 'ok', 'close packet');
		http_request($one, 'GET', "$poll&sid=$sid") if !$parked;
		is((http_answer($one))[2], '6', 'GET is released');
		is((ask('GET', "$poll&sid=$sid"))[2], $codes[1],
			'session is over');
	}

	# slow ones
	$one = raw_connect($port);
	print $one "GET $poll HTTP/1.1\r\nHo";
	ok(raw_eof($one), 'slow head');
	$one = raw_connect($port);
	ok(raw_eof($one), 'silent connection');
	$sid = session();
	$one = raw_connect($port);
	http_request($one, 'POST', "$poll&sid=$sid", undef,
		'Content-Length: 10');
	print $one '4a';
	ok(raw_eof($one), 'slow body');
	is((post($sid, '4a'))[0], 400, 'session is over');
}

# chunked bodies, in one write and byte by byte
for my $step (1, 7, 1000) {
	my $sid = session();
	my $s = raw_connect($port);
	http_request($s, 'POST', "$poll&sid=$sid", undef,
		'Transfer-Encoding: chunked');
	my $text = "3;x=\"y\"\r\n4a\x1e\r\n2\r\n4b\r\n0\r\nT: v\r\n\r\n"
		. "GET $poll&sid=$sid HTTP/1.1\r\nHost: a\r\n\r\n";
	syswrite $s, substr $text, $_ * $step, $step
		for 0 .. length($text) / $step;
	is((http_answer($s))[2], 'ok', "chunked by $step: POST");
	is((http_answer($s))[2], "4a\x1e4b", "chunked by $step: the next request");
}
for my $bad ([ 400, "x\r\n" ], [ 400, "3\n4ab\r\n" ],
	[ 400, "3\r\n4abc\r\n" ], [ 400, '1' x 16 ],
	[ 413, sprintf("%x\r\n%s", 100001, 'x' x 100001) ],
	[ 400, '3;' . 'x' x 2000 ], [ 400, "0\r\n" . "T: v\r\n" x 3000 ]) {
	my $sid = session();
	my $s = raw_connect($port);
	local $SIG{PIPE} = 'IGNORE';
	http_request($s, 'POST', "$poll&sid=$sid", undef,
		'Transfer-Encoding: chunked');
	print $s $bad->[1];
	my $what = substr $bad->[1] =~ s/\W+/./gr, 0, 12;
	is((http_answer($s))[0], $bad->[0], "chunked, broken: $what");
	is((ask('GET', "$poll&sid=$sid"))[2], $codes[1], 'session is over');
}

# ---------------------------------------------------------- upgrade
{
	my $sid = session();
	my $w = ws_open($port, "$ws&sid=$sid");
	is((post($sid, '4before'))[2], 'ok', 'POST before the probe');
	print $w ws_frame('2probe');
	is((ws_read($w))[1], '3probe', 'probe');
	is((post($sid, '4between'))[2], 'ok', 'POST between');
	my $second = ws_open($port, "$ws&sid=$sid");
	is((ws_read($second))[0], 8, 'second socket is closed');
	is(get($sid), "4before\x1e4between", 'still polling');
	is(get($sid), '6', 'GET is released');
	is((post($sid, '4last'))[2], 'ok', 'POST last');
	print $w ws_frame('5');
	is((ws_read($w))[1], '4last', 'what was not fetched goes first');
	print $w ws_frame('4after');
	is((ws_read($w))[1], '4after', 'then the rest');
	is((ask('GET', "$poll&sid=$sid"))[2], $codes[3], 'no more GET');
	is((post($sid, '4x'))[2], $codes[3], 'no more POST');
	$second = ws_open($port, "$ws&sid=$sid");
	is((ws_read($second))[0], 8, 'second socket is closed');
	print $w ws_frame('1');
	is((ws_read($w))[0], 8, 'closed');

	for my $first ('x', '4hello', '2', '3probe', "\1") {
		$sid = session();
		$w = ws_open($port, "$ws&sid=$sid");
		print $w ws_frame($first);
		is((ws_read($w))[0], 8, 'bad probe closes the socket');
		is((post($sid, '4a'))[2], 'ok', 'and nothing else');
	}
	$sid = session();
	$w = ws_open($port, "$ws&sid=$sid");
	print $w ws_frame('2probe');
	ws_read($w);
	close $w;
	is((post($sid, '4a'))[2], 'ok', 'probe that dies');
	is(get($sid), '4a', 'session stays');
	# a GET parked, then all of it in one write
	my $g = raw_connect($port);
	http_request($g, 'GET', "$poll&sid=$sid");
	select undef, undef, undef, 0.1;
	$w = ws_open($port, "$ws&sid=$sid");
	print $w ws_frame('2probe') . ws_frame('5') . ws_frame('4x');
	is((http_answer($g))[2], '6', 'parked GET is released');
	is(join('|', map { (ws_read($w))[1] } 1, 2), '3probe|4x', 'at once');
}

# ---------------------------------------------------------- frames
sub closes {
	my ($name, $code, @frames) = @_;
	for my $step (1 << 20, 1) {
		my $w = ws_open($port, $ws);
		ws_read($w);
		local $SIG{PIPE} = 'IGNORE';
		syswrite $w, $_ or last
			for unpack "(a$step)*", join '', @frames;
		my ($op, $data) = ws_read($w);
		$data = defined $data && length $data ? unpack 'n', $data : '';
		is(($op // 'none') . " $data", "8 $code", "$name, by $step");
		ok(raw_eof($w), "$name: hangs up");
	}
}
closes('unmasked', 1002, ws_frame('4x', mask => 0));
closes('reserved bit', 1002, ws_frame('4x', rsv => 4));
closes('unknown opcode', 1002, ws_frame('4x', op => 5));
closes('lone continuation', 1002, ws_frame('4x', op => 0));
closes('text inside a message', 1002, ws_frame('4', fin => 0),
	ws_frame('4x'));
closes('not UTF-8', 1007, ws_frame("4\xc3\x28"));
closes('half of a letter', 1007, ws_frame("4\xc3"));
closes('too large', 1009, ws_frame('4' x 16, length => 100001));
closes('far too large', 1009, ws_frame('4' x 16, length => 2 ** 50));
closes('too large in fragments', 1009, ws_frame('4' x 60000, fin => 0),
	ws_frame('4' x 60000, op => 0));
closes('unknown packet', '', ws_frame('abc'));
closes('heartbeat of a client', '', ws_frame('2'));
closes('empty packet', '', ws_frame(''));
closes('close packet', '', ws_frame('1'));
closes('close frame', 1000, ws_frame(pack('n', 1000), op => 8));
closes('bad close frame', 1002, ws_frame(pack('n', 999), op => 8));

{
	my $w = ws_open($port, $ws);
	ws_read($w);
	print $w ws_frame('4on', fin => 0), ws_frame('p1', op => 9),
		ws_frame('', op => 0, fin => 0), ws_frame('p2', op => 9),
		ws_frame('e', op => 0);
	is(join(' ', sort map { join '|', ws_read($w) } 1 .. 3),
		'10|p1 10|p2 1|4one', 'fragments and pings between them');
	print $w ws_frame("\0\xff" x 50000, op => 2);
	is(length +(ws_read($w))[1], 100000, 'as large as may be');
}

# ---------------------------------------------------------- socket.io
sub violates {
	my ($what, @frames) = @_;
	my $w = ws_open($port, '/socket.io/?EIO=4&transport=websocket');
	ws_read($w);
	local $SIG{PIPE} = 'IGNORE';
	print $w map { ref $_ ? ws_frame($$_, op => 2) : ws_frame($_) }
		@frames;
	my $op;
	while (defined $op ? $op != 8 : 1) {
		($op) = ws_read($w) or last;
	}
	is($op, 8, "violation: $what");
}
violates('not connected', '42["x"]');
violates('other namespace', '40', '42/custom,["x"]');
violates('connected twice', '40', '40');
violates('client says CONNECT_ERROR', '40', '44{"message":"x"}');
violates('array in CONNECT', '40[]');
violates('reserved event', '40', '42["disconnect"]');
violates('attachment without packet', '40', \"x");
violates('text instead of attachment', '40',
	'451-["m",{"_placeholder":true,"num":0}]', '42["x"]');
violates('lying placeholder', '40',
	'451-["m",{"_placeholder":true,"num":1}]');
violates('too many attachments', '40', '4511-["m"]');
violates('huge id', '40', '4299999999999999999["m"]');
violates('deep', '40', '42["m",' . '[' x 5000 . ']' x 5000 . ']');
violates('endless namespace', '40/custom', '40/' . 'x' x 200);
{
	my $w = ws_open($port, '/socket.io/?EIO=4&transport=websocket');
	ws_read($w);
	print $w ws_frame('40'), ws_frame('4399999[]'), ws_frame('430[]'),
		ws_frame('42["kick-me"]');
	like((ws_read($w))[1], qr/^40\{"sid":"[\w-]{20}"\}$/, 'joined');
	is((ws_read($w))[1], '41', 'acks nobody awaits are ignored; kicked');
	is((ws_read($w))[0], 8, 'closed');
	my $sid = session('/socket.io/?EIO=4&transport=polling');
	my $p = "/socket.io/?EIO=4&transport=polling&sid=$sid";
	is((ask('POST', $p, "40\x1e42[\"kick-me\"]"))[2], 'ok', 'polling');
	like((ask('GET', $p))[2], qr/^40\{.*\}\x1e41$/, 'kicked');
	is((ask('GET', $p))[2], '1', 'and, alone, closed');
	is((ask('GET', $p))[0], 400, 'session is over');
}

# ---------------------------------------------------------- greed
{
	# asks for a lot and reads nothing
	my $w = ws_open($port, $ws);
	ws_read($w);
	local $SIG{PIPE} = 'IGNORE';
	$w->blocking(0);
	my $sent = 0;
	for (1 .. 20000) {
		my $n = syswrite $w, ws_frame('4' . 'x' x 9999);
		last if !defined $n && !$!{EAGAIN};
		if (!defined $n || $n < 10007) {
			select undef, undef, undef, 0.01;
			last if ++$sent > 500;
		}
	}
	$w->blocking(1);
	ok(raw_eof($w), 'a peer that does not read is dropped');
	$w = ws_open($port, $ws);
	ws_read($w);
	print $w ws_frame('x' x 125, op => 9) x 2000;
	ok((ws_read($w))[0] == 10, 'a flood of pings');
	is((ask('GET', $poll))[0], 200, 'others are served');
	cmp_ok($d->peak_kib(), '<', 120000, 'memory is bounded');
}
