#!/usr/bin/perl

# EXECUTE_ACTION: a step that is run for itself.  Its code is in a folder of its
# own, found again by what is in it; its caller says how long he waits.

use strict;
use warnings;

use Digest::SHA qw/sha256_hex/;
use Test::More;
use Time::HiRes ();

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my %common = (jobType => 'EXECUTE_ACTION', schemaVersion => 10,
	projectId => 'p1', platformId => 'pl1', requestId => 'q',
	webserverId => 's');
my $code = 'export const code = async (i) => 1;';
# As the app has it: the text of the source is what the folder's name is made of.
my $source = '{"packageJson":"{}","code":"' . $code . '"}';
my $folder = 'action-runs/pl1_' . sha256_hex($source);

sub step {
	my ($script, $more) = @_;
	return { name => 'step_1', type => 'CODE', valid => \1, settings => {
		input => { double => $script },
		sourceCode => \$source, %{ $more || {} } } };
}

# The text of a job: a source as it is, whatever our own JSON would make of it.
my $n = 0;
sub job {
	my ($left, $step, %more) = @_;
	return { jobId => 'j' . ++$n, engineToken => "engine-token-j$n",
		jobData => { %common, step => $step, %more, expiresAt =>
		int((Time::HiRes::time() + $left) * 1000) } };
}

sub told {
	my ($done) = @_;
	return join ' ', $done->{status} // 'nothing',
		grep { exists $done->{$_} } qw/errorMessage logs response/;
}

my $good = { status => 'OK', response => { success => \1, input => {},
	output => 7 } };
my @script = ({ do => 'answer', value => $good });
my $plain = { packageJson => '{}', code => $code };
sub code_step_of { my $s = step(@_); $s->{settings}{sourceCode} = $plain;
	return $s }
# our JSON sorts keys: so does the name
$folder = 'action-runs/pl1_' . sha256_hex(json($plain));

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->write_app_conf(mode => 'UNSANDBOXED { harden off; }');
my $api = $t->api(release => '0.88.3',
	pieces => []);
my $bun = $t->tool('bun', {});
my $esbuild = $t->tool('esbuild');
my $stock = $t->testdir() . '/stock';
$t->run();

