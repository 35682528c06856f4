# The environment of the Node worker: each variable is a default for its
# directive; with AP_FRONTEND_URL and AP_WORKER_TOKEN no file is needed.

use strict;
use warnings;

use Test::More;
use Test::Apworker::Reader;

my $r = Test::Apworker::Reader->new();
my $g = 'engine { bundle main.js; }';
my %app = (AP_FRONTEND_URL => 'https://flows.example.com/',
	AP_WORKER_TOKEN => 's3cret');

my ($d, $err, $out, $code) = $r->dump_conf(undef, env => { %app },
	args => [ '-g', $g ]);
is($code, 0, 'no file') or diag($err);
is($err, '', 'no complaint');
is_deeply($d->{'source app/url'},
	[ 'https://flows.example.com', 'environment AP_FRONTEND_URL' ], 'url');
is_deeply($d->{'source app/token'},
	[ '***', 'environment AP_WORKER_TOKEN' ], 'token');
unlike($out, qr/s3cret/, 'which is not printed');
is_deeply($d->{'main/slots'}, [ '5', 'default' ], 'slots');
like($out, qr/^# configuration without a file$/m, 'the head says so');
ok(!$d->{'monitor/listen'}, 'no health server');

# Each of: variables, directive, value, origin.
for my $case (
	[ { AP_WORKER_CONCURRENCY => 12 }, 'main/slots', '12',
		'AP_WORKER_CONCURRENCY' ],
	[ { AP_WORKER_GROUP_ID => 'eu-1' }, 'source app/group', 'eu-1',
		'AP_WORKER_GROUP_ID' ],
	[ { AP_LOG_LEVEL => 'trace' }, 'main/log_level', 'debug', 'AP_LOG_LEVEL' ],
	[ { AP_LOG_LEVEL => 'warn' }, 'main/log_level', 'warn', 'AP_LOG_LEVEL' ],
	[ { AP_LOG_LEVEL => 'fatal' }, 'main/log_level', 'alert', 'AP_LOG_LEVEL' ],
	[ { AP_LOG_PRETTY => 'true' }, 'main/log_format', 'text',
		'AP_LOG_PRETTY' ],
	[ { AP_LOG_PRETTY => 'false' }, 'main/log_format', 'json',
		'AP_LOG_PRETTY' ],
	[ { AP_REUSE_SANDBOX => 'true' }, 'engine/reuse', 'any',
		'AP_REUSE_SANDBOX' ],
	[ { AP_REUSE_SANDBOX => 'false' }, 'engine/reuse', 'none',
		'AP_REUSE_SANDBOX' ],
	[ { AP_SSRF_ALLOW_LIST => ' 10.0.0.1,, 10.1.0.0/16 ,' }, 'network/allow',
		'10.0.0.1 10.1.0.0/16', 'AP_SSRF_ALLOW_LIST' ],
	[ { AP_CACHE_BASE_PATH => '/tmp/cache' }, 'stock/path', '/tmp/cache',
		'AP_CACHE_BASE_PATH' ],
	[ { AP_EXECUTION_MODE => 'UNSANDBOXED' }, 'sandbox', 'UNSANDBOXED', '' ],
	[ { AP_CONTAINER_TYPE => 'WORKER' }, 'source app/url',
		'https://flows.example.com', 'AP_FRONTEND_URL' ],
	[ { AP_CONTAINER_TYPE => 'WORKER' }, 'monitor/listen', '0.0.0.0:3000',
		'AP_CONTAINER_TYPE' ],
	[ { AP_CONTAINER_TYPE => 'WORKER', AP_PORT => 80 }, 'monitor/listen',
		'0.0.0.0:80', 'AP_PORT' ],
	[ { AP_CONTAINER_TYPE => 'WORKER_AND_APP' }, 'source app/url',
		'http://127.0.0.1:3000', 'AP_CONTAINER_TYPE' ],
	[ { AP_CONTAINER_TYPE => 'WORKER_AND_APP', AP_PORT => 80 },
		'source app/url', 'http://127.0.0.1:80', 'AP_PORT' ],
	[ { AP_FRONTEND_URL => undef }, 'source app/url',
		'http://127.0.0.1:3000', 'AP_FRONTEND_URL is not set' ],
) {
	my ($env, $key, $value, $origin) = @$case;
	next if $env->{AP_EXECUTION_MODE}
		&& !$r->has_mode($env->{AP_EXECUTION_MODE});
	my %env = (%app, %$env);
	delete $env{$_} for grep { !defined $env{$_} } keys %env;
	($d, $err) = $r->dump_conf(undef, env => \%env, args => [ '-g', $g ]);
	is_deeply($d->{$key}, [ $value, $origin ? "environment $origin"
		: 'environment' ], join ' ', map { "$_=" . ($env->{$_} // '') }
		sort keys %$env) or diag($err);
}

# Number of slots: what the Node worker takes for 1.
for my $bad ('many', '0', '-3', '2.5', '') {
	($d, $err) = $r->dump_conf(undef, args => [ '-g', $g ],
		env => { %app, AP_WORKER_CONCURRENCY => $bad });
	is($d->{'main/slots'}[0], $bad eq '' ? 5 : 1,
		"AP_WORKER_CONCURRENCY=$bad");
	is($err, $bad eq '' ? '' : 'environment: warning: AP_WORKER_CONCURRENCY'
		. qq{ is "$bad"; expected a number from 1; 1 is taken\n},
		'with a warning');
}

# Bad values are complaints of the environment.
for my $case (
	[ { AP_WORKER_CONCURRENCY => 5000 }, 'AP_WORKER_CONCURRENCY: "slots" is'
		. ' "5000"; expected a number from 1 to 1024' ],
	[ { AP_FRONTEND_URL => 'flows.example.com' }, 'AP_FRONTEND_URL: "url" is'
		. ' "flows.example.com"; expected a URL that starts with http:// or'
		. ' https://' ],
	[ { AP_LOG_LEVEL => 'loud' }, 'AP_LOG_LEVEL: "log_level" is "loud";'
		. ' expected alert, error, warn, notice, info or debug' ],
	[ { AP_CONTAINER_TYPE => 'WORKER', AP_PORT => 'http' }, 'AP_PORT is'
		. ' "http"; expected a port from 1 to 65535' ],
	[ { AP_SSRF_ALLOW_LIST => '10.0.0.1,db..internal' }, 'AP_SSRF_ALLOW_LIST:'
		. ' "allow" is "db..internal"; expected an IP address, a network such'
		. ' as 192.168.10.0/24, or a host name' ],
	[ { AP_WORKER_TOKEN => "a b" }, 'AP_WORKER_TOKEN: "token" has a blank or'
		. ' special character in it; expected a secret of one line' ],
) {
	my ($env, $want) = @$case;
	my ($code, undef, $err) = $r->run(args => [ '-g', $g ],
		env => { %app, %$env });
	is("$code\n$err", "1\nenvironment: error: $want\n"
		. "apworkerd: configuration: 1 error\n",
		'bad: ' . join ' ', sort keys %$env);
}

(undef, undef, $err) = $r->run(args => [ '-g', $g ],
	env => { AP_FRONTEND_URL => 'http://a' });
is($err, <<'EOE', 'a URL without a token');
environment: error: found no worker token; expected "token_file FILE;" or AP_WORKER_TOKEN
apworkerd: configuration: 1 error
EOE
(undef, undef, $err) = $r->run(args => [ '-g', $g ],
	env => { AP_WORKER_TOKEN => 't', AP_CONTAINER_TYPE => 'WORKER' });
is($err, <<'EOE', 'a token without a URL, on a host without the app');
environment: error: found no url of the app; expected "url https://...;" or AP_FRONTEND_URL
apworkerd: configuration: 1 error
EOE

# What changes something in the Node worker and has no directive here is told,
# once, with what to use instead; values are not.
my $collector = 'apworkerd sends its log nowhere: let a log collector read it'
	. ' ("log PATH" or the service manager\'s journal, "log_format json")';
for my $case (
	[ AP_LOG_FILE => 'true', 'is not followed: the log goes to stderr; use'
		. ' "log PATH"' ],
	[ AP_LOG_SAMPLE_RATE_INFO => 10, 'and AP_LOG_KEEP_SLOW_MS are not'
		. ' followed: no line is left out by chance; use "log_level notice"'
		. ' for fewer lines' ],
	[ AP_OTEL_ENABLED => 'true', "is not followed: $collector; figures are in"
		. ' /metrics of "monitor"' ],
	map { [ $_ => 'hush', "is not followed: $collector" ] }
		qw(AP_AXIOM_TOKEN AP_HYPERDX_TOKEN AP_LOKI_URL AP_BETTERSTACK_TOKEN),
) {
	my ($name, $value, $want) = @$case;
	($d, $err, $out, $code) = $r->dump_conf(undef, args => [ '-g', $g ],
		env => { %app, $name => $value });
	is($code, 0, "$name is no error");
	is($err, "environment: warning: $name $want\n", 'but is told');
	unlike("$out$err", qr/hush/, 'without its value');
}
(undef, $err) = $r->dump_conf(undef, args => [ '-g', "log stdout; $g" ],
	env => { %app, AP_LOG_FILE => 'true' });
is($err, '', 'who says where the log goes is told nothing');

# One environment for app and worker: what only the app reads, what is as it
# would be, and what changes nothing here is nobody's business.
(undef, $err) = $r->dump_conf(undef, args => [ '-g', $g ], env => { %app,
	AP_POSTGRES_PASSWORD => 'x', AP_REDIS_HOST => 'redis', AP_DB_TYPE => 'X',
	AP_ENCRYPTION_KEY => 'x', AP_SIGN_UP_ENABLED => 'false', AP_SMTP_HOST =>
	'x', AP_ENVIRONMENT => 'prod', AP_QUEUE_MODE => 'MEMORY', AP_NEWER => 1,
	AP_FLOW_TIMEOUT_SECONDS => 600, AP_SANDBOX_MEMORY_LIMIT => 1048576,
	AP_LOAD_TRANSLATIONS_FOR_DEV_PIECES => 'true', AP_LOG_FILE => 'false',
	AP_IS_CANARY_WORKER => 'true', AP_LOG_SAMPLE_RATE_INFO => 100,
	AP_LOG_KEEP_SLOW_MS => 2000, AP_OTEL_ENABLED => 'false',
	AP_LOKI_USERNAME => 'x', AP_LOKI_URL => '', AP_AXIOM_DATASET => 'x' });
is($err, '', 'no word about all others');
(undef, $err) = $r->dump_conf('', env => { AP_LOKI_URL => 'http://loki' });
is($err, '', 'nor with a spool');

# Without a token one is made of the app's secret, as the image's entry point
# does; it is not printed, and a given one wins.
my %jwt = (AP_FRONTEND_URL => 'http://a', AP_JWT_SECRET => 'quite s3cret');
($d, $err, $out, $code) = $r->dump_conf(undef, args => [ '-g', $g ],
	env => \%jwt);
is_deeply([ $code, $err, $d->{'source app/token'} ], [ 0, '', [ '***',
	'environment AP_JWT_SECRET' ] ], 'a token out of AP_JWT_SECRET');
unlike($out, qr/s3cret|eyJ/, 'neither is printed');
($d) = $r->dump_conf(undef, args => [ '-g', $g ], env => { AP_JWT_SECRET =>
	'x' });
is($d->{'source app/url'}[0], 'http://127.0.0.1:3000', 'the secret alone means'
	. ' the app on this host');
($d) = $r->dump_conf(undef, args => [ '-g', $g ], env => { %jwt,
	AP_WORKER_TOKEN => 't' });
is($d->{'source app/token'}[1], 'environment AP_WORKER_TOKEN',
	'AP_WORKER_TOKEN wins');
mkdir $r->dir . '/credentials';
$r->write('credentials/worker-token', "t\n");
($d) = $r->dump_conf(undef, args => [ '-g', $g ], env => { %jwt,
	CREDENTIALS_DIRECTORY => $r->dir . '/credentials' });
is_deeply([ $d->{'source app/token'}, $d->{'source app/token_file'} ],
	[ undef, [ $r->dir . '/credentials/worker-token',
		'environment CREDENTIALS_DIRECTORY' ] ],
	'so does the credential');
$r->write('t', "t\n");
($d) = $r->dump_conf(undef, args => [ '-g', "source app { token_file t; } $g" ],
	env => \%jwt);
ok(!$d->{'source app/token'}, 'so does a directive');

# A directive wins over the environment; a bad variable behind it is nobody's
# business.
($d, $err, undef, $code) = $r->dump_conf("slots 2;\nlog_level info;\n",
	g => "source app { url http://b; } $g",
	env => { %app, AP_WORKER_CONCURRENCY => 9, AP_LOG_LEVEL => 'loud' });
is($code, 0, 'directives win') or diag($err);
is_deeply($d->{'main/slots'}, [ '2', 'c.conf:1' ], 'slots');
is_deeply($d->{'source app/url'}, [ 'http://b', 'command line' ], 'url');
is($d->{'source app/token'}[0], '***', 'the token is still the environment\'s');

# With a spool, the app's variables mean nothing.
($d, $err, undef, $code) = $r->dump_conf('', env => { %app,
	AP_FRONTEND_URL => 'nonsense' });
is($code, 0, 'source spool wins over the environment') or diag($err);
ok(!$d->{'source app/url'}, 'and has no url');

done_testing();
