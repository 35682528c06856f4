#!/usr/bin/perl

# The way of installers to their registry, out of a box: by a proxy that is
# spoken to in TLS, by what an npmrc says of proxies, and what is said where it
# does not lead there: an archive on another host, a proxy that is no good.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Builder;
use Test::Apworker::Has;
use Test::Apworker::Proc;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/linux userns node bun npm esbuild
	openssl daemon/)->plan(36);
my $dir = $t->testdir();
chmod 0755, $dir;
my $s = jailed_stock($t, 'root', 'way');
my %file = (files => { 'src/index.js' => 'exports.x = 41;' });
$s->registry(good => { versions => { '1.0.0' => \%file } },
	moved => { versions => { '1.0.0' => \%file },
		tarball => { moved => 'localhost' } },
	apart => { versions => { '1.0.0' => \%file },
		archives => 'localhost' });
my ($port) = $s->{stock}{registry} =~ /:(\d+)/;
system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=proxy"
	. " -addext subjectAltName=IP:127.0.0.1,DNS:registry.invalid"
	. " -keyout $dir/key.pem -out $dir/cert.pem >/dev/null 2>&1") == 0
	or die 'openssl';
my $pid = Test::Apworker::Proc::spawn([ Test::Apworker::Has::find('node'),
	$t->srcdir() . '/bin/tls-proxy.js', $dir, $port, 'me:p@ss' ],
	out => "$dir/tls-log", env => { $t->environment() });
END { kill 'KILL', $pid if $pid }
wait_for(sub { -e "$dir/tls-port" }, 'the proxy') or die;
my $at = '127.0.0.1:' . slurp("$dir/tls-port");
my $proxy = "https://me:p%40ss\@$at";
my %npm = (installer => 'npm', installer_path =>
	Test::Apworker::Has::find('npm'));

# Installs one package from nothing.
sub needs {
	my ($package, %more) = @_;
	diag(time - $^T) if $ENV{TIMES};
	system 'rm', '-rf', $s->path('.cache'), $s->path('codes');
	unlink "$dir/tls-requests";
	return $s->order(codes => [ step('s', "import { x } from '$package';\n"
		. 'export const code = async () => x + 1;',
		json({ dependencies => { $package => '1.0.0' } })) ], %more);
}

sub asked { return slurp("$dir/tls-requests") }

# --- proxies ---

