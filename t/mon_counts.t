#!/usr/bin/perl

# What is counted stays counted: when slots die, over reloads, and over a
# change of the binary; a counter never goes back.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use File::Copy ();
use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots ctl/)->plan(21);
my $program = "$t->{testdir}/apworkerd";
File::Copy::copy($t->daemon_path(), $program) or die "$program: $!";
chmod 0755, $program;
$t->{program} = $program;
my $pidfile = "$t->{testdir}/apworkerd.pid";
fake_conf($t, main => "pid $pidfile;")->write_file('main.js', '');

# Each start of slot 1 takes a job.
order($t, 1, 'busy=j');
$t->run();
$t->wait_status(sub { $_->{slots_able} == 2 });

# Reads all counters; remembers those that went back.
my (%last, @back);
sub scrape {
	my ($code, $body) = $t->http_get('/metrics') or return {};
	my %now = $body =~ /^(apworkerd_\w+_total(?:\{[^}]*\})?) ([\d.]+)$/mg;
	push @back, map { "$_: $last{$_}, then $now{$_}" }
		grep { exists $last{$_} && $now{$_} < $last{$_} } keys %now;
	return { %last = %now } if $code eq '200';
	return {};
}

sub jobs { return slot_of($t, 1)->{jobs}{started} }
sub settled { $t->wait_status(sub { $_->{slots_able} == 2
	&& @{ $_->{slots} } == 2 && !$_->{reload}{pending} }) }

is(scrape()->{apworkerd_jobs_started_total}, 1, 'a job');
is(jobs(), 1, 'of slot 1');

# a slot dies

kill 'KILL', pid_of($t, 'slot 1');
$t->wait_status(sub { $_->{slots}[0]{jobs}{started} == 2 }, 'again');
is(scrape()->{apworkerd_jobs_started_total}, 2, 'a slot died: both count');
is(slot_of($t, 1)->{deaths}, 1, 'as does its death');

# reloads, looked at all the time

for my $n (1 .. 6) {
	$t->reload();
	wait_for(sub { scrape(); ($t->status() || {})->{cycle} == $n + 1 },
		"reload $n");
	wait_for(sub { scrape(); my $st = $t->status() || {};
		@{ $st->{slots} || [] } == 2 && $st->{slots_able} == 2 },
		"slots of reload $n");
}
settled();
is_deeply(\@back, [], 'no counter went back');
my $m = scrape();
is($m->{apworkerd_jobs_started_total}, 8, 'six reloads, six jobs more');
is($m->{apworkerd_slot_starts_total}, 3 + 6 * 2, 'and starts');
is(jobs(), 8, 'slot 1 has them');
is(slot_of($t, 1)->{deaths}, 1, 'and its death');
is(slot_of($t, 2)->{starts}, 7, 'slot 2 its starts');
my ($code, $out) = $t->ctl('status');
like($out, qr/^since the start: 8 jobs taken, 0 ended well, 0 did not; 1 slots died/m,
	'apworkerctl status');

# another binary: while the old one drains, and when it has gone

order($t, 1, 'busy=j linger');
kill 'KILL', pid_of($t, 'slot 1');
$t->wait_status(sub { $_->{slots}[0]{jobs}{started} == 9 }, 'lingers');
scrape();
order($t, 1, 'busy=j');
my $old = $t->pid();
$t->log_mark();
kill 'USR2', $old;
ok($t->wait_log(qr/the new binary is up/), 'a new binary');
my $new = slurp($pidfile) + 0;
wait_for(sub { scrape(); ($t->status() || {})->{pid} == $new }, 'answers');
$t->wait_status(sub { $_->{slots_able} == 2 });
is(scrape()->{apworkerd_jobs_started_total}, 10, 'it counts on');
is($last{'apworkerd_reloads_total{result="ok"}'}, 6, 'reloads, too');
kill 'QUIT', $old;
wait_for(sub { scrape(); 0 }, undef, 0.5);
kill 'TERM', $old;
kill 'TERM', $old;
$t->wait_exit();
$t->{pid} = $new;
ok($t->wait_log(qr/the old binary has gone/), 'the old one leaves');
wait_for(sub { scrape(); slot_of($t, 1)->{jobs}{started} >= 10 }, 'kept');
is_deeply(\@back, [], 'no counter went back');
cmp_ok(scrape()->{apworkerd_jobs_started_total}, '>=', 10, 'all jobs');
is(jobs(), $last{apworkerd_jobs_started_total}, 'all of them of slot 1');
$t->reload();
$t->wait_status(sub { $_->{cycle} == 2 && $_->{slots_able} == 2
	&& @{ $_->{slots} } == 2 });
is(scrape()->{apworkerd_jobs_started_total}, jobs(), 'and after one more reload');
is($last{'apworkerd_reloads_total{result="ok"}'}, 7, 'which counts');
is_deeply(\@back, [], 'no counter went back');
$t->ctl('stop', '--now');
wait_for(sub { !Test::Apworker::Proc::alive($new) }, 'gone');
delete $t->{pid};
