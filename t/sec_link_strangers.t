#!/usr/bin/perl

# Others on this host, at the link of an engine that is on its way: they hold
# all the connections they can get, begin heads and bodies without end, and know
# a wrong token.  The engine gets in, in every mode, whoever they are; nothing of
# theirs is kept, and the log does not grow by it.

use strict;
use warnings;

use IPC::Open2;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns/);
my $dir = $t->testdir();
# what was freed counts as freed
$t->{env}{ASAN_OPTIONS} = "log_path=$dir/san.asan:exitcode=99"
	. ':quarantine_size_mb=4';
my $script = slurp($t->srcdir() . '/bin/link-stranger.pl');
my @nobody = ('setpriv', '--reuid=nobody', '--regid=' . (getgrgid((getpwnam
	'nobody')[3]))[0], '--clear-groups', '--');

# Its start takes so long that one wrong token of somebody else would have ended
# it.
my $bundle = $t->engine()->bundle();
$t->write_file($bundle, 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),'
	. " 0, 0, 4500);\n" . slurp($bundle));

for my $who ($> == 0 ? qw/root user/ : 'user') {
	$t->{as} = $who eq 'user' && $> == 0 ? \@nobody : [];
	strangers($who, $_) for 'UNSANDBOXED { harden off; }',
		$who eq 'root' ? 'SANDBOX_CODE_ONLY;' : (),
		'SANDBOX_PROCESS;';
}

# The port that a slot listens on.
sub link_port {
	my ($pid) = @_;

	my %own = map { (readlink($_) // '') =~ /^socket:\[(\d+)\]/ ? ($1 => 1)
		: () } glob "/proc/$pid/fd/*";
	for (split /\n/, slurp('/proc/net/tcp')) {
		my @f = split ' ';
		return hex +(split /:/, $f[1])[1] if $f[3] eq '0A'
			&& $own{$f[9]};
	}
	return;
}

sub peak { return slurp("/proc/$_[0]/status") =~ /^VmHWM:\s+(\d+)/m ? $1 : 0 }

sub strangers {
	my ($who, $mode) = @_;

	my $name = "$who, " . ($mode =~ s/[ ;].*//r);
	system 'rm', '-rf', map { "$dir/$_" } qw/state stock error.log
		apworkerd.pid/;
	(my $conf = $t->write_app_conf(mode => 'MODE',
		engine => 'standby 0; reuse none; start_timeout 5m;')->{conf})
		=~ s/sandbox MODE;/sandbox $mode/;
	$t->write_conf($conf);
	my $api = $t->api();
	$t->write_conf_now();
	system 'chown', '-R', 'nobody', $dir if @{ $t->{as} };
	$t->run();
	ok($t->wait_status(sub { @{ $_->{slots} } && $_->{slots}[0]{pid} }),
		"$name: up") or return;
	my $slot = ($t->slots())[0]{pid};
	my $port;
	wait_for(sub { $port = link_port($slot) }, 'a link') or return;
	my $before = peak($slot);
	$t->log_mark();

	my @them = map {
		my $pid = open2(my $out, my $in, @{ $t->{as} }, $^X, '-e',
			$script, $_, $port);
		{ pid => $pid, in => $in, out => $out };
	} qw/hold slow token bodies/;
	ok(readable($_->{out}, patience(deadline())), "$name: they have come")
		for @them;
	(my $id = $name) =~ s/\W+/-/g;
	$api->push_job(flow_job(id => $id));
	is($api->wait_done($id)->{status}, 'OK', "$name: the engine gets in");
	is($api->settled($id), 1, "$name: settled once");
	cmp_ok(peak($slot) - $before, '<', 60000,
		"$name: nothing is kept of what they send (KiB)");
	my @lines = split /\n/, $t->log(@{ $t->{mark} });
	cmp_ok(scalar(grep { /refused|turned away|too many|broke/ } @lines),
		'<', 12, "$name: nor told again and again");
	for (@them) {
		close $_->{in};
		waitpid $_->{pid}, 0;
	}
	$t->stop();
}
