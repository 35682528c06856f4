#!/usr/bin/perl

# One hostile program in an engine of every mode, as root and as an ordinary
# user: what it reaches of the host, of other processes, of the kernel.  Where
# nothing guards it reaches nearly all; that is what the refusals are worth.
# doc/boxes.md has the same as a table.

use strict;
use warnings;

use File::Copy ();
use IO::Socket::INET;
use IO::Socket::UNIX;
use Socket qw/SOCK_STREAM pack_sockaddr_un AF_UNIX/;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns/);
my $dir = $t->testdir();
my $build = $ENV{APW_BUILD} || $t->srcdir() . '/..';
my @nobody = ('setpriv', '--reuid=nobody', '--regid=' . (getgrgid((getpwnam
	'nobody')[3]))[0], '--clear-groups', '--');

# What the host has.
my $tcp = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 50)
	or die "listen: $!";
my $unix = IO::Socket::UNIX->new(Local => "$dir/host.sock", Listen => 50)
	or die $!;
chmod 0777, "$dir/host.sock";
my $abstract = "apw-modes-$$";
socket my $abs, AF_UNIX, SOCK_STREAM, 0 or die $!;
bind $abs, pack_sockaddr_un("\0$abstract") or die "abstract: $!";
listen $abs, 50;

my %landlock = map { $_ => 1 } split /,/,
	slurp('/sys/kernel/security/lsm') || 'landlock';
for my $who ($> == 0 ? qw/root user/ : 'user') {
	$t->{as} = $who eq 'user' && $> == 0 ? \@nobody : [];
	for my $mode ('UNSANDBOXED { harden off; }',
			'UNSANDBOXED { harden on; }', 'SANDBOX_CODE_ONLY;',
			'SANDBOX_PROCESS;', 'SANDBOX_CODE_AND_PROCESS;') {
		next if $mode =~ /CODE_ONLY|on;/ && !$landlock{landlock};
		attacked($who, $mode);
	}
}

