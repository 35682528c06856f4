#!/usr/bin/perl

# The daemon's own HTTP requests: where an answer ends, what comes before it,
# and which way they go: GET and PUT of what the app names by the proxies of
# the environment.

use strict;
use warnings;

use IO::Socket::INET;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Has;
use Test::Apworker::Link;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node/);
my $dir = $t->testdir();
$t->write_file('net.conf', "network strict { upstream off; }\n");

sub tool {
	my (%env) = @_;
	local @ENV{keys %env} = values %env;
	my $p = link_program($t, 'bin/egress-proxy', '-c', "$dir/net.conf");
	$p->expect(qr/^ready/) or die;
	return $p;
}

my $listen = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1',
	ReuseAddr => 1) or die $!;
my $at = '127.0.0.1:' . $listen->sockport();
my $p = tool();

# Takes one request, answers with these bytes in pieces; the request.
sub answer {
	my ($bytes, $step, $stay) = @_;
	my $s = $listen->accept();
	my $head = '';
	until ($head =~ /\r\n\r\n/) {
		sysread $s, $head, 4096, length $head or last;
	}
	local $SIG{PIPE} = 'IGNORE';
	syswrite $s, $_ or last for unpack "(a$step)*", $bytes;
	return ($head, $stay ? $s : ());
}

my $chunks = "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: 1\r\n\r\n";
my $ok = "HTTP/1.1 200 OK\r\n";
for my $case (
	[ 'a length', "${ok}Content-Length: 3\r\n\r\nabc", 'fetch: 3 abc' ],
	[ 'a length, and silence', "${ok}Content-Length: 3\r\n\r\nabc",
		'fetch: 3 abc', 1 ],
	[ 'chunks', "${ok}Transfer-Encoding: chunked\r\n\r\n$chunks",
		'fetch: 7 abcdefg', 1 ],
	[ 'the end', "HTTP/1.0 200 OK\r\n\r\nabc", 'fetch: 3 abc' ],
	[ 'nothing', "${ok}Content-Length: 0\r\n\r\n", 'fetch: 0 ', 1 ],
	[ '204', "HTTP/1.1 204 No\r\n\r\n", 'fetch: 0 ', 1 ],
	[ 'interim answers', "HTTP/1.1 103 x\r\nLink: y\r\n\r\n"
		. "HTTP/1.1 100 x\r\n\r\n${ok}Content-Length: 3\r\n\r\nabc",
		'fetch: 3 abc' ],
	[ 'too many of them', "HTTP/1.1 100 x\r\n\r\n" x 20,
		'fetch failed: the answer is not HTTP' ],
	[ 'broken chunks', "${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nabcd",
		"fetch failed: the answer's chunks are broken" ],
	[ 'half of it', "${ok}Content-Length: 4\r\n\r\nabc",
		'fetch failed: the connection ended before the answer' ],
	[ 'half of the chunks', "${ok}Transfer-Encoding: chunked\r\n\r\n3\r\nab",
		'fetch failed: the connection ended before the answer' ],
	[ 'more than it said', "${ok}Content-Length: 2\r\n\r\nabc",
		'fetch failed: the answer is longer than it said' ],
	[ 'more than is wanted', "${ok}\r\n" . 'x' x 100001,
		'fetch failed: the answer is too large' ],
	[ 'two lengths', "${ok}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"
		. "\r\nabc", 'fetch failed: the answer is not HTTP' ],
	[ 'a redirect', "HTTP/1.1 302 x\r\nLocation: http://127.0.0.1:9/\r\n\r\n",
		'fetch failed: status 302' ],
	[ 'no HTTP', "SSH-2.0-x\r\n\r\n", 'fetch failed: the answer is not HTTP' ],
) {
	my ($name, $bytes, $want, $stay) = @$case;
	for my $step (length $bytes > 10000 ? () : 1, 1 << 20) {
		$p->say("fetch http://$at/a/b?c=d#e");
		my ($head, $s) = answer($bytes, $step, $stay);
		is($p->line(), $want, "$name, by $step");
		is((split /\r\n/, $head)[0], 'GET /a/b?c=d HTTP/1.1', 'asked')
			if $name eq 'a length';
	}
}
$p->say("put HTTP://$at");
my ($head, $s) = answer("${ok}Content-Length: 0\r\n\r\n", 99, 1);
like($head, qr{^PUT / HTTP/1\.1\r\nHost: \Q$at\E\r\n}, 'a PUT');
like($head, qr/^Content-Length: 11\r\n/m, 'with its length');
is($p->line(), 'fetch: 0 ', 'is done');
for my $url ('ftp://x', 'http://u:p@x/', 'http://x:0/', 'x') {
	$p->say("fetch $url");
	like($p->line(), qr/^fetch failed: it/, "not fetched: $url");
}
$p->say('fetch http://127.0.0.1:1/');
is($p->line(), 'fetch failed: Connection refused', 'nobody there');
$p->stop();

# --- proxies ---

my $pid = Test::Apworker::Proc::spawn([ Test::Apworker::Has::find('node'),
	$t->srcdir() . '/bin/count-proxy.js', $dir, $listen->sockport() ],
	out => "$dir/proxy-log", env => { $t->environment() });
END { kill 'KILL', $pid if $pid }
wait_for(sub { -e "$dir/proxy-port" }, 'the proxy') or die;
my $proxy = '127.0.0.1:' . slurp("$dir/proxy-port");
my $abc = "${ok}Content-Length: 3\r\n\r\nabc";

$p = tool(HTTP_PROXY => "HTTP://me:p%40ss\@$proxy", http_proxy => '',
	HTTPS_PROXY => 'http://127.0.0.1:1', NO_PROXY => '.near.test:81');
$p->say('fetch http://far.test:99/x?y');
answer($abc, 99);
is($p->line(), 'fetch: 3 abc', 'by HTTP_PROXY');
$p->say('put http://far.test/x');
answer("${ok}Content-Length: 0\r\n\r\n", 99);
is($p->line(), 'fetch: 0 ', 'a PUT, too');
is(slurp("$dir/proxy-requests"), "GET http://far.test:99/x?y me:p\@ss\n"
	. "PUT http://far.test/x me:p\@ss\n", 'asked as it is, with the password');
$p->say('fetch https://far.test/');
is($p->line(), 'fetch failed: proxy: Connection refused',
	'https goes by HTTPS_PROXY');
$p->say('fetch http://x.near.test:81/');
like($p->line(), qr/^fetch failed: cannot resolve x\.near\.test/,
	'what NO_PROXY names goes straight');
$p->say("fetch http://$at/");
answer($abc, 99);
is($p->line(), 'fetch: 3 abc', 'and so does loopback');
is(scalar(() = slurp("$dir/proxy-requests") =~ /\n/g), 2,
	'the proxy was asked for no more');
$p->stop();

$p = tool(HTTPS_PROXY => "$proxy");
$p->say('fetch https://far.test:444/');
$s = $listen->accept();
is(slurp("$dir/proxy-requests") =~ /^CONNECT far\.test:444 -$/m, 1,
	'https by a tunnel');
sysread $s, my $hello, 1;
is(ord $hello, 22, 'with TLS in it');
close $s;
like($p->line(), qr/^fetch failed: TLS: /, 'which nobody answers');
$p->stop();

$p = tool(HTTP_PROXY => 'socks5://me:secret@127.0.0.1:1');
$p->say('fetch http://far.test/');
like($p->line(), qr/^fetch failed: HTTP_PROXY: upstream proxy: only http/,
	'another kind of proxy is no way');
$p->stop();
