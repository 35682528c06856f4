#!/usr/bin/perl

# What the doctor says in containers, by their syscall filters, capabilities
# and masks: nothing of boxes under what container engines bring by default,
# everything with our profile; and that the profile is enough to make boxes.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Box;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules reference_engine userns/);
# a leak checker cannot trace in there
$t->{env}{ASAN_OPTIONS} = "log_path=$t->{testdir}/san.asan:exitcode=99"
	. ':detect_leaks=0';
$t->{env}{LSAN_OPTIONS} = 'detect_leaks=0';
my $build = $ENV{APW_BUILD} || $t->srcdir() . '/..';
my $profile = $t->srcdir() . '/../contrib/docker/seccomp.json';
my @caps = qw/chown dac_override fsetid fowner mknod net_raw setgid setuid
	setfcap setpcap net_bind_service sys_chroot kill audit_write/;

$t->write_file('main.js', '');
$t->write_file('c.conf', $t->expand(<<'EOC'));
state %%TESTDIR%%/state;
source spool { path %%TESTDIR%%/spool; }
engine {
	node %%NODE%%;
	bundle %%TESTDIR%%/main.js;
	node_path %%SRCDIR%%/../contrib/engine/node_modules;
}
stock { path %%TESTDIR%%/stock; installer_path /bin/true; bundler_path /bin/true; }
sandbox SANDBOX_PROCESS { pids 100; }
EOC
for my $box (Test::Apworker::Box::everybody($t)) {
	my $who = $box->name();
	for my $how (qw/default profile/, $box->is_root() ? 'sysadmin' : ()) {
		my %said = doctor($box, $how, 0);
		expect("$who, $how", \%said, $how eq 'default' ? 'none'
			: $how eq 'sysadmin' ? 'no pivot' : 'all');
	}
	next unless $box->is_root();	# who may mask what root may mount
	my %said = doctor($box, 'profile', 1);
	expect("$who, profile, masked", \%said, 'no proc');
}

# the first words behind each line's name, and the remedies
sub doctor {
	my ($box, $how, $masked) = @_;
	my ($code, $out, $err) = contained($box, $how, $masked,
		$t->daemon_path(), 'doctor', '-c', $t->testdir() . '/c.conf');
	my (%said, $last);
	for (split /\n/, $out) {
		$said{"$last ->"} = $1 if /^\s+-> (.*)/ && $last;
		($last, $said{$1}) = ($1, $2) if /^(\S.{0,26}?)\s{2,}(.*)/;
	}
	diag($out . $err) if $ENV{APW_SHOW} || !%said;
	return %said;
}

sub contained {
	my ($box, $how, $masked, @command) = @_;
	my $set = '-all' . join('', map { ",+$_" } @caps,
		$how eq 'sysadmin' ? 'sys_admin' : ());
	my @in = $box->is_root() ? ('setpriv', "--bounding-set=$set",
		'--inh-caps=-all', '--') : ();
	my @mask = $masked ? ('unshare', '-m', '/bin/sh', '-c',
		# one that is whole is enough, wherever somebody mounted it
		'for p in $(awk \'$4 == "/" && / - proc / { print $5 }\' '
		. '/proc/self/mountinfo); do mount -t tmpfs x $p/tty; '
		. 'done; exec "$@"', '-') : ();
	my @as = @{ $box->{as} || [] };
	return $t->run_command([ @as, @mask, "$build/t/bin/contain", $how,
		$profile, @in, @command ]);
}

sub expect {
	my ($who, $said, $what) = @_;
	my %no = $what eq 'none' ? (map { $_ => 1 } 'user namespaces',
		'clone3 with all namespaces', 'mount API', 'pivot_root',
		'a /proc of its own', 'network namespaces')
		: $what eq 'no pivot' ? ('pivot_root' => 1)
		: $what eq 'no proc' ? ('a /proc of its own' => 1) : ();
	for my $line ('user namespaces', 'clone3 with all namespaces',
			'mount API', 'pivot_root', 'a /proc of its own',
			'network namespaces', 'syscall filters', 'pidfd') {
		if ($no{$line}) {
			like($said->{$line}, qr/not permitted|not implemented/,
				"$who: $line: refused");
			like($said->{"$line ->"} // '', qr/seccomp\.json|proc.*unmask|systempaths/i,
				"$who: $line: the way out");
		} else {
			is($said->{$line}, 'ok', "$who: $line");
		}
	}
	like($said->{Landlock}, qr/^version|^none/, "$who: Landlock");
	for my $mode (qw/UNSANDBOXED SANDBOX_CODE_ONLY/) {
		like($said->{$mode}, $what =~ /none|proc/
			? qr/^degraded: .*processes/
			: qr/^available|^degraded: (?!.*processes)/,
			"$who: $mode: $said->{$mode}");
	}
	for my $mode (qw/SANDBOX_PROCESS SANDBOX_CODE_AND_PROCESS/) {
		like($said->{$mode}, $what eq 'all'
			? qr/^available|^degraded/ : qr/^not available/,
			"$who: $mode: $said->{$mode}");
	}
}

# not only probed: a box, under the profile, with a network of its own
for my $box (Test::Apworker::Box::everybody($t)) {
	my $dir = $box->dir();
	for my $net ([], [ '-n' ]) {
		my ($code, $out, $err) = contained($box, 'profile', 0,
			"$dir/bin/box-tool", '-c', "$dir/common", '-C',
			"$dir/codes", '-P', "$dir/custom", '-f', 'mine', @$net,
			'/bin/cat', '/root/codes/mine/step_1/index.js');
		is($out, "mine\n", $box->name() . ": a box in a container @$net")
			or diag("$code $err");
	}
}
