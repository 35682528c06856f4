#!/usr/bin/perl

# A webhook job with two operations whose engine ends with its answer to the
# first one: the second goes to another engine, and nothing is done twice.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(8)->write_app_conf();
my $api = $t->api(rules => [ { at => 'rpc:savePayloads', do => 'never' } ]);
my %said = (status => 'OK', response => { output => [ { id => 1 } ] });

# An answer that takes more than one read: its end is still in the socket when
# the end of the engine is seen.
my %last = (status => 'OK', response => { output => [ { id => 1,
	pad => 'x' x 300000 } ] });
my $engine = $t->engine()->behave(starts => [ { operations => [ [
	{ do => 'upgraded' }, { do => 'note', text => 'up' },
	{ do => 'wait', name => 'answer' }, { do => 'answer', value => \%last },
	{ do => 'wait', name => 'die' }, { do => 'exit', code => 0 } ] ] },
	{ operations => [ [ { do => 'answer', value => \%said } ] ] } ]);
$t->run();

my $job = flow_job(id => 'both', version => 'fv-both');
delete @{ $job->{jobData} }{qw/flowVersionId runId logsFileId/};
$job->{jobData} = { %{ $job->{jobData} }, jobType => 'EXECUTE_WEBHOOK',
	flowVersionIdToRun => 'fv-both', requestId => 'q1',
	runEnvironment => 'PRODUCTION', saveSampleData => \1, execute => \1,
	payload => { type => 'inline', value => {} } };
$api->push_job($job);
$engine->wait_record('note', 1);

# While the slot stands still the engine answers and ends.
my ($slot) = map { $_->{pid} } $t->slots();
kill 'STOP', $slot;
wait_for(sub { Test::Apworker::Proc::state_of($slot) eq 'T' }, 'the stop');
my ($pid) = map { $_->{pid} } $engine->starts();
$engine->release('answer');
$engine->wait_record('answer', 1);
$engine->release('die');
ok(wait_for(sub { !Test::Apworker::Proc::alive($pid) },
	'the end of the engine'), 'the engine ended with its answer');
kill 'CONT', $slot;

is($api->wait_done('both')->{status}, 'OK', 'the job is done');
like($t->log(), qr{an engine takes no operation}, 'the first takes no other');
is(scalar(() = $engine->starts()), 2, 'by two engines');
is_deeply([ map { $_->{operation}{test} ? 'sample' : 'run' }
	$engine->records('operation') ], [ 'sample', 'run' ],
	'an operation each');
is(scalar(() = $api->calls($_)), 1, "$_ once")
	for qw/savePayloads submitPayloads/;
is($api->settled('both'), 1, 'settled once');
