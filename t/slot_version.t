#!/usr/bin/perl

# An app of another release than the one we have to be gets no poll until that
# changes, and the monitor says why.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(5)->write_app_conf(source => 'version 0.85.4;');
my $api = $t->api(settings => { APP_VERSION => '9.99.0' },
	jobs => [ flow_job(id => 'j1') ]);
$t->run();

ok($t->wait_log(qr/9\.99\.0/), 'the log names the version');
my ($code, $body);
wait_for(sub { ($code, $body) = $t->http_get('/readyz');
	($body // '') =~ /9\.99\.0|version/ }, 'reason of readiness');
is($code, 503, 'not ready');
like($body, qr/version/i, 'and says why');
is(scalar($api->calls('poll')), 0, 'no poll');

$api->settings(APP_VERSION => '0.85.4');
$api->act('drop');
is($api->wait_done('j1')->{status}, 'OK', 'works when the app is the right one again');
