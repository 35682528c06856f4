package Test::Apworker::ReplayCheck;

# What has to agree between a recording and the daemon that plays it: the half
# of Test::Apworker::Replay that compares.
#
# Payloads are compared as JSON, keys both ways, types included.  What is free
# is named in a table: times, durations, texts that are the worker's own.  The
# order of calls of one job is fixed but for what only fills a cache.  Where
# the daemon decides otherwise on purpose the difference is written down at the
# place, with its reason.

use strict;
use warnings;

use Digest::SHA qw/sha256_hex/;
use Test::More;

use Test::Apworker::Util;

# ------------------------------------------------------------- two payloads

my $time = qr/^"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"$/;
my $number = qr/^\d+(?:\.\d+)?$/;
my $text = qr/^".+"$/s;

# What may differ, by method and path, and what it has to look like then.
my @FREE = (
	[ qr/^uploadRunLog\.finishTime$/, $time ],
	[ qr/^uploadRunLog\.(?:provision|boot|run)Ms$/, $number ],
	[ qr/^uploadRunLog\.internalError\.occurredAt$/, $time ],
	[ qr/^uploadRunLog\.internalError\.message$/, $text ],
	[ qr/^uploadRunLog\.failedStep\.message$/, $text ],
	[ qr/^prepareFlowBundleUpload\.size$/, $number ],
	# words of the worker's own
	[ qr/^completeJob\.errorMessage$/, $text ],
	[ qr/^completeJob\.logs$/, qr/^".*"$/s ],
	[ qr/^(?:resumeFlowStep|updateFlowStepProgress)\.output\.steps\.0\.markdown$/,
		$text ],
	[ qr/^sendAgentEvent\.event\.data\.message$/, $text ],
);

# Paths at which they differ.
sub differ {
	my ($path, $want, $got, $missing) = @_;

	if (ref $want eq 'HASH' && ref $got eq 'HASH') {
		return map { my $at = "$path.$_";
			!exists $want->{$_} ? "$at: too much"
			: !exists $got->{$_} ? "$at: missing"
			: differ($at, $want->{$_}, $got->{$_}) }
			sort keys %{ { %$want, %$got } };
	}
	if (ref $want eq 'ARRAY' && ref $got eq 'ARRAY') {
		return "$path: " . @$got . ' elements, not ' . @$want
			if @$want != @$got;
		return map { differ("$path.$_", $want->[$_], $got->[$_]) }
			0 .. $#$want;
	}
	my ($w, $g) = map { json($_) } $want, $got;
	return () if $w eq $g;
	my ($free) = grep { $path =~ $_->[0] } @FREE;
	return () if $free && $g =~ $free->[1];
	return "$path: " . cut($g) . ', not ' . cut($w);
}

sub cut { return length $_[0] > 300 ? substr($_[0], 0, 300) . '...' : $_[0] }

sub agree {
	my ($name, @wrong) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok(!@wrong, $name) || diag(join "\n", @wrong);
}

# -------------------------------------------------------------------- a job

