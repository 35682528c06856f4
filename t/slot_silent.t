#!/usr/bin/perl

# An app that accepts and then says nothing to the settings request is left
# after ten seconds; the request is never sent twice on one connection.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(6)->write_app_conf();
my $api = $t->api(jobs => [ flow_job(id => 'j1') ],
	rules => [ { at => 'settings', do => 'silent' } ]);
$t->run();

$api->wait_seen(kind => 'settings');
my ($code, $body) = $t->http_get('/readyz');
is($code, 503, 'not ready meanwhile');
is($api->wait_done('j1')->{status}, 'OK', 'the job is done in the end');

my @asked = $api->seen(kind => 'settings');
is(scalar @asked, 2, 'settings asked twice');
isnt($asked[0]{conn}, $asked[1]{conn}, 'on two connections');
cmp_ok($asked[1]{t_ms} - $asked[0]{t_ms}, '>', 9000, 'after ten seconds');
is(($t->http_get('/readyz'))[0], 200, 'ready now');
