#!/usr/bin/perl

# A daemon that has been given a control group of version 2 (by systemd, where
# that runs; else the top of a namespace, as in a container) moves one down,
# makes the groups of its boxes beside it, holds them to their limits there,
# and leaves none.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns root cgroup2/);
my $top = Test::Apworker::Proc::cgroup2();
my $name = "test-$t->{test_id}";
my $systemd = -d '/run/systemd/system';
# an outer folder, so that what is around is nobody else's
my $given = $systemd ? "$top/system.slice/$name.scope" : "$top/$name/given";

sub in_scope {
	return [ 'systemd-run', '--quiet', '--scope', '--collect',
		'--slice=system.slice', "--unit=$name", '-p', 'Delegate=yes',
		'-p', 'MemoryMax=2G' ];
}

sub in_namespace {
	mkdir "$top/$name" or die "$top/$name: $!";
	mkdir $given or die "$given: $!";
	return [ 'sh', '-c', 'echo $$ >"$0/cgroup.procs" && '
		. 'exec unshare -C -m sh -c \'umount -l "$0" && '
		. 'mount -t cgroup2 none "$0" && exec "$@"\' "$@"',
		$given, $top ];
}

sub procs { return split ' ', slurp("$_[0]/cgroup.procs") }
sub boxes { return grep { -d } glob "$given/apworkerd-box.*" }
sub group_of {
	my ($pid) = @_;
	my ($path) = slurp("/proc/$pid/cgroup") =~ /^0::(.*)$/m;
	return $top . ($path // '?');
}

# What is left is taken away by who gave it.
END {
	rmdir for "$given/apworkerd", $given, "$top/$name";
}

$t->write_app_conf(mode => 'SANDBOX_PROCESS { pids 64; cpu 150; }',
	engine => 'memory 192m; standby 0;');
$t->write_conf($t->{conf} =~ s/standby 0;//r =~ s/};/}/r);
my $api = $t->api();
$t->{as} = $systemd ? in_scope() : in_namespace();
$t->run();

my $pid = $t->pid();
is(group_of($pid), "$given/apworkerd", 'the daemon has gone one down');
is(scalar(procs($given)), 0, 'and nobody is where it was');
my %home = map { $_ => 1 } procs("$given/apworkerd");
ok($home{$pid}, 'it is there');

SKIP: {
	skip 'no memory controller of version 2 on this host', 7
		unless slurp("$given/cgroup.controllers") =~ /\bmemory\b/;
	my @down = split ' ', slurp("$given/cgroup.subtree_control");
	is(join(' ', sort grep { /^(?:memory|pids|cpu)$/ } @down),
		'cpu memory pids', 'controllers are handed down');
	# one stands by
	wait_for(sub { $t->log() =~ /engine ready/ }, 'an engine', 60);
	my ($child) = ($t->log() =~ /engine started pid=(\d+)/);
	my $group = group_of($child);
	like($group, qr{^\Q$given\E/apworkerd-box\.\d+\.\d+$}, 'its box has '
		. 'a group beside it');
	is(slurp("$group/memory.max") + 0, 192 << 20, 'memory');
	is(slurp("$group/pids.max") + 0, 66, 'processes');
	is(slurp("$group/cpu.max"), "150000 100000\n", 'cpu');

	$api->push_job(flow_job(id => 'hog', engine => [ { do => 'hog' } ]));
	is($api->wait_done('hog', 60)->{status}, 'MEMORY_ISSUE',
		'memory that is no heap');
	like(slurp("$group/memory.events"), qr/^oom_kill [1-9]/m,
		'by evidence of its group');
}

$t->stop();
is(join(' ', boxes()), '', 'no group of a box is left');
