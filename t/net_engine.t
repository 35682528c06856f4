#!/usr/bin/perl

# The reference engine under strict, in each mode: what the clients that
# authors use get through the variables the engine is given, in a piece (in
# the engine itself) and in a code step; and what the run's receipt says.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Egress;
use Test::Apworker::Has;
use Test::Apworker::Proc;
use Test::Apworker::Stock;
use Test::Apworker::Util;

Test::Apworker::Egress->alone(qw/8.8.8.8 10.9.0.1 10.9.0.2 127.0.0.53/);

my $t = Test::Apworker->new()->has(qw/daemon node bun node_modules esbuild
	reference_engine userns openssl/);
my $dir = $t->testdir();
my $src = $t->srcdir();
my $e = Test::Apworker::Egress->new($t);
my $dns = $e->dns({ 'pub.example' => [ '8.8.8.8' ],
	'wiki.internal' => [ '10.9.0.1' ], 'db.internal' => [ '10.9.0.2' ] });
$e->origin(undef, map { "$_:80" } '8.8.8.8', '10.9.0.1', '10.9.0.2');
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=pub.example"
	. " -keyout $dir/key.pem -out $dir/cert.pem >/dev/null 2>&1") == 0
	or die 'openssl';
Test::Apworker::Egress::spawn(sub {
	chdir $dir;
	open STDIN, '<', '/dev/null';
	open STDOUT, '>', '/dev/null';
	exec 'openssl', 's_server', '-quiet', '-WWW', '-key', "$dir/key.pem",
		'-cert', "$dir/cert.pem", '-accept', '8.8.8.8:443';
});
$t->write_file('page', "secret garden\n");

# The clients in one file, as a package of the registry and as a code step.
my ($code, undef, $err) = $t->run_command([
	Test::Apworker::Has::find('esbuild'), "$src/bin/net-clients.js",
	'--bundle', '--platform=node', '--minify-whitespace', '--minify-syntax',
	"--outfile=$dir/clients.js", '--log-level=error' ]);
is($code, 0, 'the clients in one file') or diag($err);
my $clients = slurp("$dir/clients.js");
my $s = Test::Apworker::Stock->new($t);
$s->registry('@test/piece-net' => { versions => { '0.1.0' => {
	files => { 'src/index.js' => $clients } } } });

my @may = ('http://pub.example/a', 'https://pub.example/page',
	'http://db.internal/b');
my @not = ('http://wiki.internal/', 'http://10.9.0.1/', 'http://127.0.0.1:80/',
	'https://[::ffff:10.9.0.1]/');
