#!/usr/bin/perl

# The egress proxy does what its clients expect: forward and CONNECT, names
# and addresses, bodies of every frame, upstream proxies, and its account.

use strict;
use warnings;

use Test::More;
use Time::HiRes ();

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Egress;

Test::Apworker::Egress->alone(qw/8.8.8.8 8.8.4.4 10.9.0.1 10.9.0.2
	169.254.169.254 2600::1 2600::2 127.0.0.53/);

my $t = Test::Apworker->new();
my $e = Test::Apworker::Egress->new($t);
my $dns = $e->dns({
	'pub.example' => [ '8.8.8.8' ],
	'six.example' => [ '2600::1' ],
	'both.example' => [ '2600::1', '8.8.8.8' ],
	'alias.example' => { cname => 'far.example', a => [ '8.8.4.4' ] },
	'stuck.example' => [ '2600::2', '8.8.8.8' ],
	'dead6.example' => [ '2600::99', '8.8.8.8' ],
	'app.internal' => [ '10.9.0.1' ],
	'db.corp.example' => [ '10.9.0.2' ],
	'gone.example' => 'nxdomain',
});
$e->origin(undef, '8.8.8.8:80', '8.8.8.8:8080', '8.8.4.4:80', '[2600::1]:80',
	'10.9.0.1:3000', '10.9.0.2:80');
my $rules = "resolver $dns; upstream off;";
my $p = $e->proxy("network auto { $rules }");

# --- forward ---

my ($status, $body) = $p->get('http://pub.example/a?b=c');
is("$status $body", '200 at 8.8.8.8:80: /a?b=c', 'a name, forwarded');
is_deeply($e->asked(), { 'pub.example A' => 1, 'pub.example AAAA' => 1 },
	'and looked up once');
is(join(' ', $p->get('http://8.8.8.8:8080')),
	'200 at 8.8.8.8:8080: /', 'an address and a port');
is(join(' ', $p->get('http://pub.example?q')),
	'200 at 8.8.8.8:80: /?q', 'a query without a path');
is(join(' ', $p->get('http://[2600::1]/')), '200 at [2600::1]:80: /',
	'an IPv6 address');
is(join(' ', $p->get('http://six.example/')), '200 at [2600::1]:80: /',
	'a name with IPv6 alone');
is(join(' ', $p->get('http://both.example/')), '200 at [2600::1]:80: /',
	'IPv6 comes first');
is(join(' ', $p->get('http://dead6.example/')), '200 at 8.8.8.8:80: /',
	'and IPv4 when it does not answer');
$e->stuck('2600::2', 80);
my $start = Time::HiRes::time();
is(join(' ', $p->get('http://stuck.example/')), '200 at 8.8.8.8:80: /',
	'nor does it wait long for one that says nothing');
cmp_ok(Time::HiRes::time() - $start, '<', 25, 'really');
is(join(' ', $p->get('http://ALIAS.Example./')), '200 at 8.8.4.4:80: /',
	'an alias, in capitals and with the root');

my $raw = $p->raw("GET http://pub.example/h HTTP/1.1\r\nHost: pub.example\r\n"
	. "Connection: keep-alive, X-Mine\r\nX-Mine: 1\r\nTE: trailers\r\n"
	. "Proxy-Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\n"
	. "Upgrade: websocket\r\nKeep-Alive: 5\r\nX-Other: 2\r\n\r\n");
my ($got) = grep { $_->[1] =~ m{^GET /h } } $e->got();
is($got->[1], "GET /h HTTP/1.1\r\nHost: pub.example\r\nX-Other: 2\r\n"
	. "Connection: close\r\n\r\n", 'hop-by-hop headers end here');
like($raw, qr/X-Origin: yes/, 'the headers of the answer come');
unlike($raw, qr/X-Hop|Keep-Alive|Upgrade|keep-alive/i,
	'but those of its connection');
like($raw, qr/Connection: close/, 'which is closed');

