package Test::Apworker;

# The harness of t/*.t: one object is one test directory with one daemon in it.
#
#	my $t = Test::Apworker->new()->has(qw/node/)->plan(2)->write_conf(<<'EOC');
#	slots 1;
#	source app { url %%API%%; token_file %%TESTDIR%%/token; }
#	EOC
#	my $api = $t->api(jobs => [ flow_job(id => 'j1') ]);
#	$t->run();
#	is($api->wait_done('j1')->{status}, 'OK', 'the job is done');
#
# Every file gets the free checks on top of its plan: no alert in the log, no
# sanitizer report, the daemon left with the expected status, no stray process,
# nothing left behind (mounts, cgroups, temporary files).
#
# It never sleeps for a fixed time to "let things happen": it waits for a fact,
# at most deadline() seconds.  It never signals a process it did not start or
# that does not carry the mark of its test directory.

use strict;
use warnings;

use Cwd ();
use File::Path ();
use File::Temp ();
use POSIX qw/:sys_wait_h/;
use Test::More import => [qw/diag ok/];
use Time::HiRes ();

use Test::Apworker::App;
use Test::Apworker::Checks;
use Test::Apworker::Conf;
use Test::Apworker::Engine;
use Test::Apworker::Flow;
use Test::Apworker::Has;
use Test::Apworker::Monitor;
use Test::Apworker::Proc;
use Test::Apworker::Tool;
use Test::Apworker::Util;

use base qw/Exporter Test::Apworker::Checks Test::Apworker::Conf
	Test::Apworker::Monitor/;
our @EXPORT = qw/flow_job flow_version code_step piece_step wait_for deadline slow slurp
	json unjson/;

our $CHECKS = 5;		# the free checks, added to each plan
my @live;			# objects whose checks are still to be made
my $id = 0;

my $here = Cwd::abs_path(__FILE__);
$here =~ s{/lib/Test/Apworker\.pm$}{};

# ------------------------------------------------------------------ life

sub new {
	my ($class, %opt) = @_;
	my $self = bless { %opt }, $class;

	my $base = $ENV{TEST_TMPDIR} || '/tmp';
	$self->{testdir} = File::Temp::tempdir("apworker-XXXXXXXX",
		DIR => $base, CLEANUP => 0);
	chmod 0755, $self->{testdir};
	mkdir "$self->{testdir}/tmp";
	chmod 01777, "$self->{testdir}/tmp";

	$self->{owner} = $$;
	$self->{test_id} = join '-', 'apw', $$, time, ++$id;
	$self->{ports} = {};
	$self->{env} = {};
	$self->{expect_exit} = 0;
	$self->{allow_alert} = [];
	$self->{cgroups} = { map { $_ => 1 } Test::Apworker::Proc::cgroups() };

	push @live, $self;
	return $self;
}

# has(qw/node root userns bun esbuild openssl .../): skips the file, aloud, when
# something is missing.  CI=true as root means that nothing may be missing.
sub has {
	my ($self, @what) = @_;

	my @missing = grep { defined }
		map { Test::Apworker::Has::missing($self, $_) } @what;
	return $self unless @missing;

	if ($ENV{CI} && $ENV{CI} eq 'true' && $> == 0) {
		$self->discard();
		Test::More::BAIL_OUT("needed here: @missing") if $ENV{APW_BAIL};
		die "needed by $0 and missing: " . join('; ', @missing) . "\n";
	}
	$self->discard();
	Test::More::plan(skip_all => join '; ', @missing);
}

# plan(N) counts the free checks in; without N the plan is made at the end.
sub plan {
	my ($self, $n) = @_;

	Test::More::plan(tests => $n + $CHECKS) if defined $n;
	return $self;
}

# No checks, no directory: nothing was started, or no test is made of it.
sub discard {
	my ($self) = @_;

	$self->{done} = 1;
	$_->stop() for grep { defined } @{ $self->{doubles} || [] };
	@live = grep { $_ != $self } @live;
	File::Path::remove_tree($self->{testdir});
	return $self;
}

END {
	my $status = $?;
	my $n = @live;
	$_->finish($status) for reverse my @all = @live;
	Test::More::done_testing()
		if $n && !$status && !Test::More->builder->has_plan
		&& Test::More->builder->current_test;
	$? = $status;
}

