#!/usr/bin/perl

# Strict, with a spool: an engine is led to its own slot's files by its proxy,
# and to nobody else's; they are not found by trying ports.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns/)->plan(10);
$t->write_app_conf(slots => 2, mode => 'SANDBOX_PROCESS',
	main => 'network strict;');
$t->{conf} =~ s/^source app .*$/source spool { path %%TESTDIR%%\/spool; }/m;
my $spool = $t->testdir() . '/spool';

# In the box: by CONNECT, as engines do it, to the address it was given and to
# those on the command line; one line for each.
my $script = <<'EOS';
use IO::Socket::INET;
$| = 1;
my ($own, $port) = $ENV{API_URL} =~ m{//([\d.]+):(\d+)/} or die $ENV{API_URL};
sub by_proxy {
	my ($to) = @_;
	my $s = IO::Socket::INET->new('127.0.0.1:52000') or return (undef, $!);
	print $s "CONNECT $to HTTP/1.1\r\nHost: $to\r\n\r\n";
	my $text = '';
	while ($text !~ /\r\n\r\n/) { sysread $s, $text, 4096, length $text or last }
	return ($s, $text =~ m{^HTTP/1\.\d (\d+)} ? $1 : 'none');
}
sub put {
	my ($s, $token) = @_;
	print $s "PUT /api/v1/files/f?token=$token HTTP/1.1\r\nHost: x\r\n"
		. "Connection: close\r\nContent-Length: 3\r\n\r\nabc";
	my $text = '';
	1 while sysread $s, $text, 4096, length $text;
	return $text =~ m{^HTTP/1\.\d (\d+)} ? $1 : 'none';
}
my ($s, $code) = by_proxy("$own:$port");
print "api $own:$port\nown $code ", put($s, $ENV{ENGINE_TOKEN}), "\n";
($s, $code) = by_proxy("$own:$port");
print "wrong $code ", put($s, 'x'), "\n";
print "port ", (by_proxy("127.0.0.1:$port"))[1], "\n";
print "beside ", (by_proxy($own . ':' . ($port ^ 1)))[1], "\n";
print "theirs ", (by_proxy($_))[1], "\n" for @ARGV;
EOS

sub submit {
	my ($id, $hold, @theirs) = @_;
	my $job = flow_job(id => $id, engine => [ { do => 'exec', name => $id,
		argv => [ '/usr/bin/perl', '-', @theirs ], input => $script },
		$hold ? { do => 'sleep', ms => $hold } : (),
		{ do => 'answer' } ]);
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
	my ($out) = map { $_->{out} } grep { $_->{what} eq 'exec' }
		map { unjson($_) } slurp("$dir/log") =~ /^record (\{.*\})$/mg;
	return ($dir, $out // '');
}

$t->run();
my $slots = $t->wait_status(sub { 2 == grep { $_->{state} eq 'idle' }
	@{ $_[0]{slots} } and $_[0] }, 'two slots');
my @api = map { $_->{network}{rules} =~ / app=([\d.]+:\d+)\b/ ? $1 : () }
	@{ $slots->{slots} };
is(scalar @api, 2, 'the rules have the server of each slot');
unlike("@api", qr/127\.0\.0\.1:/, 'not where all of them would be looked for');
submit('a', 0, @api);
my ($dir, $out) = result('a');
my ($own) = $out =~ /^api (\S+)$/m;
ok((grep { $_ eq $own } @api), 'an engine has one of them');
like($out, qr/^own 200 200$/m, 'and stores its files there, by its proxy');
is(slurp("$dir/files/f"), 'abc', 'they are in the result');
like($out, qr/^wrong 200 401$/m, 'without the token it gets nothing');
like($out, qr/^port 403$/m, 'the port alone leads nowhere');
like($out, qr/^beside 403$/m, 'nor the address alone');
is(join(' ', sort $out =~ /^theirs (\d+)$/mg), '200 403',
	"nor does another slot's address and port");
is($t->status()->{total}{deaths}, 0, 'nobody died') or diag($out);
