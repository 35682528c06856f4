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
