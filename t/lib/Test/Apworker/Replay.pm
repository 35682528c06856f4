package Test::Apworker::Replay;

# Plays a recording of the real system: the app double hands out its jobs and
# answers as the app did, the engine double says what the engine said, and what
# the daemon does is compared with what the recorded worker did
# (ReplayCheck.pm).
#
# Taken from a recording: what the worker said of itself, each job with the
# calls made for it, the answers to them, notices that came before it, the
# steps of the engine (its own HTTP calls among them) and how it ended.

use strict;
use warnings;

use File::Path ();
use Test::More;

use Test::Apworker::Util;

use base 'Test::Apworker::ReplayCheck';

# Not part of the order of one job: they repeat, fill a cache, or come at any
# time.  Those of the caches are compared apart.
my %ANY_TIME = map { $_ => 1 } qw/poll extendLock markPieceAsUsed getUsedPieces
	getFlowVersion getPiece getPieceArchive getPrewarmData getFlowBundle
	prepareFlowBundleUpload uploadFlowBundle/;

# Answered by the double from what it has; the others as they were recorded.
my %KNOWN = (%ANY_TIME, map { $_ => 1 } qw/completeJob/);
delete $KNOWN{getPrewarmData};

sub any_time { return $ANY_TIME{ $_[0] } }

# ------------------------------------------------------------ what it holds

# change is called for each line, as characters in $_.
sub load {
	my ($path, $change) = @_;

	my $self = bless { jobs => [], starts => [], operations => [],
		used => [], said => [], early => [], notices => [],
		probes => [], no_piece => {}, no_version => {}, versions => {},
		pieces => {}, answers => {} }, __PACKAGE__;
	for my $line (split /\n/, slurp($path)) {
		if ($change) {
			utf8::decode($line);
			$change->() for $line;
			utf8::encode($line);
		}
		my $e = unjson($line);
		if (!$e->{link}) {
			$self->{case} = $e;
		} elsif ($e->{link} eq 'app') {
			$self->app_message($e);
		} elsif ($e->{link} eq 'engine') {
			$self->engine_message($e);
		} else {
			$self->http_message($e);
		}
	}
	$self->resolve_ends();
	return $self;
}

sub name { return "$_[0]{case}{case} $_[0]{case}{mode}" }

