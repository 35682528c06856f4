#!/usr/bin/perl

# What hostile code tries at the egress proxy: each must fail for it, and the
# proxy goes on serving.

use strict;
use warnings;

use IO::Select;
use Test::More;
use Time::HiRes qw/time sleep/;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Egress;

Test::Apworker::Egress->alone(qw/8.8.8.8 8.8.4.4 10.9.0.1 169.254.169.254
	100.64.0.1 2600::1 fd00::1 fe80::9 64:ff9b::808:808 127.0.0.53/);

my $t = Test::Apworker->new();
my $e = Test::Apworker::Egress->new($t);
my $dns = $e->dns({
	'pub.example' => [ '8.8.8.8' ],
	'mixed.example' => [ '8.8.8.8', '8.8.4.4', '10.9.0.1' ],
	'mixed6.example' => [ '8.8.8.8', 'fd00::1' ],
	'many.example' => [ (map { "8.8.1.$_" } 1 .. 20), '127.0.0.1' ],
	'mapped.example' => [ '8.8.8.8', '::ffff:10.9.0.1' ],
	'nat64.example' => [ '64:ff9b::a09:1' ],
	'meta.example' => [ '169.254.169.254' ],
	'nat.example' => [ '100.64.0.1' ],
	'zero.example' => [ '0.0.0.0' ],
	'alias.example' => { cname => 'in.internal', a => [ '10.9.0.1' ] },
	'rebind.example' => [ [ '8.8.8.8' ], [ '10.9.0.1' ] ],
	'long.example' => { ttl => 0x7fffffff,
		a => [ [ '8.8.8.8' ], [ '10.9.0.1' ] ] },
	'silent.example' => 'silent',
	'broken.example' => 'servfail',
	'empty.example' => [],
	'cut.example' => 'truncated',
	'noise.example' => 'garbage',
});
my $inside = '10.9.0.1:80';
$e->origin(\&bad_origin, '8.8.8.8:80', '8.8.4.4:80', $inside,
	'169.254.169.254:80', '127.0.0.1:80', '100.64.0.1:80', '[fd00::1]:80',
	'[::1]:80', '[64:ff9b::808:808]:80', '8.8.8.8:81');
my $conf = "resolver $dns; upstream off;";
my $p = $e->proxy("network auto { $conf ports 80; connect_timeout 2s;"
	. ' head_timeout 2s; }');

# --- places ---

for my $host (qw/10.9.0.1 127.0.0.1 127.1 127.0.1 0x7f.1 0x7f000001 2130706433
	017700000001 0177.0.0.1 0 0.0.0.0 0x0a.9.1 167837697 012.9.0.1
	169.254.169.254 0xa9fea9fe 2852039166 100.64.0.1 127.0.0.1.
	[::1] [::] [fd00::1] [fe80::9] [::ffff:10.9.0.1] [::ffff:a09:1]
	[::10.9.0.1] [::ffff:0:10.9.0.1] [64:ff9b::a09:1] [64:ff9b::808:808]
	[2002:a09:1::] [fec0::1] [100::1] [3fff::1]
	localhost localhost. LocalHost x.localhost
	meta.example nat.example zero.example alias.example nat64.example
	mixed.example mixed6.example mapped.example many.example/) {
	my @s = (scalar($p->get("http://$host/")),
		scalar($p->connect_to("$host:80")));
	is("@s", '403 403', "$host is blocked");
}
for my $host ('[fe80::9%lo]', '10.9.0.1%2f', '10%2e9%2e0%2e1', "10\x{ef}.9.0.1",
	'a..b', '.', '-', '', '[::1', '::1', '[10.9.0.1]', '[::1]x', 'a' x 300,
	('a' x 64) . '.example', 'pub.example:', 'pub.example:0', 'pub.example:-1',
	'pub.example:80:80', 'pub.example:65616', 'pub.example:0000080',
	'pub.example@10.9.0.1', '10.9.0.1@pub.example', 'pub.example\\@10.9.0.1',
	"pub.example\t10.9.0.1", 'pub.example 10.9.0.1', "pub.example\0") {
	my $said = $host =~ s/[^!-~]/?/gr;
	my $s = $p->status("GET http://$host/ HTTP/1.1\r\nHost: pub.example\r\n\r\n");
	like($s, qr/^(?:400|502)$/, 'no host: ' . substr($said, 0, 30));
}
for my $target ('10.9.0.1', 'pub.example', 'pub.example:', 'pub.example:0',
	'pub.example:80x', 'http://pub.example:80', '/', '*', 'a@pub.example:80',
	'pub.example:80/', '[::1]', ':80') {
	is($p->connect_to($target), 400, "no target: $target");
}
for my $url ('http:/10.9.0.1/', 'http:10.9.0.1', '//10.9.0.1/', '10.9.0.1/',
	'ftp://10.9.0.1/', 'file:///etc/passwd', 'ws://10.9.0.1/', 'unix:/x',
	'http://pub.example/#@10.9.0.1/', 'http://', '*') {
	is($p->status("GET $url HTTP/1.1\r\nHost: pub.example\r\n\r\n"), 400,
		"no URL: $url");
}
is($p->connect_to('8.8.8.8:81'), 403, 'a port outside of the rules');
is($p->get('http://8.8.8.8:81/'), 403, 'forward, too');
my ($status) = $p->get('http://pub.example/to/10.9.0.1');
is("$status " . $p->get('http://10.9.0.1/'), '302 403',
	'a redirect is a request of its own');

