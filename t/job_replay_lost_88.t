#!/usr/bin/perl

# A recording of 0.88.3 in which the app is killed in mid-run and comes again.
# The recorded worker stopped its engine at once, told of the run before it had
# asked for settings and went on extending a lock that it had not got on that
# connection: the run stayed RUNNING.  The first of these is done as well, the
# others are not.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Replay;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(6)->write_app_conf(mode => 'UNSANDBOXED { harden off; }',
	main => 'network auto { allow 127.0.0.1; }');
my $rec = Test::Apworker::Replay::load(Test::Apworker::srcdir()
	. '/recordings/0.88.3/reconnect-app-restart.UNSANDBOXED.jsonl');
my ($run) = grep { $_->{job}{jobData}{jobType} eq 'EXECUTE_FLOW' }
	@{ $rec->{jobs} };
my $id = $run->{job}{jobId};

$rec->know_pieces();
my $api = $rec->{api} = $t->api(release => '0.88.3', settings => {
	%{ $rec->{settings} }, PUBLIC_URL => $t->api_url() . '/' },
	replies => [ $rec->replies() ]);
$rec->has($rec);
$t->engine(starts => [ { transports => ['websocket'],
	operations => [ [ { do => 'never' } ] ] } ]);
$t->run();
$api->push_job($run->{job});
my $start = $t->engine()->wait_record('start');
ok($t->engine()->wait_record('operation'), 'the run goes on');
$api->ask('down');
ok(wait_for(sub { !Test::Apworker::Proc::alive($start->{pid}) },
	'the end of the engine'), 'the engine ends with the connection');

$api->up();
# the double takes jobs back and hands them out again; this one ends then
ok($api->wait_seen(kind => 'settings', conn => 2), 'there again');
$t->engine()->wait_record('operation', 2);
my @after = grep { ($_->{conn} // 0) == 2
	&& $_->{kind} =~ /^(?:settings|rpc|handed)$/ } $api->seen();
is($after[0]{kind}, 'settings', 'nothing is called before the settings');
is(scalar(grep { $_->{kind} eq 'settings' } @after), 1, 'asked once');
my @before = ();
for my $e (@after) {
	last if $e->{kind} eq 'handed';
	push @before, $e->{method} if $e->{kind} eq 'rpc'
		&& json($e->{payload}) =~ /\Q$id\E/;
}
is_deeply(\@before, [], 'not a word of the job until it is handed out again');
