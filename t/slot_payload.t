#!/usr/bin/perl

# An app that announces a small maxPayload: what is too large for it is not
# sent, the engine is told, and the connection lives.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(8)->write_app_conf();
my $api = $t->api(max_payload => 20000, jobs => [
	flow_job(id => 'report', engine => [
		{ do => 'rpc', method => 'uploadRunLog',
		    payload => { status => 'RUNNING', tags => [ 'x' x 30000 ] } },
		{ do => 'rpc', method => 'uploadRunLog',
		    payload => { status => 'SUCCEEDED' } },
		{ do => 'answer' } ]),
	flow_job(id => 'logs', engine => [
		(map { { do => 'stdout', text => 'y' x 10000 . "\n" } } 1 .. 4),
		{ do => 'answer' } ]) ]);
$t->run();

is($api->wait_done('report')->{status}, 'OK', 'job done');
my @replies = $t->engine()->records('reply');
like($replies[0]{value}{__rpcError}, qr/./, 'the engine is told');
is($replies[1]{value}, undef, 'a smaller one goes through');
is(scalar($api->calls('uploadRunLog')), 1, 'the app saw only that');

my $done = $api->wait_done('logs');
is($done->{status}, 'OK', 'job with long logs done');
cmp_ok(length($done->{logs} // ''), '<', 20000, 'logs fit or are left out');
is($api->settled('logs'), 1, 'once');
is(scalar @{ $api->stats()->{connections} }, 1, 'one connection');
