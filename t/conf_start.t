# The Node worker's environment alone starts the daemon: no file is needed.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(9);
my $dir = $t->testdir();
my $api = $t->api(jobs => [ flow_job(id => 'j1') ], poll_ms => 300);
my $secret = Test::Apworker::Conf::worker_token();

# What has no variable; %%…%% as in a file.
my $globals = $t->expand(<<'EOC');
pid %%TESTDIR%%/apworkerd.pid; log %%TESTDIR%%/error.log;
state %%TESTDIR%%/state; engine { node %%NODE%%; bundle %%BUNDLE%%; }
stock { path %%TESTDIR%%/stock; installer_path %%FAKE_BUN%%;
	bundler_path %%FAKE_ESBUILD%%; }
EOC
{
	no warnings 'redefine';
	*Test::Apworker::command = sub {
		my ($self, @args) = @_;
		return ($self->daemon_path(), '-g', $globals, @args);
	};
}
$t->{conf} = '';

my $port = $t->port('HEALTH');
my %env = (
	AP_FRONTEND_URL => $api->url() . '/',
	AP_WORKER_TOKEN => $secret,
	AP_CONTAINER_TYPE => 'WORKER',
	AP_PORT => $port,
	AP_WORKER_CONCURRENCY => 2,
	AP_EXECUTION_MODE => 'UNSANDBOXED',
	AP_LOG_LEVEL => 'debug',
	AP_LOG_PRETTY => 'true',
);
$t->run(env => \%env);
is($api->wait_done('j1')->{status}, 'OK', 'a job is done');
$api->wait_seen(kind => 'settings', n => 2);
is(scalar(() = $api->seen(kind => 'settings')), 2, 'by one of two slots');

# The health pages of the Node worker, on the port it had.
for my $path (qw{/worker/health /v1/health /api/v1/health}) {
	my ($code, $body) = health($path);
	is("$code $body", '200 {"status":"ok"}', $path);
}

my @all = ($t->pid(), Test::Apworker::Proc::descendants($t->pid()));
my @bad = grep { index(slurp("/proc/$_/environ"), $secret) >= 0
	|| index(Test::Apworker::Proc::cmdline($_), $secret) >= 0 } @all;
is("@bad", '', 'the token is in no environment');

# A reload has it all the same.
my $mark = $t->log_mark();
my @before = $api->seen(kind => 'settings');
$t->reload();
$api->wait_seen(kind => 'settings', n => @before + 2);
ok(1, 'the new slots have the token');
unlike($t->log(), qr/\Q$secret\E/, 'it is in no log line');

# Without a token there is nothing to start with.
delete $env{AP_WORKER_TOKEN};
my ($code, $out, $err) = $t->run_command([ $t->command('-t') ], env => \%env);
is("$code\n$err", <<'EOE', 'no token');
1
environment: error: found no worker token; expected "token_file FILE;" or AP_WORKER_TOKEN
apworkerd: configuration: 1 error
apworkerd: environment: configuration is not good
EOE

sub health {
	my ($path) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		PeerPort => $port) or return (0, "connect: $!");
	print $s "GET $path HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	my $answer = join '', <$s>;
	my ($head, $body) = split /\r\n\r\n/, $answer, 2;
	return ($head =~ m{^HTTP/1\.1 (\d+)}, $body);
}
