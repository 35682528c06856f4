#!/usr/bin/perl

# Events are posted by the daemon itself: to places that are public or allowed,
# and the job ends well whatever becomes of it.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use IO::Socket::INET;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild openssl/);
my $tls = $t->tls();
$t->write_app_conf(main => 'network auto { allow 127.0.0.1 ::1 192.0.2.0/24; }');
my $api = $t->api(settings => { EVENT_DESTINATION_TIMEOUT_SECONDS => 60,
	SSRF_ALLOW_LIST => [ '127.0.0.0/8', '::1' ] });
$t->{env}{SSL_CERT_FILE} = $tls->{ca};
my $port = $t->port('HTTP');
my $https = $t->port('HTTPS');
my $node = Test::Apworker::Has::find('node');
my $file = "$t->{testdir}/target";
my $server = Test::Apworker::Proc::spawn([ $node,
	$t->srcdir() . '/bin/http-target.js', $port, $https, $tls->{key},
	$tls->{cert}, $file ], env => { $t->environment() }, out => "$file.log");
END { kill 'KILL', $server if $server }
wait_for(sub { -e $file }, 'the target') or die "no target\n";
$t->run();

my $n = 0;
sub post {
	my ($url, %data) = @_;
	my $id = 'e' . ++$n;
	$api->push_job({ jobId => $id, jobData => { jobType =>
		'EVENT_DESTINATION', schemaVersion => 10, platformId => 'pl1',
		webhookId => 'w1', webhookUrl => $url,
		payload => { id => $id, text => "\x{e4}\x{20ac}" }, %data } });
	my $done = $api->wait_done($id);
	my @seen = grep { $_->{body} =~ /"$id"/ || $_->{url} =~ /\b$id\b/ }
		map { unjson($_) } split /\n/, slurp($file);
	return ($done, @seen);
}

sub status { return join ' ', $_[0]{status}, grep { exists $_[0]{$_} }
	qw/errorMessage logs response/ }

my ($done, @seen) = post("http://127.0.0.1:$port/hook?a=1&b=2");
is(status($done), 'OK', 'posted');
is_deeply([ map { [ @$_{qw/method url/}, @{ $_->{headers} }{qw/host
	content-type/} ] } @seen ], [ [ 'POST', '/hook?a=1&b=2',
	"127.0.0.1:$port", 'application/json' ] ], 'as JSON');
utf8::encode(my $body = $seen[0]{body});
is_deeply(unjson($body), { id => 'e1', text => "\x{e4}\x{20ac}" },
	'the payload');

for my $code (204, 404, 500) {
	($done, @seen) = post("http://127.0.0.1:$port/status/$code");
	is(status($done) . ' ' . @seen, 'OK 1', "HTTP $code is fine");
}
($done, @seen) = post("http://127.1:$port/");
is(status($done) . ' ' . @seen, 'OK 1', 'an old spelling of an allowed place');
($done, @seen) = post("https://localhost:$https/tls");
is(status($done) . ' ' . @seen, 'OK 1', 'TLS, a name of the hosts file');
($done, @seen) = post("https://127.0.0.1:$https/tls");
is(status($done) . ' ' . @seen, 'OK 1', 'TLS, an address');

# Redirects are followed, each to a place that is checked.
($done, @seen) = post("http://127.0.0.1:$port/redirect/307/2");
is(join(' ', status($done), map { "$_->{method} $_->{url}" } @seen),
	'OK POST /redirect/307/2 POST /redirect/307/1 POST /redirect/307/0',
	'redirects with the body');
($done, @seen) = post("http://127.0.0.1:$port/redirect/302/1?e"
	. ($n + 1));
is(status($done), 'OK', 'redirect without');
($done, @seen) = post("http://127.0.0.1:$port/redirect/307/9");
is(status($done) . ' ' . @seen, 'OK 6', 'not more than five');
($done, @seen) = post("http://127.0.0.1:$port/to?http://127.0.0.2:$port/x");
is(status($done) . ' ' . @seen, 'OK 1', 'not to a place that is blocked');
$t->wait_log(qr/blocked address: 127\.0\.0\.2 is loopback/);

# Blocked, in any spelling: the app's own list does not count here.
for my $host ('127.0.0.2', '127.2', '0x7f.2', '2130706434', '0177.0.0.2',
    '[::2]', '[::ffff:127.0.0.1]', '[::ffff:7f00:2]', '0.0.0.0', '0',
    '169.254.169.254', '10.1.2.3', '[fe80::1]', '[64:ff9b::7f00:1]') {
	$t->log_mark();
	($done, @seen) = post("http://$host:$port/no");
	is(status($done) . ' ' . @seen, 'OK 0', "$host is blocked");
	ok($t->wait_log(qr/event destination.*error=.?blocked address: \S+ is /),
		"$host: said why");
}

# Each is counted, redirects too, and has a line.
my $sums = $t->status()->{slots}[0]{egress};
cmp_ok($sums->{allowed}, '>=', 10, 'those that were let through count');
is($sums->{blocked}, 15, 'and those that were not');
is(scalar(() = $t->log() =~ /egress run=- verdict="blocked address" method=POST /g),
	15, 'with a line for each');

# No URL, nobody there, nobody who answers.
my $dead = IO::Socket::INET->new(Listen => 8, LocalAddr => '127.0.0.1');
for my $case ([ 'ftp://127.0.0.1/', qr/neither http/ ],
    [ 'http://u:p@127.0.0.1/', qr/user name/ ],
    [ 'http://127.0.0.1:0/', qr/no good host/ ],
    [ 'http://127.0.0.1:99999/', qr/not a URL|no good host/ ],
    [ "http://127.0.0.1:$port/\r\nX: y", qr/not a URL/ ],
    [ 'nonsense', qr/neither|not a URL/ ], [ '', qr/not a URL/ ],
    [ 'http://127.0.0.1:1/', qr/refused/i ],
    [ "https://127.0.0.1:$port/", qr/TLS/ ],
    [ "http://127.0.0.1:$port/garbage", qr/not HTTP/ ],
    [ "http://127.0.0.1:$port/huge", qr/not HTTP/ ],
    [ "http://127.0.0.1:$port/close", qr/ended before/ ],
    [ 'http://127.0.0.1:' . $dead->sockport() . '/', qr/in time/, 2 ]) {
	my ($url, $why, $seconds) = @$case;
	if ($seconds) {
		$api->settings(EVENT_DESTINATION_TIMEOUT_SECONDS => $seconds);
		my $seen = $api->seen(kind => 'settings');
		$api->act('drop');
		$api->wait_seen(kind => 'settings', n => $seen + 1);
	}
	$t->log_mark();
	($done) = post($url);
	(my $name = $url) =~ s/:\d{4,}//;
	$name =~ s/[\r\n]/./g;
	is(status($done), 'OK', "'$name': the job is fine");
	ok($t->wait_log(qr/event destination.*error=.*$why/), "'$name': said why");
}

# Job data of the wrong type are told.
$api->push_job({ jobId => 'bad', jobData => { jobType => 'EVENT_DESTINATION',
	platformId => 'pl1', webhookUrl => 7, payload => [] } });
is(status($api->wait_done('bad')), 'INTERNAL_ERROR errorMessage', 'bad job');
is(scalar(my @s = $t->engine()->starts()), 0, 'no engine was started');
unlike($t->log(), qr/a=1&b=2/, 'URLs are in no log');
