#!/usr/bin/perl

# How a slot polls: one at a time, at once after a null that took its time, with
# a pause after one that did not, slower and slower after errors.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(9)->write_app_conf();
my $api = $t->api(poll_ms => 1200);
$t->run();

# Parked polls follow each other.
$api->wait_call('poll', 3);
my @polls = $api->calls('poll');
cmp_ok($polls[2]{t_ms} - $polls[0]{t_ms}, '<', 2 * 1200 + 15000,
	'the next poll comes at once');
my $info = $polls[0]{payload};
is($info->{workerProps}{version}, '0.85.4', 'with the version of the app');
is($info->{workerProps}{WORKER_CONCURRENCY}, '1', 'and the number of slots');
is(ref $info->{diskInfo}, 'HASH', 'and the disk');

# A null within a second is not believed.
$api->rule(at => 'rpc:poll', do => 'null');
cmp_ok(pause_after('null'), '>=', 4500, 'a pause after a quick null');

# A job that came in the meantime is taken after it.
$api->push_job(flow_job(id => 'j1'));
is($api->wait_done('j1')->{status}, 'OK', 'a job is still taken');

# Errors.
$api->rule(at => 'rpc:poll', do => 'error', times => 2);
cmp_ok(pause_after('error'), '>=', 400, 'a pause after an error');
$api->push_job(flow_job(id => 'j2'));
is($api->wait_done('j2')->{status}, 'OK', 'and then it goes on');
is($api->stats()->{parked} > 1 ? 'many' : 'one', 'one', 'one poll at a time');

# From the first poll that was answered so to the next one, in ms.
sub pause_after {
	my ($how) = @_;
	my $poll = $api->wait_seen(kind => 'rpc', method => 'poll', do => $how);
	my $next;
	wait_for(sub { ($next) = grep { $_->{n} > $poll->{n} }
		$api->calls('poll') }, "the poll after $how");
	return $next->{t_ms} - $poll->{t_ms};
}
