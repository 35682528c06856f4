#!/usr/bin/perl

# What a slot keeps once it takes jobs: no capability, no way to new ones, and
# a syscall filter, which its broker, forked before, does not have.  As root
# without "user", as root with it, and started by an ordinary user; with each
# kind of mode.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/);

my @who = $> != 0 ? ([ user => '' ])
	: ([ root => '' ], [ dropped => 'user nobody;' ]);
for my $who (@who) {
	for my $mode (qw/UNSANDBOXED SANDBOX_PROCESS/) {
		slot_of(@$who, $mode);
	}
}

sub status_of {
	my ($pid) = @_;
	return map { /^(\w+):\s*(.*?)\s*$/ ? ($1, $2) : () }
		split /\n/, slurp("/proc/$pid/status");
}

sub slot_of {
	my ($name, $main, $mode) = @_;
	my $who = "$name, $mode";

	system 'rm', '-rf', map { $t->testdir() . "/$_" } qw/state stock/;
	$t->write_app_conf(mode => $mode, main => $main);
	chmod 0755, $t->testdir();
	my $api = $t->api();
	$t->run();
	$api->push_job(flow_job(id => "j-$name-$mode"));
	is($api->wait_done("j-$name-$mode")->{status}, 'OK', "$who: a job");
	my ($slot) = $t->slots();
	my %st = status_of($slot->{pid});
	is($st{NoNewPrivs}, 1, "$who: no new privileges");
	is($st{Seccomp}, 2, "$who: a filter");
	is(join(',', map { hex $st{"Cap$_"} } qw/Inh Prm Eff Amb/), '0,0,0,0',
		"$who: no capability");
	# inits of boxes are copies of it, in namespaces of their own
	my @brokers = grep { slurp("/proc/$_/comm") eq "apw-broker\n"
		&& slurp("/proc/$_/status") =~ /^NSpid:\t\d+$/m }
		Test::Apworker::Proc::children($slot->{pid});
	if ($mode eq 'SANDBOX_PROCESS') {
		# one more where a box stands by
		cmp_ok(scalar @brokers, '>', 0, "$who: a broker");
		# one that has made a box; others have none yet
		is((sort map { ({ status_of($_) }->{Seccomp} // 0) }
			@brokers)[-1], 2,
			"$who: which has given up what boxes never do");
	}
	$t->stop();
}
