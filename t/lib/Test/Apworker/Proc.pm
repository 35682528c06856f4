package Test::Apworker::Proc;

# Processes, descriptors, mounts and cgroups as /proc shows them: starting
# things, and finding what is left of a test.  A process belongs to a test when
# its command line, environment, directory, root or a descriptor of it names
# the test directory: engines have an environment of their own and daemons
# overwrite their title, so one mark is not enough.

use strict;
use warnings;

use POSIX qw/:sys_wait_h setsid/;
use Time::HiRes ();

use Test::Apworker::Util;

# Starts a program: env is all it gets, out is the file for both streams.
sub spawn {
	my ($cmd, %o) = @_;

	my $pid = fork // die "fork: $!";
	return $pid if $pid;

	open STDIN, '<', $o{in} || '/dev/null';
	if ($o{out}) {
		open STDOUT, $o{append} ? '>>' : '>', $o{out};
		open STDERR, '>&', \*STDOUT;
	}
	if ($o{err}) {
		open STDERR, '>', $o{err};
	}
	POSIX::close($_) for grep { $_ > 2 } map { /^(\d+)/ } fds('self');
	chdir $o{cwd} if $o{cwd};
	%ENV = %{ $o{env} } if $o{env};
	$SIG{PIPE} = 'DEFAULT';
	{ no warnings; exec { $cmd->[0] } @$cmd; }
	print STDERR "cannot execute $cmd->[0]: $!\n";
	POSIX::_exit(127);
}

# Runs a program to its end: (exit code or 'signal N' or 'timeout', out, err).
sub capture {
	my ($cmd, %o) = @_;

	my $base = ($o{cwd} || '/tmp') . "/.cmd-$$-" . int rand 1e9;
	if (defined $o{stdin}) {
		open my $fh, '>:raw', "$base.in" or die $!;
		print $fh $o{stdin};
		close $fh;
	}
	my $pid = spawn($cmd, %o, out => "$base.out", err => "$base.err",
		defined $o{stdin} ? (in => "$base.in") : ());
	my $code = 'timeout';
	my $gone = wait_for(sub { waitpid($pid, WNOHANG) == $pid }, undef,
		($o{seconds} || 30) / slow());
	if ($gone) {
		$code = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
	} else {
		kill 'KILL', $pid;
		waitpid $pid, 0;
	}
	my @text = (slurp("$base.out"), slurp("$base.err"));
	unlink map { "$base.$_" } qw/in out err/;
	return ($code, @text);
}

sub state_of {
	my ($pid) = @_;
	return slurp("/proc/$pid/stat") =~ /\) (\S)/ ? $1 : undef;
}

# A zombie does not count as living.
sub alive {
	my ($pid) = @_;
	my $state = state_of($pid);
	return defined $state && $state !~ /[ZX]/;
}

sub children {
	my ($pid) = @_;
	return grep { (slurp("/proc/$_/stat") =~ /\) \S (\d+)/ ? $1 : 0)
		== $pid } pids();
}

# All processes below this one, zombies left out.
sub descendants {
	my ($top) = @_;
	my %below;
	for my $pid (pids()) {
		push @{ $below{$1} }, $pid
			if slurp("/proc/$pid/stat") =~ /\) [^ZX] (\d+)/;
	}
	my @todo = ($top);
	my @all;
	while (defined(my $pid = shift @todo)) {
		push @all, @{ $below{$pid} || [] };
		push @todo, @{ $below{$pid} || [] };
	}
	return @all;
}

# A pid that no process has.
use constant NOBODY => 4194305;

