#!/usr/bin/perl

# The doctor says what a host can, and what it cannot with the way out; a mode
# that cannot be had is refused by -t with the same words.

use strict;
use warnings;

use IO::Socket::UNIX;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon userns/);
my $daemon = $t->daemon_path();
# where no user namespace may be made
my @poor = ('unshare', '-Ur', '/bin/sh', '-c',
	'echo 0 >/proc/sys/user/max_user_namespaces; exec "$@"', '-');

my ($code, $out, $err) = $t->run_command([ $daemon, 'doctor' ]);
is($code, 0, 'good enough');
like($out, qr/^$_\s+ok$/m, $_) for 'user namespaces', 'mount API',
	'pivot_root', 'a /proc of its own', 'network namespaces',
	'syscall filters', 'pidfd';
my $landlock = Test::Apworker::Has::landlock();
like($out, $landlock ? qr/^Landlock\s+version $landlock$/m :
	qr/^Landlock\s+none$/m, 'Landlock');
my $less = $landlock < 6 ? qr/memory is limited|abstract sockets/
	: qr/memory is limited/;
like($out, qr/^SANDBOX_PROCESS\s+(?:available|degraded: $less)/m,
	'SANDBOX_PROCESS can be had');
like($out, qr/^Landlock .*\n\s+-> kernel/m, 'what the kernel lacks')
	if $landlock < 6;
like($out, qr/^strict, SANDBOX_PROCESS\s+a namespace of its own$/m,
	'networks');
like($out, qr/^limits of a whole box\s+\S/m, 'limits');
unlike($err, qr/\S/, 'without trouble');

($code, $out, $err) = $t->run_command([ @poor, $daemon, 'doctor' ]);
like($out, qr/^user namespaces\s+No space.*\n\s+-> sysctl user\.max_user_name/m,
	'the remedy');
like($out, qr/^SANDBOX_PROCESS\s+not available\n\s+-> .*user namespace/m,
	'the mode');
like($out, $landlock < 6 ? qr/^strict, UNSANDBOXED\s+not available\n.*Landlock/m
	: qr/^strict, UNSANDBOXED\s+two ports of the host's, by Landlock/m,
	'the fallback for networks');
like($out, qr/^UNSANDBOXED\s+(?:available|degraded)/m, 'others can be had');

$t->write_file('main.js', '');
$t->write_file('c.conf', $t->expand(<<'EOC'));
state %%TESTDIR%%/state;
source spool { path %%TESTDIR%%/spool; }
engine { node /bin/true; bundle %%TESTDIR%%/main.js; }
stock { path %%TESTDIR%%/stock; installer_path /bin/true; bundler_path /bin/true; }
sandbox SANDBOX_PROCESS { pids 100; }
EOC
my @test = ($daemon, '-t', '-c', $t->testdir() . '/c.conf');
($code, $out, $err) = $t->run_command([ @test ]);
is($code, 0, '-t is content') or diag($err);
($code, $out, $err) = $t->run_command([ @poor, @test ]);
is($code, 1, '-t refuses');
like($err, qr/c\.conf:5:1: error: .*SANDBOX_PROCESS.*user namespace/,
	'and says where and why');

# without "user" plain engines are root, and so is what they may open
SKIP: {
	skip 'not root', 3 if $> != 0;
	my $path = $t->testdir() . '/docker.sock';
	my $l = IO::Socket::UNIX->new(Local => $path, Listen => 1) or die $!;
	chmod 0600, $path;
	like(($t->run_command([ $daemon, 'doctor' ]))[1],
		qr/^sockets of root\s+\S.*\n\s+-> without "user"/m,
		'sockets of root are named');
	my $plain = slurp($t->testdir() . '/c.conf') =~
		s/SANDBOX_PROCESS.*/UNSANDBOXED;/r;
	$t->write_file('plain.conf', $plain);
	@test = ($daemon, '-t', '-c', $t->testdir() . '/plain.conf');
	like(($t->run_command([ @test ]))[2],
		qr/warning: .*root's sockets: .*docker.*"user NAME"/,
		'and by -t');
	$t->write_file('plain.conf', "user nobody;\n$plain");
	unlike(($t->run_command([ @test ]))[2], qr/root's sockets/,
		'with "user" there is nothing to say');
	close $l;
	unlink $path;
	@test = ($daemon, '-t', '-c', $t->testdir() . '/c.conf');
}

# builders: less than is required
like($err = ($t->run_command([ @poor, $daemon, 'doctor' ]))[1],
	qr/^installs and builds\s+Landlock.*no boxes: .*user namespace/m,
	'builders have the fallback');
my $conf = slurp($t->testdir() . '/c.conf');
$conf =~ s/SANDBOX_PROCESS.*/UNSANDBOXED;/;
$conf =~ s/bundler_path/jail require; bundler_path/;
$t->write_file('c.conf', $conf);
($code, $out, $err) = $t->run_command([ @test ]);
is($code, 0, '"jail require" where there are boxes') or diag($err);
like($err, qr/^apworkerd: builders: boxes of their own/m, 'and -t says so');
($code, $out, $err) = $t->run_command([ @poor, @test ]);
is($code, 1, 'and where there are none');
like($err, qr/c\.conf: error: stock, "jail require": .*no boxes/, 'it says why');

# root of a namespace that has one uid only is an ordinary user
($code, $out, $err) = $t->run_command([ 'unshare', '-Ur', $daemon, 'doctor' ]);
like($out, qr/^SANDBOX_PROCESS\s+(?:available|degraded)/m,
	'rootless containers');
