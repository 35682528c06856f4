#!/usr/bin/perl

# What the environment says of proxies and authorities, to the whole daemon:
# bundles that the app names by URL go by the proxy, what cannot be used is
# said by -t, with the variable and the way out.

use strict;
use warnings;

use MIME::Base64;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Has;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules/)
	->plan(36)->write_app_conf();
my $dir = $t->testdir();

# --- -t ---

$t->write_file('token', "some.worker.token\n", 0600);
$t->write_file('empty.pem', '');
$t->write_file('main.js', "// an engine\n");

sub tested {
	my ($url, $more, %env) = @_;
	$t->write_file('t.conf', "source app { url $url; token_file $dir/token; "
		. "$more }\nengine { bundle $dir/main.js; node_path $dir; }\n"
		. "sandbox UNSANDBOXED;\nstock { path $dir/stock-t; jail off; }\n"
		. "state $dir/state-t;\n");
	local %ENV = (%ENV, %env);
	my ($code, $out, $err) = $t->run_command([ $t->daemon_path(), '-t', '-c',
		"$dir/t.conf" ], env => \%env);
	return ($code, $out . $err);
}

for my $case (
	[ HTTPS_PROXY => 'socks5://me:secret@127.0.0.1:1080', 'https' ],
	[ https_proxy => 'socks5h://me:secret@127.0.0.1:1080', 'https' ],
	[ HTTP_PROXY => 'socks4://me:secret@127.0.0.1:1080', 'http' ],
	[ HTTPS_PROXY => 'https://me:secret@:3128', 'https' ],
) {
	my ($name, $value, $scheme) = @$case;
	my ($code, $said) = tested("$scheme://app.example", '', $name => $value);
	isnt($code, 0, "$name=$value is refused");
	like($said, qr/$name of the environment names no proxy that can be used/,
		'by its name');
	like($said, qr/"proxy off;"/, 'with the way out');
	unlike($said, qr/secret/, 'without its password');
	($code, $said) = tested("$scheme://app.example",
		'proxy off;', $name => $value);
	unlike($said, qr/error: .*proxy/, '"proxy off" does without');
}
for my $case (
	[ HTTPS_PROXY => 'https://127.0.0.1:3128' ],
	[ HTTPS_PROXY => 'HTTP://127.0.0.1:3128' ],
	[ HTTPS_PROXY => '127.0.0.1:3128' ],
	[ HTTP_PROXY => 'socks5://127.0.0.1:1080' ],	# for http only
) {
	my ($name, $value) = @$case;
	unlike((tested('https://app.example', '', $name => $value))[1],
		qr/error: .*proxy|of the environment/, "$name=$value is fine");
}
unlike((tested('https://app.example', '', HTTPS_PROXY => 'socks5://x',
	NO_PROXY => 'example'))[1], qr/of the environment names/,
	'nor is one refused that is not for the app');
like((tested('https://app.example', 'proxy socks5://127.0.0.1:1;'))[1],
	qr/"proxy" is "socks5:.*expected auto, off, http:/, 'the directive');
unlike((tested('HTTPS://App.Example', 'proxy HTTPS://127.0.0.1:1;'))[1],
	qr/error: "(?:url|proxy)"/, 'schemes in capitals');
for my $file ("$dir/empty.pem", "$dir/none.pem", $dir) {
	like((tested('https://app.example', '', NODE_EXTRA_CA_CERTS => $file))[1],
		qr/warning: NODE_EXTRA_CA_CERTS is ignored: \Q$file\E/,
		"NODE_EXTRA_CA_CERTS=$file: said");
}

# --- bundles by URL ---

my $pid = Test::Apworker::Proc::spawn([ Test::Apworker::Has::find('node'),
	$t->srcdir() . '/bin/count-proxy.js', $dir ],
	out => "$dir/proxy-log", env => { $t->environment() });
END { kill 'KILL', $pid if $pid }
wait_for(sub { -e "$dir/proxy-port" }, 'the proxy') or die;
my $proxy = 'http://me:p%40ss@127.0.0.1:' . slurp("$dir/proxy-port");

my $api = $t->api(settings => { APP_VERSION => '0.86.0',
	FILE_STORAGE_LOCATION => 'S3' }, pieces => [
	{ name => '@activepieces/piece-a', version => '0.1.0' } ]);
my ($bun, $esbuild) = ($t->tool('bun'), $t->tool('esbuild'));
my ($store) = $api->url() =~ /:(\d+)$/;

sub flow {
	my ($id) = @_;
	return flow_job(id => $id, engine => [ { do => 'answer' } ],
		step => code_step(code => 'export const code = async () => 1;'),
		fields => { state => 'LOCKED' });
}

sub asked { return slurp("$dir/proxy-requests") }

$t->run(env => { HTTP_PROXY => $proxy, NO_PROXY => 'near.invalid' });
for my $host ('store.invalid', 'near.invalid') {
	my $id = $host =~ s/\..*//r;
	$api->ask(rule => { at => 'rpc:getFlowBundle', do => 'value',
		match => { flowVersionId => "fv-$id" }, value => {
		kind => 'url', url => "http://$host:$store/bundle?key=k" } });
	$api->push_job(flow($id));
	is($api->wait_done($id)->{status}, 'OK', "a bundle at $host");
}
like(asked(), qr{\AGET http://store\.invalid:$store/bundle\?key=k me:p\@ss$}m,
	'asked of the proxy, with the user and the password');
unlike(asked(), qr/near/, 'but not what NO_PROXY names, nor the app on '
	. 'loopback');
is(scalar(() = asked() =~ /\n/g), 1, 'once');
ok(!$t->wait_log(qr/key=k/, 0), 'no URL is in the log');
$t->stop();
