package Test::Apworker::Replay;

# Plays a recording of the real system: the app double hands out its jobs and
# answers as the app did, the engine double says what the engine said, and what
# the daemon does is compared with what the recorded worker did.
#
# Compared loosely: calls to the app of one job in their order (polls, lock
# extensions, what only fills a cache and what may come at any time are left
# out), relayed payloads as a whole, operations as a whole, the worker's own
# reports and completions by their keys and statuses.  Times, ids of our own and
# the wording of messages differ.

use strict;
use warnings;

use Test::More;

use Test::Apworker::Util;

# Not part of the order of one job.
my %ANY_TIME = map { $_ => 1 } qw/poll extendLock markPieceAsUsed getUsedPieces
	getFlowVersion getPiece getPieceArchive/;

# {settings, jobs, versions, pieces, operations, starts, calls, completed}
sub load {
	my ($path) = @_;

	my $self = bless { versions => {}, pieces => {}, jobs => [],
		operations => [], starts => [], pieces_used => [] },
		__PACKAGE__;
	my (%app, %engine, $last);
	for my $line (split /\n/, slurp($path)) {
		my $e = unjson($line);
		if (!$e->{link}) {
			$self->{case} = $e;
			next;
		}
		if ($e->{link} eq 'app' && $e->{kind} eq 'text') {
			$self->app_message($e, \%app);
		} elsif ($e->{link} eq 'engine') {
			$self->engine_message($e, \%engine);
		}
	}
	$self->resolve_ends();
	return $self;
}