# A code step, twice: built once.
for my $time (1, 2) {
	my $job = job(120, code_step_of(\@script));
	$api->push_job($job);
	my $done = $api->wait_done($job->{jobId});
	is(told($done), 'OK response', "code, $time: completed")
		or diag(json($done));
	my ($op) = grep { $_->{operation}{engineToken} eq
		"engine-token-$job->{jobId}" } $t->engine()->records('operation');
	is($op->{type}, 'EXECUTE_ACTION', "code, $time: asked for");
	my $left = delete $op->{operation}{timeoutInSeconds};
	ok($left > 100 && $left <= 120, "code, $time: in the time left");
	is_deeply($op->{operation}, { step => $job->{jobData}{step},
		projectId => 'p1', platformId => 'pl1',
		engineToken => "engine-token-$job->{jobId}",
		internalApiUrl => $t->api_url() . '/api/',
		publicApiUrl => 'http://127.0.0.1/api/',
		flowVersionId => $folder }, "code, $time: with its own folder");
}
my ($built) = glob "$stock/v*/codes/$folder/step_1/index.js";
ok(-s ($built // ''), 'built there');
is(scalar(my @calls = $esbuild->calls()), 1, 'once');

# Used just now, however old it was.
(my $dir = $built) =~ s{/step_1/index\.js$}{};
utime 1, 1, $dir;
my $job = job(120, code_step_of(\@script));
$api->push_job($job);
$api->wait_done($job->{jobId});
cmp_ok((stat $dir)[9], '>', time - 600, 'the folder has its time');

# A piece's step: its package comes with the job, and nobody is asked.
my %piece = (packageType => 'REGISTRY', pieceType => 'OFFICIAL',
	pieceName => '@x/piece-a', pieceVersion => '1.0.0');
my $piece_step = { name => 'step_2', type => 'PIECE', valid => \1,
	settings => { pieceName => '@x/piece-a', pieceVersion => '1.0.0',
	actionName => 'run', input => { double => \@script } } };
$job = job(120, $piece_step, piece => \%piece);
$api->push_job($job);
is(told($api->wait_done($job->{jobId})), 'OK response', 'piece: completed');
my ($op) = grep { $_->{operation}{engineToken} eq
	"engine-token-$job->{jobId}" } $t->engine()->records('operation');
ok(!exists $op->{operation}{flowVersionId}, 'piece: no folder');
my @asked = map { $_->{method} } grep { $_->{method} =~
	/^(?:getPiece|getFlowBundle|getFlowVersion|recordTriggerRun)$/ }
	$api->seen(kind => 'rpc');
is(join(' ', @asked), '', 'nothing was asked of the app');

# A step that fails is an answer.
$job = job(120, code_step_of([ { do => 'answer', value => { status => 'OK',
	response => { success => \0, message => 'no' } } } ]));
$api->push_job($job);
my $done = $api->wait_done($job->{jobId});
is(told($done) . " $done->{response}{message}", 'OK response no',
	'a step that fails: completed');

# Time: over before it came; over while it ran.
my %none = (success => \0, input => {}, output => undef);
$job = job(-2, code_step_of(\@script));
$api->push_job($job);
$done = $api->wait_done($job->{jobId});
is_deeply([ told($done), $done->{response} ], [ 'TIMEOUT response',
	{ %none, neverStarted => \1 } ], 'expired: never started');
my @ops = grep { $_->{operation}{engineToken} eq
	"engine-token-$job->{jobId}" } $t->engine()->records('operation');
is(scalar @ops, 0, 'expired: nothing was sent');
$job = job(4 * ($ENV{APW_TEST_SLOW} || 1), code_step_of([ { do => 'never' } ]));
$api->push_job($job);
$done = $api->wait_done($job->{jobId});
is_deeply([ told($done), $done->{response} ], [ 'TIMEOUT response',
	{ %none, neverStarted => \0 } ], 'time limit: it had begun');

# An engine that dies of it.
$job = job(120, code_step_of([ { do => 'exit', code => 7 } ]));
$api->push_job($job);
is($api->wait_done($job->{jobId})->{status}, 'INTERNAL_ERROR',
	'the engine exits: completed');

# What is none.
for my $case ([ 'no source' => { step => { name => 'step_1', type => 'CODE',
		settings => {} } } ],
	[ 'no settings' => { step => { name => 'step_1', type => 'CODE' } } ],
	[ 'no name' => { step => { type => 'CODE', settings => {
		sourceCode => $plain } } } ],
	[ 'a name that leads out' => { step => { %{ code_step_of([]) },
		name => '../step_1' } } ],
	[ 'a platform that leads out' => { platformId => '../x' } ],
	[ 'a platform of many characters' => { platformId => 'x' x 200 } ],
	[ 'no step' => { step => undef } ],
	[ 'no end' => { expiresAt => undef } ]) {
	my ($name, $more) = @$case;
	$job = job(120, code_step_of(\@script));
	$job->{jobData} = { %{ $job->{jobData} }, %$more };
	$api->push_job($job);
	is(told($api->wait_done($job->{jobId})), 'INTERNAL_ERROR errorMessage',
		"$name: told so");
}
$t->finish();

# In a box there is the step's own code, and nobody else's.
for my $mode ('SANDBOX_PROCESS', 'UNSANDBOXED { harden require; }') {
	my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild
		userns/)->write_app_conf(mode => $mode,
		engine => 'memory 192m;');
	my $api = $t->api(release => '0.88.3');
	my $root = $mode =~ /^UNSANDBOXED/ ? $t->testdir() . '/stock/v12/codes'
		: '/root/codes';
	$t->run();
	my $other;
	for my $who (1, 2) {
		my $source = { packageJson => '{}', code => "// $who\n$code" };
		my $own = 'action-runs/pl1_' . sha256_hex(json($source));
		my $step = code_step_of([ (map { { do => 'read', path =>
			"$root/$_/step_1/index.js" } } $own, $other // ()),
			{ do => 'answer', value => { status =>
			'INTERNAL_ERROR', error => 'told' } } ]);
		$step->{settings}{sourceCode} = $source;
		my $job = job(120, $step);
		$api->push_job($job);
		my $done = $api->wait_done($job->{jobId});
		my @records = map { unjson($_) }
			($done->{logs} // '') =~ /^record (\{.*\})$/mg;
		@records = $t->engine()->records('read') unless @records;
		my %read = map { $_->{path} => $_->{error} // 'read' }
			grep { $_->{what} eq 'read' } @records;
		is($read{"$root/$own/step_1/index.js"}, 'read',
			"$mode: step $who reads its own code")
			or diag(json($done));
		isnt($read{"$root/$other/step_1/index.js"} // '-', 'read',
			"$mode: and not the other's") if $other;
		$other = $own;
	}
	$t->finish();
}
done_testing();
