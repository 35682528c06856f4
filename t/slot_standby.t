#!/usr/bin/perl

# The next engine stands by in a box of its own: a job has it without a boot,
# once; it sees the code of that job's flow only; what has changed since it
# was booted ends it unused.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns/)
	->write_app_conf(mode => 'SANDBOX_PROCESS');
my $api = $t->api();
$t->run();

# The sandbox of an engine that is ready and has no job.
sub standing {
	my ($after) = @_;
	my @ids;
	wait_for(sub {
		my ($started) = ($t->log() =~
			/standby engine started .*sandbox=(\S+)/g)[-1];
		$started && (!$after || $started ne $after) && $t->log() =~
			/engine ready sandbox=\Q$started\E/ && (@ids = $started);
	}, 'an engine that stands by');
	return $ids[0] // '';
}

# How much of its share of the processor an engine's box has; undef: boxes have
# no share here.
sub share {
	my ($sandbox) = @_;
	my ($pid) = $t->log() =~ /engine started pid=(\d+) sandbox=\Q$sandbox\E/;
	for my $line (split /\n/, slurp("/proc/$pid/cgroup")) {
		my (undef, $what, $path) = split /:/, $line, 3;
		next unless $path =~ m{/apworkerd-box\.[^/]+$}
			&& $what =~ /^$|\bcpu\b/;
		for my $file (map { glob "/sys/fs/cgroup$_" } $what eq ''
			? "$path/cpu.weight"
			: ("/$what$path/cpu.shares", "/cpu$path/cpu.shares")) {
			return slurp($file) / ($what eq '' ? 100 : 1024)
				if -e $file;
		}
	}
	return undef;
}

my $early = standing();
ok($early, 'one stands by before there is a job');
my %env = map { %{ $_->{env} } } grep { $_->{what} eq 'env' }
	$api->told('j1', { do => 'env' });
is($env{SANDBOX_ID}, $early, 'the first job has it');
my $first = standing($early);
ok($first, 'another stands by after it');
SKIP: {
	skip('boxes have no weight here', 1) unless defined share($first);
	ok(wait_for(sub { share($first) >= 1 }, 'its whole share'),
		'and yields to nobody once it is there');
}
%env = map { %{ $_->{env} } } grep { $_->{what} eq 'env' }
	$api->told('j2', { do => 'env' });
is($env{SANDBOX_ID}, $first, 'the next job has it');
unlike($t->log(), qr/job=j2 engine started/, 'and boots none');
my $second = standing($first);
isnt($second, $first, 'another takes its place');

# What it would have been started with has changed.
$api->settings(MAX_FILE_SIZE_MB => 26);
my $seen = $api->seen(kind => 'settings');
$api->act('drop');
$api->wait_seen(kind => 'settings', n => $seen + 1);
my $third = standing($second);
ok($third, 'other settings: another stands by');
%env = map { %{ $_->{env} } } grep { $_->{what} eq 'env' }
	$api->told('j3', { do => 'env' });
is($env{SANDBOX_ID}, $third, 'which the next job has');
is($env{AP_MAX_FILE_SIZE_MB}, 26, 'with the new settings');

# killed while it stands by: the next job does without
my $fourth = standing($third);
my ($pid) = $t->log() =~ /standby engine started pid=(\d+) sandbox=\Q$fourth\E/;
kill 'KILL', $pid;
ok($t->wait_log(qr/idle engine ended sandbox=\Q$fourth\E/), 'its end is seen');
%env = map { %{ $_->{env} } } grep { $_->{what} eq 'env' }
	$api->told('j4', { do => 'env' });
ok($env{SANDBOX_ID} && $env{SANDBOX_ID} ne $fourth, 'and a job has another');