my $spool = "$dir/spool";
for my $run (qw/UNSANDBOXED SANDBOX_CODE_ONLY SANDBOX_PROCESS
		SANDBOX_CODE_AND_PROCESS SANDBOX_PROCESS+ UNSANDBOXED+/) {
	my $http_proxy = $run =~ /\+/ ? 'on' : 'off';
	my $mode = $run =~ s/\+/_with_variables/r;
	my $isolate = $mode =~ /CODE/;
	conf($run =~ s/\+//r, $http_proxy);
	$t->run();
	wait_for(sub { -d "$spool/new" && -d "$spool/tmp" }, 'the folders');
	submit($mode, $isolate ? 'export const code = async () => [ '
		. 'typeof fetch, typeof require, typeof process ];' : $clients);
	my ($steps, $receipt) = result($mode);
	my $piece = $steps->{step_2};
	for my $client ('fetch', 'axios', 'http(s)', 'node-fetch', 'got') {
		my $got = $piece->{$client} || {};
		is(join('; ', map { $got->{$_} // 'none' } @may),
			'200 at 8.8.8.8:80: /a; 200 secret garden; '
			. '200 at 10.9.0.2:80: /b',
			"$mode, $client: gets where it may");
		is(join('; ', grep { ($got->{$_} // '200') =~ /^200/ } @not),
			'', "$mode, $client: and nowhere else")
			or diag(json($got));
	}
	my ($allowed, $blocked) = (5 * @may, 5 * @not);
	if ($isolate) {
		is(json($steps->{step_1}), json([ ('undefined') x 3 ]),
			"$mode: a code step has no network at all");
	} else {
		my ($by, $axios, $straight) = @{ $steps->{step_1} }{
			'undici, by the environment',
			'axios, by the environment', 'http(s), straight' };
		# axios asks for https without CONNECT, which no proxy does
		is(join('; ', map { $axios->{$_} // 'none' } @may[0, 2]),
			'200 at 8.8.8.8:80: /a; 200 at 10.9.0.2:80: /b',
			"$mode, a code step, axios: gets where it may")
			if $http_proxy eq 'on';
		like($axios->{$may[1]}, qr/^200 secret|^400 Only HTTP protocol/,
			'or is told why not') if $http_proxy eq 'on';
		is(join('; ', grep { ($axios->{$_} // '200') =~ /^200/ } @not),
			'', "$mode, a code step, axios: nowhere else");
		is(join('; ', map { $by->{$_} // 'none' } @may),
			'200 at 8.8.8.8:80: /a; 200 secret garden; '
			. '200 at 10.9.0.2:80: /b',
			"$mode, a code step by HTTP_PROXY: gets where it may")
			if $http_proxy eq 'on';
		is(join('; ', grep { ($by->{$_} // '200') =~ /^200/ } @not),
			'', "$mode, a code step: nowhere else");
		is(join('; ', grep { ($straight->{$_} // '200') =~ /^200/ }
			@may, @not), '', 'and nowhere at all without it');
		is(join('; ', grep { ($by->{$_} // '200') =~ /^200/ } @may), '',
			"$mode, a code step: has no variables")
			if $http_proxy eq 'off';
		$allowed += @may if $http_proxy eq 'on';
		$blocked += @not if $http_proxy eq 'on';
	}
	# a client may open a connection more than it needs
	my $n = $receipt->{network};
	my @lines = grep { /egress run=$mode / } split /\n/, $t->log();
	is_deeply([ @{$n}{qw/allowed blocked failed/} ], [ map { my $v = $_;
		scalar grep { /$v/ } @lines } qr/verdict=allowed/,
		qr/verdict="blocked address"/, qr/verdict="bad request"/ ],
		"$mode: the receipt has what the log has") or diag(json($n));
	cmp_ok($n->{allowed}, '>=', $allowed, 'all that was allowed');
	cmp_ok($n->{blocked} + $n->{failed}, '>=', $blocked, 'and was not');
	cmp_ok($n->{receivedBytes}, '>', 20 * $allowed, 'and the bytes');
	# and the spool's own API, at its address and port
	is_deeply({ map { /verdict=("[^"]*"|\S+) .* host=(\S+) port=(\d+)/
			? ("$2:$3" => $1) : () }
			grep { !/"bad request"|host=127(?:\.\d+){3} port=\d{3}/ }
			@lines }, {
		(map { $_ => 'allowed' } 'pub.example:80', 'pub.example:443',
			'db.internal:80'),
		map { $_ => '"blocked address"' } 'wiki.internal:80',
			'10.9.0.1:80', '127.0.0.1:80', '::ffff:10.9.0.1:443' },
		"$mode: host by host");
	$t->stop();
}

sub conf {
	my ($mode, $http_proxy) = @_;
	$t->write_conf(<<"EOC");
slots 1;
sandbox $mode;
network strict { http_proxy $http_proxy; resolver $dns; upstream off;
	allow db.internal; }
source spool { path %%TESTDIR%%/spool; }
engine { node %%NODE%%; bundle $src/../contrib/engine/dist/main.js;
	node_path $src/../contrib/engine/node_modules; standby 0; }
stock { path %%TESTDIR%%/stock; jail off; installer_path %%BUN%%;
	bundler_path %%ESBUILD%%; registry $s->{stock}{registry}; }
EOC
}

sub submit {
	my ($id, $code) = @_;
	my %errors = (errorHandlingOptions => { map { $_ => { value => \0 } }
		qw/retryOnFailure continueOnFailure/ });
	my %input = (input => { urls => [ @may, @not ] });
	my $job = flow_job(id => $id);
	my $data = $job->{jobData};
	$data->{streamStepProgress} = 'WEBSOCKET';
	my $flow = { %{ $job->{flowVersion} }, trigger => {
		name => 'trigger', type => 'EMPTY', valid => \1,
		displayName => 'Trigger', settings => {}, nextAction => {
			name => 'step_1', type => 'CODE', skip => \0,
			valid => \1, displayName => 'Code', settings => {
				%input, %errors, sourceCode => {
					packageJson => '{}', code => $code } },
			nextAction => { name => 'step_2', type => 'PIECE',
				skip => \0, valid => \1, displayName => 'Net',
				settings => { %input, %errors,
					pieceName => '@test/piece-net',
					pieceVersion => '0.1.0',
					actionName => 'ask',
					propertySettings => {} } } } } };
	$t->write_file("$spool/tmp/$id.json", json({ jobData => $data,
		flowVersion => $flow, engineToken => "token-$id" }), 0600);
	rename "$spool/tmp/$id.json", "$spool/new/$id.json" or die $!;
}

# What each step said, and the receipt.
sub result {
	my ($id) = @_;
	my ($where) = wait_for(sub {
		grep { -s "$_/result.json" } map { "$spool/$_/$id" }
			qw/done failed/ }, "result of $id", 60);
	$where = -d "$spool/done/$id" ? "$spool/done/$id" : "$spool/failed/$id";
	my $receipt = unjson(slurp("$where/result.json") || '{}');
	is($receipt->{status}, 'SUCCEEDED', "$id: the run")
		or diag(json($receipt), slurp("$where/log"), $t->log_tail(30));
	my $steps = unjson(slurp("$where/output.json") || '{}')->{steps} || {};
	return ({ map { $_ => $steps->{$_}{output} } keys %$steps }, $receipt);
}
