#!/usr/bin/perl

# Over TLS the app has to prove itself: an authority of its own is named with
# ca_file, an unknown one or another name is refused, the token never sent.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild openssl/)->plan(7);
my $tls = $t->tls();
my $api = $t->api(tls => $tls, jobs => [ flow_job(id => 'j1') ]);

$t->write_app_conf(source => "ca_file $tls->{ca};")->run();
is($api->wait_done('j1')->{status}, 'OK', 'job done over TLS');
my $op = $t->engine()->wait_record('operation')->{operation};
is($op->{internalApiUrl}, $api->url() . '/api/', 'engines get the https URL');
$t->stop();

# An authority nobody knows.
my $seen = $api->seen(kind => 'connect');
$t->log_mark()->write_app_conf()->run();
ok($t->wait_log(qr/certificate|verify|issuer/i), 'unknown authority: refused');
is(scalar($api->seen(kind => 'connect')), $seen, 'nothing was said');
my ($code, $body) = $t->http_get('/readyz');
is($code, 503, 'not ready');
$t->stop();

# Another name: the certificate is for 127.0.0.1 and localhost.
(my $url = $api->url()) =~ s/127\.0\.0\.1/127.0.0.2/;
my $other = Test::Apworker::App->new($t, tls => $tls, host => '127.0.0.2',
	port => $api->{port});
$t->log_mark()->write_app_conf(url => $url, source => "ca_file $tls->{ca};")->run();
ok($t->wait_log(qr/mismatch|certificate|verify/i), 'wrong name: refused');
is(scalar($other->seen(kind => 'connect')), 0, 'nothing was said');
$t->stop();
$other->stop();
