#!/usr/bin/perl

# The server role: whoever is late, breaks off or lies is let go of, the log
# says why, and the others do not notice.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Link;

my $t = Test::Apworker->new();
my $poll = '/engine.io/?EIO=4&transport=polling';
my $ws = '/engine.io/?EIO=4&transport=websocket';
my $sio = '/socket.io/?EIO=4&transport=websocket';

# Nothing but the limit that is meant may end anything.
sub server {
	my $d = link_program($t, 'bin/sio-server', '-v', '-p', 0, '-i', 60000,
		'-t', 60000, '-c', 60000, '-H', 60000, '-u', 60000, '-m', 100000,
		'-o', 300000, @_);
	return ($d, $d->expect(qr/^port (\d+)/));
}

sub ask {
	my ($port, $method, $path, $body, @headers) = @_;
	my $s = raw_connect($port);
	http_request($s, $method, $path, $body, @headers);
	return http_answer($s);
}

sub session {
	my ($port) = @_;
	return (ask($port, 'GET', $poll))[2] =~ /"sid":"([\w-]{20})"/ ? $1 : die;
}

my $said = 0;

# In what is new of the log.
sub logged {
	my ($re, $what) = @_;
	my $file = $t->testdir() . '/drivers.err';
	ok(wait_for(sub { substr(slurp($file), $said) =~ $re }), "logged: $what")
		or diag(substr slurp($file), $said);
	$said = -s $file;
}

# a session that never polls, one that never answers, one that does
{
	my ($d, $port) = server('-i', 300, '-t', 3000);
	my $sid = session($port);
	my $mute = ws_open($port, $ws);
	my $alive = ws_open($port, $ws);
	ws_read($_) for $mute, $alive;
	for (1 .. 4) {
		is((ws_read($alive))[1], '2', 'ping');
		print $alive ws_frame('3');
	}
	is((ws_read($mute))[1], '2', 'one ping');
	is((ws_read($mute))[0], 8, 'and no more');
	logged(qr/session closed reason="?ping timeout/, 'ping timeout');
	is((ask($port, 'GET', "$poll&sid=$sid"))[0], 400,
		'who never polls is gone');
	print $alive ws_frame('4still');
	my ($op, $text) = ws_read($alive);
	($op, $text) = ws_read($alive) if $text eq '2';
	is($text, '4still', 'the one that answers is not');
	is($d->stop(), 0, 'clean');
}

# no CONNECT; a namespace that does not exist is none
{
	my ($d, $port) = server('-c', 2000);
	my @w = map { scalar ws_open($port, $sio) } 1 .. 3;
	ws_read($_) for @w;
	print { $w[1] } ws_frame('40/none,');
	like((ws_read($w[1]))[1], qr/^44\/none,\{"message":"Invalid namespace"\}$/,
		'no such namespace');
	print { $w[2] } ws_frame('40');
	like((ws_read($w[2]))[1], qr/^40/, 'joined');
	is((ws_read($w[$_]))[0], 8, 'who joins nothing is hung up on') for 0, 1;
	is((ws_read($w[2]))[1], '42["auth",{}]', 'who joined');
	print { $w[2] } ws_frame('421["message-with-ack",1]');
	is((ws_read($w[2]))[1], '431[1]', 'stays');
	is($d->stop(), 0, 'clean');
}

# a probe without an end, beside a session that goes on
{
	my ($d, $port) = server('-u', 1500);
	my $sid = session($port);
	my $w = ws_open($port, "$ws&sid=$sid");
	print $w ws_frame('2probe');
	is((ws_read($w))[1], '3probe', 'probe');
	is((ws_read($w))[0], 8, 'is not waited for any longer');
	is((ask($port, 'POST', "$poll&sid=$sid", '4on'))[2], 'ok', 'POST');
	is((ask($port, 'GET', "$poll&sid=$sid"))[2], '4on', 'polling goes on');
	$w = ws_open($port, "$ws&sid=$sid");
	print $w ws_frame('2probe'), ws_frame('5'), ws_frame('4b');
	is(join(' ', map { (ws_read($w))[1] } 1, 2), '3probe 4b',
		'the next one succeeds');
	select undef, undef, undef, 1.6;
	print $w ws_frame('4c');
	is((ws_read($w))[1], '4c', 'and lives on');
	is($d->stop(), 0, 'clean');
}

# who breaks off or lies: why is in the log, and one beside them lives on
{
	my ($d, $port) = server();
	my $beside = ws_open($port, $ws);
	ws_read($beside);
	my $sid = session($port);
	my $s = raw_connect($port);
	http_request($s, 'POST', "$poll&sid=$sid", undef, 'Content-Length: 10');
	print $s '4a';
	close $s;
	logged(qr/session closed reason="?transport close/, 'transport close');
	is((ask($port, 'POST', "$poll&sid=$sid", '6'))[0], 400,
		'broken off in a body');
	is((ask($port, 'GET', $poll, undef, "Origin: http://a\x01b"))[0], 400,
		'an origin with a control character');
	logged(qr/broken HTTP request reason=\S/, 'broken request');

	for my $case (
		[ 'too large', $ws, ws_frame('4' x 16, length => 100001),
			qr/message too large/ ],
		[ 'not UTF-8', $ws, ws_frame("4\xc3\x28"), qr/not UTF-8/ ],
		[ 'unmasked', $ws, ws_frame('4x', mask => 0),
			qr/protocol violated/ ],
		[ 'parse error', $ws, ws_frame('abc'), qr/parse error/ ],
		[ 'broken JSON', $sio, ws_frame('42["m"'), qr/broken JSON/ ],
		[ 'not joined', $sio, ws_frame('42["m"]'),
			qr/namespace not joined/ ],
		[ 'number of attachments', $sio, ws_frame('4550-["m"]'),
			qr/50 attachments/ ],
		[ 'attachment without a packet', $sio, ws_frame('x', op => 2),
			qr/attachment without a packet/ ],
		[ 'huge id', $sio, ws_frame('4299999999999999999["m"]'),
			qr/id too large/ ],
	) {
		my ($what, $path, $bytes, $re) = @$case;
		my $w = ws_open($port, $path);
		ws_read($w);
		print $w $bytes;
		is((ws_read($w))[0], 8, $what);
		logged($re, $what);
	}
	my $w = ws_open($port, $ws);
	ws_read($w);
	close $w;
	logged(qr/session closed reason="?transport close/, 'end of stream');
	print $beside ws_frame('4here');
	is((ws_read($beside))[1], '4here', 'the one beside them');
	is($d->stop(), 0, 'clean');
}