my %far = (registry => 'http://registry.invalid/');
my %env = (NODE_EXTRA_CA_CERTS => "$dir/cert.pem");
for my $installer ('bun', 'npm') {
	my %tool = $installer eq 'npm' ? %npm : ();
	my $got;

	if ($installer eq 'bun') {
		$got = needs('good', stock => \%far,
			env => { %env, HTTPS_PROXY => $proxy });
		is($got->{fault}, 'OK', "an https proxy by HTTPS_PROXY")
			or diag($got->{error}, $got->{log});
		like(asked(), qr{^GET http://registry\.invalid/good let in$}m,
			'it was asked, with the password');
	}
	$t->write_file('npmrc', "cafile=$dir/cert.pem\nproxy=http://127.0.0.1:1\n"
		. "https-proxy=\"$proxy\"\nnoproxy=registry.invalid,none.test\n"
		. "noproxy=none.test\n");
	$got = needs('good', stock => { %far, %tool, npmrc => "$dir/npmrc" },
		env => { HTTPS_PROXY => 'http://127.0.0.1:1',
		NO_PROXY => '*', no_proxy => '*' });
	is($got->{fault}, 'OK', "$installer: https-proxy and cafile of the npmrc,"
		. ' before the environment') or diag($got->{error}, $got->{log});
	like(asked(), qr{^GET http://registry\.invalid/good let in$}m,
		'it was asked');

	# the registry speaks TLS as well
	$got = needs('good', stock => { %tool, npmrc => "$dir/npmrc",
		registry => 'https://registry.invalid/' });
	is($got->{fault}, 'OK', "$installer: TLS to the registry in TLS to the"
		. ' proxy') or diag($got->{error}, $got->{log});
	like(asked(), qr{^CONNECT registry\.invalid:443 let in$}m, 'by a tunnel');
	is($s->result('s'), 42, 'what came works');

	next if $installer eq 'npm';
	# hosts beside it: the name has no address, and nobody else is asked
	$t->write_file('npmrc', "proxy = $proxy\ncafile=$dir/cert.pem\n"
		. "noproxy=.invalid\nfetch-retries=0\n");
	$got = needs('good', stock => { %far, %tool, npmrc => "$dir/npmrc" });
	is($got->{fault}, 'OURS', "$installer: noproxy of the npmrc");
	like($got->{error}, qr{No way to registry\.invalid:80: no address},
		'is obeyed, and it is said');
	is(asked(), '', 'and the proxy not asked');
}

# none at all
$t->write_file('npmrc', "https-proxy=null\n");
my $got = needs('good', stock => { npmrc => "$dir/npmrc" },
	env => { HTTPS_PROXY => 'http://127.0.0.1:1' });
is($got->{fault}, 'OK', '"null": no proxy') or diag($got->{error});

# one that is not known to anybody
$got = needs('good', stock => \%far, env => { HTTPS_PROXY => $proxy });
is($got->{fault}, 'OURS', 'a proxy that proves nothing');
like($got->{error}, qr{No\ way\ to\ registry\.invalid:80:\ upstream\ proxy,
	\ certificate\ refused}x, 'is not spoken to, and it is said');
is(asked(), '', 'not with the password, either');
$got = needs('good', stock => \%far, env => { %env,
	HTTPS_PROXY => "https://me:wrong\@$at" });
unlike($got->{error} . $got->{log}, qr/wrong/, 'no password is told');

# what is no proxy
$t->write_file('npmrc', "proxy=socks5://me:secret\@127.0.0.1:1080\n");
$got = needs('good', stock => { %far, npmrc => "$dir/npmrc" });
like($got->{log}, qr{warn\ .*installers\ have\ no\ way\ .*proxy\ in\ \S+/npmrc:
	\ no\ proxy\ that\ can\ be\ used\ .*expected\ http://HOST:PORT\ or\ https}x,
	'another kind of proxy: said at the start, with the place');
unlike($got->{error} . $got->{log}, qr/secret/, 'without its password');
$t->write_file('way.conf', "source spool { path $dir/spool; }\n"
	. "engine { bundle $dir/main.js; }\n"
	. "stock { path $dir/stock-t; npmrc $dir/npmrc; }\n");
my (undef, $out, $err) = $t->apworkerd('-t', '-c', "$dir/way.conf");
like($out . $err, qr{warning: proxy in \S+/npmrc: no proxy that can be used},
	'and by -t');
unlike($out . $err, qr/secret/, 'without its password');

# --- archives elsewhere ---

for my $installer ('bun', 'npm') {
	my %tool = $installer eq 'npm' ? %npm : ();
	for my $package ('moved', $installer eq 'bun' ? 'apart' : ()) {
		$got = needs($package, stock => \%tool);
		is($got->{fault}, 'OURS', "$installer: $package: our fault");
		like($got->{error}, qr{No\ way\ to\ localhost:$port:\ it\ is\ not
			\ the\ registry;\ .*add\ localhost:$port\ to\ registry_hosts}x,
			'the host is named, and what to do')
			or diag($got->{error}, $got->{log});
		like($got->{log}, qr{egress\ .*host=localhost\ port=$port\ .*nor\ in
			\ registry_hosts}x, 'in the log, too');
		$got = needs($package, stock => { %tool,
			registry_hosts => "localhost:$port" });
		is($got->{fault}, 'OK', 'done so, it works')
			or diag($got->{error}, $got->{log});
	}
}