sub attacked {
	my ($who, $mode) = @_;

	system 'rm', '-rf', map { "$dir/$_" } qw/state stock error.log
		apworkerd.pid/;
	(my $conf = $t->write_app_conf(mode => 'MODE')->{conf})
		=~ s/sandbox MODE;/sandbox $mode/;
	$t->write_conf($conf);
	my $api = $t->api();
	$t->write_conf_now();
	$t->engine()->bundle();
	$t->write_file($_, "of the host\n") for 'secret', 'mine';
	$t->write_file('stock/v12/codes/other/secret', "of others\n");
	system 'chown', '-R', 'nobody', $dir if @{ $t->{as} };
	my $victim = Test::Apworker::Proc::spawn([ @{ $t->{as} },
		($who eq 'root' ? ('setpriv', '--bounding-set=-all',
			'--inh-caps=-all', '--') : ()),
		'/bin/sleep', '300' ], out => "$dir/tmp/victim",
		env => { %ENV, SECRET => 'x', APW_TEST_ID => $t->{test_id} });
	$t->run();
	ok($t->wait_status(sub { @{ $_->{slots} } && $_->{slots}[0]{pid} }),
		"$who, $mode up") or return;
	my $slot = ($t->slots())[0]{pid};

	# the engine is in the stock once it has run
	my $id = "$who-" . ($mode =~ s/\W+/-/gr);
	$api->push_job(flow_job(id => "$id-1"));
	is($api->wait_done("$id-1")->{status}, 'OK', "$who, $mode: a job");
	my $common = "$dir/stock/v12/common";
	File::Copy::copy("$build/t/bin/host-attack", "$common/host-attack")
		or die "host-attack: $! (make check-programs?)";
	chmod 0755, "$common/host-attack";
	my $tmp = $mode =~ /PROCESS/ ? '/tmp' : $mode =~ /off/ ? "$dir/tmp"
		: "$dir/state/tmp.1";
	for my $n (2, 3) {
		my $code = "stock/v12/codes/fv-$id-$n/step_1/index.js";
		$t->write_file($code, "exports.code = async () => 'code $n'");
		system 'chown', '-R', 'nobody', "$dir/stock/v12/codes"
			if @{ $t->{as} };
	}
	$api->push_job(flow_job(id => "$id-2", engine => [
		{ do => 'code' },
		{ do => 'exec', argv => [ './host-attack', "tmp=$tmp",
			(map { "read=$_" } "$dir/secret", "$dir/token",
				"$dir/stock/v12/codes/other/secret",
				"/proc/$slot/environ",
				'/proc/' . $t->pid() . '/environ'),
			(map { "write=$_" } "$dir/mine", "$dir/new",
				"$common/main.js"),
			"move=$dir/mine", "move=$common/main.js",
			"mode=$dir/mine", "mode=$common/main.js",
			"pid=$victim", "path=$dir/host.sock",
			"abstract=$abstract", 'port=' . $tcp->sockport() ] },
		{ do => 'answer', value => { status => 'INTERNAL_ERROR',
			error => 'told' } } ]));
	my $done = $api->wait_done("$id-2");
	# where the engine cannot write its records they are in the logs
	my ($r) = grep { $_->{what} eq 'exec' } map { unjson($_) }
		($done->{logs} // '') =~ /^record (\{.*\})$/mg;
	$r ||= ($t->engine()->records('exec'))[-1];
	like($r->{out} // '', qr/^done$/m, "$who, $mode: all was tried")
		or diag(json($r));
	judge($who, $mode, $r->{out} // '');
	outside($who, "$common/host-attack", $victim) if $mode =~ /off/;
	like(said($done), qr/code 2/, "$who, $mode: its own code is there");
	# the next one, of another flow, perhaps in the same engine
	$done = $api->push_job(flow_job(id => "$id-3", engine => [
		{ do => 'code' }, { do => 'read', path => ($mode =~ /PROCESS/
			? '/root' : "$dir/stock/v12")
			. "/codes/fv-$id-2/step_1/index.js" },
		{ do => 'answer', value => { status => 'INTERNAL_ERROR',
			error => 'told' } } ]));
	my $said = said($api->wait_done("$id-3"));
	like($said, qr/code 3/, "$who, $mode: and the next flow's");
	$mode =~ /off/ ? like($said, qr/code 2/, "$who, $mode: and all others")
		: unlike($said, qr/code 2/, "$who, $mode: not the last one's");
	kill 'KILL', $victim;
	waitpid $victim, 0;
	$t->stop();
	unlink map { "$dir/$_" } qw{mine tmp/victim};
}

# Engines are in a pid namespace in every mode: what they would do to processes
# of their user is done here, by the same user.
sub outside {
	my ($who, $program, $victim) = @_;
	my @drop = $who eq 'root' ? ('setpriv', '--bounding-set=-all',
		'--inh-caps=-all', '--') : ();
	my ($code, $out) = $t->run_command([ @{ $t->{as} }, @drop, $program,
		"tmp=$dir/tmp", "pid=$victim" ]);
	my %open = map { $_ => 1 } $out =~ /^OPEN (.*)/mg;
	is(join('; ', grep { !$open{$_} } 'see a process', 'signal',
		'queue a signal', 'signal by pidfd', 'read its limits',
		'make it nice', 'open /proc/PID of it: environ'), '',
		"$who: processes are in reach outside");
}

# What an engine recorded of this job, wherever it could.
sub said {
	my ($done) = @_;
	my @r = grep { /"what":"(?:code|read)"/ }
		($done->{logs} // '') =~ /^record (\{.*\})$/mg;
	return join "\n", @r ? @r : map { json($_) }
		grep { $_->{what} =~ /^(?:code|read)$/ }
		$t->engine()->records();
}

sub judge {
	my ($who, $mode, $out) = @_;
	$out =~ s/\Q$dir\E\///g;
	my %open = map { $_ => 1 } $out =~ /^OPEN (.*)/mg;
	my %why = $out =~ /^refused (.*): (\w+)$/mg;

	diag("$who $mode: ", join '; ', sort keys %open) if $ENV{APW_SHOW};
	if ($mode =~ /off/) {
		my @all = (keys %open, keys %why);
		my @must = grep { !/kexec|module|crypto|vsock|perf|bpf|userfault|io_uring|namespace|memfd_secret|environ$|by a hard link|xattr/ } @all;
		@must = grep { !/take its|key|i386|traced?|netlink|memory|PID/ } @must;
		# it has a pid namespace of its own
		@must = grep { !/signal|see a process|its limits|make it nice/ } @must;
		is(join('; ', grep { !$open{$_} } sort @must), '',
			"$who, $mode: all of it can be done");
		return;
	}
	# what a mode does not promise: the host's network, unless it is cut;
	# without a box no wall is before path sockets but their permissions
	my $may = $mode =~ /PROCESS/ ? qr/^a port of the loopback$/
		: qr/^a (?:port of the loopback|path socket)$/;
	is(join('; ', grep { $_ !~ $may } sort keys %open), '',
		"$who, $mode: nothing of it");
	cmp_ok(scalar keys %why, '>', 50, "$who, $mode: and not for a lack "
		. 'of trying');
}
