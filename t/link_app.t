#!/usr/bin/perl

# The app link against the real socket.io server, and against servers that
# break every rule.

use strict;
use warnings;

use IO::Socket::INET;
use IO::Select;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Link;

my $t = Test::Apworker->new()->has(qw/node node_modules openssl/);

sub app {
	my $a = link_program($t, 'bin/link-app.js', json({ @_ }));
	return ($a, $a->expect(qr/^port (\d+)/));
}

sub client {
	my ($url, @args) = @_;
	return link_program($t, 'bin/app-link-peer',
		'-a', '{"token":"good","workerId":"w1"}', @args, $url);
}

# ------------------------------------------------------ an ordinary life
{
	my ($a, $port) = app();
	my $c = client("http://127.0.0.1:$port")->say('rpc echo 0 1', 'open');
	ok($c->expect(qr/^failed ENOTCONN/), 'not connected yet');
	ok($c->expect(qr/^open$/), 'open');
	is(($a->expect(qr/^request (\S+)/))[0],
		'/api/socket.io/?EIO=4&transport=websocket', 'request');
	is(($a->expect(qr/^auth (.*)/))[0], '{"token":"good","workerId":"w1"}',
		'auth object');
	$c->say('payload');
	ok($c->expect(qr/^payload 100000000$/), 'maxPayload of the app');

	$c->say('ack FETCH_WORKER_SETTINGS 0 {"cpu":1.5}', 'rpc echo 0 {"a":[1]}',
		'rpc void 0 {}', 'rpc nothing 0 {}', 'rpc error 0 {}',
		'rpc late 100 600', 'rpc badid 0 1', 'emit say {"x":1}',
		'rpc event 0 1');
	# the deadline may come between them
	is($c->expect_all(qr/^reply 2 ok 0 \{"info":\{"cpu":1.5\}\}$/,
		qr/^reply 3 ok 0 \{"a":\[1\]\}$/, qr/^reply 4 ok 0 null$/,
		qr/^reply 5 ok 0 null$/, qr/^reply 6 refused 0 it "failed"$/,
		qr/^reply 7 timeout 0 operation has timed out$/,
		qr/^reply 8 ok 0 1$/, qr/^event hello 1,\{"two":2\}$/), 8,
		'settings, rpc, void, an ack without argument, refused, '
		. 'deadline, an id nobody gave is ignored, event of the app');
	ok($a->expect(qr/^said \[\{"x":1\}\]$/), 'emit');
	$c->say('rpc late 0 600');
	ok($c->expect(qr/^reply 10 ok 0 "late"$/), 'the late answer is dropped');

	$c->say('rpc silent 0 1', 'rpc echo 0 2');
	my ($id) = $c->expect(qr/^sent 11 (\d+)/);
	$c->say("cancel $id", 'rpc kick 0 1');
	ok($c->expect(qr/^reply 12 ok/), 'next call');
	ok($c->expect(qr/^reply 13 lost 0 socket has been disconnected$/),
		'lost with the connection; the cancelled one is not told');
	ok($c->expect(qr/^closed 1 io server disconnect$/), 'kicked');

	for my $how ([ drop => 'transport close' ], [ cut => 'transport ' ]) {
		$c->say('open');
		ok($c->expect(qr/^open$/), 'open again');
		$c->say("rpc $how->[0] 0 1");
		ok($c->expect(qr/ lost /), "$how->[0]: call lost");
		ok($c->expect(qr/^closed 0 $how->[1]/), "$how->[0]: told");
	}
	$c->say('open-on-closed', 'open');
	$c->expect(qr/^open$/);
	$c->say('rpc cut 0 1');
	ok($c->expect(qr/^open$/), 'opened from within on_closed');
	$c->say('leave');
	ok($c->expect(qr/^left$/), 'left');
	ok($a->expect(qr/^disconnect client namespace disconnect$/),
		'with a disconnect packet');
	ok($a->expect(qr/^close 1005$/), 'and an empty close frame');
	$c->say('leave', 'open');
	ok($c->expect(qr/^open$/), 'and back');
	$c->say('free-on-reply', 'rpc echo 0 1', 'rpc echo 0 2');
	ok($c->expect(qr/^freed$/), 'freed from within a reply');
	$_->stop() for $c, $a;
}