is(join(' ', $p->status("POST http://pub.example/echo HTTP/1.1\r\n"
	. "Host: pub.example\r\nContent-Length: 5\r\n\r\nhello")),
	'200 at 8.8.8.8:80: hello', 'a body with its length');
is(join(' ', $p->status("POST http://pub.example/echo HTTP/1.1\r\n"
	. "Host: pub.example\r\nTransfer-Encoding: chunked\r\n\r\n"
	. "3\r\nabc\r\n0\r\n\r\n")),
	"200 at 8.8.8.8:80: 3\r\nabc\r\n0\r\n\r\n", 'a body in chunks');
my $big = 'z' x 900_000;
is(length((($p->status("POST http://pub.example/echo HTTP/1.1\r\n"
	. "Host: pub.example\r\nContent-Length: 900000\r\n\r\n$big"))[1])),
	900_000 + length('at 8.8.8.8:80: '), 'a large body, both ways');
like($p->raw("GET http://pub.example/chunked HTTP/1.1\r\n"
	. "Host: pub.example\r\n\r\n"), qr/\r\n(?:x{7000}){10}\r\n0\r\nX-Trailer: 1\r\n\r\n$/,
	'an answer in chunks, and its end although the server stays');
is(length((($p->get('http://pub.example/until-end'))[1])), 100000,
	'an answer until the end');
is(length((($p->get('http://pub.example/big/3000000'))[1])), 3000000,
	'a large answer');
is(join(' ', $p->status("HEAD http://pub.example/ HTTP/1.1\r\n"
	. "Host: pub.example\r\n\r\n")), '200 ', 'HEAD');
like($p->raw("POST http://pub.example/early HTTP/1.1\r\nHost: pub.example\r\n"
	. "Expect: 100-continue\r\nContent-Length: 1\r\n\r\nx"),
	qr{^HTTP/1.1 100 Continue.*HTTP/1.1 200 OK}s, 'an interim answer');
is($p->status("GET http://pub.example/ HTTP/1.0\r\n\r\n"), 200, 'HTTP/1.0');

# --- CONNECT ---

my ($hello, $s) = $p->raw("CONNECT pub.example:80 HTTP/1.1\r\n"
	. "Host: pub.example:80\r\n\r\n", until => qr/\r\n\r\n/);
is($hello, "HTTP/1.1 200 Connection Established\r\n\r\n",
	'a tunnel: a status line, no headers');
print $s "GET /tunnel HTTP/1.1\r\nHost: x\r\n\r\n";
$s->shutdown(1);
$got = do { local $/; <$s> };
like($got, qr/at 8\.8\.8\.8:80: \/tunnel$/,
	'what goes in at one end comes out at the other; half-closed, too');
is($p->connect_to('[2600::1]:80'), 200, 'to IPv6');
is(scalar($p->connect_to('10.9.0.1:3000')), 403, 'not to a private address');
is(($p->connect_to('app.internal:3000'))[1], 'Egress blocked: app.internal',
	'nor by name; the body is what clients know');
is(join('|', $p->connect_to('gone.example:443')),
	'502|Name not found: gone.example', 'a name that is none');
is(join('|', $p->connect_to('8.8.4.4:81')), '502|No connection: 8.8.4.4',
	'nobody listens');
is($p->connect_to('localhost:80'), 403, 'localhost needs no name server');

# --- what upstream's clients see of refusals ---

is(join('|', $p->get('https://pub.example/')),
	'400|Only HTTP protocol is supported (was https:)', 'https in absolute form');
is(join('|', $p->status("GET /path HTTP/1.1\r\nHost: x\r\n\r\n")),
	'400|Target "/path" could not be parsed', 'origin form');
is($p->get('http://pub.example:99999/'), 400, 'a bad port');

# --- account ---

is($p->tell('begin run-1'), 'begun', 'a run');
$p->get('http://pub.example/');
$p->get('http://10.9.0.1:3000/');
$p->status("POST http://pub.example/echo HTTP/1.1\r\nHost: pub.example\r\n"
	. "Content-Length: 3\r\n\r\nabc");