# Our pid of a process that has this one in that pid namespace; 0: it is gone.
sub outside {
	my ($pid, $ns) = @_;
	return $pid if ($ns // '') eq (readlink('/proc/self/ns/pid') // '');
	for my $host (pids()) {
		return $host if slurp("/proc/$host/status") =~ /^NSpid:.*\t$pid$/m
			&& (readlink("/proc/$host/ns/pid") // '') eq $ns;
	}
	return 0;
}

sub pids {
	opendir my $dh, '/proc' or return ();
	return grep { /^\d+$/ } readdir $dh;
}

sub cmdline {
	my ($pid) = @_;
	my $text = slurp("/proc/$pid/cmdline");
	$text =~ tr/\0/ /;
	return $text;
}

sub environ {
	my ($pid) = @_;
	return { map { split /=/, $_, 2 } grep { /=/ }
		split /\0/, slurp("/proc/$pid/environ") };
}

# The descriptors of a process: "number -> target".
sub fds {
	my ($pid) = @_;
	opendir my $dh, "/proc/$pid/fd" or return ();
	return map { "$_ -> " . (readlink("/proc/$pid/fd/$_") // '?') }
		sort { $a <=> $b } grep { /^\d+$/ } readdir $dh;
}

sub mine {
	my ($t, $pid) = @_;
	my ($dir, $mark) = ($t->{testdir}, $t->{test_id});

	return 'command line' if index(cmdline($pid), $dir) >= 0;
	my $env = slurp("/proc/$pid/environ");
	return 'environment' if $env =~ /(?:^|\0)APW_TEST_ID=\Q$mark\E\0/
		|| index($env, $dir) >= 0;
	for my $link (qw/cwd root exe/) {
		return $link
			if index(readlink("/proc/$pid/$link") // '', $dir) == 0;
	}
	return 'descriptor' if grep { index($_, $dir) >= 0 } fds($pid);
	return undef;
}

# What still runs of this test, after `seconds` of patience.
sub strays {
	my ($t, $seconds) = @_;

	my @left;
	wait_for(sub {
		@left = ();
		for my $pid (pids()) {
			next if $pid == $$ || !alive($pid);
			my $why = mine($t, $pid) or next;
			next unless alive($pid);
			push @left, { pid => $pid, why => $why,
				cmd => cmdline($pid) };
		}
		return !@left;
	}, undef, $seconds);
	return @left;
}

# PSS of processes in KiB; undef where the kernel does not tell.
sub pss_kib {
	my $sum = 0;
	for my $pid (@_) {
		return undef
			unless slurp("/proc/$pid/smaps_rollup") =~ /^Pss:\s+(\d+)/m;
		$sum += $1;
	}
	return $sum;
}

sub mounts { return map { (split)[4] } split /\n/, slurp('/proc/self/mountinfo') }

# Where control groups of version 2 are, if anywhere.
sub cgroup2 {
	my ($where) = slurp('/proc/self/mountinfo') =~
		/^(?:\S+ ){4}(\S+) .*? - cgroup2 /m;
	return $where;
}

sub cgroups {
	my @found;
	my @todo = ('/sys/fs/cgroup');
	while (defined(my $dir = shift @todo)) {
		opendir my $dh, $dir or next;
		my @sub = grep { !/^\./ && -d "$dir/$_" && !-l "$dir/$_" }
			readdir $dh;
		push @found, grep { /apw/ } map { "$dir/$_" } @sub;
		push @todo, map { "$dir/$_" } @sub;
		last if @found > 1000;
	}
	return @found;
}

# What a test must not leave: mounts below its directory, cgroups of ours,
# files in its TMPDIR.
sub leftovers {
	my ($t) = @_;

	my @left = map { "mount $_" }
		grep { index($_, $t->{testdir}) == 0 } mounts();
	# named by the process that made them; those of other tests are not
	# ours, nor is what was there before us: numbers come again
	push @left, map { "cgroup $_" } grep { /\.(\d+)$/ && $t->{pids}{$1}
		&& !$t->{cgroups}{$_} } cgroups();
	opendir my $dh, "$t->{testdir}/tmp" or return @left;
	push @left, map { "temporary file $_" }
		grep { !/^\.\.?$/ && !/^node-compile-cache$/ } readdir $dh;
	return @left;
}

1;