# ------------------------------------------------------ large things
{
	my ($a, $port) = app(server => { maxHttpBufferSize => 3000000 });
	my $c = client("ws://localhost:$port", '-m', 5000000)->say('open');
	ok($c->expect(qr/^open$/), 'by name');
	$c->say('rpc binary 0 3000000', 'rpc two 0 1', 'rpc large 0 4000000',
		'big length 2999900', 'big length 3000000', 'rpc echo 0 1');
	ok($c->expect(qr/^failed EMSGSIZE/), 'too large for the app');
	ok($c->expect(qr/^reply 1 ok 1 \{"_placeholder":true,"num":0\}$/),
		'attachment');
	ok($c->expect(qr/^binary 0 3000000 21000000$/), 'its bytes');
	ok($c->expect(qr/^reply 2 ok 2 /), 'two attachments');
	ok($c->expect(qr/^binary 0 3 322$/) && $c->expect(qr/^binary 1 0 0$/),
		'one of them empty');
	ok($c->expect(qr/^reply 3 ok 0 large$/), 'large reply');
	ok($c->expect(qr/^reply 4 ok 0 2999900$/), 'large call');
	ok($c->expect(qr/^reply 6 ok 0 1$/), 'the connection lives');
	$c->say('rpc large 0 5000001');
	ok($c->expect(qr/^closed 0 transport error: message too large$/),
		'too large for us');
	$_->stop() for $c, $a;
}

# ------------------------------------------------------ refused and dead
{
	my ($a, $port) = app(server => { pingInterval => 100,
		pingTimeout => 2000 });
	my $bad = link_program($t, 'bin/app-link-peer', '-a',
		'{"token":"bad"}', "http://127.0.0.1:$port")->say('open');
	ok($bad->expect(qr/^closed 1 connect error: Authentication error$/),
		'token refused');
	$bad->stop();
	my $c = client("http://127.0.0.1:$port/prefix")->say('open');
	ok($c->expect(qr/^closed 0 transport error: /), 'wrong path');
	$c->stop();
	$c = client("http://127.0.0.1:$port")->say('open');
	ok($c->expect(qr/^open$/), 'open');
	$c->say('rpc late 5000 500');
	ok($c->expect(qr/^reply 1 ok/), 'lives over several heartbeats');
	kill 'STOP', $a->pid();
	ok($c->expect(qr/^closed 0 ping timeout$/), 'app that stands still');
	kill 'CONT', $a->pid();
	$_->stop() for $c, $a;
	$c = client("http://127.0.0.1:$port", '-T', 2000)->say('open');
	ok($c->expect(qr/^closed 0 transport error: Connection refused$/),
		'nobody there');
	$c->say('free-on-closed', 'open');
	ok($c->expect(qr/^freed$/), 'freed from within on_closed');
	$c->stop();

	($a, $port) = app(path => '/sub/api/socket.io');
	$c = client("http://127.0.0.1:$port/sub/")->say('open');
	ok($c->expect(qr/^open$/), 'a path in the URL');
	$_->stop() for $c, $a;

	for my $url ('ftp://x', 'http://', 'http://a b', 'http://x?y', 'x',
		'http://x:0', 'http://x:99999', 'http://[::1', 'http://u@x') {
		my $c = client($url);
		ok($c->expect(qr/^failed /), "bad URL: $url");
		waitpid $c->pid(), 0;
		$c->{stopped} = 1;
	}
}

# ------------------------------------------------------ servers gone mad
my $listen = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1',
	ReuseAddr => 1) or die $!;
my $url = 'http://127.0.0.1:' . $listen->sockport();

