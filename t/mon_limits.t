#!/usr/bin/perl

# Clients of the monitor that send too much, too slowly, or too often.

use warnings;
use strict;

use IO::Socket::INET;
use Test::More;
use Time::HiRes qw/time/;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(40);
fake_conf($t)->write_file('main.js', '')->run();
$t->wait_status(sub { $_->{slots_able} == 2 });
my $mon = pid_of($t, 'monitor');
my $port = $t->port('MONITOR');

sub dial {
	return IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port")
		|| die "no connection: $!";
}

# Everything that comes until the other side closes or the time is over.
sub slurp_all {
	my ($s, $seconds) = @_;
	my $text = '';
	my $end = time() + ($seconds || 20);
	while ((my $left = $end - time()) > 0) {
		my $r = '';
		vec($r, fileno $s, 1) = 1;
		next unless select $r, undef, undef, $left;
		my $n = sysread $s, $text, 65536, length $text;
		return ($text, 1) unless $n;
	}
	return ($text, 0);
}

sub ask {
	my ($bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $s = dial();
	syswrite $s, $bytes;
	my ($text, $closed) = slurp_all($s);
	return ($text =~ m{^HTTP/1\.1 (\d+)} ? $1 : 'none', $closed, $text);
}

# what is not HTTP, or too much of it

for ([ 'no HTTP', "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n" ],
    [ 'no version', "GET /livez\r\n\r\n" ],
    [ 'HTTP/3', "GET /livez HTTP/3.0\r\n\r\n" ],
    [ 'a NUL', "GET /li\0vez HTTP/1.1\r\n\r\n" ],
    [ 'a bare word', "hello\r\n\r\n" ],
    [ 'bare line feeds', "GET /livez HTTP/1.1\nHost: x\n\n" ],
    [ 'one bare line feed', "GET /livez HTTP/1.1\r\nHost: x\nX: y\r\n\r\n" ],
    [ 'two lengths', "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
	. "Content-Length: 0\r\n\r\n" ],
    [ 'a length and chunks', "GET /livez HTTP/1.1\r\nHost: x\r\n"
	. "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" ],
    [ 'chunks of chunks', "GET /livez HTTP/1.1\r\nHost: x\r\n"
	. "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" ],
    [ 'chunks in HTTP/1.0', "GET /livez HTTP/1.0\r\n"
	. "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" ],
    [ 'a negative length', "GET /livez HTTP/1.1\r\nHost: x\r\n"
	. "Content-Length: -1\r\n\r\n" ],
    [ 'no host', "GET /livez HTTP/1.1\r\n\r\n" ],
    [ 'two hosts', "GET /livez HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n" ],
    [ 'a folded line', "GET /livez HTTP/1.1\r\nHost: x\r\n y: z\r\n\r\n" ],
    [ 'a coded NUL', "GET /livez%00 HTTP/1.1\r\nHost: x\r\n\r\n" ],
    [ 'half a code', "GET /livez%6 HTTP/1.1\r\nHost: x\r\n\r\n" ],
    [ 'a star', "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n" ],
    [ 'an authority', "CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n" ],
    [ 'https', "GET https://x/livez HTTP/1.1\r\nHost: x\r\n\r\n" ],
    [ 'a head too long', "GET /livez HTTP/1.1\r\nX: " . 'x' x 70000 ]) {
	my ($code, $closed) = ask($_->[1]);
	is("$code $closed", '400 1', $_->[0]);
}
for ([ 'a body', "POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" ],
    [ 'a chunked body', "GET /livez HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" ],
    [ 'a large body', "GET /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n" ]) {
	my ($code, $closed) = ask($_->[1]);
	is("$code $closed", '413 1', $_->[0]);
}
is((ask("GET /livez HTTP/1.0\r\n\r\n"))[0], 200, 'HTTP/1.0');
is((ask("GET HTTP://somewhere:80/livez?x HTTP/1.1\r\nHost: x\r\n"
	. "Connection: close\r\n\r\n"))[0], 200, 'a target with a host');
is((ask("\r\nGET /livez HTTP/1.0\r\n\r\n"))[0], 200, 'an empty line in front');
is((ask("GET /" . 'x' x 3000 . " HTTP/1.0\r\n\r\n"))[0], 414, 'a long path');
is((ask("GET /livez HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n"))[0], 417,
	'an expectation');
{
	my ($code, $closed, $text) = ask("HEAD /livez HTTP/1.1\r\nHost: x\r\n\r\n"
		. "GET /livez HTTP/1.0\r\n\r\n");
	is(scalar(() = $text =~ m{^HTTP/1\.1 200 OK\r}mg), 2,
		'HEAD has no body: the next answer follows its head');
}
my ($code, $closed, $text) = ask("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
	. "GET /nope HTTP/1.1\r\nHost: x\r\n\r\n"
	. "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
is(join(',', $text =~ m{^HTTP/1\.1 (\d+)}mg), '200,404,200', 'one after another');

# one byte at a time is fine

my $s = dial();
for my $c (split //, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n") {
	syswrite $s, $c;
	select undef, undef, undef, 0.002;
}
($text) = slurp_all($s);
like($text, qr{^HTTP/1\.1 200}, 'byte by byte');

# for ever is not: a request has one deadline, however busy it looks

$s = dial();
my $dropped = 0;
{
	local $SIG{PIPE} = 'IGNORE';
	syswrite $s, "GET /livez HTTP/1.1\r\n";
	wait_for(sub {
		syswrite $s, "X: y\r\n" or return $dropped = 1;
		my $r = '';
		vec($r, fileno $s, 1) = 1;
		return 0 unless select $r, undef, undef, 0.2;
		return $dropped = !sysread $s, my $buf, 100;
	}, undef, 60);
}
ok($dropped, 'a head that never ends is cut');

# too many: the oldest go, and there is always room for one more

my @many = map { dial() } 1 .. 300;
is(($t->http_get('/livez'))[0], 200, 'room for one more');
my $held = grep { /socket:/ } Test::Apworker::Proc::fds($mon);
cmp_ok($held, '<', 100, 'connections are bounded');
close $_ for @many;

# who asks and does not read

my @deaf = map { my $s = dial(); syswrite $s,
	"GET /status HTTP/1.1\r\nHost: x\r\n\r\n" x 50; $s } 1 .. 20;
is(($t->http_get('/livez'))[0], 200, 'not disturbed by those who do not read');
close $_ for @deaf;

SKIP: {
	skip 'only root may look', 1
		unless Test::Apworker::Proc::fds($mon);
	$t->fds_stable($mon, sub {
		ask("GET /status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
			for 1 .. 100;
		dial() for 1 .. 100;
	}, 'no leaked fd');
}
is(pid_of($t, 'monitor'), $mon, 'the monitor is still the same');

# a monitor with a client that hangs leaves all the same

$s = dial();
syswrite $s, "GET /livez HTTP/1.1\r\n";
$t->signal('QUIT');
is($t->wait_exit(), 0, 'leaves');
unlike($t->log(), qr/monitor ended/, 'without being killed');
