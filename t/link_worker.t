#!/usr/bin/perl

# Who we are to an app of 0.88.3: one machine, whose slots are counted once,
# that says how far the app is; a group of projects or of a platform; and what
# holds on each connection: nothing before the settings, which are asked for
# once, and nothing more of a job that the app has taken back.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(37)->write_app_conf(slots => 2);
my $api = $t->api(release => '0.88.3', poll_ms => 1200);
$t->run();
$t->wait_ready();

# --------------------------------------------------------------- one machine
$api->push_job(flow_job(id => "j$_", engine => [
	{ do => 'wait', name => 'on' }, { do => 'answer' } ])) for 1;
ok($api->wait_seen(kind => 'handed', job => 'j1'), 'a job');
ok(wait_for(sub {
	my ($m) = $api->machines();
	my @s = $m ? @{ $m->{info}{sandboxes} } : ();
	return grep { $_->{busy} && $_->{memoryUsageBytes} > 1e7 } @s;
}, 'the other slot tells of the busy one'), 'its sandbox, by the other slot');
my @m = $api->machines();
is(scalar @m, 1, 'two slots are one machine');
my $info = $m[0]{info};
is($info->{workerProps}{WORKER_CONCURRENCY}, '2', 'with its slots');
is($m[0]{workerId}, $info->{workerId}, 'under one name');
my ($busy) = grep { $_->{busy} } @{ $info->{sandboxes} };
like($busy->{sandboxId}, qr/^slot-[12]$/, 'a sandbox has the slot\'s name');
is($busy->{sandboxId}, "slot-$busy->{boxId}", 'and number');
my %names = map { $_->{payload}{workerId} => 1 } $api->seen(kind => 'connect');
is(scalar keys %names, 1, 'both connect by it');
my @settings = $api->seen(kind => 'settings');
is(scalar(grep { $_->{payload}{workerProps}{WORKER_CONCURRENCY} ne '2' }
	@settings), 0, 'which says so before all else');
$t->engine()->release('on');
is($api->wait_done('j1')->{status}, 'OK', 'the job is done');