sub accept_client {
	my ($answer) = @_;
	my $s = $listen->accept();
	my $head = '';
	until ($head =~ /\r\n\r\n/) {
		sysread $s, $head, 4096, length $head or last;
	}
	return $s if !$answer;
	require Digest::SHA;
	require MIME::Base64;
	my ($key) = $head =~ /^Sec-WebSocket-Key: (\S+)/mi;
	my $accept = MIME::Base64::encode_base64(Digest::SHA::sha1(
		$key . '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'), '');
	syswrite $s, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n"
		. "Connection: Upgrade\r\nSec-WebSocket-Accept: $accept\r\n\r\n";
	return $s;
}

my $open = '0{"sid":"abc","upgrades":[],"pingInterval":20000,'
	. '"pingTimeout":20000,"maxPayload":100}';
sub f { return ws_frame($_[0], mask => 0, @_[1 .. $#_]) }
my @hello = (f($open), f('40{"sid":"x"}'));

for my $case (
	[ 'not HTTP' => "SSH-2.0-x\r\n\r\n", qr/transport error: not an HTTP/ ],
	[ 'status' => "HTTP/1.1 400 Bad\r\n\r\n", qr/HTTP status 400/ ],
	[ 'wrong accept' => "HTTP/1.1 101 x\r\nUpgrade: websocket\r\n"
		. "Connection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n",
		qr/wrong Sec-WebSocket-Accept/ ],
	[ 'endless head' => "HTTP/1.1 101 x\r\nX: " . 'y' x 20000,
		qr/transport error: not an HTTP/ ],
	[ 'nothing' => '', qr/closed before the upgrade/ ],
) {
	my ($name, $bytes, $want) = @$case;
	my $c = client($url)->say('open');
	my $s = accept_client(0);
	syswrite $s, $bytes;
	shutdown $s, 1;
	ok($c->expect(qr/^closed 0 .*$want/), $name);
	$c->stop();
}

for my $case (
	[ 'no open packet' => [ f('40') ], qr/parse error/ ],
	[ 'broken open packet' => [ f('0{"sid":1}') ], qr/parse error: open/ ],
	[ 'masked' => [ ws_frame($open) ], qr/protocol violated/ ],
	[ 'reserved bits' => [ f($open, rsv => 4) ], qr/protocol violated/ ],
	[ 'opcode' => [ f($open, op => 3) ], qr/protocol violated/ ],
	[ 'lone continuation' => [ f('x', op => 0) ], qr/protocol violated/ ],
	[ 'fragmented ping' => [ f('x', op => 9, fin => 0) ], qr/transport/ ],
	[ 'huge length' => [ f('x', length => 2 ** 40) ], qr/too large/ ],
	[ 'not UTF-8' => [ f("0\xff") ], qr/not UTF-8/ ],
	[ 'unknown packet' => [ f($open), f('9') ], qr/parse error/ ],
	[ 'broken packet' => [ f($open), f('4x') ], qr/parse error/ ],
	[ 'early event' => [ f($open), f('42["x"]') ], qr/parse error/ ],
	[ 'early bytes' => [ f("\1\2", op => 2) ], qr/parse error/ ],
	[ 'other namespace' => [ f($open), f('40/x,{}') ], qr/namespace/ ],
	[ 'attachment alone' => [ @hello, f('x', op => 2) ], qr/attachment/ ],
	[ 'attachments that lie' => [ @hello,
		f('461-0[{"_placeholder":true,"num":3}]') ], qr/placeholder/ ],
	[ 'text for an attachment' => [ @hello, f('461-0[]'), f('42["x"]') ],
		qr/between attachments/ ],
	[ 'connected twice' => [ @hello, f('40{}') ], qr/twice/ ],
	[ 'close packet' => [ @hello, f('1') ], qr/transport close/ ],
	[ 'close frame' => [ @hello, f('', op => 8) ], qr/transport close/ ],
	[ 'kicked' => [ @hello, f('41') ], qr/io server disconnect/ ],
	[ 'refused in words' => [ f($open), f('44"no \u00e9"') ],
		qr/connect error: no / ],
) {
	my ($name, $frames, $want) = @$case;
	for my $step (1 << 20, 1) {
		my $c = client($url)->say('open');
		my $s = accept_client(1);
		local $SIG{PIPE} = 'IGNORE';
		my $bytes = join '', @$frames;
		syswrite $s, $_ or last for unpack "(a$step)*", $bytes;
		ok($c->expect(qr/^closed . .*$want/), "$name, by $step");
		$c->stop();
	}
}

{
	# control frames between fragments; silence after the open packet
	my $c = client($url, '-T', 2500)->say('open');
	my $s = accept_client(1);
	syswrite $s, join '', f(substr($open, 0, 10), fin => 0),
		f('ping', op => 9), f('pong', op => 10),
		f(substr($open, 10), op => 0);
	is(join(' ', sort map { join '|', ws_read($s) } 1, 2),
		'10|ping 1|40{"token":"good","workerId":"w1"}',
		'ping between fragments, CONNECT');
	ok($c->expect(qr/^closed 0 transport error: timeout$/),
		'no reply to CONNECT');
	ok(raw_eof($s), 'hangs up');
	$c->say('open');
	$s = accept_client(0);
	ok($c->expect(qr/^closed 0 transport error: timeout$/), 'no answer');
	ok(raw_eof($s), 'hangs up');

	# a small maxPayload, and a peer that does not read
	$c->say('open');
	$s = accept_client(1);
	syswrite $s, join '', @hello, f('2');
	ok($c->expect(qr/^open$/), 'small maxPayload');
	$c->say('rpc m 0 {"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'
		. 'xxxxxxxxx":1}', 'rpc m 0 {}');
	ok($c->expect(qr/^failed EMSGSIZE/), 'refused here');
	is((ws_read($s))[1], '40{"token":"good","workerId":"w1"}', 'CONNECT');
	is((ws_read($s))[1], '3', 'heartbeat');
	is((ws_read($s))[1], '420["rpc",{"method":"m","payload":{}}]',
		'the small one was sent');
	$c->stop();

	$c = client($url)->say('open');
	$s = accept_client(1);
	syswrite $s, f($open =~ s/100\}/1000000}/r) . $hello[1];
	$c->expect(qr/^open$/);
	$c->say('big m 900000') for 1 .. 20;
	ok($c->expect(qr/^failed ENOBUFS/), 'a peer that does not read');
	$c->stop();
}

# ------------------------------------------------------ TLS
{
	my $dir = $t->testdir();
	my $make = sub {
		my ($name, $subject, $alt, @more) = @_;
		system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 "
			. "-keyout $dir/$name.key -out $dir/$name.crt "
			. "-subj /CN=$subject -addext subjectAltName=$alt "
			. ">/dev/null 2>&1") == 0 or die 'openssl';
	};
	$make->('good', 'localhost', 'DNS:localhost,IP:127.0.0.1');
	$make->('other', 'other.test', 'DNS:other.test');
	my ($a, $port) = app(key => "$dir/good.key", cert => "$dir/good.crt");
	for my $host ('127.0.0.1', 'localhost') {
		my $c = client("https://$host:$port", '-C', "$dir/good.crt")
			->say('open');
		ok($c->expect(qr/^open$/), "wss to $host");
		is(($a->expect(qr/^request \S+ (\S+)/))[0],
			$host eq 'localhost' ? 'localhost' : '-',
			'server name indication');
		$c->say('big length 5000000', 'rpc binary 0 2000000');
		ok($c->expect(qr/^reply 1 ok 0 5000000$/), 'large call');
		ok($c->expect(qr/^binary 0 2000000 14000000$/), 'attachment');
		$c->say('leave');
		ok($c->expect(qr/^left$/), 'left');
		ok($a->expect(qr/^close 1005$/), 'in order');
		$c->stop();
	}
	# ---------------------------- a peer that takes its time, and goes
	my $c = client("https://localhost:$port", '-C', "$dir/good.crt")
		->say('open');
	ok($c->expect(qr/^open$/), 'again');
	kill STOP => $a->pid();
	$c->say('big length 30000000', ('rpc echo 0 {"a":1}') x 50,
		'payload');
	ok($c->expect(qr/^payload/), 'much is said to who does not read');
	kill CONT => $a->pid();
	ok($c->expect(qr/^reply 1 ok 0 30000000$/), 'all of it arrives');
	ok($c->expect(qr/^reply 51 ok 0 \{"a":1\}$/), 'and what came behind');
	$c->say('rpc large 0 20000000');
	ok($c->expect(qr/^reply 52 ok 0 large$/), 'a large reply');
	$c->say('rpc cut 0 1');
	ok($c->expect(qr/^closed 0 transport close$/), 'end without farewell');
	$a->stop();
	($a, $port) = app(key => "$dir/good.key", cert => "$dir/good.crt",
		tls => 'TLSv1.2');
	$c->stop();
	$c = client("https://localhost:$port", '-C', "$dir/good.crt")
		->say('open');
	ok($c->expect(qr/^open$/), 'TLS 1.2');
	$c->say('big length 5000000', 'rpc large 0 2000000');
	ok($c->expect(qr/^reply \d+ ok 0 5000000$/), 'a large call there');
	ok($c->expect(qr/^reply \d+ ok 0 large$/), 'and reply');
	$c->stop();
	$c = client("https://localhost:$port")->say('open');
	ok($c->expect(qr/^closed 0 .*certificate refused: self.signed/),
		'unknown issuer');
	$c->stop();
	$c = client("https://localhost:$port", '-k')->say('open');
	ok($c->expect(qr/^open$/), 'unless told not to look');
	$c->stop();
	$c = client("http://localhost:$port", '-T', 3000)->say('open');
	ok($c->expect(qr/^closed 0 transport error/), 'plain to a TLS port');
	$c->stop();
	$c = client("https://localhost:$port", '-C', "$dir/none.crt");
	ok($c->expect(qr/^failed .*none.crt/), 'no such CA file');
	waitpid $c->pid(), 0;
	$c->{stopped} = 1;
	$a->stop();

	($a, $port) = app(key => "$dir/other.key", cert => "$dir/other.crt");
	$c = client("https://localhost:$port", '-C', "$dir/other.crt")
		->say('open');
	ok($c->expect(qr/^closed 0 .*certificate refused: hostname mismatch/i),
		'certificate of another name');
	$_->stop() for $c, $a;

	($a, $port) = app();
	$c = client("https://localhost:$port", '-C', "$dir/good.crt")
		->say('open');
	ok($c->expect(qr/^closed 0 transport error: /), 'TLS to a plain port');
	$_->stop() for $c, $a;
}

