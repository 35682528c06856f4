#!/usr/bin/perl

# Both links with nothing between them: what an engine calls comes to the app as
# it was written, and the answer back, byte for byte, many at once or large.

use strict;
use warnings;

use Digest::SHA ();
use IO::Select;
use IO::Socket::INET;
use MIME::Base64 ();
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Link;

my $t = Test::Apworker->new();

# ------------------------------------------------------ the app, then the engine
my $listen = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1')
	or die "listen: $!";
my $d = link_program($t, 'bin/link-relay',
	'http://127.0.0.1:' . $listen->sockport());
IO::Select->new($listen)->can_read(deadline()) or die 'no connection';
my $app = $listen->accept();
my $head = '';
while ($head !~ /\r\n\r\n/) {
	sysread $app, $head, 4096, length $head or die 'no request';
}
my ($key) = $head =~ /^Sec-WebSocket-Key: (\S+)\r$/mi;
my $accept = MIME::Base64::encode_base64(Digest::SHA::sha1(
	$key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'), '');
$app->autoflush(1);

sub reply { return print $app map { ws_frame($_, mask => 0) } @_ }

print $app "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	. "Sec-WebSocket-Accept: $accept\r\n\r\n";
reply('0{"sid":"a","upgrades":[],"pingInterval":60000,"pingTimeout":60000,'
	. '"maxPayload":100000000}', '40{"sid":"x"}');
like((ws_read($app))[1], qr/^40/, 'CONNECT');
my ($port, $token) = $d->expect(qr/^port (\d+) (\S+)/);
my $engine = ws_open($port, '/worker/ws/?EIO=4&transport=websocket');
ws_read($engine);
print $engine ws_frame(
	qq(40{"sandboxId":"sb1","connectionToken":"$token"}));
like((ws_read($engine))[1], qr/^40/, 'admitted');

sub call {
	my ($id, $json) = @_;
	return ws_frame(qq(42$id\["rpc",{"method":"uploadRunLog",)
		. qq("payload":$json}]));
}

# The id of the call, and its payload.
sub asked {
	my (undef, $text) = ws_read($app);
	return $text =~ /^42(\d+)\["rpc",\{"method":"uploadRunLog","payload":(.*)
		\}\]$/xs ? ($1, $2) : (-1, $text);
}

# ------------------------------------------------------ as it was written
for my $json (
	'{"n":9007199254740993,"m":-0.10e+05,"k":1E400}',
	'{"z":"\u0000","x":"a\u0000b","\u0000":null}',
	'{"a":1,"a":{"a":2,"a":3},"a":[]}',
	'{"high":"\ud800","low":"\udc00x","pair":"\ud83d\ude00"}',
	'{"slash":"\/","text":"/","u":"\u00e9' . "\xc3\xa9" . '"}',
	'{ "spaces" : [ 1 , 2 ] }', '{"p":{"_placeholder":true,"num":0}}',
	'{"__rpcError":"no error"}', '"text"', '12345678901234567890', 'null',
	'[' x 1000 . ']' x 1000,
) {
	my $name = length $json < 60 ? $json : substr($json, 0, 57) . '...';
	print $engine call(7, $json);
	my ($id, $payload) = asked();
	is($payload, $json, "to the app: $name");
	next if $json =~ /rpcError/;
	reply("43$id\[$json]");
	is((ws_read($engine))[1], "437[$json]", 'and back');
}

# ------------------------------------------------------ many at once
{
	# the call above was never answered, which is nothing to the others
	my @json = map { qq({"i":$_,"x":") . 'x' x 4000 . '"}' } 1 .. 40;
	print $engine join '', map { call(100 + $_, $json[$_]) } 0 .. 39;
	my @got = map { [ asked() ] } 0 .. 39;
	is(join(' ', map { $_->[1] } @got), join(' ', @json), 'forty calls');
	# answers nobody awaits, repeated ones, all in one write
	reply('4399999[1]', (map { "43$_->[0]\[$_->[1]]" } @got),
		map { "43$_->[0]\[0]" } @got[ 0 .. 9 ]);
	is(join(' ', map { (ws_read($engine))[1] } 0 .. 39),
		join(' ', map { '43' . (100 + $_) . "[$json[$_]]" } 0 .. 39),
		'forty answers');
}

# ------------------------------------------------------ large
{
	my $before = $d->peak_kib();
	my $json = '"' . 'y' x (20 << 20) . '"';
	print $engine call(9, $json);
	my ($id, $payload) = asked();
	ok($payload eq $json, 'twenty megabytes');
	reply("43$id\[$json]");
	ok((ws_read($engine))[1] eq "439[$json]", 'and back');
	cmp_ok($d->peak_kib() - $before, '<', 2.5 * 20480, 'in bounded memory');
}
is($d->stop(), 0, 'clean');