# --- names ---

is(join(' ', $p->get('http://rebind.example/')), '200 at 8.8.8.8:80: /',
	'a name that changes');
is_deeply([ @{$e->asked()}{'rebind.example A', 'rebind.example AAAA'} ],
	[ 1, 1 ], 'is looked up once for a connection');
is($p->get('http://rebind.example/'), 403, 'and anew for the next');
is($p->get('http://long.example/') . $p->get('http://long.example/'), '200403',
	'whatever its time to live');
is($p->get('http://silent.example/'), 504, 'silence is cut short');
is($p->get("http://$_.example/"), 502, "$_: no address")
	for qw/broken empty cut/;
like(scalar($p->get('http://noise.example/')), qr/^50[24]$/, 'noise');

# --- heads ---

my $h = "Host: pub.example\r\n";
my $get = "GET http://pub.example/ HTTP/1.1\r\n";
my $post = "POST http://pub.example/hit HTTP/1.1\r\n$h";
my %bad = (
	'two lengths' => "${post}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
	'a list of lengths' => "${post}Content-Length: 1, 1\r\n\r\nx",
	'length and chunks' => "${post}Content-Length: 5\r\n"
		. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	'chunks twice' => "${post}Transfer-Encoding: chunked\r\n"
		. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	'another encoding' => "${post}Transfer-Encoding: gzip, chunked\r\n\r\n"
		. "0\r\n\r\n",
	'an encoding in tabs' => "${post}Transfer-Encoding: \x0bchunked\r\n\r\n"
		. "0\r\n\r\n",
	'a blank before the colon' => "${post}Content-Length : 1\r\n\r\nx",
	'a folded header' => "${post}X: 1\r\n Content-Length: 1\r\n\r\nx",
	'a folded length' => "${post}Content-Length:\r\n 1\r\n\r\nx",
	'a bare LF' => "${post}X: 1\nContent-Length: 1\r\n\r\nx",
	'a bare CR' => "${post}X: 1\rContent-Length: 1\r\n\r\nx",
	'a NUL' => "${post}X: 1\0\r\n\r\n",
	'no colon' => "${post}Content-Length\r\n\r\n",
	'a signed length' => "${post}Content-Length: +1\r\n\r\nx",
	'a hexadecimal length' => "${post}Content-Length: 0x1\r\n\r\nx",
	'a negative length' => "${post}Content-Length: -1\r\n\r\nx",
	'a huge length' => "${post}Content-Length: 99999999999999999999\r\n\r\nx",
	'two hosts' => "$get$h$h\r\n",
	'no host' => "$get\r\n",
	'the host of another' => "${get}Host: 10.9.0.1\r\n\r\n",
	'another port' => "${get}Host: pub.example:81\r\n\r\n",
	'HTTP/1.2' => "GET http://pub.example/ HTTP/1.2\r\n$h\r\n",
	'HTTP/2.0' => "GET http://pub.example/ HTTP/2.0\r\n$h\r\n",
	'the preface of HTTP/2' => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	'TLS' => "\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
	'a SOCKS greeting' => "\x05\x01\x00",
	'connect in small letters' => "connect pub.example:80 HTTP/1.1\r\n$h\r\n",
	'no version' => "GET http://pub.example/\r\n$h\r\n",
	'blanks' => "GET  http://pub.example/ HTTP/1.1\r\n$h\r\n",
	'a line before' => "\r\n$get$h\r\n",
	'Connection: content-length' => "${post}Connection: content-length\r\n"
		. "Content-Length: 1\r\n\r\nx",
	'Connection: host' => "${get}Connection: close, Host\r\n$h\r\n",
	'a large head' => $get . $h . ('X: ' . 'x' x 1000 . "\r\n") x 20 . "\r\n",
	'an endless head' => $get . 'X' x 40000,
	'many headers' => $get . $h . "X: 1\r\n" x 200 . "\r\n",
	'a tunnel with a body' => "CONNECT pub.example:80 HTTP/1.1\r\n$h"
		. "Content-Length: 4\r\n\r\nGET ",
	'a tunnel in chunks' => "CONNECT pub.example:80 HTTP/1.1\r\n$h"
		. "Transfer-Encoding: chunked\r\n\r\n",
	'bytes before the tunnel' => "CONNECT pub.example:80 HTTP/1.1\r\n$h\r\n"
		. "GET /hit HTTP/1.1\r\nHost: 10.9.0.1\r\n\r\n",
	'a request behind' => "$get$h\r\n${post}Content-Length: 0\r\n\r\n",
	'one behind a length' => "${post}Content-Length: 1\r\n\r\nx$get$h\r\n",
	'one behind chunks' => "${post}Transfer-Encoding: chunked\r\n\r\n"
		. "0\r\n\r\n$get$h\r\n",
);
my $before = () = $e->got();
for my $what (sort keys %bad) {
	like(scalar($p->status($bad{$what})), qr/^4(?:00|31)$/, $what);
}
for my $chunk ('x', '-1', '+1', ' 1', '0x1', '', '1;a' . 'b' x 3000, 'f' x 17,
	"1\n", '1 1', '10000000000000000') {
	is($p->status("${post}Transfer-Encoding: chunked\r\n\r\n$chunk\r\nx\r\n"),
		400, 'a chunk of "' . substr($chunk, 0, 9) =~ s/\n/\\n/r . '"');
}
is($p->status("${post}Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n"),
	400, 'a chunk that is longer than it says');
