#!/usr/bin/perl

# An app that does not behave: the slot says so, stays, and works as soon as the
# app is well again.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

# name, rules for the first connection(s), settings asked for in the end
my @cases = (
	[ 'connection dropped', [ { at => 'tcp', do => 'drop' } ] ],
	[ 'TCP and no answer', [ { at => 'tcp', do => 'silent' } ] ],
	[ 'not HTTP', [ { at => 'tcp', do => 'garbage' } ] ],
	[ 'HTTP 503', [ { at => 'upgrade', do => 'status', value => 503 } ] ],
	[ 'HTTP 301', [ { at => 'upgrade', do => 'status', value => 301,
		header => 'Location: http://127.0.0.1:1/' } ] ],
	[ 'false upgrade', [ { at => 'upgrade', do => 'garbage' } ] ],
	[ 'dropped upgrade', [ { at => 'upgrade', do => 'drop' } ] ],
	[ 'dropped CONNECT', [ { at => 'connect', do => 'drop' } ] ],
	[ 'rejected token', [ { at => 'connect', do => 'reject' } ],
		qr/reject|refused|Authentication/i ],
	[ 'sent away', [ { at => 'connect', do => 'disconnect' } ] ],
	[ 'dropped settings', [ { at => 'settings', do => 'drop' } ] ],
	[ 'settings null', [ { at => 'settings', do => 'null' } ] ],
	[ 'settings a text', [ { at => 'settings', do => 'value',
		value => 'x' } ] ],
	[ 'settings an error', [ { at => 'settings', do => 'error' } ] ],
	[ 'settings not JSON', [ { at => 'settings', do => 'raw',
		value => '43%ID%[{"A":' } ] ],
	[ 'settings twice', [ { at => 'settings', do => 'twice' } ] ],
	[ 'Engine.IO nonsense', [ { at => 'settings', do => 'raw',
		value => 'xyz' } ] ],
	[ 'Socket.IO nonsense', [ { at => 'settings', do => 'raw',
		value => '49nonsense' } ] ],
	[ 'unknown ack', [] ],
	[ 'byte by byte', [ { at => 'tcp', do => 'slow', ms => 0 } ] ],
);

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(@cases + 3)->write_app_conf();
my $api = $t->api(ping_interval_ms => 1000, ping_timeout_ms => 2000);
$t->run();
$api->wait_call('poll');

my $n = 0;
for my $case (@cases) {
	my ($name, $rules, $said) = @$case;
	my $id = 'j' . ++$n;

	my $seen = $api->seen(kind => 'settings');
	$api->rule(%$_) for @$rules;
	$api->act('drop');
	# answers nobody asked for must not matter
	if ($name eq 'unknown ack') {
		$api->wait_seen(kind => 'settings', n => $seen + 1);
		$api->act('raw', value => $_) for '4399999[1]',
			'42["news",{"a":1}]', '42["WORKER_HEALTHCHECK"]';
	}
	$api->push_job(flow_job(id => $id));
	my $ok = ($api->wait_done($id, 60)->{status} // '') eq 'OK';
	$ok &&= $t->log() =~ $said if $said;
	ok($ok, $name);
	$api->clear_rules();
}

ok(!(grep { $_->{settings} > 1 } @{ $api->stats()->{connections} }),
	'settings asked once a connection');
is(scalar(grep { $api->settled("j$_") != 1 } 1 .. $n), 0, 'settled once each');
is(scalar($t->engine()->starts()), 1, 'the engine lived through all of it');
