#!/usr/bin/perl

# kill -9 of any link of the chain (slot, broker, init, engine) ends all that
# is below it, and nothing is left: processes, control groups, mounts.  So it
# is with boxes, and with engines that keep the host's files.

use strict;
use warnings;

use Test::More;
use Time::HiRes ();

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Box;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/linux userns/);

my %brokers;

for my $box (Test::Apworker::Box::everybody($t)) {
	for my $victim (qw/slot broker init engine/) {
		dies($box, $victim);
		dies($box, $victim, '-H', '-w', '/');
	}
	many($box);
	stale_groups($box) if $box->is_root();
}

# box-tool is the slot; its children are the broker and the box's init.
sub links {
	my ($box) = @_;
	my %pid = (slot => $box->{pid});
	for my $pid (Test::Apworker::Proc::children($pid{slot})) {
		my @below = Test::Apworker::Proc::children($pid);
		$pid{@below ? 'init' : 'broker'} = $pid;
		($pid{engine}) = grep { slurp("/proc/$_/cmdline") =~ /attack/ }
			@below;
	}
	return %pid;
}

sub dies {
	my ($box, $victim, @how) = @_;
	my $who = $box->name() . " @how, kill -9 of the $victim";

	# without a box's limits the bomb has none but this
	$box->start([ '-p', 64, @how ], @how ? ('/usr/bin/perl', '-e',
		'for (1 .. 30) { fork or do { setpgrp; exec "sleep", 1000 } } '
		. '$| = 1; print "staying\n"; sleep 1000; # attack')
		: ('/root/common/box-attack', 'bomb', 'stay'));
	$box->wait_out(qr/^staying$/m);
	my %pid = links($box);
	is(join(' ', sort keys %pid), 'broker engine init slot',
		"$who: all are there");
	$brokers{$pid{broker}} = 1;
	my @all = (values %pid,
		Test::Apworker::Proc::descendants($pid{slot}));
	cmp_ok(scalar @all, '>', 20, "$who: with 20 grandchildren");
	kill 'KILL', $pid{$victim};
	if ($victim eq 'slot') {
		waitpid $box->{pid}, 0;
		close $box->{in};
		unlink @$box{qw/out err/};
	} else {
		$box->done();
	}
	ok(wait_for(sub { !grep { Test::Apworker::Proc::alive($_) } @all },
		'all to end'), "$who: none is left");
}

sub many {
	my ($box) = @_;
	my $who = $box->name();

	$box->start([ '-p', 300, '-I' ], '/usr/bin/perl', '-e',
		'for (1 .. 200) { fork or do { $SIG{TERM} = "IGNORE"; '
		. 'sleep 1000 } } $| = 1; print "up\n"; sleep 1000');
	$box->wait_out(qr/^up$/m);
	my $start = Time::HiRes::time();
	$box->say('kill');
	my ($code) = $box->done();
	my $took = (Time::HiRes::time() - $start) * 1000;
	is($code, 137, "$who: 200 processes end at once");
	note sprintf "%s: %.0f ms", $who, $took;
}

# A group that nobody holds a lock on is of an earlier life: swept, with what
# is in it.
sub stale_groups {
	my ($box) = @_;
	my ($mine) = slurp('/proc/self/cgroup') =~ /^\d+:pids:(.*)$/m
		or return;
	my $dir = "/sys/fs/cgroup/pids$mine";
	my $stale = "$dir/apworkerd-box.9.$t->{test_id}";
	SKIP: {
		skip 'no writable pids controller', 2 unless mkdir $stale;
		my $pid = Test::Apworker::Proc::spawn([ 'sleep', 1000 ],
			env => { %ENV, APW_TEST_ID => $t->{test_id} });
		# brokers of others sweep as well, and an empty group at once
		wait_for(sub {
			mkdir $stale;
			open my $fh, '>', "$stale/cgroup.procs" or return 0;
			syswrite $fh, $pid;
		}, 'a process in the group');
		$box->run([], '/bin/true');
		wait_for(sub { waitpid($pid, 1) == $pid }, 'its process');
		is($? & 127, 9, 'a process in a leftover group is killed');
		ok(!-d $stale, 'and the group is gone');
	}
	# a broker that was killed leaves its group to the next one
	my @left = grep { /apworkerd-box\.\d+\.(\d+)$/ && $brokers{$1} }
		Test::Apworker::Proc::cgroups();
	is("@left", '', 'nor is one of a broker that was killed');
}