is($p->count_is(0), 0, 'nothing is open');
is($p->tell('end'), '{"allowed":2,"blocked":1,"failed":0,"sentBytes":3,'
	. '"receivedBytes":34}', 'its account');
my @run = grep { $_->{run} eq 'run-1' } $p->decisions();
is_deeply([ map { "$_->{verdict} $_->{host} $_->{port} $_->{address}"
	. " $_->{sent} $_->{received}" } @run ],
	[ 'allowed pub.example 80 8.8.8.8 0 16',
	'blocked address 10.9.0.1 3000 10.9.0.1 0 0',
	'allowed pub.example 80 8.8.8.8 3 18' ], 'a line for each decision');
is($run[1]{why}, 'private', 'and why');
is($p->tell('begin run-2') . $p->tell('end'), 'begun{"allowed":0,"blocked":0,'
	. '"failed":0,"sentBytes":0,"receivedBytes":0}', 'the next starts at zero');
($hello, $s) = $p->raw("CONNECT pub.example:80 HTTP/1.1\r\nHost: x\r\n\r\n",
	until => qr/\r\n\r\n/);
is($p->count_is(1), 1, 'a tunnel that stays open');
$p->tell('begin run-3');
is($p->tell('count') . sysread($s, $got, 1), '00',
	'does not outlive its run');
is($p->stop(), 0, 'it ends clean');

# --- the daemon's own requests ---

$p = $e->proxy("network auto { $rules allow *.corp.example; }");
is($p->tell('post http://pub.example/ev'), 'post: 200', 'a POST of our own');
is($p->tell('post http://db.corp.example/'), 'post: 200', 'a name that is allowed');
like($p->tell('post http://app.internal:3000/'),
	qr/^post: blocked address: 10\.9\.0\.1 is private/, 'a private address');
like($p->tell('post http://pub.example/to/10.9.0.1:3000'),
	qr/^post: blocked address: 10\.9\.0\.1/, 'a redirect to one');
is($p->stop(), 0, 'clean');

# --- rules ---

$p = $e->proxy("network auto { $rules allow *.corp.example 169.254.169.254;"
	. ' ports 80 8000-8100; }', api => 'http://app.internal:3000/api/',
	app => [ '10.9.0.2', 'nonsense' ]);
is($p->get('http://db.corp.example/'), 200, 'a domain that is allowed');
is($p->get('http://10.9.0.2/'), 200, 'the app allows an address');
is($p->get('http://app.internal:3000/'), 200,
	'the app\'s API, although its port is not in the list');
is($p->get('http://app.internal/'), 403, 'another port of the app is not');
is($p->get('http://pub.example:8080/'), 200, 'a range of ports');
is(join('|', $p->connect_to('pub.example:443')),
	'403|Egress blocked: pub.example port 443', 'a port that is closed');
is($p->get('http://10.9.0.1/'), 403, 'the app\'s address otherwise');
like($p->tell('rules'), qr/^allow public app=app\.internal:3000 /, 'and says so');
is($p->stop(), 0, 'clean');

# --- upstream ---

my $up = $e->proxy("network auto { resolver $dns; upstream off; }");
my $via = 'http://127.0.0.1:' . $up->port();
$p = $e->proxy("network auto { $rules }",
	env => { HTTPS_PROXY => "http://user:secret\@127.0.0.1:" . $up->port(),
	NO_PROXY => '8.8.4.4' });
is(scalar($p->get('http://pub.example/')), 200,
	'"upstream off": HTTPS_PROXY is not asked');
is(scalar($up->decisions()), 0, 'really');
$p->stop();
$p = $e->proxy("network auto { resolver $dns; }",
	env => { HTTPS_PROXY => "http://user:secret\@127.0.0.1:" . $up->port(),
	NO_PROXY => '8.8.4.4' });
