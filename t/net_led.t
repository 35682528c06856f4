#!/usr/bin/perl

# An engine of the later kind, which reports by HTTP and knows no proxy, under
# strict in each mode: its reports arrive, and whichever client an author uses
# gets where it may and nowhere else: in a piece (a process of its own) and in
# a code step, with agents of their own and over bare sockets, too.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Egress;
use Test::Apworker::Has;
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
$e->origin(sub {
	my ($c, $head) = @_;
	my ($path) = $head =~ m{^\S+ (\S+)};
	my $answer = 'at ' . $c->sockhost() . ":80: $path";
	print $c "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: "
		. length($answer) . "\r\n\r\n$answer";
	return 1;
}, map { "$_:80" } '8.8.8.8', '10.9.0.1', '10.9.0.2', '127.0.0.1');
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
	Test::Apworker::Has::find('esbuild'), "$src/bin/led-clients.js",
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
	'https://[::ffff:10.9.0.1]/', 'http://no.example/');
my @clients = ('fetch', 'http(s)', 'http(s), own agent', 'axios',
	'axios, own agent', 'node-fetch', 'got', 'undici', 'net and tls');
my $spool = "$dir/spool";
for my $mode (qw/UNSANDBOXED SANDBOX_CODE_ONLY SANDBOX_PROCESS
		SANDBOX_CODE_AND_PROCESS/) {
	my $isolate = $mode =~ /CODE/;
	conf($mode);
	$t->run();
	wait_for(sub { -d "$spool/new" && -d "$spool/tmp" }, 'the folders');
	submit($mode, $isolate ? 'export const code = async () => [ '
		. 'typeof fetch, typeof require, typeof process ];' : $clients);
	my ($steps, $receipt) = result($mode);
	is(json($steps->{step_1}), json([ ('undefined') x 3 ]),
		"$mode: code in an isolate has no network at all") if $isolate;
	gets("$mode, a code step", $steps->{step_1}) if !$isolate;
	gets("$mode, a piece", $steps->{step_2});
	is($steps->{step_2}{'around it'}, 'refused',
		"$mode, a piece: nothing is there for who goes round it");
	cmp_ok($receipt->{network}{allowed}, '>=', @clients * @may,
		"$mode: the receipt counts them");
	$t->stop();
}

sub gets {
	my ($who, $got) = @_;

	for my $client (@clients) {
		my $c = $got->{$client} || {};
		is(join('; ', map { $c->{$_} // 'none' } @may),
			'200 at 8.8.8.8:80: /a; 200 secret garden; '
			. '200 at 10.9.0.2:80: /b',
			"$who, $client: gets where it may");
		is(join('; ', grep { ($c->{$_} // '200') =~ /^200/ } @not),
			'', "$who, $client: and nowhere else");
		like($c->{'http://wiki.internal/'},
			qr/Egress blocked: wiki\.internal/,
			"$who, $client: is told why");
		like($c->{'http://no.example/'}, qr/ENOTFOUND|Name not found/,
			"$who, $client: no such name");
	}
}

sub conf {
	my ($mode) = @_;
	$t->write_conf(<<"EOC");
slots 1;
sandbox $mode;
network strict { resolver $dns; upstream off; allow db.internal; }
source spool { path %%TESTDIR%%/spool; }
engine { node %%NODE%%; bundle $src/../contrib/engine/dist/later/main.js;
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
