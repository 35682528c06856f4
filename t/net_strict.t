#!/usr/bin/perl

# Strict: the engine is in a network with nothing in it but its link and its
# proxy, and the status says so; a change of the app's mind changes engines.

use strict;
use warnings;

use IO::Socket::INET;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns/);
my $host = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 50)
	or die "listen: $!";

my $api = $t->api();
for my $mode (qw/SANDBOX_PROCESS SANDBOX_CODE_AND_PROCESS/) {
	$t->write_app_conf(mode => $mode,
		main => 'network strict { allow 10.9.9.9; }');
	$api->settings(SSRF_ALLOW_LIST => [ '10.8.8.8' ]);
	$t->run();
	strict($api, $mode);
	$t->stop();
}

$t->write_app_conf(mode => 'SANDBOX_PROCESS');
$api->settings(NETWORK_MODE => 'STRICT');
$t->run();
is(tcp($api, 'a1', $host->sockport()), 'ECONNREFUSED',
	'the app says strict: it is');
is($t->status()->{slots}[0]{network}{from}, "the app's NETWORK_MODE",
	'and who said so');
$api->settings(NETWORK_MODE => 'UNRESTRICTED');
$api->down();
$api->up();
$t->wait_status(sub { $_[0]{slots}[0]{network}{mode} eq 'unrestricted' },
	'unrestricted');
is(tcp($api, 'a2', $host->sockport()), 'connected',
	'the app changes its mind: another network');
$t->stop();

# What the engine says of the host's loopback.
sub tcp {
	my ($api, $id, $port) = @_;
	my ($r) = grep { $_->{what} eq 'tcp' } $api->told($id,
		{ do => 'connect', host => '127.0.0.1', port => $port });
	return $r->{result};
}

sub strict {
	my ($api, $mode) = @_;

	my @r = $api->told("$mode-1", { do => 'env' },
		(map { { do => 'connect', host => '127.0.0.1', port => $_ } }
			$host->sockport(), 52001, 52000),
		{ do => 'read', path => '/proc/net/dev' },
		{ do => 'read', path => '/proc/net/route' });
	my ($env) = map { $_->{env} } grep { $_->{what} eq 'env' } @r;
	is_deeply({ map { $_ => $env->{$_} } qw/AP_NETWORK_MODE
		AP_EGRESS_PROXY_URL AP_SANDBOX_WS_PORT AP_SSRF_ALLOW_LIST/ },
		{ AP_NETWORK_MODE => 'STRICT', AP_SANDBOX_WS_PORT => '52001',
		AP_EGRESS_PROXY_URL => 'http://127.0.0.1:52000',
		AP_SSRF_ALLOW_LIST => '10.9.9.9,10.8.8.8' },
		"$mode: environment");
	is(join(' ', map { $_->{result} } grep { $_->{what} eq 'tcp' } @r),
		'ECONNREFUSED connected connected',
		"$mode: the host's loopback is not there, link and proxy are");
	my $net = $t->status()->{slots}[0]{network};
	my ($app) = $api->url() =~ m{//(.*)};
	like(delete $net->{rules}, qr/^allow public app=\Q$app\E 10\.9\.9\.9 /,
		"$mode: the status has the rules");
	is_deeply($net, { mode => 'strict', from => 'network',
		held_by => 'namespace' }, "$mode: and who made them");
}
