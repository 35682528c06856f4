#!/usr/bin/perl

# An engine that does not come up properly: each way ends in a clear outcome.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

# name, behaviour of the start, what the message has to say
my @silent = ([ silent => { connect => 'never' }, qr/did not connect within/ ]);
my @starts = (
	# none of these is given the whole of its time
	[ exits => { before => [ { do => 'real_stderr', text => "no module\n" },
		{ do => 'exit', code => 9 } ] }, qr/exited before connecting.*9/s ],
	[ killed => { before => [ { do => 'kill' } ] },
		qr/exited before connecting/ ],
	[ wrong_token => { token => 'f' x 64 }, qr/wrong connection token/ ],
	[ no_token => { token => undef }, qr/connect|refused|token/i ],
	[ leaves => { connected => [ { do => 'exit', code => 0 } ] },
		qr/exited|connect/ ],
);

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(3 * (@silent + @starts) + 7)
	->write_app_conf(engine => 'start_timeout 3s;');
$t->engine(starts => [ (map { $_->[1] } @silent, @starts), { second => 1 },
	{ connect_delay_ms => 500, transports => [ 'polling' ] },
	{ transports => [ 'websocket' ] }, {} ]);
my $api = $t->api();

sub starts {
	for my $start (@_) {
		my ($name, undef, $message) = @$start;
		$api->push_job(flow_job(id => $name, engine => [
			{ do => 'sleep', ms => 1000 }, { do => 'answer' } ]));
		my $done = $api->wait_done($name);
		is($done->{status}, 'INTERNAL_ERROR', "$name: completed");
		like($done->{errorMessage}, $message, "$name: message");
		my @own = $api->seen(kind => 'rpc', method => 'uploadRunLog',
			payload => { runId => "run-$name",
			status => 'INTERNAL_ERROR',
			internalError => { source => 'WORKER' } });
		is(scalar @own, 1, "$name: reported");
	}
}

$t->run();
starts(@silent);
$t->stop();
$t->write_app_conf(engine => 'start_timeout 10m;')->run();
starts(@starts);

# A second connection is sent away, the first one works on.
$api->push_job(flow_job(id => 'twice', engine => [ { do => 'second' },
	{ do => 'answer' } ]));
is($api->wait_done('twice')->{status}, 'OK', 'connects twice: OK');
my ($end) = grep { $_->{event} ne 'connect' } $t->engine()->records('second');
like($end->{reason} || $end->{message} || '', qr/^io server disconnect$/,
	'the second connection was sent away');

for my $name (qw/polling websocket/) {
	# kills the engine before
	$api->push_job(flow_job(id => "end-$name",
		engine => [ { do => 'exit', code => 1 } ]));
	$api->wait_done("end-$name");
	$api->push_job(flow_job(id => $name));
	is($api->wait_done($name)->{status}, 'OK', "$name only");
	is(($t->engine()->records('operation'))[-1]{transport}, $name,
		'and it was');
}
is($api->stats()->{open}, 1, 'one connection to the app all the time');
