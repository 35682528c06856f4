#!/usr/bin/perl

# Who an engine is on the host.  Started by root, with "user" or without, the
# boxes of each slot have a uid of their own that owns nothing; the groups are
# gone.  Started by an ordinary user it is that user.  Engines of the modes that
# fork are the slot's user.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns/);
my $dir = $t->testdir();
my $nobody = (getpwnam 'nobody')[2];
my @nobody = ('setpriv', '--reuid=nobody', '--regid=' . (getgrgid((getpwnam
	'nobody')[3]))[0], '--clear-groups', '--');
my @who = $> == 0 ? ([ root => '', 0 ], [ 'root with "user"',
	'user nobody;', $nobody ], [ user => '', $nobody ])
	: ([ user => '', $> ]);

for my $who (@who) {
	for my $mode (qw/SANDBOX_PROCESS SANDBOX_CODE_AND_PROCESS
			UNSANDBOXED/) {
		engines_of(@$who, $mode);
	}
}

sub status_of {
	my ($pid) = @_;
	return map { /^(\w+):\s*(.*?)\s*$/ ? ($1, $2) : () }
		split /\n/, slurp("/proc/$pid/status");
}

# The engine at work below a slot, which has its sandbox's name once it is up.
sub engine_of {
	my ($slot) = @_;
	return (grep { Test::Apworker::Proc::cmdline($_) =~ /^sandbox-/ }
		Test::Apworker::Proc::descendants($slot))[0];
}

sub engines_of {
	my ($name, $main, $uid, $mode) = @_;
	my $who = "$name, $mode";
	my $as_root = $> == 0 && $name =~ /root/;
	my $own = $as_root && $mode =~ /PROCESS/;	# a uid of the slot's boxes

	system 'rm', '-rf', map { "$dir/$_" } qw/state stock error.log
		apworkerd.pid/;
	$t->{as} = $> == 0 && !$as_root ? \@nobody : [];
	# one engine a slot, so that it is clear who is meant
	$t->write_app_conf(mode => $mode, main => $main, slots => 2,
		engine => 'standby 0;');
	my $api = $t->api();
	$t->write_conf_now();
	$t->engine()->bundle();
	chmod 0755, $dir;
	system 'chown', '-R', 'nobody', $dir if @{ $t->{as} };
	$t->run();
	my @ids = map { "$name-$mode-$_" } 1, 2;
	$api->push_job(map { flow_job(id => $_, engine => [
		{ do => 'never' } ]) } @ids);
	# in the middle of an operation: before that another engine would try
	my %slot;
	wait_for(sub {
		%slot = map { $_->{slot} => $_->{pid} } grep {
			(($_->{job} || {})->{phase} // '') eq 'run' } $t->slots();
		return 2 == keys %slot;
	}, "$who: two operations");
	my %engine = map { $_ => scalar engine_of($slot{$_}) } keys %slot;
	is(join(' ', sort grep { defined $engine{$_} } keys %engine), '1 2',
		"$who: an engine in each slot") or return $t->stop();

	my @uids;
	for my $n (sort keys %engine) {
		my %st = status_of($engine{$n});
		my $want = $own ? 60000 + $n : $uid;
		is($st{Uid}, join("\t", ($want) x 4), "$who: slot $n: uid");
		is($st{Gid}, join("\t", ($want) x 4), "$who: slot $n: gid")
			if $own;
		is($st{Groups}, '', "$who: slot $n: no groups")
			if $own;
		is(join(',', map { hex $st{"Cap$_"} } qw/Inh Prm Eff Amb/),
			'0,0,0,0', "$who: slot $n: no capability");
		push @uids, $want;
	}
	# a file of that uid would be reached by the engines of one slot alone
	is_deeply([ map { my $u = $_; scalar grep { -e $_ && (stat _)[4] == $u }
		glob "$dir/* $dir/stock/* $dir/stock/v12/*" } @uids ],
		[ 0, 0 ], "$who: which own nothing") if $own;
	kill 'KILL', values %engine;
	$api->wait_done($_) for @ids;
	$t->stop();
}
