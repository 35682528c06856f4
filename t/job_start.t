#!/usr/bin/perl

# An engine that does not come up properly: the job that waits for it has not
# begun, and is not to blame.  It gets another; when that does not come up
# either the slot boots one for nobody before it goes on; when none comes up
# it takes no job, says why, and goes on by itself when one does.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

# name, behaviour of the start, what the log has to say
my @silent = ([ silent => { connect => 'never' }, qr/did not connect within/ ]);
my @starts = (
	# none of these is given the whole of its time
	[ exits => { before => [ { do => 'real_stderr', text => "no module\n" },
		{ do => 'exit', code => 9 } ] }, qr/exited before connecting.*9/ ],
	[ killed => { before => [ { do => 'kill' } ] },
		qr/exited before connecting/ ],
	[ wrong_token => { token => 'f' x 64 }, qr/wrong connection token/ ],
	[ no_token => { token => undef }, qr/connect|refused|token/i ],
);
my $bad = $starts[0][1];

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(2 * (@silent + @starts) + 28)
	->write_app_conf(engine => 'start_timeout 3s; max_jobs 1;');
$t->engine(starts => [ map { ($_->[1], {}) } @silent, @starts ]);
my $api = $t->api();

sub run_job {
	my ($id, @steps) = @_;
	$api->push_job(flow_job(id => $id, engine =>
		[ @steps ? @steps : { do => 'answer' } ]));
	return $api->wait_done($id);
}

sub starts {
	for my $start (@_) {
		my ($name, undef, $message) = @$start;
		$t->log_mark();
		is(run_job($name, { do => 'sleep', ms => 300 },
			{ do => 'answer' })->{status}, 'OK',
			"$name: another engine does it");
		ok($t->wait_log($message), "$name: and the log says why");
	}
}

sub starts_are {
	my $n = scalar(my @all = $t->engine()->starts());
	$t->engine()->behave(starts => [ ({}) x $n, @_ ]);
	$t->log_mark();
	return;
}

$t->run();
starts(@silent);
$t->stop();
$t->write_app_conf(engine => 'start_timeout 10m; max_jobs 1;')->run();
starts(@starts);
is(scalar(grep { ($_->{payload}{status} // '') eq 'INTERNAL_ERROR' }
	$api->calls('uploadRunLog')), 0, 'no run is told as failed');

# It came up, and had the operation when it left: the job had begun.
starts_are({ connected => [ { do => 'exit', code => 0 } ] }, {});
my $left = run_job('leaves', { do => 'sleep', ms => 1000 },
	{ do => 'answer' });
is($left->{status}, 'INTERNAL_ERROR', 'an engine that leaves: completed');
like($left->{errorMessage}, qr/exited|connect/, 'with the message');
is(scalar($api->seen(kind => 'rpc', method => 'uploadRunLog', payload => {
	runId => 'run-leaves', status => 'INTERNAL_ERROR',
	internalError => { source => 'WORKER' } })), 1, 'and reported');

# Two in a row, and then one for nobody.
starts_are($bad, $bad, {});
my $before = my @all = $t->engine()->starts();
is(run_job('two')->{status}, 'OK', 'two in a row: it is done all the same');
my $after = @all = $t->engine()->starts();
is($after - $before, 4, 'after an engine for nobody');
unlike($t->log(), qr/no job is taken/, 'and the slot was never blocked');

# None comes up.
starts_are($bad);
$api->push_job(flow_job(id => 'none', engine => [ { do => 'answer' } ]));
my $why = qr/no engine comes up: exited before connecting/;
ok($t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
	$s && $s->{state} eq 'blocked' && $s->{why} =~ $why && $s }),
	'none comes up: blocked, with the reason') or diag($t->log_tail(20));
my ($code, $body) = $t->http_get('/readyz');
is($code, 503, 'not ready');
like($body, $why, 'and says why');
my $polls = () = $api->calls('poll');
$after = @all = $t->engine()->starts();
ok(wait_for(sub { (@all = $t->engine()->starts()) >= $after + 3 },
	'three more tries'), 'it tries again and again');
is(scalar(() = $api->calls('poll')), $polls, 'and asks for no job meanwhile');
is(scalar(() = $t->log() =~ /no job is taken/g), 1, 'one line says so');
is($api->settled('none'), 0, 'the job is not completed');

# A connection later it is the same.
my $seen = $api->seen(kind => 'settings');
$api->act('drop');
$api->wait_seen(kind => 'settings', n => $seen + 1);
ok($t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
	$s && $s->{state} eq 'blocked' && $s->{why} =~ $why && $s }),
	'a lost connection does not make it well');

$t->engine()->behave(starts => [ {} ]);
is($api->wait_done('none')->{status}, 'OK', 'it heals by itself, and the job '
	. 'is done');
is($api->settled('none'), 1, 'once');
is(scalar(grep { $_->{job} eq 'none' } $api->seen(kind => 'handed')), 1,
	'without having been given back to the app');
is(scalar(() = $t->log() =~ /come up again: jobs are taken/g), 1,
	'one line says that, too');

# Others come up, this job's does not: then it is the job's.
starts_are($bad, $bad, map { ({}, $bad) } 1 .. 3);
my $done = run_job('own');
is($done->{status}, 'INTERNAL_ERROR', 'a job whose engines alone do not '
	. 'come up ends');
like($done->{errorMessage}, qr/exited before connecting.*9/s, 'and says why');
$t->engine()->behave(starts => [ {} ]);

# A second connection is sent away, the first one works on.

$t->engine()->behave(starts => [ { second => 1 } ]);
is(run_job('twice2', { do => 'second' }, { do => 'answer' })->{status}, 'OK',
	'connects twice: OK');
my ($end) = grep { $_->{event} ne 'connect' } $t->engine()->records('second');
like($end->{reason} || $end->{message} || '', qr/^io server disconnect$/,
	'the second connection was sent away');

for my $name (qw/polling websocket/) {
	$t->engine()->behave(starts => [ { connect_delay_ms => 500,
		transports => [ $name ] } ]);
	is(run_job($name)->{status}, 'OK', "$name only");
	is(($t->engine()->records('operation'))[-1]{transport}, $name,
		'and it was');
}
is($api->stats()->{open}, 1, 'one connection to the app all the time');
