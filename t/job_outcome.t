#!/usr/bin/perl

# How the engine answered or died decides what the app is told.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $running = { do => 'rpc', method => 'uploadRunLog',
	payload => { status => 'RUNNING' } };

# name, steps of the engine, completeJob, what the worker reports by itself,
# text of errorMessage, text of logs
my @cases = (
	[ ok => [ { do => 'answer' } ], 'OK' ],
	[ unknown_status => [ { do => 'answer', value => { status => 'NEW' } } ],
		'OK' ],
	[ log_size => [ { do => 'stdout', text => "much\n" },
		{ do => 'answer', value => { status => 'LOG_SIZE_EXCEEDED' } } ],
		'LOG_SIZE_EXCEEDED', 'LOG_SIZE_EXCEEDED', undef, qr/much/ ],
	[ internal => [ { do => 'stderr', text => "oh\n" }, { do => 'answer',
		value => { status => 'INTERNAL_ERROR', error => 'broken' } } ],
		'INTERNAL_ERROR', 'INTERNAL_ERROR ENGINE broken', undef, qr/oh/ ],
	[ internal_untold => [ { do => 'answer',
		value => { status => 'INTERNAL_ERROR' } } ],
		'INTERNAL_ERROR', 'INTERNAL_ERROR ENGINE' ],
	[ rpc_error => [ { do => 'rpc_error', message => 'handler threw' } ],
		'INTERNAL_ERROR', 'INTERNAL_ERROR WORKER handler threw',
		qr/handler threw/ ],
	(map { [ "exit_$_" => [ { do => 'stderr', text => "last words\n" },
		{ do => 'exit', code => $_ } ],
		'INTERNAL_ERROR', "INTERNAL_ERROR WORKER code $_",
		qr/SANDBOX_INTERNAL_ERROR: .*code $_ .*last words/s,
		qr/last words/ ] } 0, 1, 3, 4, 5, 6, 7),
	[ throws => [ { do => 'throw', text => 'uncaught thing' },
		{ do => 'never' } ],
		'INTERNAL_ERROR', 'INTERNAL_ERROR WORKER code 3',
		qr/code 3 .*uncaught thing/s, qr/uncaught thing/ ],
	[ exit_134 => [ { do => 'exit', code => 134 } ],
		'MEMORY_ISSUE', 'MEMORY_LIMIT_EXCEEDED' ],
	[ abort => [ { do => 'abort' } ],
		'MEMORY_ISSUE', 'MEMORY_LIMIT_EXCEEDED' ],
	[ heap_text => [ { do => 'stderr', text =>
		"FATAL ERROR: Reached heap limit Allocation failed - "
		. "JavaScript heap out of memory\n" },
		{ do => 'exit', code => 1 } ], 'INTERNAL_ERROR',
		'INTERNAL_ERROR WORKER code 1', qr/code 1 .*heap out of mem/s,
		qr/heap out of memory/ ],
	[ heap_text_on_fd_2 => [ { do => 'real_stderr', text =>
		"FATAL ERROR: JavaScript heap out of memory\n" },
		{ do => 'exit', code => 1 } ], 'INTERNAL_ERROR',
		'INTERNAL_ERROR WORKER code 1', qr/code 1 .*heap out of mem/s,
		qr/heap out of memory/ ],
	[ heap_text_and_trap => [ { do => 'real_stderr', text =>
		"FATAL ERROR: JavaScript heap out of memory\n" },
		{ do => 'kill', signal => 'SIGTRAP' } ],
		'MEMORY_ISSUE', 'MEMORY_LIMIT_EXCEEDED' ],
	[ run_data_text => [ { do => 'stderr', text =>
		"Flow run data size exceeded the maximum allowed size\n" },
		{ do => 'exit', code => 1 } ],
		'LOG_SIZE_EXCEEDED', 'LOG_SIZE_EXCEEDED' ],
	# Nobody's memory: a kill from outside is told as what it is.
	[ killed => [ { do => 'kill' } ],
		'INTERNAL_ERROR', 'INTERNAL_ERROR WORKER SIGKILL', qr/SIGKILL/ ],
	[ sigbus => [ { do => 'kill', signal => 'SIGBUS' } ],
		'INTERNAL_ERROR', 'INTERNAL_ERROR WORKER SIGBUS', qr/SIGBUS/ ],
	[ link_lost => [ { do => 'close' }, { do => 'never' } ],
		'INTERNAL_ERROR', 'INTERNAL_ERROR WORKER', qr/./ ],
	[ after_all_that => [ { do => 'answer' } ], 'OK' ],
);

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(2 + 4 * @cases)->write_app_conf();
my $api = $t->api();
$t->run();

for my $case (@cases) {
	my ($name, $steps, $status, $report, $message, $logs) = @$case;
	# what an engine polls with is lost when it exits behind it
	$api->push_job(flow_job(id => $name, engine => [ { do => 'upgraded' },
		$running, @$steps ]));
	my $done = $api->wait_done($name);

	is($done->{status}, $status, "$name: completed $status");

	my ($run, @own) = map { $_->{payload} } $api->seen(kind => 'rpc',
		method => 'uploadRunLog', payload => { runId => "run-$name" });
	my $own = $own[0] || {};
	my ($st, $src, @text) = split / /, $report // '';
	ok(@own == ($report ? 1 : 0) && ($own->{status} // '') eq ($st // '')
		&& ($own->{internalError}{source} // '') eq ($src // '')
		&& index($own->{internalError}{message} // '', "@text") >= 0
		&& (!$report || $own->{finishTime} =~ /^\d{4}-\d\d-\d\dT.*Z$/
			&& $own->{logsFileId} eq "log-$name"
			&& $own->{projectId} eq 'p1'
			&& $own->{streamStepProgress} eq 'NONE'),
		"$name: reported " . ($report // 'nothing'))
		or diag(json(\@own));

	$message ? like($done->{errorMessage}, $message, "$name: message")
		: ok(!exists $done->{errorMessage}, "$name: no message")
		|| diag($done->{errorMessage});
	$logs ? like($done->{logs}, $logs, "$name: logs")
		: is($api->settled($name), 1, "$name: settled once");
}

is(scalar($api->seen(kind => 'repeated')), 0, 'nothing completed twice');
is(scalar($api->seen(kind => 'late')), 0, 'nothing completed late');
