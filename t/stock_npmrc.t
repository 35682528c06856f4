#!/usr/bin/perl

# An npmrc as npm reads it: variables, byte order mark, comments, credentials
# in every form, in boxes and without, for bun and for npm.

use strict;
use warnings;

use MIME::Base64;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Builder;
use Test::Apworker::Has;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/linux userns node bun npm esbuild
	daemon/)->plan(59);
my $dir = $t->testdir();
chmod 0755, $dir;
my $s = jailed_stock($t, 'root', 'npmrc');
$s->registry('@acme/greet' => { versions => { '1.0.0' => {
	files => { 'src/index.js' => 'exports.x = 41;' } } } });
my $registry = delete $s->{stock}{registry};
my ($port) = $registry =~ /:(\d+)/;
my %npm = (installer => 'npm', installer_path =>
	Test::Apworker::Has::find('npm'));
my $basic = 'Basic ' . encode_base64('u:sekrit', '');
my $pass = encode_base64('sekrit', '');

# Installs it from nothing; what the registry was told.
sub needs {
	my ($text, $env, %stock) = @_;
	system 'rm', '-rf', $s->path('.cache'), $s->path('codes');
	$t->write_file('npmrc', $text =~ s/PORT/$port/gr);
	truncate "$dir/registry/requests", 0;
	my $got = $s->order(codes => [ step('s', "import { x } from"
		. " '\@acme/greet';\nexport const code = async () => x + 1;",
		'{"dependencies":{"@acme/greet":"^1.0.0"}}') ],
		env => $env || {}, stock => { npmrc => "$dir/npmrc", %stock });
	return ($got, map { /^GET \S+ (.*?)(?: for .*)?$/ ? $1 : () }
		$s->requests(qr/greet/));
}

my @cases = (
	[ 'a token by variable', "registry=http://127.0.0.1:PORT/\n"
		. "//127.0.0.1:PORT/:_authToken=\${NPM_TOKEN}\n",
		{ NPM_TOKEN => 'sekrit' }, 'Bearer sekrit' ],
	[ 'a URL by variable', "\@acme:registry=\${ACME_REG}\n"
		. "//127.0.0.1:PORT/:_authToken=\${NPM_TOKEN} ; ours\n",
		{ ACME_REG => "http://127.0.0.1:$port/", NPM_TOKEN => 'sekrit' },
		'Bearer sekrit' ],
	[ 'a key by variable', "\@acme:registry=http://\${AT?}127.0.0.1:PORT/\r\n"
		. "//\${ACME_AT}/:_authToken=sekrit\r\n",
		{ ACME_AT => "127.0.0.1:$port" }, 'Bearer sekrit' ],
	[ 'a byte order mark', "\xef\xbb\xbf\@acme:registry=http://127.0.0.1:PORT/\n"
		. "//127.0.0.1:PORT/:_authToken=sekrit\n", {}, 'Bearer sekrit' ],
	[ 'comments', "  # one\n\@acme:registry = \"http://127.0.0.1:PORT/\" \n"
		. "//127.0.0.1:PORT/:_authToken=sekrit # two\n"
		. "[other]\nregistry=http://127.0.0.1:1/\n", {}, 'Bearer sekrit' ],
	[ 'user and password', "\@acme:registry=http://127.0.0.1:PORT/\n"
		. "//127.0.0.1:PORT/:username=u\n//127.0.0.1:PORT/:_password=$pass\n",
		{}, $basic ],
	[ '_auth', "\@acme:registry=http://127.0.0.1:PORT/\n"
		. "//127.0.0.1:PORT/:_auth=" . encode_base64('u:sekrit', ''). "\n",
		{}, $basic ],
	[ 'credentials in the URL',
		"\@acme:registry=http://u:sekrit\@127.0.0.1:PORT/\n",
		{}, $basic ],
	[ 'capitals', "\@acme:registry=HTTP://127.0.0.1:PORT/\n"
		. "//127.0.0.1:PORT/:_authToken=sekrit\n", {}, 'Bearer sekrit' ],
);
for my $installer ('bun', 'npm') {
	for my $case (@cases) {
		my ($name, $text, $env, $want) = @$case;
		my ($got, @told) = needs($text, $env,
			$installer eq 'npm' ? %npm : ());
		is($got->{fault}, 'OK', "$installer in a box: $name")
			or diag($got->{error}, $got->{log});
		is($told[0], $want, 'with what the registry wants to be told');
		unlike($got->{log}, qr/sekrit/, 'and nobody else');
	}
}

# without boxes the same file is read
my ($got, @told) = needs($cases[0][1], $cases[0][2],
	jail => JSON::PP::false);
is($got->{fault}, 'OK', 'without a box') or diag($got->{error}, $got->{log});
is($told[0], 'Bearer sekrit', 'the same');

# what is not there is told
($got, @told) = needs("registry=http://127.0.0.1:PORT/\n"
	. "//127.0.0.1:PORT/:_authToken=\${NPM_TOKEN}\n");
like($got->{log}, qr{warn .*npmrc.*names the variable NPM_TOKEN},
	'a variable that is not there: in the log');
$t->write_file('npmrc.conf', "source spool { path $dir/spool; }\n"
	. "engine { bundle $dir/main.js; }\n"
	. "stock { path $dir/stock-t; npmrc $dir/npmrc; jail off; }\n");
my (undef, $out, $err) = $t->apworkerd('-t', '-c', "$dir/npmrc.conf");
like($out . $err, qr{warning: \S+/npmrc names the variable NPM_TOKEN},
	'and by -t');
($got, @told) = needs("registry=http://127.0.0.1:PORT/\n"
	. "//127.0.0.1:PORT/:_authToken=\${AP_WORKER_TOKEN}\n",
	{ AP_WORKER_TOKEN => 'our-own' });
unlike(join(' ', $got->{log}, $got->{error} // '', @told), qr/our-own/,
	'the daemon\'s own variables are not for it');
