#!/usr/bin/perl

# A run's report names the file of its log only when that is there: the app
# never applies a report that names another, and the run stays as it was.  Up to
# 0.85 the engine has to have named it first, through us; the app makes it for
# internal errors that it shows.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my %named = (do => 'rpc', method => 'uploadRunLog',
	payload => { status => 'RUNNING' });
# What the engine does, the run's status, with a log up to 0.85 if the engine
# has not named it.
my @ends = (
	[ limit => [ { do => 'never' } ], 'TIMEOUT', 0 ],
	[ memory => [ { do => 'exit', code => 134 } ], 'MEMORY_LIMIT_EXCEEDED',
		0 ],
	[ abort => [ { do => 'abort' } ], 'MEMORY_LIMIT_EXCEEDED', 0 ],
	[ size => [ { do => 'answer', value => {
		status => 'LOG_SIZE_EXCEEDED' } } ], 'LOG_SIZE_EXCEEDED', 0 ],
	[ size_dies => [ { do => 'stderr', text => 'Flow run data size '
		. "exceeded the maximum allowed size\n" },
		{ do => 'exit', code => 1 } ], 'LOG_SIZE_EXCEEDED', 0 ],
	[ killed => [ { do => 'kill' } ], 'INTERNAL_ERROR', 1 ],
	[ exits => [ { do => 'exit', code => 3 } ], 'INTERNAL_ERROR', 1 ],
	[ lost => [ { do => 'close' }, { do => 'never' } ], 'INTERNAL_ERROR',
		1 ],
	[ engine => [ { do => 'answer', value => {
		status => 'INTERNAL_ERROR' } } ], 'INTERNAL_ERROR', 'engine' ],
);

# The report that is not the engine's own.
sub report {
	my ($api, $id) = @_;
	my @own = grep { exists $_->{finishTime} } map { $_->{payload} }
		$api->seen(kind => 'rpc', method => 'uploadRunLog',
		payload => { runId => "run-$id" });
	return @own == 1 ? $own[0] : { status => scalar(@own) . ' reports' };
}

sub ends {
	my ($name, %o) = @_;
	my $t = Test::Apworker->new()->has(qw/daemon node node_modules
		esbuild/)->write_app_conf();
	my $api = $t->api(settings => { FLOW_TIMEOUT_SECONDS => 2,
		%{ $o{settings} } });
	$t->run();
	for my $end (@ends) {
		my ($what, $steps, $status, $error) = @$end;
		for my $first ($o{relays} ? (\%named, undef) : undef) {
			my $id = $what . ($first ? '-named' : '');
			$api->push_job(flow_job(id => $id, engine => [
				{ do => 'upgraded' }, $first ? $first : (),
				@$steps ]));
			$api->wait_done($id);
			my $got = report($api, $id);
			my $log = $first ? 1 : $o{log}->($error);
			is($got->{status} . ' ' . ($got->{logsFileId} // '-'),
				$status . ' ' . ($log ? "log-$id" : '-'),
				"$name: $id");
		}
	}
	$t->finish();
}

ends('0.85', relays => 1, settings => { APP_VERSION => '0.85.4' },
	log => sub { $_[0] });
# This edition shows only what the engine says.
ends('0.85 cloud', relays => 1, settings => { APP_VERSION => '0.85.4',
	EDITION => 'cloud' }, log => sub { $_[0] eq 'engine' });
ends('0.88', settings => { APP_VERSION => '0.88.3' }, log => sub { $_[0] });

# The job of a slot that died: what its engine had said is not known.
{
	my $t = Test::Apworker->new()->has(qw/daemon node node_modules
		esbuild/)->write_app_conf(main => 'retries 0; drain_timeout 1s;');
	my $api = $t->api(settings => { APP_VERSION => '0.85.4',
		EDITION => 'cloud' });
	$t->run();
	$api->push_job(flow_job(id => 'dead', engine => [ { do => 'upgraded' },
		{ do => 'note', text => 'at work' }, { do => 'never' } ]));
	$t->engine()->wait_record('note', 1);
	kill 'KILL', map { $_->{pid} } $t->slots();
	$api->wait_done('dead');
	my $got = report($api, 'dead');
	is("$got->{status} " . ($got->{logsFileId} // '-'),
		'INTERNAL_ERROR -', 'of a dead slot');
	$t->finish();
}
done_testing();