# The job that a message is about: the one that carries this value, else the
# last one that was handed out.
sub job_of {
	my ($self, $key, $value) = @_;
	my ($job) = grep { defined $value
		&& ($_->{job}{$key} // '') eq $value } reverse @{ $self->{jobs} };
	return $job || $self->{jobs}[-1];
}

# An Engine.IO message of Socket.IO: (type, ack id, value); 5 and 6 are 2 and 3
# with binary attachments.  The text within a line is characters, not bytes.
sub packet {
	my ($data) = @_;
	return () unless $data =~ /^4(?:([23])|([56])\d+-)(\d*)(\[.*)$/s;
	my ($type, $binary, $id, $text) = ($1, $2, $3, $4);
	utf8::encode($text);
	return ($type // $binary - 3, $id, unjson($text));
}

# Whose call it is: the job's that it names, or whose run; else of the first that
# is not done.
sub owner {
	my ($self, $call) = @_;
	my $p = $call->{payload};
	return $self->job_of(jobId => $p->{jobId}) if defined $p->{jobId};
	for my $key (grep { defined $p->{$_} } qw/runId flowRunId/) {
		my ($job) = grep { ($_->{job}{jobData}{runId} // '')
			eq $p->{$key} && !$_->{done} } @{ $self->{jobs} };
		return $job if $job;
	}
	my ($open) = grep { !$_->{done} } @{ $self->{jobs} };
	return $open || $self->{jobs}[-1];
}

sub app_message {
	my ($self, $e) = @_;

	if ($e->{kind} eq 'note') {
		$self->{left} = 1 if $e->{data} =~ /closed by the worker/;
		return;
	}
	return unless $e->{kind} eq 'text';
	my $out = $e->{dir} eq 'worker->app';
	if ($out && $e->{data} =~ /^40(\{.*\})$/s) {
		$self->{restart} = 1 if $self->{left} && $self->{auth};
		$self->{auth} ||= unjson($1);
		push @{ $self->{said} }, [ 'connect', unjson($1), $e->{conn} ];
		return;
	}
	push @{ $self->{said} }, [ 'leave', {}, $e->{conn} ]
		if $out && $e->{data} =~ /^41/;
	my ($type, $id, $value) = packet($e->{data}) or return;
	return $self->app_answer($e, $id, $value->[0]) if $type == 3;
	if ($out) {
		$self->app_call($e, $id, @$value);
	} elsif ($value->[0] eq 'rpc-notify') {
		push @{ $self->{notices} }, $value->[1];
	}
}

sub app_call {
	my ($self, $e, $id, $event, $call) = @_;

	my $asked = $self->{pending}{"$e->{conn}-$id"} = { event => $event,
		ref $call eq 'HASH' ? %$call : (), t_ms => $e->{t_ms} };
	push @{ $self->{said} }, [ $event eq 'rpc' ? "rpc $call->{method}"
		: 'settings', $event eq 'rpc' ? $call->{payload} : $call,
		$e->{conn} ];
	if ($event ne 'rpc') {
		$self->{info} ||= $call;
		return;
	}
	$asked->{cut} = 1 if $e->{truncated};
	$self->{poll} ||= $call->{payload} if $call->{method} eq 'poll';
	push @{ $self->{early} }, $asked unless @{ $self->{jobs} };
	push @{ $self->{used} }, @{ $call->{payload}{pieces} }
		if $call->{method} eq 'markPieceAsUsed';
	return if $e->{preamble};
	my $job = $self->owner($call) or return;
	if ($call->{method} =~ /Bundle/) {
		push @{ $job->{bundles} }, $asked;
	} elsif (!$ANY_TIME{ $call->{method} }) {
		push @{ $job->{calls} }, $asked;
	}
	$job->{done} = 1 if $call->{method} eq 'completeJob';
}

sub app_answer {
	my ($self, $e, $id, $answer) = @_;

	my $asked = delete $self->{pending}{"$e->{conn}-$id"} or return;
	my ($method, $p) = @$asked{qw/method payload/};
	if ($asked->{event} eq 'FETCH_WORKER_SETTINGS') {
		$self->{settings} = $answer;
		return;
	}
	$asked->{answer} = $answer;
	if ($method eq 'poll') {
		$self->handed($answer) if $answer;
	} elsif ($method eq 'getFlowVersion') {
		$self->take('version', $p->{versionId}, $answer);
	} elsif ($method eq 'getPiece') {
		$self->take('piece', "$p->{name}\@$p->{version}", $answer);
	} elsif (!$KNOWN{$method}) {
		push @{ $self->{answers}{$method} }, $answer;
	}
}

# What the app has, or has not, belongs to the job that asked for it: it may be
# otherwise at the next one.
sub take {
	my ($self, $kind, $id, $answer) = @_;
	my $has = ($self->{jobs}[-1] || $self)->{"has_$kind"} ||= {};
	$has->{$id} = $answer;
	if ($answer) {
		$self->{"${kind}s"}{$id} ||= $answer;
	} else {
		$self->{"no_$kind"}{$id} = 1;
	}
}

sub handed {
	my ($self, $job) = @_;
	my ($open) = grep { !$_->{done} } @{ $self->{jobs} };
	push @{ $self->{jobs} }, { job => $job, calls => [], bundles => [],
		operations => [], notices => $self->{notices},
		restart => delete $self->{restart}, within => $open };
	$self->{notices} = [];
}

# ------------------------------------------------------------- the engine's

sub engine_message {
	my ($self, $e) = @_;

	if ($e->{kind} eq 'note') {
		$self->engine_note($e);
		return;
	}
	my ($type, $id, $value) = packet($e->{data}) or return;
	my $engine = $self->{engines}{ $e->{engine} // '' } ||= {};
	if ($e->{dir} eq 'worker->engine') {
		$self->operation($e, $engine, $value->[1]{payload})
			if $type == 2;
		return;
	}
	my $op = $engine->{operation} or return;
	my $steps = $op->{steps};
	if ($type == 3) {
		push @$steps, { do => 'answer', value => $value->[0] };
		$op->{answered} = 1;
	} elsif ($value->[0] eq 'rpc') {
		push @$steps, { do => 'rpc', exact => \1, %{ $value->[1] } };
	} elsif ($value->[0] eq 'rpc-notify') {
		push @$steps, { do => 'notify', method => $value->[1]{method},
			text => $value->[1]{payload}{message} };
	}
}

sub engine_note {
	my ($self, $e) = @_;

	if ($e->{data} eq 'engine process started') {
		return if $e->{preamble};
		push @{ $self->{starts} }, { argv => $e->{argv},
			env => $e->{env}, operations => [],
			engine => $e->{engine} };
		return;
	}
	return unless $e->{data} =~ /^engine process gone(?: code=(\S+) signal=(\S+))?/;
	my ($code, $signal) = ($e->{code} // $1, $e->{signal} // $2);
	my $engine = $self->{engines}{ $e->{engine} // '' } || {};
	my $op = $engine->{operation} or return;
	return if $op->{answered};
	# which of the two is known when the job was completed
	$op->{job}{gone} = { steps => $op->{steps},
		step => defined $code && $code ne 'null'
		? { do => 'exit', code => $code }
		: { do => 'kill', signal => $signal } };
}

sub operation {
	my ($self, $e, $engine, $payload) = @_;

	my $o = $payload->{operation};
	my $fv = $o->{flowVersion};
	$self->{versions}{ $fv->{id} } ||= $fv if $fv;
	my $job = $self->job_of(engineToken => $o->{engineToken});
	$job->{has_version}{ $fv->{id} } ||= $fv if $fv;
	my ($start) = grep { ($_->{engine} // '') eq ($e->{engine} // '') }
		reverse @{ $self->{starts} };
	# an engine that was there before the case starts with it here
	if (!$start) {
		$start = { operations => [], engine => $e->{engine}, before => 1 };
		push @{ $self->{starts} }, $start;
	}
	my $op = $engine->{operation} = { payload => $payload, steps => [],
		job => $job, token => $o->{engineToken} };
	push @{ $start->{operations} }, $op->{steps};
	push @{ $self->{steps} }, $op->{steps};
	push @{ $job->{operations} }, $payload;
	push @{ $self->{operations} }, $op;
}

sub http_message {
	my ($self, $e) = @_;

	return push @{ $self->{probes} }, $e if $e->{dir} eq 'probe->worker';
	my ($method, $url) = $e->{data} =~ /^(\S+) (\S+)$/ or return;
	if ($e->{dir} eq 'worker->target') {
		push @{ $self->{jobs}[-1]{posts} }, $e;
	} elsif ($e->{dir} eq 'engine->app') {
		$self->engine_http($e, $method, $url);
	} elsif ($url =~ m{/pieces/bundle\?} && @{ $self->{jobs} }) {
		$self->{fetched}{$url} = $e->{status};
	}
}

# Belongs to the operation whose token it carries.
sub engine_http {
	my ($self, $e, $method, $url) = @_;

	my ($token) = map { $_ // '' } ($e->{req_headers}{authorization} // '')
		=~ /^Bearer (\S+)/ || $url =~ /[?&]token=([^&]+)/ ? $1 : undef;
	my @open = grep { !$_->{answered} } @{ $self->{operations} };
	my ($op) = grep { $token && ($_->{token} // '') eq $token } @open;
	$op ||= $open[-1] or return;
	my ($inner) = grep { $_->{within} && $_->{within} == $op->{job}
		&& !$_->{held} } @{ $self->{jobs} };
	my %step = (do => 'http', method => $method, path => $url,
		status => $e->{status}, headers => $e->{req_headers},
		defined $e->{body} ? (body => $e->{body})
		: $e->{req_bytes} ? (bytes => $e->{req_bytes}) : (),
		defined $e->{res_body} ? (res_body => $e->{res_body}) : (),
		defined $e->{res_location} ? (location => $e->{res_location})
		: ());
	# the answer waited for another job
	if ($inner) {
		$inner->{held} = $step{after} = $inner->{job}{jobId};
	}
	push @{ $op->{steps} }, \%step;
	push @{ $op->{job}{http} }, \%step;
}

# The engine ended without an answer: by itself, or because its time was up.
sub resolve_ends {
	my ($self) = @_;
	for my $job (@{ $self->{jobs} }) {
		my $gone = $job->{gone} or next;
		my ($done) = grep { $_->{method} eq 'completeJob' }
			@{ $job->{calls} };
		push @{ $gone->{steps} }, $done
			&& $done->{payload}{status} eq 'TIMEOUT'
			? { do => 'never' } : $gone->{step};
	}
}

# ------------------------------------------------------------------ playing

# Flow times of the recording are seconds long; a limit is reached faster here.
sub limit {
	my ($self) = @_;
	return grep { $_->{payload}{status} && $_->{payload}{status} eq 'TIMEOUT' }
		map { @{ $_->{calls} } } grep { @{ $_->{operations} } }
		@{ $self->{jobs} };
}

# As many checks as play() makes.
sub plan_of {
	my ($self) = @_;
	return 4 + 6 * @{ $self->{jobs} };
}

sub new_world { return ($_[0]{settings}{APP_VERSION} // '') !~ /^0\.8[0-5]\./ }

# Plays it with the daemon of $t, which must not run yet.
sub play {
	my ($self, $t, %expect) = @_;

	my $url = $t->api_url();
	my %settings = (%{ $self->{settings} });
	$settings{FLOW_TIMEOUT_SECONDS} = 2 if $self->limit();
	$settings{PUBLIC_URL} = "$url/";
	$self->{t} = $t;
	$self->{limit} = $settings{FLOW_TIMEOUT_SECONDS};
	$self->{expect} = \%expect;

	$self->know_pieces();
	# the recorded worker threw an engine away, or had two; one does it all
	if ($expect{one_engine}) {
		splice @{ $self->{starts} }, 1;
		$self->{starts}[0]{operations} = $self->{steps};
	}
	$t->engine(starts => [ map { $self->engine_start($_) }
		@{ $self->{starts} } ]) if @{ $self->{starts} };
	my $api = $self->{api} = $t->api(settings => \%settings,
		$self->new_world() ? (release => $settings{APP_VERSION}) : (),
		rules => [ $self->rules() ], replies => [ $self->replies() ],
		bundles => $self->bundle_kind());
	$self->has($self);
	$t->run();

	my $n = 0;
	$self->play_job($_, ++$n) for grep { !$_->{within} || !$_->{held} }
		@{ $self->{jobs} };
	$self->check_fetched();
	$self->check_starts();
}

# The transport is the release's: websocket alone since 0.86.
sub engine_start {
	my ($self, $start) = @_;
	return { operations => $start->{operations},
		$self->new_world() ? (transports => ['websocket']) : () };
}

sub rules {
	my ($self) = @_;
	my @rules = @{ $self->{expect}{rules} || [] };
	for my $method (sort keys %{ $self->{answers} }) {
		# each holds for the first call that those before left to it
		push @rules, map { { at => "rpc:$method", do => 'value',
			value => $_ } }
			@{ $self->{answers}{$method} };
	}
	return @rules;
}

# What the double answers to the engine's own calls, and where it sends those
# who ask for a piece.
sub replies {
	my ($self) = @_;
	my @replies = map { { method => $_->{method}, url => $_->{path},
		status => $_->{status}, body => $_->{res_body} // '',
		location => $_->{location}, after => $_->{after} } }
		map { @{ $_->{http} || [] } } @{ $self->{jobs} };
	for my $p (values %{ $self->{pieces} }) {
		my $file = "/registry/$p->{name}/-/$p->{version}.tgz";
		push @replies, { method => 'GET', times => 0,
			url => $self->bundle_url($p),
			$p->{archiveId} ? (status => 200, archive => $p->{archiveId})
			: (status => 307, location => $file) },
			{ method => 'GET', times => 0, url => $file,
			status => 200, base64 => tarball() };
	}
	return @replies;
}

# An empty archive will do: the installer of these tests reads none.
sub tarball { return 'H4sIAAAAAAAAAwMAAAAAAAAAAAA=' }

sub bundle_kind {
	my ($self) = @_;
	my ($answer) = map { $_->{answer} || () }
		grep { $_->{method} eq 'prepareFlowBundleUpload' }
		(@{ $self->{early} }, map { @{ $_->{bundles} } }
		@{ $self->{jobs} });
	return $answer ? $answer->{kind} : 'skip';
}

# What the recorded worker had in its cache, so that it is not in the traffic.
sub know_pieces {
	my ($self) = @_;
	my @used = (@{ $self->{used} },
		map({ pieces_of($_) } values %{ $self->{versions} }),
		map({ my $d = $_->{job}{jobData};
			($d->{piece} || (), pieces_of($d->{step})) }
			@{ $self->{jobs} }));
	for my $p (sort { !!$b->{archiveId} <=> !!$a->{archiveId} }
	    grep { defined $_->{pieceName} } @used) {
		my $id = "$p->{pieceName}\@$p->{pieceVersion}";
		next if $self->{no_piece}{$id};
		$self->{pieces}{$id} ||= {
			name => $p->{pieceName}, version => $p->{pieceVersion},
			packageType => $p->{packageType} || 'REGISTRY',
			pieceType => $p->{pieceType} || 'OFFICIAL',
			$p->{archiveId} ? (archiveId => $p->{archiveId}) : () };
	}
	# archives are not in the traffic
	$_->{archive} ||= tarball() for grep { $_->{archiveId} }
		values %{ $self->{pieces} };
}

# {pieceName, pieceVersion} wherever they are in a flow version.
sub pieces_of {
	my ($x) = @_;
	return map { pieces_of($_) } @$x if ref $x eq 'ARRAY';
	return () unless ref $x eq 'HASH';
	return (defined $x->{pieceName} && defined $x->{pieceVersion}
		? $x : (), map { pieces_of($_) } values %$x);
}

# What the app has from now on; at first all that is not said to be gone.
sub has {
	my ($self, $of) = @_;
	my $api = $self->{api};
	my ($versions, $pieces) = $of == $self
		? @$of{qw/versions pieces/} : @$of{qw/has_version has_piece/};
	for my $id (sort keys %{ $versions || {} }) {
		$api->ask(version => { version => $versions->{$id}
			|| { id => $id, gone => \1 } });
	}
	for my $id (sort keys %{ $pieces || {} }) {
		my ($name, $version) = $id =~ /^(.+)@([^@]+)$/;
		my $p = $pieces->{$id} || { name => $name,
			version => $version, gone => \1 };
		$api->ask(piece => { %$p,
			$p->{archiveId} ? (archive => tarball()) : () });
	}
}

sub play_job {
	my ($self, $rec, $n) = @_;
	my ($t, $api) = @$self{qw/t api/};

	$self->start_anew($rec) if $rec->{restart};
	$self->has($rec);
	$api->act(emit => event => 'rpc-notify', args => [$_])
		for @{ $rec->{notices} };
	my $mark = $rec->{mark} = $api->seen();
	$self->hand($rec);
	for my $inner (grep { $_->{within} && $_->{within} == $rec
	    && $_->{held} } @{ $self->{jobs} }) {
		$api->wait_seen(kind => 'held', after => $inner->{held});
		$self->has($inner);
		$inner->{mark} = $api->seen();
		$self->hand($inner);
		$self->settle($inner, $n . 'a');
	}
	$self->settle($rec, $n);
}

# What is dated is as old, or as new, as it was.
sub hand {
	my ($self, $rec) = @_;
	my $data = $rec->{job}{jobData};

	# what the daemon posts by itself goes to the double, too
	$data->{webhookUrl} =~ s{^http://[^/]+}{$self->{api}->url()}e
		if $data->{webhookUrl};
	my ($done) = grep { $_->{method} eq 'completeJob' } @{ $rec->{calls} };
	$rec->{expired} = $done && ref $done->{payload}{response} eq 'HASH'
		&& $done->{payload}{response}{neverStarted};
	$data->{expiresAt} = 1000 * (time + 120)
		if $data->{expiresAt} && !$rec->{expired};
	$self->{api}->push_job($rec->{job});
}

sub settle {
	my ($self, $rec, $n) = @_;
	my $name = $self->name() . ", job $n";

	# a run that is resumed may be a job of the same id
	my $id = $rec->{job}{jobId};
	my $end = $self->{api}->wait_seen(kind => 'settled', job => $id,
		n => ++$self->{settled}{$id});
	my $conn = $end ? $end->{conn} : 0;
	my @rpc = map { { method => $_->{method}, payload => $_->{payload} } }
		grep { $_->{n} >= $rec->{mark} && $_->{conn} == $conn
			&& (!$end || $_->{n} <= $end->{n}) }
		$self->{api}->seen(kind => 'rpc');
	$self->check_job($name, $rec, \@rpc);
}

# The recorded worker was stopped, its cache removed, and started again.
sub start_anew {
	my ($self, $rec) = @_;
	my $t = $self->{t};
	$self->{connections} = $self->{api}->stats()->{connections};
	$t->stop();
	File::Path::remove_tree($t->testdir() . '/stock');
	$t->run();
}

1;