# ------------------------------------------------------ proxy
{
	my ($a, $port) = app();
	my $proxy = 'http://me:pass@127.0.0.1:' . $listen->sockport();
	my $c = client("http://127.0.0.1:$port", '-x', $proxy)->say('open');
	my $s = $listen->accept();
	my $head = '';
	until ($head =~ /\r\n\r\n/) {
		sysread $s, $head, 4096, length $head or last;
	}
	like($head, qr/^CONNECT 127\.0\.0\.1:$port HTTP\/1\.1\r\n/, 'CONNECT');
	like($head, qr/^Proxy-Authorization: Basic bWU6cGFzcw==\r$/m, 'auth');
	my $up = raw_connect($port);
	syswrite $s, "HTTP/1.1 200 go\r\n\r\n";
	my $sel = IO::Select->new($s, $up);
	my $child = fork // die;
	if (!$child) {
		while (my @r = $sel->can_read(5)) {
			for my $r (@r) {
				sysread $r, my $d, 65536 or POSIX::_exit(0);
				syswrite $r == $s ? $up : $s, $d;
			}
		}
		POSIX::_exit(0);
	}
	close $_ for $s, $up;
	ok($c->expect(qr/^open$/), 'through the tunnel');
	kill 'KILL', $child;
	waitpid $child, 0;
	$c->stop();

	$c = client("http://127.0.0.1:$port", '-x', $proxy)->say('open');
	$s = $listen->accept();
	syswrite $s, "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
	ok($c->expect(qr/^closed 0 transport error: proxy: HTTP status 407$/),
		'proxy that refuses');
	$_->stop() for $c, $a;
}