sub check_job {
	my ($self, $name, $rec, $rpc) = @_;

	my @got = grep { !Test::Apworker::Replay::any_time($_->{method}) }
		@$rpc;
	my $i = 0;
	my @want = map { $self->decided($_, ($got[$i++] || {})->{payload}) }
		@{ $rec->{calls} };
	is_deeply([ map { $_->{method} } @got ], [ map { $_->{method} } @want ],
		"$name: calls to the app in their order");
	agree("$name: what they say", map { $want[$_]{cut} ? ()
		: differ($want[$_]{method}, $want[$_]{payload},
			$got[$_]{payload}) } 0 .. $#want);
	check_logs($name, $want[-1]{payload}, ($got[-1] || {})->{payload});
	$self->check_operations($name, $rec);
	$self->check_http($name, $rec);
	$self->check_bundles($name, $rec, $rpc);
}

# The recorded call as this daemon makes it.
sub decided {
	my ($self, $call, $got) = @_;
	my $p = { %{ $call->{payload} } };
	my $new = $self->{expect}{status}{ $p->{status} // '' };
	return $call unless $new;

	$p->{status} = $new;
	if ($new eq 'INTERNAL_ERROR') {
		# that there is a reason is part of the status; what was said
		# before it, if anything
		if ($call->{method} eq 'completeJob') {
			$p->{errorMessage} = 'a reason';
			$p->{logs} //= $got->{logs} if defined $got->{logs};
		}
		if ($call->{method} eq 'uploadRunLog') {
			my %error = (source => 'WORKER', message => 'a reason',
				code => 'SANDBOX_INTERNAL_ERROR',
				occurredAt => '2030-01-01T00:00:00.000Z');
			$p->{internalError} ||= \%error;
			my ($job) = grep { ($_->{runId} // '') eq $p->{runId} }
				map { $_->{job}{jobData} } @{ $self->{jobs} };
			$p->{logsFileId} //= $job->{logsFileId};
		}
	} else {
		delete $p->{errorMessage};
	}
	return { %$call, payload => $p };
}

# Each piece of output is in the logs, and what the engine died of is told.
sub check_logs {
	my ($name, $want, $got) = @_;

	my ($kind) = ($want->{errorMessage} // '')
		=~ /^(\w+: Worker exited with code \S+ and signal \S+)|/;
	$kind //= '';
	my $has = index($got->{errorMessage} // '', $kind) >= 0;
	my @lost = grep { index($got->{logs} // '', $_) < 0 }
		map { split /\n+/ } ($want->{logs} // '')
		=~ /^(?:stdout|stderr):\n(.*)/s;
	ok($has && !@lost, "$name: message and logs")
		or diag("expected $kind; lost in logs: @lost\n" . json($got));
}

# ---------------------------------------------------------------- operations

# The next record of a kind, of those that fit if any does: an engine makes it
# before it goes on, so it is there when the job is done.
sub record {
	my ($self, $what, $fits) = @_;
	my $taken = $self->{taken}{$what} ||= {};
	my @all = $self->{t}->engine()->records($what);
	my @left = grep { !$taken->{$_} } 0 .. $#all;
	my ($i) = ((grep { $fits->($all[$_]) } @left), @left);
	return {} unless defined $i;
	$taken->{$i} = 1;
	return $all[$i];
}

sub check_operations {
	my ($self, $name, $rec) = @_;
	my @wrong;

	for my $op (@{ $rec->{operations} }) {
		my $got = $self->record('operation', sub {
			($_[0]{operation}{engineToken} // '')
			eq ($op->{operation}{engineToken} // '') });
		if (($got->{type} // '') ne $op->{operationType}) {
			push @wrong, "$op->{operationType}: it is "
				. ($got->{type} // 'missing');
			next;
		}
		my %w = %{ $op->{operation} };
		$self->moved(\%w);
		# our text of the code is another: its members are sorted
		$w{flowVersionId} =~ s{_[0-9a-f]{64}$}{'_' . sha256_hex(
			json($w{step}{settings}{sourceCode}))}e
			if ($w{flowVersionId} // '') =~ m{^action-runs/};
		# as much as is left
		$w{timeoutInSeconds} = $got->{operation}{timeoutInSeconds}
			if $rec->{job}{jobData}{expiresAt}
			&& ($got->{operation}{timeoutInSeconds} // '')
			=~ /^(?:120|11\d|10\d|[5-9]\d)$/;
		push @wrong, differ($op->{operationType}, \%w,
			$got->{operation});
	}
	agree("$name: operations", @wrong);
}

# Addresses are this app's; flow times of the recording are seconds long.
sub moved {
	my ($self, $op) = @_;
	my $here = $self->{t}->api_url() . '/';
	my $there = $self->{settings}{PUBLIC_URL};

	for my $key (grep { /Url$/ && defined $op->{$_} } keys %$op) {
		$op->{$key} =~ s/^\Q$there\E/$here/;
		$op->{$key} =~ s{^http://127\.0\.0\.1:\d+/}{$here};
	}
	$op->{timeoutInSeconds} = $self->{limit} if defined $op->{flowRunId};
}

# The engine's own calls reached the app and were answered, in their order.
sub check_http {
	my ($self, $name, $rec) = @_;

	my @want = @{ $rec->{http} || [] };
	my @wrong;
	for my $w (@want) {
		my $got = $self->record('http',
			sub { $_[0]{path} eq $w->{path} });
		push @wrong, "$w->{method} $w->{path}: " . json($got)
			if ($got->{path} // '') ne $w->{path}
			|| ($got->{status} // '') ne $w->{status};
	}
	for my $post (@{ $rec->{posts} || [] }) {
		my ($path) = $post->{data} =~ m{^POST (?:http://[^/]+)?(/\S*)};
		my $got = $self->{api}->wait_seen(kind => 'http',
			method => 'POST', url => $path) || {};
		my ($w, $g) = map { $_ // '{}' } $post->{body}, $got->{text};
		utf8::encode($_) for $w, $g;
		push @wrong, differ('event', unjson($w), unjson($g));
	}
	agree("$name: the engine's calls, and what is posted", @wrong);
}

# -------------------------------------------------------------- flow bundles

# Calls for bundles are made where bundles can be: an app that keeps its files
# in the database has none and takes none, so the two calls of each job are
# left out there.
sub check_bundles {
	my ($self, $name, $rec, $rpc) = @_;

	my @got = grep { $_->{method} =~ /Bundle/ } @$rpc;
	if (($self->{settings}{FILE_STORAGE_LOCATION} // 'DB') eq 'DB') {
		agree("$name: no call for bundles", map { json($_) } @got);
		return;
	}
	my ($id) = map { $_->{flowVersionId} // $_->{flowVersionIdToRun} // '' }
		$rec->{job}{jobData};
	my @wrong;
	for my $w (grep { $_->{payload}{flowVersionId} eq $id }
	    @{ $rec->{bundles} }) {
		my ($g) = grep { $_->{method} eq $w->{method}
			&& $_->{payload}{flowVersionId} eq $id } @got;
		push @wrong, $g ? differ($w->{method}, $w->{payload},
			$g->{payload}) : "no $w->{method}";
	}
	agree("$name: calls for bundles", @wrong);
}

# Where a piece is fetched: its name and version, or the archive.
sub bundle_url {
	my ($self, $p) = @_;
	my %q = $p->{archiveId} ? (archiveId => $p->{archiveId})
		: (name => $p->{name}, version => $p->{version});
	s/([^A-Za-z0-9_.!~*'()-])/sprintf '%%%02X', ord $1/ge for values %q;
	return '/api/v1/engine/pieces/bundle?'
		. join '&', map { "$_=$q{$_}" } sort keys %q;
}

# -------------------------------------------------------------------- pieces

# Pieces were fetched by their own addresses, with the token of a job.
sub check_fetched {
	my ($self) = @_;

	my %token = map { ("Bearer $_->{job}{engineToken}" => 1) }
		@{ $self->{jobs} };
	my %known = map { $self->bundle_url($_) => 1 }
		values %{ $self->{pieces} };
	agree($self->name() . ': pieces are fetched', map { json($_) } grep {
		!$known{ $_->{url} } && !$self->{fetched}{ $_->{url} }
			|| !$token{ $_->{headers}{authorization} // '' } }
		grep { $_->{url} =~ m{/pieces/bundle} }
		$self->{api}->seen(kind => 'http'));
}

# ------------------------------------------------------------------- engines

my %PLACE = map { $_ => 1 } qw/AP_SANDBOX_WS_PORT AP_SANDBOX_WS_TOKEN
	AP_BASE_CODE_DIRECTORY SANDBOX_ID NODE_PATH AP_CUSTOM_PIECES_PATHS HOME/;
# Ours: engines read the days, which their workers do not set; the list is that
# of the settings or of our configuration.
my %OURS = map { $_ => 1 } qw/AP_PAUSED_FLOW_TIMEOUT_DAYS AP_SSRF_ALLOW_LIST/;

sub check_starts {
	my ($self) = @_;
	my $name = $self->name();

	# what has come too late needs no engine
	my @want = grep { $_->{before} || @{ $_->{operations} }
		|| !grep { $_->{expired} } @{ $self->{jobs} } }
		@{ $self->{starts} };
	my @got = $self->{starts} ? $self->{t}->engine()->starts() : ();
	is(scalar @got, scalar @want, "$name: engine starts");
	$self->check_start($name, (grep { $_->{env} } @want)[0], $got[0]);
	my @replies = grep { defined $_->{value} }
		$self->{t}->engine()->records('reply');
	ok(!@replies, "$name: calls of the engine were answered with null")
		or diag(json(\@replies));
}

# Command line and environment of the first start, as far as they do not depend
# on places.
sub check_start {
	my ($self, $name, $w, $g) = @_;

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
	for my $key (grep { !$PLACE{$_} } keys %{ $w->{env} }) {
		push @wrong, "$key is " . ($g->{env}{$key} // 'missing')
			if ($g->{env}{$key} // '') ne $w->{env}{$key};
	}
	push @wrong, map { "$_ is missing" } grep { !$g->{env}{$_} }
		qw/AP_SANDBOX_WS_PORT AP_SANDBOX_WS_TOKEN SANDBOX_ID
		AP_BASE_CODE_DIRECTORY/;
	push @wrong, map { "$_ is too much" } grep { !exists $w->{env}{$_}
		&& !$OURS{$_} }
		sort keys %{ $g->{env} };
	agree("$name: command line and environment of the engine", @wrong);
}

1;
