package Test::Apworker::App;

# Runs bin/app-double.js, the app's side of the app link on the real socket.io
# server, and talks to it: one JSON line a request on its standard input, one
# JSON line a reply.  Waiting happens in the double; a reply that does not come
# within the deadline ends the test.

use strict;
use warnings;

use IPC::Open3 ();
use POSIX qw/:sys_wait_h/;
use Symbol ();
use Test::More ();

use Test::Apworker::Flow;
use Test::Apworker::Has;
use Test::Apworker::Util;

my $apps = 0;

# Options travel to the double as they are, see `listen` there: port, tls,
# release, settings, jobs, versions, pieces, rules, listen_delay_ms, max_payload, ...
sub new {
	my ($class, $t, %o) = @_;
	my $self = bless { t => $t, next => 0, buffer => '' }, $class;

	my $node = Test::Apworker::Has::find('node') or die "no node\n";
	local %ENV = ($t->environment(), NODE_OPTIONS => '');
	open my $err, '>>', $t->testdir() . '/api.log' or die $!;
	my ($in, $out);
	$self->{pid} = IPC::Open3::open3($in = Symbol::gensym(),
		$out = Symbol::gensym(), '>&' . fileno $err, $node,
		$t->srcdir() . '/bin/app-double.js');
	@$self{qw/in out/} = ($in, $out);
	$in->autoflush(1);
	$self->{tls} = 1 if $o{tls};
	$o{port} ||= $t->port('API ' . ++$apps);
	$self->{port} = $self->ask(listen => \%o)->{port};
	return $self;
}

sub url {
	my ($self) = @_;
	return ($self->{tls} ? 'https' : 'http') . "://127.0.0.1:$self->{port}";
}

# One request and its reply; an error of the double dies here.
sub ask {
	my ($self, $cmd, $args, $seconds) = @_;
	my $id = ++$self->{next};

	local $SIG{PIPE} = 'IGNORE';
	print { $self->{in} } json({ id => $id, cmd => $cmd,
		args => $args || {} }), "\n";
	my $left = patience(($seconds || 0) + deadline());
	while (1) {
		if ($self->{buffer} =~ s/^([^\n]*)\n//) {
			my $reply = unjson($1);
			next if $reply->{id} != $id;
			die "app double: $cmd: $reply->{error}\n"
				if defined $reply->{error};
			return $reply->{value};
		}
		die "app double: no answer to $cmd\n"
			unless readable($self->{out}, $left);
		my $n = sysread $self->{out}, $self->{buffer}, 262144,
			length $self->{buffer};
		die "app double ended: " . slurp($self->{t}->testdir()
			. '/api.log') . "\n" unless $n;
	}
}

# ------------------------------------------------- what the app has and does

sub settings { my ($s, %o) = @_; $s->ask(settings => \%o); return $s }
sub push_job { my ($s, @jobs) = @_; $s->ask(push => { jobs => \@jobs }); return $s }
sub version { my ($s, $v) = @_; $s->ask(version => { version => $v }); return $s }
sub piece { my ($s, %o) = @_; $s->ask(piece => \%o); return $s }

# rule(at => 'rpc:poll', do => 'never', nth => 1): see bin/app-double.js.
sub rule { my ($s, %o) = @_; $s->ask(rule => \%o); return $s }
sub clear_rules { my ($s) = @_; $s->ask('clear_rules'); return $s }

# Acts on open connections now: drop, close, disconnect, raw => text.
sub act { my ($s, $do, %o) = @_; $s->ask(act => { do => $do, %o }); return $s }

# Tells all workers: notify(flowPublished => {...}).
sub notify {
	my ($s, $method, $payload) = @_;
	$s->ask(notify => { method => $method, payload => $payload });
	return $s;
}

# The port closes (and all connections drop), or opens again.
sub down { my ($s) = @_; $s->ask('down'); return $s }
sub up { my ($s) = @_; $s->ask('up'); return $s }

# ------------------------------------------------------- what it has seen

# Recorded messages: {t_ms, conn, kind, method, payload}, filtered by key.
sub seen { my ($s, %o) = @_; return @{ $s->ask(seen => \%o) } }
sub calls { my ($s, $method) = @_; return $s->seen(kind => 'rpc', method => $method) }

# Waits for the n-th message that fits; returns it, or undef with a word.
sub wait_seen {
	my ($self, %o) = @_;
	my $seconds = $o{seconds} ? slow() * $o{seconds} : deadline();
	delete $o{seconds};
	my $n = delete $o{n} || 1;
	my $got = $self->ask(wait => { match => \%o, n => $n,
		ms => 1000 * $seconds }, $seconds);
	Test::More::diag("waited ${seconds}s in vain for " . json(\%o))
		unless $got;
	return $got;
}

sub wait_call {
	my ($self, $method, $n, $seconds) = @_;
	return $self->wait_seen(kind => 'rpc', method => $method,
		n => $n || 1, seconds => $seconds);
}

# Waits until the job is settled; returns the payload of completeJob, {} when
# that does not happen.
sub wait_done {
	my ($self, $job, $seconds) = @_;
	my $got = $self->wait_seen(kind => 'settled', job => $job,
		seconds => $seconds);
	return $got ? $got->{payload} : {};
}

# Has an engine do these steps and tell: the records it made.  In a box the
# double writes them to its stderr, and logs come with failures only.
sub told {
	my ($self, $id, @steps) = @_;
	$self->push_job(flow_job(id => $id, engine => [ @steps,
		{ do => 'answer', value => { status => 'INTERNAL_ERROR',
		error => 'told' } } ]));
	return map { unjson($_) } ($self->wait_done($id)->{logs} // '')
		=~ /^record (\{.*\})$/mg;
}

# A job as the app keeps it: {state, settled, handed, extended, late, ...}.
sub job { my ($s, $id) = @_; return $s->ask(job => { id => $id }) }
sub settled { my ($s, $id) = @_; return ($s->job($id) || {})->{settled} || 0 }

# The app's page of workers: ({workerId, conn, group, t_ms, info}).
sub machines { my ($s) = @_; return @{ $s->ask('machines') } }

# {connections, open, sockets: [{settings, handlers, rpcs}], http: [...]}
sub stats { my ($s) = @_; return $s->ask('stats') }

sub stop {
	my ($self) = @_;

	return unless my $pid = delete $self->{pid};
	close $self->{in};
	close $self->{out};
	my $gone = wait_for(sub { waitpid($pid, WNOHANG) == $pid }, undef, 5);
	return if $gone;
	kill 'KILL', $pid;
	waitpid $pid, 0;
}

1;
