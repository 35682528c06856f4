#!/usr/bin/perl

# The engine link before it knows a token: little is taken of whoever comes, and
# who says nothing makes room for who comes later; of the engine that is in, all
# is taken, and nobody takes its place.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Link;

my $t = Test::Apworker->new()->has(qw/node node_modules/);
my $path = '/worker/ws/';
my $poll = "$path?EIO=4&transport=polling";
my $ws = "$path?EIO=4&transport=websocket";

sub peer {
	my $d = link_program($t, 'bin/engine-link-peer', @_);
	my ($port) = $d->expect(qr/^port (\d+)/);
	my ($token) = $d->say('expect sb1')->expect(qr/^token (\w{64})$/);
	return ($d, $port, $token);
}

sub ask {
	my ($port, $method, $what, $body, @headers) = @_;
	my $s = raw_connect($port);
	http_request($s, $method, $what, $body, @headers);
	return http_answer($s);
}

sub session {
	my ($port) = @_;
	return (ask($port, 'GET', $poll))[2] =~ /"sid":"([\w-]{20})"/ ? $1 : die;
}

my $large = '42["x","' . 'x' x 20000 . '"]';
my ($d, $port, $token) = peer();
my $auth = json({ sandboxId => 'sb1', connectionToken => $token });

# ---------------------------------------------------------- bytes
for my $case ([ 'a body', undef, 'Content-Length: 100000000' ],
	[ 'a body in chunks', undef, 'Transfer-Encoding: chunked' ]) {
	my ($what, $body, @headers) = @$case;
	my $sid = session($port);
	my $s = raw_connect($port);
	local $SIG{PIPE} = 'IGNORE';
	http_request($s, 'POST', "$poll&sid=$sid", $body, @headers);
	print $s sprintf "%x\r\n%s\r\n", 20000, 'x' x 20000;
	is((http_answer($s))[0], 413, "$what too large for a stranger");
	is((ask($port, 'GET', "$poll&sid=$sid"))[0], 400, 'its session is over');
}
{
	my $w = ws_open($port, $ws);
	ws_read($w);
	print $w ws_frame($large);
	my ($op, $code) = ws_read($w);
	is("$op " . unpack('n', $code), '8 1009',
		'a message too large for a stranger');
	$w = ws_open($port, $ws);
	ws_read($w);
	print $w ws_frame('4' . 'x' x 9000, fin => 0),
		ws_frame('x' x 9000, op => 0);
	($op, $code) = ws_read($w);
	is("$op " . unpack('n', $code), '8 1009', 'nor in fragments');
	$w = ws_open($port, $ws);
	ws_read($w);
	print $w ws_frame('451-["m",{"_placeholder":true,"num":0}]');
	print $w ws_frame('x' x 20000, op => 2);
	($op, $code) = ws_read($w);
	is("$op " . unpack('n', $code), '8 1009', 'nor as an attachment');
	# a probe has two words to say
	my $sid = session($port);
	$w = ws_open($port, "$ws&sid=$sid");
	print $w ws_frame('2probe' . 'x' x 200);
	is((ws_read($w))[0], 8, 'a probe too large');
}

# a body whose session has ended is not waited for
{
	my $sid = session($port);
	my $s = raw_connect($port);
	http_request($s, 'POST', "$poll&sid=$sid", undef,
		'Content-Length: 1000');
	print $s '4';
	ask($port, 'POST', "$poll&sid=$sid", '4x');
	is((http_answer($s))[0], 400, 'a body whose session is over');
	ok(raw_eof($s), 'is not read to its end');
}

# ---------------------------------------------------------- number
my @idle = map { raw_connect($port) } 1 .. 200;
my @heads = map { my $s = raw_connect($port); print $s "GET $poll HT"; $s }
	1 .. 100;
ok(raw_eof($idle[0]), 'the eldest make room');
# sessions that say nothing, then ones that are saying good-bye
my @mute = map { my $w = ws_open($port, $ws); ws_read($w); $w } 1 .. 40;
ok(raw_eof($mute[0]), 'so do sessions');
for (1 .. 100) {
	my $w = ws_open($port, "$ws&sid=" . session($port));
	print $w ws_frame('x');
}

my $e = link_program($t, 'bin/link-engine.js', $port, $auth, json({}));
ok($d->expect(qr/^ready$/) && $e->expect(qr/^connect /),
	'the engine gets in beside them');

# ---------------------------------------------------------- the engine's own
@idle = map { raw_connect($port) } 1 .. 200;
@mute = map { my $w = ws_open($port, $ws); ws_read($w); $w } 1 .. 40;
$d->say('execute EXECUTE_FLOW {}');
ok($e->expect(qr/^operation /), 'and stays');
$e->say([ 'rpc', 'uploadRunLog', { x => 'x' x 1_000_000 } ]);
ok($d->expect(qr/^call \d+ uploadRunLog of 10000\d\d bytes$/),
	'of it large messages are taken');
is($d->stop(), 0, 'clean');
$e->stop();

# the same over either transport alone
for my $transport (qw/polling websocket/) {
	($d, $port, $token) = peer();
	$e = link_program($t, 'bin/link-engine.js', $port, json({
		sandboxId => 'sb1', connectionToken => $token }),
		json({ transports => [ $transport ] }));
	ok($d->expect(qr/^ready$/) && $e->expect(qr/^connect /),
		"$transport: in");
	my @others = map { raw_connect($port) } 1 .. 200;
	$d->say('execute EXECUTE_FLOW {}');
	ok($e->expect(qr/^operation /), "$transport: an operation");
	$e->say([ 'rpc', 'uploadRunLog', { x => 'x' x 1_000_000 } ]);
	ok($d->expect(qr/^call \d+ uploadRunLog of 10000\d\d bytes$/),
		"$transport: a large message");
	is($d->stop(), 0, "$transport: clean");
	$e->stop();
}
