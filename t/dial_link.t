#!/usr/bin/perl

# The ways from the app link to the app: names with the root's dot, interim
# answers, redirects, proxies with passwords and in TLS, authorities that only
# the environment names.

use strict;
use warnings;

use Digest::SHA;
use IO::Select;
use IO::Socket::INET;
use MIME::Base64;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Has;
use Test::Apworker::Link;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node node_modules openssl/);
my $dir = $t->testdir();

sub app {
	my $a = link_program($t, 'bin/link-app.js', json({ @_ }));
	return ($a, $a->expect(qr/^port (\d+)/));
}

sub client {
	my ($url, @args) = @_;
	return link_program($t, 'bin/app-link-peer',
		'-a', '{"token":"good","workerId":"w1"}', @args, $url);
}

system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=x"
	. " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
	. " -keyout $dir/key.pem -out $dir/cert.pem >/dev/null 2>&1") == 0
	or die 'openssl';

# --- TLS: the root's dot, and who is trusted ---

my ($a, $port) = app(key => "$dir/key.pem", cert => "$dir/cert.pem");
for my $host ('localhost', 'localhost.', 'LOCALHOST.') {
	my $c = client("https://$host:$port", '-C', "$dir/cert.pem")->say('open');
	ok($c->expect(qr/^open$/), "https to $host");
	is(lc(($a->expect(qr/^request \S+ (\S+)/))[0] // ''), 'localhost',
		'the name that is asked for has no dot');
	$c->stop();
}
{
	local $ENV{NODE_EXTRA_CA_CERTS} = "$dir/cert.pem";
	my $c = client("https://localhost:$port")->say('open');
	ok($c->expect(qr/^open$/), 'NODE_EXTRA_CA_CERTS is trusted');
	$c->stop();
	$ENV{NODE_EXTRA_CA_CERTS} = "$dir/none.pem";
	$c = client("https://localhost:$port")->say('open');
	ok($c->expect(qr/^closed 0 .*certificate refused/),
		'one that is not there is none');
	$c->stop();
	like(slurp("$dir/drivers.err"),
		qr{NODE_EXTRA_CA_CERTS is ignored: .*/none\.pem},
		'and it is said');
	$ENV{NODE_EXTRA_CA_CERTS} = "$dir/cert.pem";
	$t->write_file('other.pem', slurp("$dir/cert.pem"));
	system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=y"
		. " -keyout $dir/k2.pem -out $dir/other.pem >/dev/null 2>&1");
	$c = client("https://localhost:$port", '-C', "$dir/other.pem")
		->say('open');
	ok($c->expect(qr/^closed 0 .*certificate refused/),
		'a ca_file stands alone');
	$c->stop();
}
$a->stop();

# --- answers before the answer ---

my $listen = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1',
	ReuseAddr => 1) or die $!;
my $url = 'http://127.0.0.1:' . $listen->sockport();

sub head_of {
	my ($s) = @_;
	my $head = '';
	until ($head =~ /\r\n\r\n/) {
		sysread $s, $head, 4096, length $head or last;
	}
	return $head;
}

sub upgrade {
	my ($head) = @_;
	my ($key) = $head =~ /^Sec-WebSocket-Key: (\S+)/mi;
	return "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		. 'Sec-WebSocket-Accept: ' . encode_base64(Digest::SHA::sha1(
		$key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'), '') . "\r\n\r\n";
}

my $hello = join '', map { ws_frame($_, mask => 0) }
	'0{"sid":"abc","upgrades":[],"pingInterval":20000,'
	. '"pingTimeout":20000,"maxPayload":100}', '40{"sid":"x"}';
my $early = "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n";
my $go_on = "HTTP/1.1 100 Continue\r\n\r\n";

for my $case ([ '103' => $early ], [ '100' => $go_on ],
	[ 'several' => $go_on . $early x 3 ]) {
	for my $step (1 << 20, 1) {
		my $c = client($url)->say('open');
		my $s = $listen->accept();
		my $bytes = $case->[1] . upgrade(head_of($s)) . $hello;
		local $SIG{PIPE} = 'IGNORE';
		syswrite $s, $_ or last for unpack "(a$step)*", $bytes;
		ok($c->expect(qr/^open$/), "$case->[0] before the 101, by $step");
		$c->stop();
	}
}
for my $bytes ($go_on x 30, "HTTP/1.1 103 x\r\nX: " . 'y' x 20000) {
	my $c = client($url)->say('open');
	my $s = $listen->accept();
	head_of($s);
	local $SIG{PIPE} = 'IGNORE';
	syswrite $s, $bytes;
	ok($c->expect(qr/^closed 0 transport error: not an HTTP/),
		'but not without end');
	$c->stop();
}

