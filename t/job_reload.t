#!/usr/bin/perl

# Reloads and a restart in the middle of the work: each job is handed out once
# and completed once.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(9)->write_app_conf(slots => 3);
my $api = $t->api(poll_ms => 1000);
my @work = ({ do => 'rpc', method => 'uploadRunLog',
	payload => { status => 'RUNNING' } }, { do => 'sleep', ms => 40 },
	{ do => 'answer' });
my $all = 0;

sub more {
	my ($n) = @_;
	$api->push_job(map { flow_job(id => "j$_", engine => \@work) }
		$all + 1 .. $all + $n);
	$all += $n;
}

sub settled { return scalar $api->seen(kind => 'settled') }

more(60);
$t->run();
$api->wait_seen(kind => 'settled', n => 5);
my %slots = map { $_->{pid} => 1 } $t->slots();

# Reloads on top of each other, with jobs in all slots.
for my $n (1 .. 3) {
	$api->wait_seen(kind => 'settled', n => 5 + 8 * $n);
	$t->reload();
}
ok($api->wait_seen(kind => 'settled', n => $all), 'all done');
ok($t->wait_status(sub { !$_->{reload}{pending} && @{ $_->{slots} } == 3
	&& !grep { $slots{ $_->{pid} } } @{ $_->{slots} } }, 'new slots'), 'by other slots in the end');

# A configuration that is no good changes nothing.
%slots = map { $_->{pid} => 1 } $t->slots();
my $good = $t->{conf};
$t->log_mark()->write_conf("$good\nnonsense on;\n")->reload();
ok($t->wait_log(qr/unknown directive .*nonsense/), 'a bad file is named');
more(10);
ok($api->wait_seen(kind => 'settled', n => $all), 'the old slots work on');
is(scalar(grep { !$slots{ $_->{pid} } } $t->slots()), 0, 'the same ones');
$t->write_conf($good);

# Stopped and started with jobs under way.
more(40);
$api->wait_seen(kind => 'settled', n => $all - 30);
$t->signal('QUIT');
is($t->wait_exit(), 0, 'stopped in the middle');
$t->run();
ok($api->wait_seen(kind => 'settled', n => $all), 'the rest is done after it');

my @jobs = @{ $api->ask('jobs') };
is(scalar(grep { @{ $_->{handed} } != 1 } @jobs), 0, 'handed out once each');
is(scalar(grep { $_->{settled} != 1 || $_->{repeats} || @{ $_->{late} } } @jobs),
	0, 'completed once each');