# Stops what still runs and makes the free checks (once).  A test may call it
# itself to look at what is left.
sub finish {
	my ($self, $dying) = @_;

	return if $self->{done}++ || $self->{owner} != $$;
	@live = grep { $_ != $self } @live;

	$self->stop() if $self->{pid};
	$_->stop() for grep { defined } @{ $self->{doubles} || [] };
	my @strays = Test::Apworker::Proc::strays($self, 20);

	unless ($dying) {
		local $Test::Builder::Level = $Test::Builder::Level + 1;
		$self->check_alerts();
		$self->check_sanitizers();
		$self->check_exit();
		$self->check_strays(@strays);
		$self->check_leftovers();
	}
	kill 'KILL', map { $_->{pid} } @strays;

	if ($ENV{TEST_KEEP}) {
		diag("kept: $self->{testdir}");
	} else {
		if ($dying || !Test::More->builder->is_passing) {
			diag("end of the log:\n" . $self->log_tail(40));
		}
		File::Path::remove_tree($self->{testdir});
	}
}

# ------------------------------------------------------------- the daemon

sub daemon_path {
	my ($self, $name) = @_;
	$name ||= 'apworkerd';

	return $self->{program} if $self->{program} && $name eq 'apworkerd';
	my $env = $name eq 'apworkerd' ? 'APWORKERD' : 'APWORKERCTL';
	return Cwd::abs_path($ENV{$env}) if $ENV{$env};
	my $top = $ENV{APW_BUILD} || "$here/..";
	return Cwd::abs_path("$top/$name") || "$top/$name";
}

# What a started program gets to see: nothing of the caller's AP_* or tokens.
sub environment {
	my ($self, %more) = @_;
	my $dir = $self->{testdir};

	return (
		PATH => $ENV{PATH},
		HOME => $dir,
		TMPDIR => "$dir/tmp",
		LC_ALL => 'C',
		APW_TEST_ID => $self->{test_id},
		ASAN_OPTIONS => "log_path=$dir/san.asan:exitcode=99"
			. ':abort_on_error=0:detect_leaks=1',
		UBSAN_OPTIONS => "log_path=$dir/san.ubsan:print_stacktrace=1",
		LSAN_OPTIONS => "log_path=$dir/san.lsan:exitcode=99",
		(map { $_ => $ENV{$_} } grep { defined $ENV{$_} }
			qw/LD_LIBRARY_PATH LLVM_PROFILE_FILE GCOV_PREFIX/),
		%{ $self->{env} }, %more,
	);
}

sub command {
	my ($self, @args) = @_;
	return ($self->daemon_path(), '-c', $self->conf_file(),
		'-g', $self->globals(), @args);
}

# Starts the daemon and returns when its pidfile names a living process.
sub run {
	my ($self, %opt) = @_;

	$self->start(%opt);
	$self->{daemon} ? $self->wait_daemonized() : $self->wait_pidfile();
	return $self;
}

# Starts the daemon without waiting for anything.
sub start {
	my ($self, %opt) = @_;

	die "already running" if $self->{pid};
	$self->{daemon} = $opt{daemon} if exists $opt{daemon};
	$self->write_conf_now();
	$_->ask('hold') for grep { $_->isa('Test::Apworker::App') }
		@{ $self->{doubles} || [] };
	my $file = "$self->{testdir}/stderr.log";
	my %env = $self->environment(%{ $opt{env} || {} });
	my @cmd = (@{ $self->{as} || [] },
		$self->command(@{ $opt{args} || [] }));
	$self->{started} = Time::HiRes::time();
	$self->{pid} = Test::Apworker::Proc::spawn(\@cmd, env => \%env,
		cwd => $self->{testdir}, out => $file, append => 1);
	return $self;
}

