#!/usr/bin/perl

# Engines that overdo it: a line without end, a huge message, processes
# that will not go.  The slot stays, its memory is bounded, the next job is
# done, and nothing is left; in each kind of mode, as root and as a user.

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
my @nobody = ('setpriv', '--reuid=nobody', '--regid=' . (getgrgid((getpwnam
	'nobody')[3]))[0], '--clear-groups', '--');

for my $who ($> == 0 ? qw/root user/ : 'user') {
	$t->{as} = $who eq 'user' && $> == 0 ? \@nobody : [];
	for my $mode ($who eq 'root' || $> != 0 ? ('UNSANDBOXED { harden off; }',
			'SANDBOX_CODE_ONLY;') : (), 'SANDBOX_PROCESS;') {
		excess($who, $mode);
	}
}

sub excess {
	my ($who, $mode) = @_;

	system 'rm', '-rf', map { "$dir/$_" } qw/state stock/;
	(my $conf = $t->write_app_conf(mode => 'MODE')->{conf})
		=~ s/sandbox MODE;/sandbox $mode/;
	$t->write_conf($conf);
	my $api = $t->api();
	$t->write_conf_now();
	$t->engine()->bundle();
	system 'chown', '-R', 'nobody', $dir if @{ $t->{as} };
	$t->run();
	my $id = "$who-" . ($mode =~ s/\W+/-/gr);
	my $n = 0;
	my $job = sub {
		$n++;
		$api->push_job(flow_job(id => "$id-$n", engine => [ @_ ]));
		return $api->wait_done("$id-$n");
	};
	is($job->({ do => 'answer' })->{status}, 'OK', "$who, $mode: a job");
	my ($slot) = $t->slots();
	my $low = memory($slot->{pid});

	# 12 MB with no end of a line on the real descriptors; a message of
	# 12 MB by the link, and some that are just large
	my $done = $job->({ do => 'real_flood', fd => 1, bytes => 6e6 },
		{ do => 'real_flood', fd => 2, bytes => 6e6 },
		{ do => 'flood', chunk => 12e6, bytes => 1 },
		{ do => 'flood', chunk => 3e6, bytes => 9e6, pace => 1 },
		{ do => 'answer', value => { status => 'INTERNAL_ERROR',
			error => 'told' } });
	is($done->{status}, 'INTERNAL_ERROR', "$who, $mode: a line without end");
	cmp_ok(length($done->{logs} // ''), '<', 4e6, "$who, $mode: is cut");

	# a sanitizer keeps what is freed
	cmp_ok(memory($slot->{pid}) - $low, '<', 64 << 10,
		"$who, $mode: memory is bounded (KiB)")
		unless slurp("/proc/$slot->{pid}/status") =~ /^VmSize:\s+\d{10}/m;

	# wants to stay: sessions of their own, deaf to signals
	my $mark = "apw-stay-$$-$n-$who";
	$done = $job->((map { { do => 'fork', argv => [ '/bin/sh', '-c',
		"trap '' 1 2 3 15; setsid /bin/sh -c 'trap \"\" 1 2 3 15; "
		. "while :; do sleep 1; done; : $mark' & "
		. "while :; do sleep 1; done; : $mark" ] } } 1 .. 5),
		{ do => 'sleep', ms => 300 }, { do => 'answer' });
	is($done->{status}, 'OK', "$who, $mode: leaves processes");
	# a signal of the filter is told as what it is, and ends a warm engine
	$done = $job->({ do => 'kill', signal => 'SIGSYS' });
	is($done->{status}, 'INTERNAL_ERROR', "$who, $mode: SIGSYS");
	like($t->log(), qr/verdict="syscall filter"/, "$who, $mode: and why");
	ok(wait_for(sub { !grep { Test::Apworker::Proc::cmdline($_)
		=~ /\Q$mark\E/ } Test::Apworker::Proc::pids() }, 'their end'),
		"$who, $mode: which are gone");

	is($job->({ do => 'answer' })->{status}, 'OK', "$who, $mode: goes on");
	my ($now) = $t->slots();
	is($now->{pid}, $slot->{pid}, "$who, $mode: the same slot");
	$t->stop();
}

sub memory { return slurp("/proc/$_[0]/status") =~ /^VmHWM:\s+(\d+)/m ? $1 : 0 }
