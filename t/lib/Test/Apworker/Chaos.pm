package Test::Apworker::Chaos;

# Jobs while everything dies: the daemon works for the app double, processes of
# its tree are killed, configurations reloaded, connections dropped, binaries
# upgraded; then the double gives account of every job.  What happens is drawn
# from a seed, when it happens is not.

use strict;
use warnings;

use POSIX qw/:sys_wait_h/;
use Test::More import => [qw/diag note ok is cmp_ok/];
use Time::HiRes ();

use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my @SLEEPS = (0, 5, 20, 50, 120);	# ms of the versions of the flow

# jobs, seed, slots; every => { kill, reload, drop, upgrade }: one in so many
# settled jobs, 0: never; quiet.
sub new {
	my ($class, %o) = @_;
	my $self = bless { jobs => 200, seed => 1, slots => 4, mode =>
		'UNSANDBOXED', lock_s => 120, kinds => [qw/engine init slot slot broker
		monitor/], pushed => 0, config => 0, deaths => [],
		done => {}, %o }, $class;
	$self->{every} = { kill => 20, reload => 300, drop => 200,
		upgrade => 1500, %{ $o{every} || {} } };
	srand $self->{seed};
	$self->{t} = Test::Apworker->new()
		->has(qw/daemon node node_modules esbuild/);
	$self->conf();
	$self->{api} = $self->{t}->api(poll_ms => 1000,
		lock_ms => $self->{lock_s} * 1000, stalled_ms => 2000, versions => [ map {
		flow_version(id => "fv-$_", engine => [
		{ do => 'rpc', method => 'uploadRunLog',
		payload => { status => 'RUNNING' } },
		{ do => 'sleep', ms => $SLEEPS[$_] }, { do => 'answer' } ]) }
		0 .. $#SLEEPS ]);
	return $self;
}

# Another configuration of the slots each time.
sub conf {
	my ($self) = @_;
	my $t = $self->{t};
	my $jobs = 100000 + ++$self->{config};

	my $monitor = 'monitor { listen 127.0.0.1:' . $t->port('MONITOR') . '; }';
	return $t->write_app_conf(slots => $self->{slots},
		mode => $self->{mode}, source => "lock_time $self->{lock_s}s;",
		engine => "max_jobs $jobs; "
		. 'start_timeout 30s;', main => "pid $t->{testdir}/apworkerd.pid; "
		. 'respawn_burst 64; respawn_window 2s; respawn_max 200ms;');
}

sub push_jobs {
	my ($self, $n) = @_;

	$self->{api}->push_job(map { flow_job(id => 'c' . ++$self->{pushed},
		version => 'fv-' . int rand @SLEEPS, no_version => 1) } 1 .. $n);
}

# The processes of one kind below the master.  An init has its broker's title,
# and an engine below it.
sub victims {
	my ($self, $kind) = @_;
	my %is = (slot => qr/^apworkerd: slot/, monitor => qr/^apworkerd: monitor/,
		broker => qr/^apworkerd: broker/, init => qr/^apworkerd: broker/,
		engine => qr/main\.js|^sandbox-/);
	my @all = Test::Apworker::Proc::descendants($self->{t}->pid());
	my %title = map { $_ => Test::Apworker::Proc::cmdline($_) } @all;
	my @found = grep { $title{$_} =~ $is{$kind} } @all;
	return @found unless $kind eq 'init' || $kind eq 'broker';
	my %init = map { $_ => 1 } grep { Test::Apworker::Proc::children($_) }
		@found;
	return grep { ($kind eq 'init') == ($init{$_} || 0) } @found;
}

# The job a slot has, so that its way back can be timed.
sub job_of {
	my ($self, $pid) = @_;
	my $st = eval { $self->{t}->status() } or return undef;
	my ($slot) = grep { $_->{pid} == $pid } @{ $st->{slots} };
	return $slot && $slot->{job} && $slot->{job}{phase} eq 'run'
		? $slot->{job}{id} : undef;
}

sub do_kill {
	my ($self) = @_;
	my $kind = $self->{kinds}[rand @{ $self->{kinds} }];
	my @pids = $self->victims($kind);

	@pids = $self->victims($kind = 'slot') unless @pids;
	return unless @pids;
	my $pid = $pids[rand @pids];
	if ($kind eq 'slot' && (my $job = $self->job_of($pid))) {
		push @{ $self->{deaths} }, { job => $job,
			t_ms => $self->{api}->ask('clock') };
	}
	$self->{t}->note_pids();
	$self->{done}{"kill $kind"}++ if kill 'KILL', $pid;
}

sub do_reload {
	my ($self) = @_;
	$self->conf();
	$self->{t}->reload();
	$self->{done}{reload}++;
}

sub do_drop {
	my ($self) = @_;
	$self->{api}->act('drop');
	$self->{done}{drop}++;
}

# Another binary, then the end of the old one.
sub do_upgrade {
	my ($self) = @_;
	my $t = $self->{t};
	my $old = $t->pid();

	$t->log_mark();
	$t->signal('USR2');
	return $self->{done}{'upgrade not'}++
		unless $t->wait_log(qr/the new binary is up|upgrade ignored/);
	my $new = slurp($t->pidfile()) + 0;
	return $self->{done}{'upgrade not'}++ if $new == $old;
	wait_for(sub { my $st = $t->status(); $st && $st->{pid} == $new
		&& $st->{slots_able} >= $st->{slots_wanted} }, 'slots of the new binary');
	kill 'QUIT', $old;
	$t->{leaving} = $old;
	wait_for(sub { $t->{adopted} ? !Test::Apworker::Proc::alive($old)
		: waitpid($old, WNOHANG) == $old }, 'the end of the old one', 130)
		or diag("the old binary $old does not leave");
	@$t{qw/pid adopted/} = ($new, 1);
	$self->{done}{upgrade}++;
}

sub happen {
	my ($self, $settled) = @_;
	for my $what (sort keys %{ $self->{every} }) {
		my $every = $self->{every}{$what} or next;
		next if rand() >= $settled / $every;
		my $do = "do_$what";
		$self->$do();
	}
}

# Works until all jobs are settled; false when they are not in time.
sub run {
	my ($self, $seconds) = @_;
	my ($had, $end) = (0, time + $seconds);
	my ($said, $from) = (0, Time::HiRes::time());

	$self->{t}->run() unless $self->{t}->pid();
	while (time < $end) {
		my $p = $self->{api}->ask('progress');
		my $more = $self->{jobs} - $self->{pushed};
		$self->push_jobs($more < 50 ? $more : 50)
			if $more > 0 && $p->{queued} < 50;
		last if $more <= 0 && $p->{settled} >= $self->{jobs};
		$self->happen($p->{settled} - $had)
			if $p->{settled} < $self->{jobs};
		$had = $p->{settled};
		if (!$self->{quiet} && $had >= $said + 500) {
			$said = $had;
			diag(sprintf '%d jobs, %.0f s', $had,
				Time::HiRes::time() - $from);
		}
		Time::HiRes::sleep(0.05);
	}
	$self->{took} = Time::HiRes::time() - $from;
	return $self->{api}->ask('progress')->{settled} >= $self->{jobs};
}

sub quantile {
	my ($q, @v) = @_;
	@v = sort { $a <=> $b } @v;
	return @v ? $v[$#v * $q] : 0;
}

sub account {
	my ($self, @windows) = @_;
	return $self->{api}->ask(account => { deaths => $self->{deaths},
		windows => \@windows }, 60);
}

# What is known of jobs that did not end.
sub tell_open {
	my ($self, @ids) = @_;
	for my $id (@ids) {
		diag("open: $id");
		diag($_) for grep { /job=\Q$id\E\b/ }
			split /\n/, $self->{t}->log();
		diag($_) for map { Test::Apworker::Util::json($_) }
			grep { ($_->{job} // '') eq $id }
			@{ $self->{api}->ask('log') || [] };
	}
}

# The checks of a run: what was lost, settled twice, run after it was settled.
sub check {
	my ($self) = @_;
	my $a = $self->{account} = $self->account();
	my @ms = @{ $a->{again_ms} };

	is($a->{once} + $a->{failed}, $self->{jobs}, 'no job is lost')
		or $self->tell_open(@{ $a->{open} });
	is($a->{twice} + $a->{unknown}, 0, 'none is settled twice');
	is($a->{after_settled}, 0, 'none runs after it was settled');
	is($a->{failed}, 0, 'the app had to give up none');
	cmp_ok(quantile(0.5, @ms), '<', ($self->{again_ms} || 1500) * slow(),
		'a job of a dead slot runs again soon');
	return sprintf "seed %d: %d jobs in %.0f s, %s; settled once %d (%s), "
		. "handed out again %d, stalled %d, late %d, repeated %d; "
		. "after the death of a slot (%d) its job ran again after "
		. "p50 %.0f ms, p90 %.0f ms, max %.0f ms\n", $self->{seed},
		$self->{jobs}, $self->{took}, join(', ', map {
		"$self->{done}{$_} x $_" } sort keys %{ $self->{done} }),
		$a->{once}, join(', ', map { "$_ $a->{status}{$_}" }
		sort keys %{ $a->{status} }), @$a{qw/handed_again stalled late
		repeats/}, scalar @ms, map { quantile($_, @ms) } 0.5, 0.9, 1;
}

1;