is(join(' ', $p->get('http://pub.example/')), '200 at 8.8.8.8:80: /',
	'through HTTPS_PROXY of the environment');
$up->wait_log(qr/method=CONNECT host=8\.8\.8\.8 port=80 /);
pass('which gets the address that was checked');
is($p->connect_to('app.internal:3000'), 403, 'the rules are ours all the same');
is($p->get('http://8.8.4.4/'), 200, 'NO_PROXY goes straight');
is(scalar($up->decisions()), 1, 'really');
is($p->connect_to('gone.example:80'), 502, 'a name that is none');
unlike($p->log(), qr/secret/, 'its password is in no line');
$p->stop();
my $blind = $e->dns({}, '127.0.0.54');
$p = $e->proxy("network auto { resolver $blind; upstream $via names; }");
is(join(' ', $p->get('http://pub.example/')), '200 at 8.8.8.8:80: /',
	'"names": it looks up what we cannot');
is($p->connect_to('app.internal:3000'), 502, 'and its rules hold then');
is($p->connect_to('10.9.0.1:3000'), 403, 'addresses are ours to check');
is($p->stop(), 0, 'clean');
is($up->stop(), 0, 'clean, upstream');

# One that is spoken to in TLS.
SKIP: {
	skip 'no node or openssl', 9 unless Test::Apworker::Has::find('node')
		&& Test::Apworker::Has::find('openssl');
	my $dir = $t->testdir();
	system("openssl req -x509 -newkey rsa:2048 -nodes -days 2"
		. " -subj /CN=proxy -addext subjectAltName=IP:127.0.0.1"
		. " -keyout $dir/key.pem -out $dir/cert.pem >/dev/null 2>&1")
		== 0 or die 'openssl';
	Test::Apworker::Egress::spawn(sub {
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$dir/tls-log";
		open STDERR, '>&', \*STDOUT;
		exec Test::Apworker::Has::find('node'), $t->srcdir()
			. '/bin/tls-proxy.js', $dir, 8081;
	});
	$e->origin(undef, '127.0.0.1:8081');
	wait_for(sub { -e "$dir/tls-port" }, 'the proxy') or die;
	my $port = slurp("$dir/tls-port");
	my $rules = "network auto { resolver $dns; upstream"
		. " https://127.0.0.1:$port; }";
	$p = $e->proxy($rules);
	is($p->get('http://pub.example/'), 502, 'one that proves nothing');
	my @d = $p->decisions();
	like($d[0]{why}, qr/certificate refused/, 'is not spoken to')
		or diag($p->log());
	$p->stop();
	$p = $e->proxy($rules, env => { SSL_CERT_FILE => "$dir/cert.pem" });
	is(join(' ', $p->get('http://pub.example/x')),
		'200 at 127.0.0.1:8081: /x', 'through TLS') or diag($p->log());
	like(slurp("$dir/tls-requests"), qr/^CONNECT 8\.8\.8\.8:80 /,
		'by a tunnel to the address that was checked');
	my (undef, $body) = $p->get('http://pub.example/big/30000000');
	is(length($body // ''), 30000000, 'much at once, whole');
	my $text = "POST /echo HTTP/1.1\r\nHost: pub.example\r\n"
		. "Content-Length: 3000000\r\n\r\n";
	my ($got, $s) = $p->raw("CONNECT pub.example:80 HTTP/1.1\r\nHost: "
		. "pub.example:80\r\n\r\n", until => qr/\r\n\r\n/);
	like($got, qr/^HTTP\S+ 200 /, 'a tunnel');
	print $s $text . 'z' x 3000000;
	my $n = 0;
	while ($n < 3000000 and sysread $s, my $in, 65536) {
		$n += $in =~ tr/z/z/;
	}
	is($n, 3000000, 'both ways');
	close $s;
	is($p->count_is(0), 0, 'its end is told to the other side');
	is($p->stop(), 0, 'clean');
}