# The job that a message is about: the one that carries this value, else the
# last one that was handed out.
sub job_of {
	my ($self, $key, $value) = @_;
	my ($job) = grep { defined $value
		&& ($_->{job}{$key} // '') eq $value } reverse @{ $self->{jobs} };
	return $job || $self->{jobs}[-1];
}

# An Engine.IO message of Socket.IO: (type, ack id, value).
sub packet {
	my ($data) = @_;
	return () unless $data =~ /^4([23])(\d*)(\[.*)$/s;
	return ($1, $2, unjson($3));
}

sub app_message {
	my ($self, $e, $pending) = @_;

	my ($type, $id, $value) = packet($e->{data}) or return;
	if ($type == 2 && $e->{dir} eq 'worker->app') {
		$pending->{"$e->{conn}-$id"} = $value;
		my ($event, $call) = @$value;
		return if $event ne 'rpc' || $e->{preamble};
		my $job = $self->job_of(jobId => $call->{payload}{jobId})
			or return;
		$call->{cut} = 1 if $e->{truncated};
		push @{ $job->{calls} }, $call
			unless $ANY_TIME{ $call->{method} };
		push @{ $self->{pieces_used} }, @{ $call->{payload}{pieces} }
			if $call->{method} eq 'markPieceAsUsed';
		return;
	}
	return unless $type == 3;
	my $asked = delete $pending->{"$e->{conn}-$id"} or return;
	my ($event, $call) = @$asked;
	my $answer = $value->[0];
	if ($event eq 'FETCH_WORKER_SETTINGS') {
		$self->{settings} = $answer;
	} elsif ($call->{method} eq 'poll' && $answer) {
		push @{ $self->{jobs} }, { job => $answer, calls => [] };
	} elsif ($call->{method} eq 'getFlowVersion' && $answer) {
		$self->{versions}{ $answer->{id} } = $answer;
	} elsif ($call->{method} eq 'getPiece' && $answer) {
		$self->{pieces}{"$answer->{name}\@$answer->{version}"} = $answer;
	}
}

sub engine_message {
	my ($self, $e, $pending) = @_;

	if ($e->{kind} eq 'note') {
		if ($e->{data} eq 'engine process started') {
			push @{ $self->{starts} }, { argv => $e->{argv},
				env => $e->{env}, operations => [],
				engine => $e->{engine} };
		} elsif ($e->{data} =~ /^engine process gone code=(\S+) signal=(\S+)/) {
			$self->engine_gone($1, $2);
		}
		return;
	}
	my ($type, $id, $value) = packet($e->{data}) or return;
	my $out = $e->{dir} eq 'engine->worker';
	my ($start) = grep { ($_->{engine} // '') eq ($e->{engine} // '') }
		reverse @{ $self->{starts} };
	$pending = $pending->{ $e->{engine} // '' } ||= {};
	if ($type == 2 && !$out) {
		my $op = $value->[1]{payload};
		my $fv = $op->{operation}{flowVersion};
		$self->{versions}{ $fv->{id} } ||= $fv if $fv;
		push @{ $self->{operations} }, $op;
		push @{ $self->job_of(engineToken =>
			$op->{operation}{engineToken})->{operations} }, $op;
		push @{ ($start || $self->{starts}[-1])->{operations} },
			$pending->{steps} = [];
		push @{ $self->{steps} }, $pending->{steps};
		$pending->{op} = $id;
	} elsif (!$out || !$pending->{steps}) {
		return;
	} elsif ($type == 3) {
		push @{ $pending->{steps} }, { do => 'answer',
			value => $value->[0] };
	} elsif ($value->[0] eq 'rpc') {
		push @{ $pending->{steps} }, { do => 'rpc', exact => \1,
			%{ $value->[1] } };
	} elsif ($value->[0] eq 'rpc-notify') {
		push @{ $pending->{steps} }, { do => 'notify',
			method => $value->[1]{method},
			text => $value->[1]{payload}{message} };
	}
}

# The engine ended without an answer: by itself, or because its time was up.
sub engine_gone {
	my ($self, $code, $signal) = @_;

	my $steps = $self->{starts}[-1]{operations}[-1] or return;
	return if grep { $_->{do} eq 'answer' } @$steps;
	# which of the two is known when the job was completed
	$self->{jobs}[-1]{gone} = { steps => $steps, step => $code ne 'null'
		? { do => 'exit', code => $code }
		: { do => 'kill', signal => $signal } };
}

sub resolve_ends {
	my ($self) = @_;
	for my $job (@{ $self->{jobs} }) {
		my $gone = $job->{gone} or next;
		my ($done) = grep { $_->{method} eq 'completeJob' }
			@{ $job->{calls} };
		push @{ $gone->{steps} }, $done->{payload}{status} eq 'TIMEOUT'
			? { do => 'never' } : $gone->{step};
	}
}

# Flow times of the recording are seconds long; a limit is reached faster here.
sub limit {
	my ($self) = @_;
	return grep { $_->{payload}{status} && $_->{payload}{status} eq 'TIMEOUT' }
		map { @{ $_->{calls} } } @{ $self->{jobs} };
}

# Plays it with the daemon of $t, which must not run yet: as many checks as
# plan() says.
sub plan_of {
	my ($self) = @_;
	return 3 + 6 * @{ $self->{jobs} };
}

sub play {
	my ($self, $t, %expect) = @_;
	my $name = $self->{case}{case} . ' ' . $self->{case}{mode};
	my %settings = %{ $self->{settings} };
	$settings{FLOW_TIMEOUT_SECONDS} = 2 if $self->limit();

	$self->add_piece($_) for @{ $self->{pieces_used} },
		map { pieces_of($_) } values %{ $self->{versions} },
		map { $_->{job}{jobData}{piece} || () } @{ $self->{jobs} };
	# archives are not in the traffic either
	$_->{archive} ||= 'H4sIAAAAAAAA' for grep { $_->{archiveId} }
		values %{ $self->{pieces} };
	# the recorded worker threw an engine away, or had two; one does it all
	if ($expect{one_engine}) {
		splice @{ $self->{starts} }, 1;
		$self->{starts}[0]{operations} = $self->{steps};
	}
	$t->engine(starts => [ map { { operations => $_->{operations} } }
		@{ $self->{starts} } ]) if @{ $self->{starts} };
	my $api = $t->api(settings => \%settings,
		versions => [ values %{ $self->{versions} } ],
		pieces => [ values %{ $self->{pieces} } ],
		rules => $expect{rules} || []);
	$t->run();

	my $n = 0;
	for my $rec (@{ $self->{jobs} }) {
		my $mark = $api->seen();
		# what the daemon posts by itself goes to the double, too
		$rec->{job}{jobData}{webhookUrl} =~ s{^http://[^/]+}{$api->url()}e
			if $rec->{job}{jobData}{webhookUrl};
		$api->push_job($rec->{job});
		$api->wait_seen(kind => 'settled', n => ++$n);
		my @got = map { { method => $_->{method},
			payload => $_->{payload} } }
			grep { $_->{n} >= $mark && !$ANY_TIME{ $_->{method} } }
			$api->seen(kind => 'rpc');
		$self->compare_job("$name, job $n", $rec->{calls}, \@got, %expect);
		$self->compare_operations("$name, job $n", $t, $rec,
			$settings{FLOW_TIMEOUT_SECONDS});
	}

	my @starts = $t->engine()->starts();
	is(scalar @starts, scalar @{ $self->{starts} }, "$name: engine starts");
	$self->compare_start($name, @starts);
	my @replies = grep { defined $_->{value} } $t->engine()->records('reply');
	ok(!@replies, "$name: calls of the engine were answered with null")
		or diag(json(\@replies));
}

# What the recorded worker had in its cache, so that it is not in the traffic.
sub add_piece {
	my ($self, $p) = @_;
	$self->{pieces}{"$p->{pieceName}\@$p->{pieceVersion}"} ||= {
		name => $p->{pieceName}, version => $p->{pieceVersion},
		packageType => $p->{packageType} || 'REGISTRY',
		pieceType => $p->{pieceType} || 'OFFICIAL',
		$p->{archiveId} ? (archiveId => $p->{archiveId}) : () };
}

# {pieceName, pieceVersion} wherever they are in a flow version.
sub pieces_of {
	my ($x) = @_;
	return map { pieces_of($_) } @$x if ref $x eq 'ARRAY';
	return () unless ref $x eq 'HASH';
	return (defined $x->{pieceName} && defined $x->{pieceVersion}
		? $x : (), map { pieces_of($_) } values %$x);
}

sub compare_job {
	my ($self, $name, $want, $got, %expect) = @_;

	my $status = $expect{status} || {};
	is_deeply([ map { $_->{method} } @$got ], [ map { $_->{method} } @$want ],
		"$name: calls to the app in their order");

	my (@relayed, @own);
	for my $i (0 .. $#$want) {
		my ($w, $g) = ($want->[$i], $got->[$i] || {});
		my $mine = $w->{method} eq 'completeJob'
			|| $w->{payload}{finishTime}
			&& !exists $w->{payload}{stepsCount};
		push @{ $mine ? \@own : \@relayed }, [ $w, $g ];
	}
	is_deeply([ map { { method => $_->[1]{method},
		payload => $_->[1]{payload} } } @relayed ],
		[ map { { method => $_->[0]{method},
		payload => $_->[0]{payload} } } @relayed ],
		"$name: what is relayed is what the engine said");
	is_deeply([ map { shape($_->[1]{payload}, {}, $_->[0]{cut}) } @own ],
		[ map { shape($_->[0]{payload}, $status, $_->[0]{cut}) } @own ],
		"$name: own reports and completion");

	my ($w, $g) = map { $_->{payload} || {} } @{ $own[-1] || [] };
	is_deeply([ map { $g->{$_} } qw/jobId token queueName/ ],
		[ map { $w->{$_} } qw/jobId token queueName/ ],
		"$name: job, token and queue");
	my ($kind) = ($w->{errorMessage} // '') =~ /^(\w+: Worker exited with code \S+ and signal \S+)|/;
	$kind //= '';
	my $has = index($g->{errorMessage} // '', $kind) >= 0;
	# each piece of output is in the logs
	my @lost = grep { index($g->{logs} // '', $_) < 0 }
		map { split /\n+/ } ($w->{logs} // '') =~ /^(?:stdout|stderr):\n(.*)/s;
	ok($has && !@lost, "$name: message and logs")
		or diag("expected $kind; lost in logs: @lost\n" . json($g));
}

# What has to agree of a report or completion that is the worker's own.
sub shape {
	my ($p, $status, $cut) = @_;
	my %s = map { $_ => 1 } grep { $_ ne 'logs' } keys %{ $p || {} };
	for my $key (qw/status runId projectId streamStepProgress logsFileId/,
	    $cut ? () : 'response') {
		$s{$key} = $p->{$key} if exists $p->{$key};
	}
	# the text of an error is ours; that there is one is not
	my $new = $status->{ $s{status} // '' };
	if ($new || ($s{status} // '') eq 'INTERNAL_ERROR') {
		$s{status} = $new if $new;
		delete @s{qw/internalError errorMessage/};
	}
	return \%s;
}

sub compare_operations {
	my ($self, $name, $t, $rec, $limit) = @_;

	my (@want, @got);
	for my $op (@{ $rec->{operations} || [] }) {
		my $got = $t->engine()->wait_record('operation',
			++$self->{operations_seen}) || {};
		push @got, [ $got->{type}, $got->{operation} ];
		my %w = %{ $op->{operation} };
		$w{internalApiUrl} = $t->api_url() . '/api/'
			if defined $w{internalApiUrl};
		# flow times of the recording are seconds long
		$w{timeoutInSeconds} = $limit if defined $w{flowRunId};
		push @want, [ $op->{operationType}, \%w ];
	}
	is_deeply(\@got, \@want, "$name: operations");
}

# Command line and environment of the first start, as far as they do not depend
# on places.
sub compare_start {
	my ($self, $name, @got) = @_;

	my ($w, $g) = ($self->{starts}[0], $got[0]);
	if (!$w || !$g) {
		pass("$name: no engine");
		return;
	}
	my @wrong;
	# the snapshot stands in the way of isolates, which this mode has not
	my $isolates = $w->{env}{AP_EXECUTION_MODE} =~ /CODE/;
	for my $arg (grep { /^--/ && ($isolates || !/snapshot/) }
	    @{ $w->{argv} }) {
		push @wrong, "no $arg" unless grep { $_ eq $arg } @{ $g->{execArgv} };
	}
	my %place = map { $_ => 1 } qw/AP_SANDBOX_WS_PORT AP_SANDBOX_WS_TOKEN
		AP_BASE_CODE_DIRECTORY SANDBOX_ID NODE_PATH
		AP_CUSTOM_PIECES_PATHS HOME/;
	for my $key (grep { !$place{$_} } keys %{ $w->{env} }) {
		push @wrong, "$key is " . ($g->{env}{$key} // 'missing')
			if ($g->{env}{$key} // '') ne $w->{env}{$key};
	}
	for my $key (qw/AP_SANDBOX_WS_PORT AP_SANDBOX_WS_TOKEN SANDBOX_ID
	    AP_BASE_CODE_DIRECTORY/) {
		push @wrong, "$key is missing" unless $g->{env}{$key};
	}
	ok(!@wrong, "$name: command line and environment of the engine")
		or diag(join "\n", @wrong);
}

1;
