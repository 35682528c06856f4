#!/usr/bin/perl

# The worker's token and the engine's tokens are seen by those who need them and
# nobody else: no log line, no status, no command line, no environment.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $secret = Test::Apworker::Conf::worker_token();

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(13)->write_app_conf(slots => 2);
my $api = $t->api(jobs => [ flow_job(id => 'j1',
	engine_token => 'engine-token-secret', engine => [
	{ do => 'read', path => '/proc/self/environ' },
	{ do => 'read', path => $t->testdir() . '/token' },
	{ do => 'fork', seconds => 60 },
	{ do => 'wait', name => 'on' }, { do => 'answer' } ]) ]);
$t->run();

my $start = $t->engine()->wait_record('start');
$t->engine()->wait_record('fork');
my $link = $start->{env}{AP_SANDBOX_WS_TOKEN};
like($link, qr/^[0-9a-f]{64}$/, 'the link has a token of 32 random bytes');

my @all = ($t->pid(), Test::Apworker::Proc::descendants($t->pid()));
cmp_ok(scalar @all, '>=', 4, 'master, slots, monitor, engine');
my @bad = grep { my $c = Test::Apworker::Proc::cmdline($_);
	index($c, $secret) >= 0 || index($c, $link) >= 0 } @all;
is("@bad", '', 'no token in a command line');
my ($engine) = $start->{pid};
@bad = grep { index(slurp("/proc/$_/environ"), $secret) >= 0 } @all;
is("@bad", '', 'no worker token in an environment');
@bad = grep { $_ != $engine && index(slurp("/proc/$_/environ"), $link) >= 0 }
	grep { index(Test::Apworker::Proc::cmdline($_), 'sleep') < 0 } @all;
is("@bad", '', 'no link token in the environment of others');

for my $path (qw{/status /livez /readyz /metrics /}) {
	my ($code, $body, $head) = $t->http_get($path);
	unlike(($body // '') . ($head // ''), qr/\Q$secret\E|$link|engine-token/,
		"no token in $path");
}
$t->engine()->release('on');
is($api->wait_done('j1')->{status}, 'OK', 'job done');

my ($code, $out, $err) = $t->run_command([ $t->command('-T') ]);
unlike($out . $err, qr/\Q$secret\E/, 'no token in the dump');
unlike($t->log(), qr/\Q$secret\E|$link|engine-token-secret/,
	'no token in the log');