my $after = () = $e->got();
is($after, $before, 'nothing of that came anywhere');

# a broken chunk when the request is on its way: the origin must not believe
# that it got all of it
my ($said, $s) = $p->raw("${post}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
	until => qr/./, seconds => 0.3);
syswrite $s, "zz\r\n";
$said = do { local $/; <$s> } // '';
unlike($said, qr/ 200 /, 'a broken chunk later');
($said, $s) = $p->raw("${post}Content-Length: 10\r\n\r\nabc",
	until => qr/./, seconds => 0.3);
$s->shutdown(1);
$said = do { local $/; <$s> } // '';
unlike($said, qr/ 200 /, 'a body that ends early');

# one connection, one request
($said, $s) = $p->raw("$get$h\r\n", until => qr/: \/$/);
syswrite $s, "GET http://pub.example/second HTTP/1.1\r\n$h\r\n";
is((sysread($s, $said, 100) // 0), 0, 'a second request finds the end');
($said, $s) = $p->raw("CONNECT pub.example:80 HTTP/1.1\r\n$h\r\n",
	until => qr/\r\n\r\n/);
syswrite $s, "CONNECT 10.9.0.1:80 HTTP/1.1\r\nHost: 10.9.0.1\r\n\r\n";
sysread $s, $said, 1000;
my ($last) = ($e->got())[-1];
is($last->[0], '8.8.8.8:80', 'CONNECT in a tunnel is bytes for its end');
close $s;

# --- answers ---

for my $bad (qw/two-lengths length-and-chunks upgrade no-http long-head
	nothing status old-chunks/) {
	is($p->get("http://pub.example/bad/$bad"), 502, "an answer: $bad");
}
$said = $p->raw("GET http://pub.example/bad/broken-chunk HTTP/1.1\r\n$h\r\n");
unlike($said, qr/0\r\n\r\n$/, 'broken chunks end the answer');
$said = $p->raw("GET http://pub.example/bad/behind HTTP/1.1\r\n$h\r\n");
unlike($said, qr/evil/, 'an answer has one end');

# --- exhaustion ---

my $fds = fds($p);
($status) = $p->status("GET http://pub.example/ HTT", seconds => 10);
is($status, 408, 'a head that does not come');
$s = $p->connect();
my $drip = time;
while (time - $drip < 60) {
	last unless syswrite $s, 'G';
	last if IO::Select->new($s)->can_read(0.1);
}
cmp_ok(time - $drip, '<', 50, 'nor does one letter after the other help');
for (1 .. 400) {
	my $c = $p->connect();
	syswrite $c, "CONNECT silent.example:80 HTTP/1.1\r\n$h\r\n" if $_ % 2;
	close $c;
}
is($p->get('http://pub.example/'), 200, 'hundreds of half a connection');
is(wait_fds($p, $fds), $fds, 'and none of them is left');

# slow readers: nobody waits for them, and nothing piles up
my @slow = map {
	my $c = $p->connect();
	$c->sockopt(Socket::SO_RCVBUF(), 4096);
	syswrite $c, "GET http://pub.example/big/30000000 HTTP/1.1\r\n$h\r\n";
	$c
} 1 .. 20;
sleep 0.3;
is($p->get('http://pub.example/'), 200, 'among slow readers');
is($p->count_is(20), 20, 'they are waiting');
close $_ for @slow;
is(wait_fds($p, $fds), $fds, 'and gone');
is($p->stop(), 0, 'clean');

# as many tunnels as there may be
$p = $e->proxy("network auto { $conf connections 500; }");
my $echo = $e->echo('8.8.8.8');
my @tunnels = map {
	my $c = $p->connect();
	syswrite $c, "CONNECT $echo HTTP/1.1\r\nHost: $echo\r\n\r\n";
	$c
} 1 .. 500;
my $good = 0;
for my $c (@tunnels) {
	$said = '';
	1 while $said !~ /\r\n\r\n/ && sysread $c, $said, 1000, length $said;
	syswrite $c, 'ping' if $said =~ / 200 /;
}
for my $c (@tunnels) {
	$good++ if sysread($c, $said, 100) == 4 && $said eq 'ping';
}
is($good, 500, '500 tunnels at the same time');
is($p->count_is(500), 500, 'really');
@tunnels = ();
is($p->stop(), 0, 'clean');

$p = $e->proxy("network auto { $conf connections 20; idle_timeout 1s; }");
my @open = map { $p->connect() } 1 .. 20;
is(join('|', $p->get('http://pub.example/')), '503|Too many connections',
	'one more than the limit');
close pop @open;
$status = 0;
my $end = time + 20;
while (($status || 0) != 200 && time < $end) {
	$status = $p->get('http://pub.example/');
}
is($status, 200, 'one goes, one comes');
close $_ for @open;
($said, $s) = $p->raw("CONNECT pub.example:80 HTTP/1.1\r\n$h\r\n",
	until => qr/\r\n\r\n/);
is(sysread($s, $said, 1), 0, 'an idle tunnel is closed');
# a flood: more than there is room for; they wait, and the next is served
@open = map { $p->connect() } 1 .. 200;
syswrite $_, "GET http://10.9.0.1/ HTTP/1.1\r\nHost: 10.9.0.1\r\n\r\n" for @open;
my %n;
for my $c (@open) {
	$said = '';
	1 while sysread $c, $said, 1000, length $said;
	$n{$said =~ m{^HTTP/1.1 (\d+)} ? $1 : 'none'}++;
}
close $_ for @open;
is(($n{403} || 0) + ($n{503} || 0), 200, 'a flood is answered, all of it');
$p->count_is(0);
is($p->get('http://pub.example/'), 200, 'and is over');
is($p->stop(), 0, 'clean');

$p = $e->proxy("network auto { $conf bytes 1m; }");
$p->tell('begin greedy');
$said = $p->raw("GET http://pub.example/big/50000000 HTTP/1.1\r\n$h\r\n");
cmp_ok(length $said, '<', 20_000_000, 'a run that takes too much is cut off');
is(join('|', $p->get('http://pub.example/')),
	'403|Egress limit of this run reached', 'and gets nothing more');
like($p->tell('end'), qr/"blocked":2/, 'which its account says');
$p->tell('begin modest');
is($p->get('http://pub.example/'), 200, 'the next run may');
for (1 .. 600) { $p->get('http://10.9.0.1/') }
$p->tell('end');
like($p->log(), qr/more of it that is not listed run=modest decisions=101/,
	'a loop does not fill the log');
is($p->stop(), 0, 'clean');

my @reached = grep { $_->[0] !~ /^8\.8\.[84]\.[84]:80$/ } $e->got();
is_deeply(\@reached, [], 'in all of this nothing but public addresses');

# Answers that no proxy should pass on.
sub bad_origin {
	my ($c, $head) = @_;
	my ($bad) = $head =~ m{^GET /bad/(\S+)} or return 0;
	my $ok = "HTTP/1.1 200 OK\r\n";
	my %say = (
		'two-lengths' => "${ok}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
		'length-and-chunks' => "${ok}Content-Length: 1\r\n"
			. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		'upgrade' => "HTTP/1.1 101 Switching Protocols\r\n\r\n",
		'no-http' => "SSH-2.0-x\r\n\r\n",
		'long-head' => $ok . 'X: ' . 'x' x 40000,
		'nothing' => '',
		'status' => "HTTP/1.1 20 OK\r\n\r\n",
		'old-chunks' => "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			. "0\r\n\r\n",
		'broken-chunk' => "${ok}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n"
			. "g\r\n0\r\n\r\n",
		'behind' => "${ok}Content-Length: 1\r\n\r\nx${ok}evil: 1\r\n\r\n",
	);
	print $c $say{$bad};
	return 1;
}

sub fds { return scalar(() = glob '/proc/' . $_[0]->pid() . '/fd/*') }

sub wait_fds {
	my ($p, $n) = @_;
	Test::Apworker::Util::wait_for(sub { fds($p) <= $n }, "$n descriptors");
	return fds($p) < $n ? $n : fds($p);
}