# ------------------------------------------------------------------ how far
is(scalar(grep { ($_->{payload}{serverPingMs} // 'no') !~ /^\d+$/ }
	$api->seen(kind => 'settings'), $api->calls('poll')), 0,
	'each says how far the app is');
ok($api->wait_seen(kind => 'health', method => 'GET', url => '/api/v1/health'),
	'which was asked');
cmp_ok(scalar(my @h = $api->seen(kind => 'health')), '<',
	scalar(my @p = $api->calls('poll')), 'not for each poll');
$t->stop();

# An app that does not answer that: polls do not wait for it, and say nothing.
$api->rule(at => 'health', do => 'silent', times => 0);
$t->write_app_conf(slots => 1);
$t->run();
my $silent = $api->wait_seen(kind => 'health', do => 'silent');
ok($silent, 'an app whose health page is silent');
$api->push_job(flow_job(id => 'j2'));
is($api->wait_done('j2')->{status}, 'OK', 'its jobs are done');
ok(wait_for(sub {
	my ($last) = ($api->calls('poll'))[-1];
	return $last->{t_ms} > $silent->{t_ms} + 5000
		&& !exists $last->{payload}{serverPingMs};
}, 'no figure'), 'after five seconds polls say nothing of it');
cmp_ok(longest_gap($silent->{t_ms}), '<', 4500, 'and were not held up');
$t->stop();
$api->clear_rules();

sub longest_gap {
	my ($from) = @_;
	my ($last, $most) = ($from, 0);
	for my $poll (grep { $_->{t_ms} > $from } $api->calls('poll')) {
		$most = $poll->{t_ms} - $last if $poll->{t_ms} - $last > $most;
		$last = $poll->{t_ms};
	}
	return $most;
}

# ------------------------------------------------------------------- groups
for my $case ([ 'group g1;', 'project-g1-jobs', 1 ],
	[ 'group g1 project;', 'project-g1-jobs', 1 ],
	[ 'group g1 platform;', 'platform-g1-jobs', 0 ],
	[ 'group g1; project_worker off;', 'platform-g1-jobs', 0 ]) {
	my ($words, $queue, $project) = @$case;
	my $mark = $api->ask('clock');
	$t->write_app_conf(source => $words, slots => 1,
		engine => 'reuse platform;');
	$t->run();
	my ($auth) = wait_for_connect($mark);
	is(json($auth->{projectWorker}), $project ? 'true' : 'false',
		"$words: whose group");
	is($auth->{workerGroupId}, 'g1', 'which');
	$t->stop();
}

sub wait_for_connect {
	my ($mark) = @_;
	my @new;
	wait_for(sub { @new = grep { $_->{t_ms} > $mark }
		$api->seen(kind => 'connect') }, 'a connection');
	return $new[0]{payload};
}

# ---------------------------------------------------- what holds on each link
$t->write_app_conf(slots => 1);
my $mark = $api->ask('clock');
my $begun = () = $t->engine()->records('operation');
$api->push_job(flow_job(id => 'j3', engine => [
	{ do => 'wait', name => 'never' }, { do => 'answer' } ]));
$t->run();
my $first = $api->wait_seen(kind => 'handed', job => 'j3')->{conn};
$t->engine()->wait_record('operation', $begun + 1);
$api->act('drop');
ok($api->wait_seen(kind => 'taken_back', job => 'j3'),
	'a connection is lost, and the job taken back');
my $again = $api->wait_seen(kind => 'handed', job => 'j3', n => 2);
$t->engine()->release('never');
isnt($again->{conn}, $first, 'it comes again over the next one');
my %seen;
for my $e (grep { ($_->{conn} // 0) > $first } $api->seen()) {
	$seen{settings}++ if $e->{kind} eq 'settings';
	$seen{early}++ if $e->{kind} eq 'rpc' && !$seen{settings};
	$seen{of_old}++ if $e->{kind} eq 'rpc' && $e->{n} < $again->{n}
		&& json($e->{payload}) =~ /"(?:run-)?j3"/;
}
is($seen{early} // 0, 0, 'nothing is called before the settings are there');
is($seen{of_old} // 0, 0, 'nothing more is said of the job that was lost');
is($api->wait_done('j3')->{status}, 'OK', 'which is done then');

# An app that was killed gives nothing back: its job is left alone all the same,
# until the app hands it out again by its own rules.
$api->ask(set => { killed => 1 });
$begun = () = $t->engine()->records('operation');
$api->push_job(flow_job(id => 'j4', engine => [
	{ do => 'wait', name => 'later' }, { do => 'answer' } ]));
my $fourth = $api->wait_seen(kind => 'handed', job => 'j4');
$t->engine()->wait_record('operation', $begun + 1);
$t->log_mark();
$api->down();
ok($t->wait_log(qr/job=j4 .*job is given up/), 'the app is killed');
$api->up();
$t->engine()->release('later');
my $poll = wait_for_poll($fourth->{conn});
is(scalar(grep { $_->{n} > $fourth->{n} && ($_->{conn} // 0) > $fourth->{conn}
	&& json($_->{payload}) =~ /"(?:run-)?j4"/ } $api->seen(kind => 'rpc')),
	0, 'nothing is said of its job when it is back');
$api->ask(expire => { id => 'j4' });
is($api->wait_done('j4')->{status}, 'OK', 'which comes again');
is($api->settled('j4'), 1, 'and is done once');

sub wait_for_poll {
	my ($conn) = @_;
	my $poll;
	wait_for(sub { ($poll) = grep { $_->{conn} > $conn }
		$api->calls('poll') }, 'a poll over the next connection');
	return $poll;
}

# -------------------------------------------- what the app says by itself
my $polls = () = $api->calls('poll');
$api->notify(somethingNew => { a => [ 1 ] });
$api->notify(flowPublished => undef);
$api->notify(flowPublished => { flowId => [], flowVersionId => '../..' });
$api->act('raw', value => $_) for '42["rpc-notify"]', '42["rpc-notify",7]',
	'42["rpc-notify",{"method":7}]', '42["rpc-notify",{"method":""}]',
	'42["rpc-notify",{"method":"' . 'x' x 5000 . '"}]',
	'427["rpc-notify",{"method":"unheardOf","payload":{}}]',
	'42["somethingElse",{}]';
$api->push_job(flow_job(id => 'j5'));
is($api->wait_done('j5')->{status}, 'OK', 'what it tells by itself is taken');
is(scalar(grep { $_->{open} } @{ $api->stats()->{connections} }), 1,
	'and ends no connection');
is(scalar(grep { $_->{settings} > 1 } @{ $api->stats()->{connections} }), 0,
	'no connection was asked for the settings twice');
$t->stop();
