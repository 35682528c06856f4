#!/usr/bin/perl

# Recorded sessions of 0.88.3 without a flow: what the daemon says when it
# connects, as whose worker, and what its health page answers.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $dir = Test::Apworker::srcdir() . '/recordings/0.88.3';

sub lines {
	my ($case) = @_;
	return map { unjson($_) } split /\n/,
		slurp("$dir/session-$case.UNSANDBOXED.jsonl");
}

sub keys_of { return join ' ', sort keys %{ $_[0] } }

# What the recorded worker said first of each kind: {connect => {...}, ...}.
sub said {
	my ($case) = @_;
	my %said;
	for my $e (grep { ($_->{dir} // '') eq 'worker->app'
	    && $_->{link} eq 'app' && $_->{kind} eq 'text' } lines($case)) {
		$said{connect} ||= unjson($1) if $e->{data} =~ /^40(\{.*\})$/s;
		next unless $e->{data} =~ /^42\d*(\[.*\])$/s;
		my ($event, $arg) = @{ unjson($1) };
		$said{$event eq 'rpc' ? $arg->{method} : 'settings'} ||=
			$event eq 'rpc' ? $arg->{payload} : $arg;
	}
	return \%said;
}

sub same {
	my ($api, $case) = @_;
	my $want = said($case);
	my $poll = $api->wait_call('poll');
	my ($connect) = $api->seen(kind => 'connect');
	# what apps before 0.81.3 call the group: who answers is not known yet
	delete $connect->{payload}{platformIdForDedicatedWorker};
	my ($settings) = $api->seen(kind => 'settings');
	is(keys_of($connect->{payload}), keys_of($want->{connect}),
		"$case: connects with the same");
	is_deeply([ map { json($_) } @{ $connect->{payload} }{
		qw/workerGroupId projectWorker/} ], [ map { json($_) }
		@{ $want->{connect} }{qw/workerGroupId projectWorker/} ],
		'as the same worker');
	is(keys_of($settings->{payload}), keys_of($want->{settings}),
		'asks for the settings with the same');
	is(keys_of($poll->{payload}), keys_of($want->{poll}), 'and polls');
	is(keys_of($poll->{payload}{workerProps}),
		keys_of($want->{poll}{workerProps}), 'with the same of itself');
	my @order = grep { $_->{conn} == 1 && $_->{kind} =~
		/^(?:connect|settings|rpc)$/ } map { { conn => 0, %$_ } }
		$api->seen();
	is(join(' ', map { $_->{kind} } @order[0, 1]), 'connect settings',
		'nothing comes before the settings');
	return $want;
}

plan(tests => 8 + 8 + 5 + 3 * $Test::Apworker::CHECKS);

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->write_app_conf();
my $api = $t->api(release => '0.88.3');
$t->run();
same($api, 'start-stop');
ok($api->wait_seen(kind => 'health', url => '/api/v1/health'),
	'the app\'s health page is asked for');
$t->signal('TERM');
$api->ask('let_go');
$t->wait_exit();
is($api->wait_seen(kind => 'disconnected')->{reason},
	'client namespace disconnect', 'left in words');
$t->finish();

# 0.88.3 wants boxes and a word about reuse of a group's worker.
$t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild userns/)
	->write_app_conf(source => 'group grp1;', mode => 'SANDBOX_PROCESS',
		engine => 'reuse platform;',
		main => 'network auto { allow 127.0.0.1; }');
$api = $t->api(release => '0.88.3');
$t->run();
same($api, 'group-project');
my ($job) = map { $_->{data} =~ /^43\d+\[(\{"jobId".*\})\]$/s ? unjson($1) : () }
	grep { ($_->{dir} // '') eq 'app->worker' } lines('group-project');
$job->{jobData}{webhookUrl} = $api->url() . '/hook';
$api->push_job($job);
is($api->wait_done($job->{jobId})->{queueName}, 'project-grp1-jobs',
	'its queue\'s job is done under its name');
ok($api->wait_seen(kind => 'http', method => 'POST', url => '/hook'),
	'and was the recorded one');
$t->finish();

my @probes = grep { ($_->{dir} // '') eq 'probe->worker' } lines('health');
$t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->write_app_conf();
$t->api(release => '0.88.3');
$t->run();
$t->wait_ready();
for my $probe (@probes) {
	my ($path) = $probe->{data} =~ /^GET (.*)$/;
	my ($code, $body) = $t->http_get($path);
	is("$code $body", "$probe->{status} $probe->{res_body}",
		"health: $path");
}
$t->finish();
