#!/usr/bin/perl

# The server of the spool's files: it keeps what the engine of the job in hand
# stores, on disk and within bounds, and reads no body of anybody else.

use strict;
use warnings;

use IO::Socket::INET;
use POSIX ();
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(42);
$t->write_app_conf(slots => 2);
$t->{conf} =~ s/^source app .*$/source spool { path %%TESTDIR%%\/spool; }/m;
my $spool = $t->testdir() . '/spool';
my $MB = 1 << 20;

sub submit {
	my ($id, @steps) = @_;
	my $job = flow_job(id => $id, engine => [ @steps ]);
	$t->write_file("$spool/tmp/$id", json({ jobData => $job->{jobData},
		flowVersion => $job->{flowVersion},
		engineToken => "token-$id" }), 0600);
	rename "$spool/tmp/$id", "$spool/new/$id.json" or die "$id: $!";
}

sub result {
	my ($id) = @_;
	my $dir;
	wait_for(sub { ($dir) = grep { -s "$_/result.json" }
		"$spool/done/$id", "$spool/failed/$id" }, "result of $id");
	return $dir;
}

# The newest run of a job: where its slot has the server.
sub server {
	my ($id, $n) = @_;
	my @op;
	$n ||= 1;
	wait_for(sub { @op = grep { $_->{flowRunId} eq "run-$id" }
		map { $_->{operation} } $t->engine()->records('operation');
		@op >= $n }, "run $n of $id");
	my ($host, $port) = $op[-1]{internalApiUrl} =~ m{//([\d.]+):(\d+)/api/$}
		or die $op[-1]{internalApiUrl};
	return ($host, $port);
}

sub dial {
	my ($to) = @_;
	return IO::Socket::INET->new(PeerAddr => $to, Timeout => 10)
		|| die "no connection to $to: $!";
}

# One request: (status, body, head).  The body is sent as far as it is taken.
sub ask {
	my ($to, $head, $body) = @_;
	local $SIG{PIPE} = 'IGNORE';
	# made before: who connects has a time to send his head in
	my $out = "$head\r\nHost: x\r\nConnection: close\r\n\r\n" . ($body // '');
	my $s = dial($to);
	$s->blocking(0);
	my ($text, $at) = ('', 0);
	while (1) {
		my ($r, $w) = ('', '');
		vec($r, fileno $s, 1) = 1;
		vec($w, fileno $s, 1) = 1 if $at < length $out;
		select $r, $w, undef, 60 or last;
		if ($w =~ /[^\0]/) {
			my $n = syswrite $s, $out, 1 << 16, $at;
			$at = $n ? $at + $n : $!{EAGAIN} ? $at : length $out;
		}
		next unless $r =~ /[^\0]/;
		my $n = sysread $s, $text, 1 << 16, length $text;
		last if !$n && !($!{EAGAIN} && !defined $n);
	}
	my ($h, $b) = split /\r\n\r\n/, $text, 2;
	return ($text =~ m{^HTTP/1\.1 (\d+)} ? $1 : 'none', $b, $h);
}

sub put {
	my ($to, $id, $body, $query, @more) = @_;
	return ask($to, join("\r\n", "PUT /api/v1/files/$id?$query HTTP/1.1",
		'Content-Length: ' . length $body, @more), $body);
}

sub rss {
	my ($pid) = @_;
	return (slurp("/proc/$pid/status") =~ /^VmRSS:\s+(\d+)/m)[0] * 1024;
}

# Bytes below the spool's tmp/.
sub kept {
	my $n = 0;
	$n += -s $_ || 0 for glob "$spool/tmp/.files-*/*";
	return $n;
}

$t->run();
wait_for(sub { -d "$spool/new" && -d "$spool/tmp" }, 'the folders');
submit('a', { do => 'wait', name => 'a' }, { do => 'answer' });
my $to = join ':', server('a');
my (undef, $pid) = $t->wait_job('a');
my $key = 'token=token-a';

# what an engine does

my ($code, $body, $head) = put($to, 'log', "hello\n", $key);
is($code, 200, 'a file is taken');
is(unjson($body)->{readUrl}, "http://$to/api/v1/files/log", 'and its address');
($code, $body) = ask($to, "GET /api/v1/files/log?$key HTTP/1.1");
is("$code $body", "200 hello\n", 'it can be read');
($code, $body) = ask($to, "GET /api/v1/files/log HTTP/1.1\r\n"
	. 'Authorization: Bearer token-a');
is("$code $body", "200 hello\n", 'with the token in the head, too');
($code, $body, $head) = ask($to, "HEAD /api/v1/files/log?$key HTTP/1.1");
is("$code $body", '200 ', 'HEAD');
like($head, qr/^Content-Length: 6\r?$/m, 'has the length');
is((put($to, 'log', "hello again\n", $key))[0], 200, 'it is replaced');
($code) = ask($to, "PUT /api/v1/files/parts?$key HTTP/1.1\r\n"
	. 'Transfer-Encoding: chunked', "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
is($code, 200, 'one in chunks');
is((ask($to, "POST /api/v1/files/posted?$key HTTP/1.1\r\nContent-Length: 1",
	'p'))[0], 200, 'POST');
($code, $body) = ask($to, "GET /api/v1/worker/project?$key HTTP/1.1");
is("$code $body", '200 {"id":"spool","externalId":null}', 'the project');
for ([ 'GET /api/v1/files/none', 404 ], [ 'GET /api/v1/other', 404 ],
    [ 'DELETE /api/v1/files/log', 405 ], [ 'GET /api/v1/files/..', 400 ],
    [ 'GET /api/v1/files/%2e%2e%2fa', 400 ], [ 'PUT /api/v1/files/.a', 400 ]) {
	is((ask($to, "$_->[0]?$key HTTP/1.1"))[0], $_->[1], $_->[0]);
}

# who has no token

for my $query ('', 'token=', 'token=token-b', 'token=token-aa',
    'token=token-a&token=token-a') {
	is((put($to, 'log', 'x', $query))[0], 401, "401: $query");
}
my ($before, $fds) = (rss($pid), scalar Test::Apworker::Proc::fds($pid));
my $large = 'A' x (20 * $MB);
my %codes;
$codes{ (put($to, 'x', $large, 'token=no'))[0] }++ for 1 .. 6;
is_deeply([ grep { !/^(?:401|none)$/ } keys %codes ], [],
	'large bodies of strangers are refused');
cmp_ok(rss($pid) - $before, '<', 12 * $MB, 'and not in memory');
cmp_ok(kept(), '<', 1000, 'nor on disk');

my @idle = map { dial($to) } 1 .. 200;
syswrite $_, "PUT /api/v1/files/x?token=no HT" for @idle;
is((put($to, 'more', 'more', $key))[0], 200, 'strangers without an end: '
	. 'the engine is served');
cmp_ok(scalar(Test::Apworker::Proc::fds($pid)) - $fds, '<', 40,
	'and they are few');
close $_ for @idle;

# too much

($code) = put($to, 'big', 'A' x (64 * $MB + 1), $key);
is($code, 413, 'one that is too large');
$before = rss($pid);
my @puts = map {
	my $n = $_;
	my $child = fork // die "fork: $!";
	POSIX::_exit((put($to, "b$n", 'A' x (48 * $MB), $key))[0] eq '200'
		? 0 : 1) unless $child;
	$child;
} 1 .. 6;
my ($peak, $disk, $good) = (0, 0, 0);
while (@puts) {
	my $rss = rss($pid);
	$peak = $rss if $rss > $peak;
	$disk = kept() if kept() > $disk;
	@puts = grep { my $got = waitpid $_, POSIX::WNOHANG();
		$good++ if $got == $_ && $? == 0; !$got } @puts;
	select undef, undef, undef, 0.02;
}
is($good, 2, 'no more than a job may have, and no less');
cmp_ok($peak - $before, '<', 12 * $MB, 'six of them: not in memory');
cmp_ok($disk, '<=', 129 * $MB, 'and on disk within the bound');
is(scalar(my @lines = $t->log() =~ /a file of the engine is refused/g), 1,
	'said once');
is((put($to, 'after', 'after', $key))[0], 200, 'the server goes on');
is($t->status()->{slots}[0]{deaths} + $t->status()->{slots}[1]{deaths}, 0,
	'no slot died of it');

# one that never ends, and the end of the job

my $half = dial($to);
syswrite $half, "PUT /api/v1/files/half?$key HTTP/1.1\r\nHost: x\r\n"
	. "Content-Length: 100\r\n\r\nhalf of it";
wait_for(sub { grep { -s $_ == 10 } glob "$spool/tmp/.files-*/*" }, 'half');
$t->engine()->release('a');
my $dir = result('a');
is_deeply([ sort grep { !/^b\d$/ } map { m{([^/]+)$} } glob "$dir/files/*" ],
	[ qw/after log more parts posted/ ], 'the result has what was whole');
is(slurp("$dir/files/log"), "hello again\n", 'as it was last');
is(slurp("$dir/files/parts"), 'abcde', 'put together');
wait_for(sub { !grep { -f } glob "$spool/tmp/.files-*/*" }, 'nothing kept');
is(kept(), 0, 'nothing is kept behind the job');
is((put($to, 'late', 'x', $key))[0], 401, 'nor taken');

# a slot that dies

submit('d', { do => 'wait', name => 'd' }, { do => 'answer' });
my $at = join ':', server('d');
(undef, $pid) = $t->wait_job('d');
is((put($at, 'lost', 'x' x 5000, 'token=token-d'))[0], 200, 'a file');
kill 'KILL', $pid;
$at = join ':', server('d', 2);
wait_for(sub { kept() == 0 }, 'swept');
is(kept(), 0, 'what a dead slot had is removed');
is((put($at, 'kept', 'y', 'token=token-d'))[0], 200, 'the next one has its own');
$t->engine()->release('d');
is(join(' ', map { m{([^/]+)$} } glob result('d') . '/files/*'), 'kept',
	'in the result');
