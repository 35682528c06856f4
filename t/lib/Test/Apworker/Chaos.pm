package Test::Apworker::Chaos;

# Jobs while everything dies: the daemon works for the app double, processes of
# its tree are killed, configurations reloaded, connections dropped, binaries
# upgraded; then the double's ledger (bin/app-ledger.js) gives account of every
# job.  What happens after the N-th settled job, and to which slot, is drawn from
# the seed and N alone: a seed draws the same whatever the machine does.

use strict;
use warnings;

use Digest::MD5 qw/md5/;
use POSIX qw/:sys_wait_h/;
use Test::More import => [qw/diag note ok is is_deeply cmp_ok/];
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
		monitor/], pushed => 0, seen => 0, config => 0,
		done => {}, did => [], %o }, $class;
	$self->{every} = { kill => 20, reload => 300, drop => 200,
		upgrade => 1500, %{ $o{every} || {} } };
	$self->{t} = Test::Apworker->new()
		->has(qw/daemon node node_modules esbuild/);
	$self->conf();
	$self->{api} = $self->{t}->api(poll_ms => 1000,
		lock_ms => $self->{lock_s} * 1000, stalled_ms => 2000, versions => [ map {
		flow_version(id => "fv-$_", engine => [
		{ do => 'work', ms => $SLEEPS[$_] }, { do => 'answer' } ]) }
		0 .. $#SLEEPS ]);
	return $self;
}

# 0 <= x < 1, the same for the same seed, job and purpose.
sub draw {
	my ($self, $n, $what) = @_;
	return unpack('N', md5("$self->{seed} $n $what")) / 2 ** 32;
}

sub draw_of {
	my ($self, $n, $what, @list) = @_;
	return $list[$self->draw($n, $what) * @list];
}

# What is done when the N-th job has been settled: [WHAT, WHOM, SLOT].
sub plan {
	my ($self, $n) = @_;
	my @plan;
	for my $what (sort keys %{ $self->{every} }) {
		my $every = $self->{every}{$what} or next;
		next if $self->draw($n, $what) >= 1 / $every;
		push @plan, $what ne 'kill' ? [ $what ] : [ $what,
			$self->draw_of($n, 'whom', @{ $self->{kinds} }),
			$self->draw_of($n, 'slot', 1 .. $self->{slots}) ];
	}
	return @plan;
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

	$self->{api}->push_job(map { flow_job(id => "c$_", no_version => 1,
		version => 'fv-' . $self->draw_of($_, 'version', 0 .. $#SLEEPS)) }
		$self->{pushed} + 1 .. $self->{pushed} + $n);
	$self->{pushed} += $n;
}

# The process of this kind that belongs to the slot of this number; undef: there
# is none now.  An init has its broker's title, or a box's, and an engine below it.
sub victim {
	my ($self, $kind, $number) = @_;
	my %is = (broker => qr/^apworkerd: (broker|box)/,
		init => qr/^apworkerd: (broker|box)/, engine => qr/main\.js|^sandbox-/);
	my %title = map { $_ => Test::Apworker::Proc::cmdline($_) }
		Test::Apworker::Proc::descendants($self->{t}->pid());
	my $title = $kind eq 'monitor' ? qr/^apworkerd: monitor/
		: qr/^apworkerd: slot $number\b/;
	my ($top) = sort { $a <=> $b } grep { $title{$_} =~ $title } keys %title;
	return $top if !defined $top || !$is{$kind};
	my @found = grep { ($title{$_} // '') =~ $is{$kind} }
		sort { $a <=> $b } Test::Apworker::Proc::descendants($top);
	return $found[0] if $kind eq 'engine';
	return (grep { ($kind eq 'init') ==
		!!Test::Apworker::Proc::children($_) } @found)[0];
}

# The job a slot has, so that its way back can be timed.
sub job_of {
	my ($self, $pid) = @_;
	my $st = eval { $self->{t}->status() } or return undef;
	my ($slot) = grep { $_->{pid} == $pid } @{ $st->{slots} };
	return $slot && $slot->{job} && $slot->{job}{phase} eq 'run'
		? $slot->{job}{id} : undef;
}

# The ledger knows of it before it happens.
sub blow {
	my ($self, $what, %more) = @_;
	$self->{api}->ask(blow => { what => $what, %more });
	$self->{done}{$what}++;
}

# Whom the plan names is given time to be there: a slot that has just died comes
# back, an engine boots with the next job.
sub do_kill {
	my ($self, $kind, $slot) = @_;
	my $pid;
	wait_for(sub { $pid = $self->victim($kind, $slot) }, undef, 1);
	return $self->{done}{"no $kind there"}++ unless $pid;
	my $job = $kind eq 'slot' ? $self->job_of($pid) : undef;
	$self->{t}->note_pids();
	$self->blow("kill $kind", slot => $slot,
		defined $job ? (job_then => $job) : ());
	kill 'KILL', $pid;
}

sub do_reload {
	my ($self) = @_;
	$self->blow('reload');
	$self->conf();
	$self->{t}->reload();
}

sub do_drop {
	my ($self) = @_;
	$self->blow('drop');
	$self->{api}->act('drop');
}

# Another binary, then the end of the old one.
sub do_upgrade {
	my ($self) = @_;
	my $t = $self->{t};
	my $old = $t->pid();

	$self->blow('upgrade');
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
}

# The N-th job has been settled.
sub happen {
	my ($self, $n) = @_;
	for my $step ($self->plan($n)) {
		my ($what, @whom) = @$step;
		my $do = "do_$what";
		push @{ $self->{did} }, join ' ', $n, @$step;
		$self->$do(@whom);
	}
}

# Works until all jobs are settled; false when they are not in time.
sub run {
	my ($self, $seconds) = @_;
	my $end = time + $seconds;
	my ($said, $from) = (0, Time::HiRes::time());

	$self->{t}->run() unless $self->{t}->pid();
	while (time < $end) {
		my $p = $self->{api}->ask('progress');
		my $more = $self->{jobs} - $self->{pushed};
		$self->push_jobs($more < 50 ? $more : 50)
			if $more > 0 && $p->{queued} < 50;
		$self->happen(++$self->{seen}) while $self->{seen} < $p->{settled}
			&& $self->{seen} < $self->{jobs} - 1;
		last if $more <= 0 && $p->{settled} >= $self->{jobs};
		if (!$self->{quiet} && $self->{seen} >= $said + 500) {
			$said = $self->{seen};
			diag(sprintf '%d jobs, %.0f s', $said,
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
	my ($self, %o) = @_;
	return $self->{api}->ask(account => \%o, 60);
}

# What is known of a job that the ledger says something against.
sub tell {
	my ($self, $text) = @_;
	my ($id) = $text =~ /^(\S+)/;
	diag($text);
	diag(Test::Apworker::Util::json($_))
		for @{ $self->{api}->ask(ledger => { id => $id }) };
	diag($_) for grep { /job=\Q$id\E\b/ } split /\n/, $self->{t}->log();
}

my %RULES = (
	lost => 'no job is lost',
	settled_twice => 'none is settled twice',
	repeated => 'none is told again without a kill or a drop',
	handed_twice => 'none is handed to two slots without a kill or a drop',
	overlap => 'no two engines work for one job at a time',
	after_settled => 'none runs after it was settled',
	failed => 'none fails unless what ran it was killed',
	unknown => 'none is settled that nobody handed out',
);

# How often a slot may have told something whose answer it did not get.
sub slots_ended {
	my ($self) = @_;
	my ($slots, $brokers, $drops, $upgrades) = map { $self->{done}{$_} // 0 }
		'kill slot', 'kill broker', 'drop', 'upgrade';
	return $slots + $brokers + $self->{slots} * ($drops + $upgrades);
}

# The checks of a run: what the ledger says, and that all happened as drawn.
sub check {
	my ($self) = @_;
	my $a = $self->{account} = $self->account();
	my @ms = @{ $a->{again_ms} };

	for my $rule (sort keys %RULES) {
		my @found = @{ $a->{violations}{$rule} };
		is(@found, 0, $RULES{$rule});
		$self->tell($_) for @found > 5 ? @found[0 .. 4] : @found;
	}
	is($a->{once}, $self->{jobs}, 'each job is settled once');
	is($a->{failed}, 0, 'the app had to give up none');
	cmp_ok($a->{repeats} + $a->{late}, '<=', $self->slots_ended(),
		'no more is told again than slots were ended or cut off');
	is_deeply($self->{did}, [ map { my $n = $_; map { join ' ', $n, @$_ }
		$self->plan($n) } 1 .. $self->{jobs} - 1 ],
		'what happened is what the seed drew');
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

# Five long jobs of an app that breaks its word, one after the other, each when
# all slots wait for it: the rules that the ledger finds broken.
sub broken {
	my ($self, $how) = @_;
	my $api = $self->{api};
	my @ids = map { "$how-$_" } 1 .. 5;

	$api->ask(set => { broken => $how });
	for my $id (@ids) {
		my $ended = $api->ask('progress')->{settled};
		wait_for(sub { $api->stats()->{parked} >= $self->{slots} },
			'all slots to wait for a job');
		$api->push_job(flow_job(id => $id, no_version => 1,
			version => "fv-$#SLEEPS"));
		wait_for(sub { $api->ask('progress')->{settled} > $ended },
			"the end of $id");
	}
	# the second slot has told its result, too
	wait_for(sub { $api->stats()->{parked} >= $self->{slots} },
		'all slots to wait again');
	$api->ask(set => { broken => '' });
	my $found = $self->account(ids => \@ids)->{violations};
	return join ' ', grep { @{ $found->{$_} } } sort keys %$found;
}

1;
