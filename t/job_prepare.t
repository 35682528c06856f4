#!/usr/bin/perl

# What is missing before the engine gets its operation: flow version, pieces,
# code that does not compile, packages that cannot be installed.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(27)->write_app_conf();
my $api = $t->api(pieces => [ { name => '@activepieces/piece-a',
	version => '0.1.0' } ]);
my $esbuild = $t->tool('esbuild', { exit => 1, stderr => "[ERROR] x`\${1}` < 3\n\n1 error\n" }, {});
my $bun = $t->tool('bun');
$t->run();

sub reports {
	my ($job) = @_;
	return map { $_->{payload} } $api->seen(kind => 'rpc',
		method => 'uploadRunLog', payload => { runId => "run-$job" });
}

# No flow version.
$api->push_job(flow_job(id => 'gone', no_version => 1));
my $done = $api->wait_done('gone');
is($done->{status}, 'INTERNAL_ERROR', 'no flow version: completed');
ok(!exists $done->{errorMessage}, 'without a message');
is(join(' ', map { $_->{status} } reports('gone')), 'FAILED', 'reported');

# No such piece.
$api->push_job(flow_job(id => 'piece', step => piece_step(
	piece => '@activepieces/piece-none', version => '1.2.3')));
$done = $api->wait_done('piece');
is($done->{status}, 'INTERNAL_ERROR', 'unknown piece: completed');
my $step = (reports('piece'))[0]{failedStep};
like($done->{errorMessage}, qr/^piece \@activepieces\/piece-none\@1\.2\.3 of step "$step->{name}" is not installed .* turned off/,
	'the message says which, where, and what became of the flow');
is($step->{message}, $done->{errorMessage}, 'so does the run');
is(join(' ', map { $_->{status} } reports('piece')), 'FAILED', 'reported');
is_deeply([ map { $_->{payload} } $api->calls('disableFlow') ],
	[ { flowId => 'f1', projectId => 'p1' } ], 'the flow is disabled');
is_deeply(($api->calls('getPiece'))[0]{payload}, { platformId => 'pl1',
	name => '@activepieces/piece-none', version => '1.2.3' }, 'was asked for');

# RESUME without its log file.
$api->push_job(flow_job(id => 'resume', data => { executionType => 'RESUME',
	resumeReason => 'WAITPOINT' }));
delete $_->{jobData}{logsFileId} for my $job = flow_job(id => 'resume2',
	data => { executionType => 'RESUME', resumeReason => 'WAITPOINT' });
$api->push_job($job);
is($api->wait_done('resume')->{status}, 'OK', 'resume');
$done = $api->wait_done('resume2');
is($done->{status}, 'INTERNAL_ERROR', 'resume without a log file: completed');
is($done->{errorMessage}, 'RESUME_LOGS_FILE_MISSING: logsFileId is missing '
	. 'for RESUME operation', 'message');
is(scalar reports('resume2'), 0, 'nothing reported');
my $op = $t->engine()->wait_record('operation')->{operation};
is_deeply([ @$op{qw/executionType resumeReason/} ], [ qw/RESUME WAITPOINT/ ],
	'operation of a resume');
is_deeply($op->{resumePayload}, { type => 'inline', value => {} },
	'its payload');
ok(!exists $op->{triggerPayload}, 'and no trigger payload');

# Code that does not compile fails the run at that step, not the job.
my @look = ({ do => 'code', step => 'step_1' }, { do => 'answer' });
$api->push_job(flow_job(id => 'syntax', engine => \@look,
	step => code_step(code => 'export const code = {')));
is($api->wait_done('syntax')->{status}, 'OK', 'compile error: completed');
my $code = $t->engine()->wait_record('code');
like($code->{error}, qr/^Compilation Error /, 'the step throws it');
like($code->{error}, qr/\[ERROR\] x`\$\{1\}` < 3/, 'with the text of the tool as it was');

# Code that does, with a package.
$api->push_job(flow_job(id => 'code', engine => \@look, step => code_step(
	code => 'export const code = async () => 42;',
	package => '{"dependencies":{"left-pad":"1.3.0"}}')));
is($api->wait_done('code')->{status}, 'OK', 'code step: completed');
is($t->engine()->wait_record('code', 2)->{output}, 42, 'it runs');
my ($install) = $bun->calls();
ok(scalar(grep { $_ eq '--ignore-scripts' } @{ $install->{argv} }),
	'packages are installed without their scripts');

# Not built again for the next run of the same version.
my $built = () = $esbuild->calls();
my $again = flow_job(id => 'again', version => 'fv-code');
delete $again->{flowVersion};
$api->push_job($again);
is($api->wait_done('again')->{status}, 'OK', 'same version again');
is(scalar(my @calls = $esbuild->calls()), $built, 'not built again');

# Packages that cannot be installed: the job fails.
$t->tool('bun', { exit => 1, stderr => "no such package\n" });
$api->push_job(flow_job(id => 'install', step => code_step(
	package => '{"dependencies":{"no-such":"1.0.0"}}')));
$done = $api->wait_done('install');
is($done->{status}, 'INTERNAL_ERROR', 'failed install: completed');
like($done->{errorMessage}, qr/no such package/, 'message of the tool');
is(join(' ', map { "$_->{status} $_->{internalError}{source}" }
	reports('install')), 'INTERNAL_ERROR WORKER', 'reported');
