#!/usr/bin/perl

# Private: an engine reaches what the host reaches, by way of pasta, and
# nothing of the host itself.  Without pasta no job is taken, and it is said
# why.

use strict;
use warnings;

use lib 't/lib', 'lib';
use Test::Apworker::Netns;

use Test::More;
use Test::Apworker;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns ip unshare pasta/);
my $world = Test::Apworker::Netns->new($t)->way_out();
my @attacks = ($world->attacks(), $world->way_out_attacks());
my ($open, $refused) = $world->results($world->outside(@attacks));
is_deeply([ grep { !/gateway/ } sort keys %$refused ], [],
	'outside all of it is open');

# As root no engine of a plain mode can have it; see doc/network.md.
my $user = $ENV{APW_TEST_DAEMON_USER};
$t->{as} = [ 'setpriv', "--reuid=$user", '--regid=' . (getpwnam $user)[3],
	'--clear-groups', '--' ] if $user;
my $api = $t->api();
for my $mode (qw/SANDBOX_PROCESS SANDBOX_CODE_AND_PROCESS/,
		$user ? qw/UNSANDBOXED SANDBOX_CODE_ONLY/ : ()) {
	$t->write_app_conf(mode => $mode, main => 'network private;');
	owned();
	$t->run();
	private($mode);
	$t->stop();
	ok(wait_for(sub { !grep { slurp("/proc/$_/comm") =~
		/^(pasta|apw-outside)/ } keys %{ $t->{pids} } }, 'its end'),
		"$mode: pasta is gone");
}

sub as_user {
	my ($code, $out, $err) = $t->run_command([ @{ $t->{as} }, @_ ]);
	return ($code, $out . $err);
}

sub owned {
	$t->write_conf_now();
	$t->engine()->bundle();
	system 'chown', '-R', $user, $t->testdir() if $user;
}

# An ordinary user without that device.
if ($user) {
	chmod 0600, '/dev/net/tun' or die "tun: $!";
	$t->write_app_conf(mode => 'SANDBOX_PROCESS', main => 'network private;');
	owned();
	my ($code, $out) = as_user($t->command('-t'));
	isnt($code, 0, '-t: not without /dev/net/tun');
	like($out, qr{"network" is "private".*/dev/net/tun}, '-t: and says so');
	($code, $out) = as_user($t->daemon_path(), 'doctor');
	like($out, qr{private.*/dev/net/tun}s, 'doctor, too');
	chmod 0666, '/dev/net/tun';
}

# A host without pasta.
my $bin = $t->testdir() . '/bin';
mkdir $bin;
for my $name (qw/node esbuild/) {
	symlink Test::Apworker::Has::find($name), "$bin/$name";
}
$t->{env}{PATH} = $bin;
$t->write_app_conf(mode => 'SANDBOX_PROCESS', main => 'network private;');
my ($code, $out) = $t->test_conf();
isnt($code, 0, '-t: not without pasta');
like($out, qr/"network" is "private".*pasta/, '-t: and says so');
$t->write_app_conf(mode => 'SANDBOX_PROCESS', main => 'network unrestricted;');
$world->stop();

sub private {
	my ($mode) = @_;

	$api->push_job(flow_job(id => $mode, engine => [
		{ do => 'exec', name => $mode,
			argv => [ '/usr/bin/perl', '-', @attacks ],
			input => $world->script() },
		{ do => 'env' },
		{ do => 'answer', value => { status => 'INTERNAL_ERROR',
			error => 'told' } } ]));
	my $done = $api->wait_done($mode, 60);
	$t->note_pids();
	my @r = map { unjson($_) }
		($done->{logs} // '') =~ /^record (\{.*\})$/mg;
	# an engine that can write its records does not tell them
	@r = $t->engine()->records() if !@r;
	my ($r) = grep { $_->{what} eq 'exec' } @r;
	my ($env) = map { $_->{env} } grep { $_->{what} eq 'env' } @r;
	ok($r, "$mode: the attack ran") or diag(json($done)), return;
	my ($open, $why, $end) = $world->results($r->{out});
	ok($end, "$mode: to its end") or diag($r->{err});
	note("$mode: $_: $why->{$_}") for sort keys %$why;
	my %open = map { $_ => 1 } @$open;
	is_deeply([ grep { !$open{$_} } 'tcp public', 'udp public',
		'tcp private 10', 'udp private 10', 'tcp metadata',
		-x '/usr/bin/curl' ? 'curl' : () ], [],
		"$mode: as far as the host");
	# a plain engine has the host's files, and thus sockets that are some
	is_deeply([ grep { $open{$_} } $mode =~ /_PROCESS/ ? 'path socket' : (),
		'abstract socket',
		$mode eq 'UNSANDBOXED' ? () : 'generic netlink',
		'raw socket', 'raw socket 6', 'packet socket',
		'the host by its gateway',
		'the host by its address', grep { /loopback/ } keys %open ],
		[], "$mode: but not the host itself");
	is("$env->{AP_NETWORK_MODE} $env->{AP_SANDBOX_WS_PORT}",
		'UNRESTRICTED 52001', "$mode: environment");
	is($env->{AP_EGRESS_PROXY_URL}, undef, "$mode: no proxy");
	my $net = $t->status()->{slots}[0]{network};
	is("$net->{mode} $net->{held_by}", 'private namespace',
		"$mode: status");
}
