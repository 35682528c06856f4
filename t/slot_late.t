#!/usr/bin/perl

# A box that does not end, though it was killed: its job is told, another seat
# of the slot works on; a slot that has no other takes no job and says why; it
# heals by itself when the box has ended.  Nothing waits for such a box at the
# end.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Hold;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon root node node_modules esbuild userns/)
	->plan(20)->write_app_conf(mode => 'SANDBOX_PROCESS');
my $api = $t->api(settings => { FLOW_TIMEOUT_SECONDS => 2 });
$t->run();

# A job that never ends of itself, and its box.  Returns what holds that, and
# its first process.
sub stick {
	my ($id) = @_;
	$api->push_job(flow_job(id => $id, engine => [ { do => 'never' } ]));
	my $slot = $t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
		$s && $s->{job} && $s->{job}{id} eq $id
		&& $s->{job}{phase} eq 'run' && $s->{engine_pid} && $s });
	my $init = $slot->{engine_pid};
	wait_for(sub { Test::Apworker::Proc::descendants($init) },
		'an engine in the box');
	return (hold_box($t, $init), $init);
}

my ($first, $init) = stick('j1');
is($api->wait_done('j1')->{status}, 'TIMEOUT', 'its job ends by its limit');
ok($t->wait_log(qr/a killed engine does not end: .*process="process $init,/),
	'and the box is told');
ok(Test::Apworker::Proc::alive($init), 'which is still there');

$api->push_job(flow_job(id => 'j2', engine => [ { do => 'answer' } ]));
is($api->wait_done('j2')->{status}, 'OK', 'another seat works on');

# and that one, too
my ($second, $other) = stick('j3');
is($api->wait_done('j3')->{status}, 'TIMEOUT', 'another job ends');
my $why = qr/killed and does not end/;
my $slot = $t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
	$s && $s->{state} eq 'blocked' && $s->{why} =~ $why && $s });
ok($slot, 'no seat is left: blocked, with the reason')
	or diag($t->log_tail(20));
my ($code, $body) = $t->http_get('/readyz');
is($code, 503, 'not ready');
like($body, $why, 'and says why');
$api->push_job(flow_job(id => 'j4', engine => [ { do => 'answer' } ]));
# longer than one try takes
my $tries = () = $t->log() =~ /a killed engine does not end/g;
is($tries, 2, 'each box is told once');
is(scalar(() = $t->log() =~ /no job is taken/g), 1, 'and the state once');
is($api->settled('j4'), 0, 'no job is taken');

# Settings that come meanwhile change nothing about that.
my $seen = $api->seen(kind => 'settings');
$api->act('drop');
$api->wait_seen(kind => 'settings', n => $seen + 1);
ok($t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
	$s && $s->{state} eq 'blocked' && $s->{why} =~ $why && $s }),
	'a connection later it is still blocked');
is($api->settled('j4'), 0, 'and takes none');

$second->release();
is($api->wait_done('j4')->{status}, 'OK', 'the box has ended: it goes on');
like($t->log(), qr/engine that did not end has ended .*pid=$other/,
	'which is told');
like($t->log(), qr/jobs are taken/, 'as is that');

# The end, with one that does not end.
my $from = time;
$t->signal('TERM');
is($t->wait_exit(), 0, 'the daemon ends');
cmp_ok(time - $from, '<', 20 * Test::Apworker::Util::slow(),
	'and waits for nobody');
ok(Test::Apworker::Proc::alive($init), 'who is still there');
$first->release();
ok(wait_for(sub { !Test::Apworker::Proc::alive($init) }, 'its end'),
	'and ends');
