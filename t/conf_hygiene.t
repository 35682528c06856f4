#!/usr/bin/perl

# Whoever starts it, and however: signals ignored or blocked, limits, closed or
# strange descriptors, a folder that is gone, no environment.  It checks,
# starts, works and leaves as ever.

use warnings;
use strict;

use Fcntl;
use POSIX ();
use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(46);
$t->write_file('main.js', '');
my $dir = $t->testdir();
fake_conf($t);

# Perl that does CODE, then becomes the daemon.
sub after { return [ $^X, '-MPOSIX', '-MFcntl', '-e', "$_[0]; exec { \$ARGV[0] } \@ARGV or die \$!" ] }

sub status_of {
	my ($pid) = @_;
	return map { /^(\w+):\s*(.*)$/ ? ($1, $2) : () }
		split /\n/, slurp("/proc/$pid/status");
}

sub test_run_stop {
	my ($what, $sig) = @_;
	my ($code, $out, $err) = $t->run_command([ @{ $t->{as} },
		$t->command('-t') ]);
	is($code, 0, "$what: -t") or diag($out . $err);
	$t->run();
	ok($t->wait_status(sub { $_->{slots_able} == 2 }), "$what: works");
	($code, $out, $err) = $t->run_command([ @{ $t->{as} },
		$t->daemon_path('apworkerctl'), '-c', $t->conf_file(), '-g',
		$t->globals(), 'status' ]);
	is($code, 0, "$what: apworkerctl") or diag($out . $err);
	return if $sig && $sig eq 'stay';
	$t->signal($sig || 'TERM');
	is($t->wait_exit(), 0, "$what: leaves");
}

my %ways = (
	'SIGCHLD ignored' => '$SIG{CHLD} = "IGNORE"',
	'all signals ignored' => '$SIG{$_} = "IGNORE" for grep { !/KILL|STOP|NUM/ } keys %SIG',
	'all signals blocked' => 'my $s = POSIX::SigSet->new; $s->fillset; POSIX::sigprocmask(SIG_BLOCK, $s)',
	'nothing open' => 'POSIX::close($_) for 0 .. 2',
	'standard error closed' => 'POSIX::close(2)',
	'no environment' => '%ENV = (APW_TEST_ID => $ENV{APW_TEST_ID})',
	'umask 0777' => 'umask 0777',
);
for my $what (sort keys %ways) {
	$t->write_conf_now();
	local $t->{as} = after($ways{$what});
	test_run_stop($what);
}

# The folder it is started in has gone.
{
	local $t->{as} = after("mkdir '$dir/gone'; chdir '$dir/gone'; rmdir '$dir/gone'");
	test_run_stop('no current directory');
}

# What is inherited goes no further than the master; in the background it is
# not kept at all.
for my $daemon (0, 1) {
	local $t->{as} = after("fcntl(sysopen(F, '/etc/passwd', O_RDONLY) ? *F : die, F_SETFD, 0); POSIX::dup2(fileno F, 17)");
	$t->run(daemon => $daemon);
	$t->wait_status(sub { $_->{slots_able} == 2 });
	my @with = grep { grep { m{/etc/passwd} } Test::Apworker::Proc::fds($_) }
		map { @$_ } values %{ family($t) };
	is("@with", '', 'no child has what was inherited');
	is(scalar(grep { m{/etc/passwd} } Test::Apworker::Proc::fds($t->pid())),
		0, 'nor has the daemon') if $daemon;
	$t->signal('TERM');
	$t->wait_exit();
}
$t->{daemon} = 0;

# A signal that comes before it is up does not end it: one that rotates logs
# has no eyes.
{
	local $t->{as} = after('$SIG{CHLD} = "DEFAULT"');
	$t->start();
	# as soon as it has our name: before its handlers, or after
	wait_for(sub { Test::Apworker::Proc::cmdline($t->pid()) =~ /master/ },
		'its title');
	kill $_, $t->pid() for qw/HUP USR1 HUP USR1/;
	ok($t->wait_status(sub { $_->{slots_able} == 2 }),
		'signals before it is up');
	$t->signal('TERM');
	is($t->wait_exit(), 0, 'leaves');
}

# Limits that kill or cripple are raised; what cannot be raised is told, and is
# an error where it is met, not a death.
my $bare = $> == 0 ? 'setpriv --bounding-set=-sys_resource --inh-caps=-sys_resource ' : '';
SKIP: {
	skip 'no setpriv', 8 if $bare && system('setpriv --version >/dev/null');
	local $t->{as} = [ 'sh', '-c', 'ulimit -S -f 16; exec "$@"', 'sh' ];
	test_run_stop('soft ulimit -f', 'stay');
	like(slurp('/proc/' . $t->pid() . '/limits'),
		qr/Max file size\s+unlimited/, 'is raised');
	$t->stop();
	# blocks of 512 or 1024 bytes: the log is longer than it may be
	$t->write_file('error.log', 'x' x (16 * 1024) . "\n");
	$t->{as} = [ 'sh', '-c', "ulimit -f 16; exec $bare\"\$@\"", 'sh' ];
	my ($code, $out, $err) = $t->run_command([ @{ $t->{as} },
		$t->command('-t') ]);
	like($err, qr/warning: \d+ bytes is the largest file .*ulimit -f/,
		'ulimit -f: -t warns');
	$t->run();
	ok($t->wait_status(sub { $_->{slots_able} == 2 }), 'ulimit -f: works');
	$t->ctl('reload');
	ok($t->wait_status(sub { $_->{total}{log_dropped} > 5 }),
		'lines that do not fit are counted');
	truncate "$dir/error.log", 0;
	ok($t->wait_log(qr/log lines were dropped: .* why="File too large"/),
		'and told of when there is room');
	$t->signal('TERM');
	is($t->wait_exit(), 0, 'ulimit -f: leaves');
}