sub pidfile {
	my ($self) = @_;
	my ($file) = ($self->{conf} // '') =~ /^\s*pid\s+(\S+?);/m;
	return $file ? $self->expand($file) : "$self->{testdir}/apworkerd.pid";
}

sub wait_pidfile {
	my ($self) = @_;

	my $ok = wait_for(sub {
		return 1 if (slurp($self->pidfile()) || 0) == $self->{pid};
		die "the daemon ended at start:\n" . $self->log_tail(40)
			if $self->reap();
		return 0;
	}, 'pidfile');
	die "no pidfile:\n" . $self->log_tail(40) unless $ok;
}

sub wait_daemonized {
	my ($self) = @_;

	my $front = $self->{pid};
	wait_for(sub { waitpid($front, WNOHANG) == $front }, 'daemonized')
		or die "the daemon does not go to the background";
	my $status = $?;
	$self->{pid} = 0;
	die "start failed ($status):\n" . $self->log_tail(40) if $status;
	my ($pid) = slurp($self->pidfile()) =~ /(\d+)/
		or die "no pidfile after start";
	$self->{pid} = $pid;
	$self->{adopted} = 1;
}

# True once the foreground daemon is gone; its status is kept in {status}.
sub reap {
	my ($self) = @_;

	return 1 unless $self->{pid};
	if ($self->{adopted}) {
		return 0 if Test::Apworker::Proc::alive($self->{pid});
		$self->{status} = undef;
	} else {
		return 0 unless waitpid($self->{pid}, WNOHANG) == $self->{pid};
		$self->{status} = $?;
		$self->note_exit($?);
	}
	$self->{last_pid} = delete $self->{pid};
	delete $self->{adopted};
	return 1;
}

sub note_exit {
	my ($self, $status) = @_;

	my $want = $self->{expect_exit};
	my $got = $status & 127 ? 'signal ' . ($status & 127) : $status >> 8;
	push @{ $self->{exits} }, "exit status $got, expected $want"
		if $got ne $want;
}

# What status the daemon has to leave with: a number, or 'signal N'.
sub expect_exit {
	my ($self, $code) = @_;
	$self->{expect_exit} = $code;
	return $self;
}

sub testdir { return $_[0]->{testdir} }
sub srcdir { return $here }

sub pid { return $_[0]->{pid} }

# Remembers who runs below the daemon: their cgroups are named by pid.
sub note_pids {
	my ($self) = @_;
	$self->{pids}{$_} = 1
		for Test::Apworker::Proc::descendants($self->{pid});
}

sub signal {
	my ($self, $sig) = @_;
	$self->note_pids();
	kill $sig, $self->{pid} or diag("kill $sig: $!");
	return $self;
}

sub reload { return $_[0]->signal('HUP') }

# Waits for the end; returns the exit code ('signal N' for a signal).
sub wait_exit {
	my ($self, $seconds) = @_;

	my $ok = wait_for(sub { $self->reap() }, 'the end of the daemon',
		$seconds);
	return undef unless $ok;
	my $st = $self->{status};
	return undef unless defined $st;
	return $st & 127 ? 'signal ' . ($st & 127) : $st >> 8;
}

# QUIT, then harder; harder is a failed check.
sub stop {
	my ($self, $sig) = @_;

	return $self if $self->reap();
	$self->note_pids();
	kill $sig || 'QUIT', $self->{pid};
	# a parked poll would be waited for
	eval { $_->ask('let_go') } for grep { $_->isa('Test::Apworker::App') }
		@{ $self->{doubles} || [] };
	return $self if wait_for(sub { $self->reap() }, undef);
	for my $harder (qw/TERM TERM KILL/) {
		push @{ $self->{exits} }, "had to be stopped with $harder";
		kill $harder, $self->{pid} if $self->{pid};
		last if wait_for(sub { $self->reap() }, undef, 5);
	}
	return $self;
}

# Runs a program to its end: (exit code, stdout, stderr).
sub run_command {
	my ($self, $cmd, %opt) = @_;

	my %env = $self->environment(%{ $opt{env} || {} });
	return Test::Apworker::Proc::capture($cmd, env => \%env,
		cwd => $self->{testdir}, stdin => $opt{stdin},
		seconds => $opt{seconds} || deadline());
}

# apworkerd with these arguments, to its end.
sub apworkerd {
	my ($self, @args) = @_;
	my %opt = @args && ref $args[-1] eq 'HASH' ? %{ pop @args } : ();
	return $self->run_command([ $self->daemon_path(), @args ], %opt);
}

# `apworkerd -t` of the configuration of this test: (exit, output).
sub test_conf {
	my ($self, @args) = @_;

	$self->write_conf_now();
	my ($code, $out, $err) = $self->run_command(
		[ $self->command('-t', @args) ]);
	return ($code, $out . $err);
}

# apworkerctl with these arguments, on this daemon: (exit, stdout, stderr).
sub ctl {
	my ($self, @args) = @_;
	my %opt = @args && ref $args[-1] eq 'HASH' ? %{ pop @args } : ();
	$self->write_conf_now();
	return $self->run_command([ $self->daemon_path('apworkerctl'),
		'-c', $self->conf_file(), '-g', $self->globals(), @args ],
		%opt);
}

# --------------------------------------------------------------- the log

# All of it: the log file, then what came on stdout and stderr.
sub log {
	my ($self, @from) = @_;
	return join '', map { substr slurp($_), shift @from || 0 }
		$self->log_files();
}

sub log_files {
	my ($self) = @_;
	return ($self->log_file(), "$self->{testdir}/stderr.log");
}

sub log_file {
	my ($self) = @_;
	my ($file) = ($self->{conf} // '') =~ /^\s*log\s+(\S+?)[\s;]/m;
	return "$self->{testdir}/error.log" if !$file || $file eq 'stderr';
	return $self->expand($file);
}

sub log_tail {
	my ($self, $n) = @_;
	my @lines = split /\n/, $self->log();
	splice @lines, 0, @lines - $n if @lines > $n;
	return join '', map { "$_\n" } @lines;
}

# wait_log() looks at what comes from now on.
sub log_mark {
	my ($self) = @_;
	$self->{mark} = [ map { length slurp($_) } $self->log_files() ];
	return $self;
}

# Waits until the log has the text; returns the match ($1, or the line).
sub wait_log {
	my ($self, $re, $seconds) = @_;

	my $found;
	wait_for(sub {
		$self->log(@{ $self->{mark} || [] }) =~ /^(.*?$re.*)$/m or return 0;
		$found = defined $2 ? $2 : $1;
		return 1;
	}, "log line $re", $seconds) or return undef;
	return $found;
}

# ---------------------------------------------------- descriptors, doubles

sub fds { return Test::Apworker::Proc::fds($_[1] || $_[0]->{pid}) }

# Runs the code and says whether the process has as many descriptors as before
# (it gets the time of a deadline to close what is on its way out).
sub fds_stable {
	my ($self, $pid, $code, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	my @before = $self->fds($pid);
	$code->();
	my @after;
	my $ok = wait_for(sub {
		@after = $self->fds($pid);
		return @after && @after <= @before;
	}, undef, 30);
	ok($ok, $name || 'no leaked fd') or diag("before:\n"
		. join("\n", @before) . "\nafter:\n" . join("\n", @after));
}

sub keep {
	my ($self, $double) = @_;
	push @{ $self->{doubles} }, $double;
	return $double;
}

# The app double: starts it, or gives the one that runs.
sub api {
	my ($self, %opt) = @_;
	return $self->{api} if $self->{api} && !%opt;
	# a port that nobody was told yet is chosen by the double itself
	my $api = $self->{api} = $self->keep(Test::Apworker::App->new($self,
		poll_ms => 2000, port => $self->{ports}{API} || 0, %opt));
	$self->{ports}{API} = $api->{port};
	return $api;
}

sub api_url {
	my ($self) = @_;
	return $self->{api}->url() if $self->{api};
	return 'http://127.0.0.1:' . $self->port('API');
}

# A recording program in the place of bun, npm, esbuild or node.
sub tool {
	my ($self, $name, @orders) = @_;
	$self->{tools}{$name} ||= Test::Apworker::Tool->new($self, $name);
	$self->{tools}{$name}->behave(@orders) if @orders;
	return $self->{tools}{$name};
}

# The engine double: the bundle of this test, and what its starts recorded.
sub engine {
	my ($self, %start) = @_;
	$self->{engine} ||= Test::Apworker::Engine->new($self);
	$self->{engine}->behave(%start) if %start;
	return $self->{engine};
}

1;