# --- redirects ---

for my $case (
	[ 'https://app.test/api/socket.io/?EIO=4&transport=websocket',
		qr{301, a redirect to https://app\.test; if .* what "url" should be$} ],
	[ '/login?token=secret', qr{status 301, a redirect to "/login"} ],
) {
	my $c = client($url)->say('open');
	my $s = $listen->accept();
	head_of($s);
	syswrite $s, "HTTP/1.1 301 Moved\r\nLocation: $case->[0]\r\n"
		. "Content-Length: 0\r\n\r\n";
	ok($c->expect($case->[1]), "a redirect to $case->[0] is told");
	$c->stop();
}

# --- proxies ---

($a, $port) = app();

# Leads on to the app, and goes on when the client does.
sub lead {
	my ($s, $answer) = @_;
	my $up = raw_connect($port);
	syswrite $s, $answer;
	my $sel = IO::Select->new($s, $up);
	my $child = fork // die;
	return $child if $child;
	while (my @r = $sel->can_read(patience(20))) {
		for my $r (@r) {
			sysread $r, my $d, 65536 or POSIX::_exit(0);
			syswrite $r == $s ? $up : $s, $d;
		}
	}
	POSIX::_exit(0);
}

my $at = '127.0.0.1:' . $listen->sockport();
for my $case (
	[ "http://me:p%40s%3as\@$at", 'me:p@s:s', "HTTP/1.1 200 go\r\n\r\n" ],
	[ "HTTP://m%65:p%zz\@$at/", 'me:p%zz', $early . "HTTP/1.0 200 go\r\n\r\n" ],
	[ "me:x\@$at", 'me:x', $go_on x 3 . "HTTP/1.1 200 go\r\nA: b\r\n\r\n" ],
) {
	my ($proxy, $user, $answer) = @$case;
	my $c = client("http://127.0.0.1:$port", '-x', $proxy)->say('open');
	my $s = $listen->accept();
	my $head = head_of($s);
	like($head, qr/^CONNECT 127\.0\.0\.1:$port HTTP\/1\.1\r\n/, 'CONNECT');
	my ($auth) = $head =~ /^Proxy-Authorization: Basic (\S+)\r$/m;
	is(decode_base64($auth // ''), $user, "the user and password of $proxy");
	my $child = lead($s, $answer);
	close $s;
	ok($c->expect(qr/^open$/), 'through the tunnel');
	kill 'KILL', $child;
	waitpid $child, 0;
	$c->stop();
}

# one that is spoken to in TLS; it leads port 80 of any name to the app
my $pid = Test::Apworker::Proc::spawn([ Test::Apworker::Has::find('node'),
	$t->srcdir() . '/bin/tls-proxy.js', $dir, $port, 'me:p@ss' ],
	out => "$dir/tls-log", env => { $t->environment() });
END { kill 'KILL', $pid if $pid }
wait_for(sub { -e "$dir/tls-port" }, 'the proxy') or die;
$at = '127.0.0.1:' . slurp("$dir/tls-port");
my $c = client('http://app.invalid', '-x', "https://me:p%40ss\@$at",
	'-C', "$dir/cert.pem")->say('open');
ok($c->expect(qr/^open$/), 'a proxy that is spoken to in TLS');
is(slurp("$dir/tls-requests"), "CONNECT app.invalid:80 let in\n",
	'is asked by name, with the password');
$c->say('rpc large 0 2000000', 'big length 900000');
ok($c->expect(qr/^reply \d+ ok 0 large$/), 'much comes through it');
ok($c->expect(qr/^reply \d+ ok 0 900000$/), 'and goes');
$c->stop();
$c = client('http://app.invalid', '-x', "https://$at")->say('open');
ok($c->expect(qr/^closed 0 transport error: proxy: certificate refused/),
	'which has to prove itself');
$c->stop();
$c = client('http://app.invalid', '-x', "https://me:no\@$at",
	'-C', "$dir/cert.pem")->say('open');
ok($c->expect(qr/^closed 0 transport error: proxy: HTTP status 407$/),
	'and may refuse');
$c->stop();
for my $proxy ('socks5://me:secret@127.0.0.1:1080', 'ftp://x', 'http://:1') {
	my $c = client($url, '-x', $proxy);
	my $said = $c->line();
	like($said, qr/^failed .*upstream proxy: /, "no proxy: $proxy");
	unlike($said, qr/secret/, 'without its password');
	waitpid $c->pid(), 0;
	$c->{stopped} = 1;
}
$c = client('http://no-such-name.invalid')->say('open');
ok($c->expect(qr/^closed 0 transport error: cannot resolve no-such-name\./),
	'a name that has no address');
$_->stop() for $c, $a;
