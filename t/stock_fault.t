#!/usr/bin/perl

# A failed install is the user's fault or ours, is remembered for a while, and
# leaves nothing behind.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node bun esbuild/)->plan(39);
my $s = Test::Apworker::Stock->new($t, negative_ttl_ms => 0);
my %packages = (
	good => { versions => { '1.0.0' => {
		files => { 'src/index.js' => 'exports.x = 1;' } } } },
	mine => { versions => { '1.0.0' => {
		files => { 'src/index.js' => 'exports.x = 1;' } } } },
	busy => { status => 503 },
	denied => { status => 401 },
	cut => { versions => { '1.0.0' => {} }, tarball => { cut => 20 } },
	wrong => { versions => { '1.0.0' => {} }, tarball => { wrong => 1 } },
	silent => { hang => 1 },
);
$s->registry(%packages);

sub needs {
	my ($package, $version, %more) = @_;
	return $s->order(codes => [ step('s', "import x from '$package';"
		. ' export const code = async () => x;', json({ dependencies =>
		{ $package => $version } })) ], %more);
}

for my $case (
	[ 'unknown', '1.0.0', 'USER', qr/404/ ],
	[ 'good', '99.0.0', 'USER', qr/No version matching/ ],
	[ 'busy', '1.0.0', 'OURS', qr/503/ ],
	[ 'denied', '1.0.0', 'OURS', qr/401/ ],
	[ 'cut', '1.0.0', 'OURS', qr/./ ],
	[ 'wrong', '1.0.0', 'OURS', qr/./ ],
) {
	my ($package, $version, $fault, $re) = @$case;
	my $got = needs($package, $version);
	is($got->{fault}, $fault, "$package\@$version") or diag($got->{error});
	like($got->{error}, qr/packages of step "s": .*$re/s, 'and why');
	ok(!-e $s->path('codes/fv/s'), 'nothing is to be seen');
}

my $got = needs('silent', '1.0.0', stock => { install_timeout_ms => 1000 });
is($got->{fault}, 'OURS', 'a registry that does not answer');
like($got->{error}, qr/within 1000 ms/, 'runs out of time');

$got = needs('good', '1.0.0', stock => { registry => 'http://127.0.0.1:1/' });
is($got->{fault}, 'OURS', 'no registry');

# credentials come from the file that is named, and from nowhere else
my $registry = $s->{stock}{registry};
(my $host = $registry) =~ s/^http://;
$t->write_file('npmrc', "registry=$registry\n${host}:_authToken=letmein\n");
$t->write_file('.npmrc', "registry=http://127.0.0.1:1/\n");
$got = needs('mine', '1.0.0', stock => { registry => undef,
	npmrc => $t->testdir() . '/npmrc' });
is($got->{fault}, 'OK', 'an npmrc that is named') or diag($got->{error});
ok($s->requests(qr/^GET mine Bearer letmein$/), 'gives the credentials');

# a registry that only a proxy can reach, by directive or by environment
for my $case ([ 'directive', { proxy => $registry }, {} ],
	[ 'environment', {}, { HTTP_PROXY => $registry,
		http_proxy => $registry } ],
	[ 'directive before environment', { proxy => $registry },
		{ HTTP_PROXY => 'http://127.0.0.1:1/',
		http_proxy => 'http://127.0.0.1:1/', NO_PROXY => '*',
		no_proxy => '*' } ]) {
	my ($name, $stock, $env) = @$case;
	system 'rm', '-rf', $s->path('.cache'), $s->path('codes');
	$got = needs('good', '1.0.0', env => $env, stock => {
		registry => 'http://registry.invalid/', %$stock });
	is($got->{fault}, 'OK', "proxy by $name") or diag($got->{error});
	ok($s->requests(qr{^GET good - for http://registry\.invalid/$}),
		'it was asked');
	unlink $t->testdir() . '/registry/requests';
	$t->write_file('registry/requests', '');
}
system 'rm', '-rf', $s->path('.cache'), $s->path('codes');
$got = needs('good', '1.0.0', stock => { proxy => 'http://127.0.0.1:1/',
	no_proxy => '127.0.0.1' });
is($got->{fault}, 'OK', 'a registry beside the proxy') or diag($got->{error});
ok(!$s->requests(qr/ for /), 'it was not asked');

# remembered, then forgotten
$s->set(negative_ttl_ms => 60000);
$got = needs('unknown', '1.0.0');
is($got->{fault}, 'USER', 'asked');
my $n = $s->requests(qr/unknown/);
$got = needs('unknown', '1.0.0');
is($got->{fault}, 'USER', 'the same answer');
like($got->{error}, qr/404.*failed \d+ s ago/s, 'from memory');
is(scalar($s->requests(qr/unknown/)), $n, 'without a request');
$s->registry(%packages, unknown => $packages{good});
$got = needs('unknown', '1.0.0', stock => { negative_ttl_ms => 0 });
is($got->{fault}, 'OK', 'and forgotten');

is(needs('good', '1.0.0')->{fault}, 'OK', 'the next order is fine');
is_deeply([ $s->staged() ], [], 'no staging is left');
is(scalar(grep { !-d } glob $s->path('codes/fv/*')), 0, 'only folders');
