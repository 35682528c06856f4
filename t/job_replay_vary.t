#!/usr/bin/perl

# Recordings of 0.88.3 with something changed, as that release's worker would
# have it: text beyond ASCII, answers that fail, a version or a piece that is
# gone, time that runs out.

use strict;
use warnings;
use utf8;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Replay;
use Test::Apworker::Util;

my $dir = Test::Apworker::srcdir() . '/recordings/0.88.3';
my $now = '2030-01-01T00:00:00.000Z';

# The job's own end, with other members.
sub ends {
	my ($rec, %with) = @_;
	my ($done) = grep { $_->{method} eq 'completeJob' } @{ $rec->{calls} };
	my %p = (%{ $done->{payload} }, %with);
	delete @p{ grep { !defined $p{$_} } keys %p };
	return { method => 'completeJob', payload => \%p };
}

sub reports {
	my ($rec, %with) = @_;
	my $data = $rec->{job}{jobData};
	return { method => 'uploadRunLog', payload => { finishTime => $now,
		projectId => $data->{projectId}, runId => $data->{runId},
		streamStepProgress => $data->{streamStepProgress}, %with } };
}

# Only this job of the recording, and its operation.
sub only {
	my ($self, $i) = @_;
	my $rec = $self->{jobs}[$i];
	$self->{jobs} = [ $rec ];
	my ($steps) = map { $_->{steps} } grep { $_->{job} == $rec }
		@{ $self->{operations} };
	$self->{starts}[0]{operations} = $self->{steps} = [ $steps ]
		if $steps;
	splice @{ $self->{starts} }, 1;
	return ($rec, $steps);
}

# What comes from the engine instead of its answer.
sub answers {
	my ($steps, @step) = @_;
	$steps->[-1] = $step[0];
	return;
}

sub gone {
	my ($self, $rec) = @_;
	my $id = $rec->{job}{jobData}{flowVersionId};
	$rec->{operations} = $rec->{http} = $self->{starts} = [];
	delete $self->{versions}{$id};
	$rec->{has_version} = { $id => undef };
}

my @all = (
	[ 'words beyond ASCII', 'flow-sync-webhook-warm', sub {},
		sub { s/hello from the step/héllo ✓ 😀 \x{202e}/g } ],
	[ 'items beyond ASCII', 'polling', sub {},
		sub { s/\\"k\\":\\"a\\"/\\"k\\":\\"ä😀\x{2028}\\"/g } ],
	[ 'a polling that fails', 'polling', sub {
		my ($rec, $steps) = only($_[0], 0);
		answers($steps, { do => 'answer', value => {
			status => 'USER_FAILURE', error => 'nö' } });
		my ($run) = grep { $_->{method} eq 'recordTriggerRun' }
			@{ $rec->{calls} };
		$run->{payload}{status} = 'FAILED';
		$rec->{calls} = [ $run, ends($rec) ];
	} ],
	[ 'a flow that is gone', 'flow-sync-webhook-warm', sub {
		my ($rec) = only($_[0], 0);
		gone($_[0], $rec);
		$rec->{calls} = [ reports($rec, status => 'FAILED'),
			ends($rec, logs => undef) ];
	} ],
	[ 'an engine that fails', 'flow-sync-webhook-warm', sub {
		my ($rec, $steps) = only($_[0], 0);
		answers($steps, { do => 'answer', value => {
			status => 'INTERNAL_ERROR', error => 'schlímm' } });
		my ($times) = grep { exists $_->{payload}{bootMs} }
			@{ $rec->{calls} };
		$rec->{calls} = [ $times, reports($rec,
			status => 'INTERNAL_ERROR', logsFileId =>
			$rec->{job}{jobData}{logsFileId}, internalError => {
			source => 'ENGINE', message => 'schlímm',
			occurredAt => $now } ),
			ends($rec, status => 'INTERNAL_ERROR') ];
	} ],
	[ 'a run whose time is over', 'flow-sync-webhook-warm', sub {
		my ($rec, $steps) = only($_[0], 0);
		answers($steps, { do => 'never' });
		$rec->{calls} = [ reports($rec, status => 'TIMEOUT'),
			ends($rec, status => 'TIMEOUT', logs => undef) ];
	} ],
	[ 'published again', 'trigger-enable-disable', sub {
		my ($rec) = only($_[0], 0);
		$rec->{job}{jobData}{isRepublish} = \1;
		$rec->{operations}[0]{operation}{isRepublish} = \1;
	} ],
	[ 'a trigger that fails', 'trigger-test', sub {
		my ($rec, $steps) = only($_[0], 0);
		answers($steps, { do => 'answer', value => { status =>
			'USER_FAILURE', error => 'nö', response => {
			success => \0, message => 'ungültig' } } });
		$rec->{calls} = [ ends($rec, status => 'USER_FAILURE',
			errorMessage => 'nö', response => { success => \0,
			message => 'ungültig' }) ];
	} ],
);

Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)->discard();
my @recs;
for my $vary (@all) {
	my ($what, $case, $change, $text) = @$vary;
	my $rec = Test::Apworker::Replay::load(
		"$dir/$case.UNSANDBOXED.jsonl", $text);
	$rec->{case}{case} = "$what: $case";
	$change->($rec);
	push @recs, $rec;
}
my $n = 0;
$n += $_->plan_of() + $Test::Apworker::CHECKS for @recs;
plan(tests => $n);
for my $rec (@recs) {
	my $t = Test::Apworker->new()->write_app_conf(
		mode => 'UNSANDBOXED { harden off; }',
		main => 'network auto { allow 127.0.0.1; }');
	$rec->play($t);
	$t->finish();
}
