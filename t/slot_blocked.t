#!/usr/bin/perl

# What the app asks for and this host or build cannot enforce stops the slot
# from taking jobs, with the reason; when the app asks for less it goes on.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(11)->write_app_conf(mode => 'auto');
my $api = $t->api(settings => { EXECUTION_MODE => 'SANDBOX_DREAM' },
	jobs => [ flow_job(id => 'j1') ]);
$t->run();

sub blocked {
	my ($why, $name) = @_;
	my $slot = $t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
		$s && $s->{state} eq 'blocked' && $s->{why} =~ $why && $s });
	ok($slot, "$name: blocked") or diag($t->log_tail(10));
	my ($code, $body) = $t->http_get('/readyz');
	is($code, 503, "$name: not ready");
	like($body, $why, "$name: and says why");
}

sub settings {
	my $seen = $api->seen(kind => 'settings');
	$api->settings(@_);
	$api->act('drop');
	$api->wait_seen(kind => 'settings', n => $seen + 1);
}

blocked(qr/SANDBOX_DREAM/, 'unknown mode');
is(scalar($api->calls('poll')), 0, 'no poll');

settings(EXECUTION_MODE => 'UNSANDBOXED');
is($api->wait_done('j1')->{status}, 'OK', 'a mode that it has: works');

# With a warm engine that no longer fits.
settings(EXECUTION_MODE => 'SANDBOX_NIGHTMARE');
blocked(qr/NIGHTMARE/, 'another unknown mode');
settings(EXECUTION_MODE => 'UNSANDBOXED');
$api->push_job(flow_job(id => 'j2'));
is($api->wait_done('j2')->{status}, 'OK', 'and works again');
is($api->settled('j1'), 1, 'once');
is(scalar(my @s = $t->engine()->starts()), 2, 'with a new engine');
