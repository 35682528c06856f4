#!/usr/bin/perl

# What an engine is born with: the composed environment and nothing more, three
# descriptors, no privileges, a session of its own; and it dies with its slot.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild openssl/)
	->plan(21);

my $ca = $t->tls()->{ca};

# In the place of node: notes its descriptors, becomes the real one.
my $node = $t->tool('node', { real => Test::Apworker::Has::find('node') });
$t->write_app_conf(engine => 'propagate TZ NOT_SET; '
	. "ca_file $ca;")
	->write_conf($t->{conf} =~ s/%%NODE%%/%%FAKE_NODE%%/r);
my $api = $t->api(settings => { SANDBOX_PROPAGATED_ENV_VARS =>
	[ 'FROM_APP', 'AP_EXECUTION_MODE', 'NODE_OPTIONS', 'LD_PRELOAD',
		'AP_FLOW_RUN_LOG_SLICE_THRESHOLD_KB' ] },
	jobs => [ flow_job(id => 'j1'), flow_job(id => 'j2', engine => [
		{ do => 'fork' }, { do => 'wait', name => 'never' } ]) ]);
$t->run(env => { NODE_PATH => '/usr/src/node_modules',
	TZ => 'Europe/Paris', FROM_APP => 'yes',
	AP_FLOW_RUN_LOG_SLICE_THRESHOLD_KB => 64,
	AP_EXECUTION_MODE => 'UNSANDBOXED', SECRET_OF_OURS => 'no',
	AP_WORKER_TOKEN => 'no-token' });

is($api->wait_done('j1')->{status}, 'OK', 'job done');
my ($call) = $node->calls();
my %env = %{ $call->{env} };
delete @env{qw/_ PWD SHLVL OLDPWD/};	# of the shell in between
my %want = (
	HOME => '/tmp/', AP_EXECUTION_MODE => 'UNSANDBOXED',
	AP_MAX_FLOW_RUN_LOG_SIZE_MB => '50', AP_MAX_FILE_SIZE_MB => '25',
	AP_NETWORK_MODE => 'UNRESTRICTED', AP_PAUSED_FLOW_TIMEOUT_DAYS => '30',
	NODE_PATH => '/usr/src/node_modules',
	NODE_EXTRA_CA_CERTS => $ca,
	TZ => 'Europe/Paris', FROM_APP => 'yes',
	AP_FLOW_RUN_LOG_SLICE_THRESHOLD_KB => '64',
	AP_BASE_CODE_DIRECTORY => $t->testdir() . '/stock/v12/codes',
);
is_deeply([ sort keys %env ], [ sort keys %want, qw/AP_SANDBOX_WS_PORT
	AP_SANDBOX_WS_TOKEN SANDBOX_ID/ ], 'names of the environment');
is($env{$_}, $want{$_}, "environment: $_") for sort keys %want;
is(join(' ', $t->log() =~ /engines to see is not passed .* variable=(\w+)/g),
	'AP_EXECUTION_MODE NODE_OPTIONS', 'what is withheld is told');

# perl reads the script it runs through one of its own
my @fds = grep { $_ > 2 && $call->{fds}{$_} !~ m{fake-tool|^/proc/\d+/fd$|/tools/node$|^\?$} }
	keys %{ $call->{fds} };
is("@fds", '', 'no descriptor but 0 to 2')
	or diag(json($call->{fds}));

my $start = $t->engine()->wait_record('start');
like($start->{status}, qr/^NoNewPrivs:\s+1$/m, 'no new privileges');
like($start->{status}, qr/^CapEff:\s+0+$/m, 'no capabilities');
my ($own, $sid) = $start->{stat} =~ /^(\d+) .*\) \S \d+ \d+ (\d+) /;
is($sid, $own, 'a session of its own');

# The slot is killed: the engine and what it started are gone.
my $child = $t->engine()->wait_record('fork')->{child};
my ($slot, $pid) = $t->wait_job('j2');
$t->expect_exit(0);
kill 'KILL', $pid;
ok(wait_for(sub { !Test::Apworker::Proc::alive($start->{pid}) },
	'end of the engine'), 'the engine dies with its slot');
ok(wait_for(sub { !Test::Apworker::Proc::alive($child) }, 'end of its child'),
	'and so does what it started');
# the next slot takes the job up again
$t->engine()->release('never');
