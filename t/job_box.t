#!/usr/bin/perl

# Jobs in boxes: the engine connects from in there, sees the code of its own
# flow and nothing of the host, dies of its own limits with the right verdict,
# and leaves nothing for the next.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild openssl userns/);
my $limited = -w '/sys/fs/cgroup/memory' || -w '/sys/fs/cgroup/cgroup.procs';

my %brokers;
$t->write_file('secret', "of the host\n");
$t->write_file('ca.pem', slurp($t->tls()->{ca}));
for my $mode (qw/SANDBOX_PROCESS SANDBOX_CODE_AND_PROCESS/) {
	$t->write_app_conf(mode => "$mode { tmp_size 8m; pids 64; }",
		engine => 'memory 192m; standby 0; ca_file ca.pem;')
		->write_conf($t->{conf} =~ s/standby 0;//r =~ s/};/}/r);
	my $api = $t->api();
	$t->run();
	jobs($api, $mode);
	$t->stop();
	is(join(' ', grep { /apworkerd-box\.\d+\.(\d+)$/ && $brokers{$1} }
		Test::Apworker::Proc::cgroups()), '',
		"$mode: no group is left");
}

# The records of the double, which writes them to its stderr in a box.
sub records {
	my ($done) = @_;
	return map { unjson($_) }
		($done->{logs} // '') =~ /^record (\{.*\})$/mg;
}

sub run_one {
	my ($api, $id, @steps) = @_;
	# logs come with failures only
	@steps = map { $_->{do} eq 'tell' ? { do => 'answer', value => {
		status => 'INTERNAL_ERROR', error => 'told' } } : $_ } @steps;
	$api->push_job(flow_job(id => $id, engine => \@steps));
	return $api->wait_done($id);
}

sub jobs {
	my ($api, $mode) = @_;
	my $m = $mode =~ /CODE/ ? 'cp' : 'p';
	my $dir = $t->testdir();

	my $done = run_one($api, "$m-reach",
		(map { { do => 'read', path => $_ } } "$dir/secret",
			"$dir/token", "$dir/apworker.conf", '/etc/shadow',
			"/proc/$$/environ", '/root/common/main.js',
			'/box/ca.pem'),
		(map { { do => 'write', path => $_ } } '/tmp/left', '/root/x',
			'/root/common/main.js', '/usr/x'),
		{ do => 'env' }, { do => 'tell' });
	is($done->{status}, 'INTERNAL_ERROR', "$mode: a job is done");
	my @r = records($done);
	my %read = map { $_->{path} => $_->{error} // 'read' }
		grep { $_->{what} eq 'read' } @r;
	is($read{'/root/common/main.js'}, 'read', "$mode: reads the engine");
	is(join(' ', grep { $read{$_} eq 'read' } sort keys %read),
		'/box/ca.pem /root/common/main.js',
		"$mode: the authorities, and nothing of the host");
	my %wrote = map { $_->{path} => $_->{error} // 'wrote' }
		grep { $_->{what} eq 'write' } @r;
	is(join(' ', map { "$_=$wrote{$_}" } sort keys %wrote),
		'/root/common/main.js=EROFS /root/x=EROFS /tmp/left=wrote '
		. '/usr/x=EROFS', "$mode: writes to /tmp only");
	my ($env) = map { $_->{env} } grep { $_->{what} eq 'env' } @r;
	is($env->{AP_BASE_CODE_DIRECTORY}, '/root/codes', "$mode: code");
	is($env->{AP_CUSTOM_PIECES_PATHS}, '/root/custom_pieces',
		"$mode: pieces");
	is($env->{NODE_EXTRA_CA_CERTS}, '/box/ca.pem', "$mode: authorities");
	is($env->{AP_EXECUTION_MODE}, $mode, "$mode: mode");
	unlike(json($env), qr/\Q$dir\E/, "$mode: no path of the host");

	$done = run_one($api, "$m-next", { do => 'read', path => '/tmp/left' },
		{ do => 'tell' });
	my ($left) = grep { $_->{what} eq 'read' } records($done);
	is($left->{error}, 'ENOENT', "$mode: no file for the next job");

	SKIP: {
		skip 'no memory controller here', 1 unless $limited && $> == 0;
		$done = run_one($api, "$m-hog", { do => 'hog' });
		is($done->{status}, 'MEMORY_ISSUE',
			"$mode: memory that is no heap");
	}
	$done = run_one($api, "$m-heap", { do => 'oom' });
	is($done->{status}, 'MEMORY_ISSUE', "$mode: the heap");
	$done = run_one($api, "$m-abort", { do => 'abort' });
	is($done->{status}, 'MEMORY_ISSUE', "$mode: abort");
	$done = run_one($api, "$m-exit", { do => 'exit', code => 7 });
	like($done->{errorMessage}, qr/code 7/, "$mode: exit code");
	$done = run_one($api, "$m-kill", { do => 'kill' });
	is($done->{status}, 'INTERNAL_ERROR', "$mode: killed is not memory");

	$done = run_one($api, "$m-stay", { do => 'fork' }, { do => 'answer' });
	is($done->{status}, 'OK', "$mode: leaves a process behind");
	ok(wait_for(sub { !grep { cmd_is($_, 'sleep') } pids_of() }, 'end'),
		"$mode: which is gone");

	ok(wait_for(sub { titled() }, 'an init with its title'),
		"$mode: process 1 of a box bears the box's title");

	# kill -9 of a broker: the slot is born again with others
	my %before;
	wait_for(sub { %before = map { $_ => 1 } brokers(); 2 == keys %before },
		'two brokers');
	is(scalar keys %before, 2, "$mode: two brokers, as one box stands by");
	kill 'KILL', (sort { $a <=> $b } keys %before)[-1];
	ok(wait_for(sub { my @b = brokers(); @b && !grep { $before{$_} } @b },
		'others'), "$mode: others take their place");
	$done = run_one($api, "$m-after", { do => 'answer' });
	is($done->{status}, 'OK', "$mode: and jobs go on");
}

sub pids_of { return Test::Apworker::Proc::descendants($t->pid()) }
sub cmd_is {
	my ($pid, $word) = @_;
	return slurp("/proc/$pid/comm") =~ /^\Q$word\E$/;
}
# First processes of pid namespaces, by the title of slot 1's boxes.
sub titled {
	return grep { slurp("/proc/$_/status") =~ /^NSpid:\t\d+\t1$/m
		&& slurp("/proc/$_/cmdline") =~ /^apworkerd: box 1\0*$/
		&& cmd_is($_, 'apw-box') } pids_of();
}
sub brokers {
	my @pids = grep { cmd_is($_, 'apw-broker')
		&& slurp("/proc/$_/status") =~ /^NSpid:\t\d+$/m } pids_of();
	$brokers{$_} = 1 for @pids;
	return @pids;
}
