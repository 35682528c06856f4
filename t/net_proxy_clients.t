#!/usr/bin/perl

# The HTTP clients that pieces use, as the engine points them to the egress
# proxy: they get where they may, and a clear error elsewhere.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Egress;
use Test::Apworker::Util;

Test::Apworker::Egress->alone(qw/8.8.8.8 10.9.0.1 127.0.0.53/);

my $t = Test::Apworker->new()->has(qw/node node_modules curl openssl/);
my $e = Test::Apworker::Egress->new($t);
my $dns = $e->dns({ 'pub.example' => [ '8.8.8.8' ],
	'in.example' => [ '10.9.0.1' ] });
my $p = $e->proxy("network auto { resolver $dns; upstream off; }");
my $dir = $t->testdir();
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=pub.example"
	. " -addext subjectAltName=DNS:pub.example -keyout $dir/key.pem"
	. " -out $dir/cert.pem >/dev/null 2>&1") == 0 or die 'openssl';
$ENV{NODE_EXTRA_CA_CERTS} = "$dir/cert.pem";
$ENV{NODE_NO_WARNINGS} = 1;
my $bin = $t->srcdir() . '/bin/egress-clients.js';
my $out = `node $bin http://127.0.0.1:@{[ $p->port() ]} $dir/key.pem $dir/cert.pem 8.8.8.8`;
is($?, 0, 'the clients');
my %r;
for (split /\n/, $out) {
	my $line = unjson($_);
	$r{$line->{name}}{$line->{url}} = $line;
}
for my $name ('axios', 'fetch', 'raw', 'node-fetch', 'got', 'curl', 'curl -p') {
	my $c = $r{$name};
	for my $url ('http://pub.example/a?b=c', 'https://pub.example/a?b=c') {
		my $got = $c->{$url};
		is(($got->{status} || $got->{error} || 'none') . ' '
			. ($got->{text} || ''),
			'200 POST /a?b=c pub.example 200000', "$name: $url");
	}
	for my $url ('http://in.example/', 'https://in.example/') {
		my $got = $c->{$url};
		my $how = join ' ', map { $got->{$_} || () }
			qw/status text error/;
		like($how, qr/403|Egress blocked|Proxy response|ECONNRESET|SSL|disconnected/i,
			"$name: $url is blocked");
		unlike($how, qr/^200/, 'really');
	}
}
my @d = $p->decisions();
is(scalar(grep { $_->{host} eq 'in.example'
	&& $_->{verdict} eq 'blocked address' } @d), 14,
	'each was decided by the proxy');
is($p->stop(), 0, 'clean');
