#!/usr/bin/perl

# The link and the proxy of another slot's engine, where engines are held by
# ports and share the host's loopback, and where each has a network of its own.

use strict;
use warnings;

use lib 't/lib', 'lib';
use Test::Apworker::Netns;

use Test::More;
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns ip unshare/);
my $world = Test::Apworker::Netns->new($t);
my $api = $t->api();
my $ports = $ENV{APW_TEST_NO_USERNS};
$t->write_app_conf(slots => 2, mode => 'UNSANDBOXED',
	main => 'network strict;', engine => 'standby 0;');
$t->run();

$api->push_job(flow_job(id => 'one', engine => [ { do => 'env' },
	{ do => 'wait', name => 'enough' }, { do => 'answer' } ]));
my ($env) = map { $_->{env} } wait_for(sub { grep { $_->{what} eq 'env' }
	$t->engine()->records() }, 'the first engine') ?
	grep { $_->{what} eq 'env' } $t->engine()->records() : ();
my ($proxy) = ($env->{AP_EGRESS_PROXY_URL} // '') =~ /:(\d+)$/;
my %theirs = (link => $env->{AP_SANDBOX_WS_PORT}, proxy => $proxy);
is(scalar(grep { $_ } values %theirs), 2, 'the first has its ports');

$api->push_job(flow_job(id => 'two', engine => [ { do => 'env' },
	{ do => 'exec', name => 'two', argv => [ '/usr/bin/perl', '-',
		map { "their $_=tcp,127.0.0.1,$theirs{$_}" } sort keys %theirs ],
		input => $world->script() },
	{ do => 'answer', value => { status => 'INTERNAL_ERROR',
		error => 'told' } } ]));
$api->wait_done('two');
my @r = $t->engine()->records();
my ($own) = map { $_->{env} } grep { $_->{what} eq 'env'
	&& $_->{env}{SANDBOX_ID} ne $env->{SANDBOX_ID} } @r;
my ($r) = grep { ($_->{name} // '') eq 'two' } @r;
my ($open, $why, $end) = $world->results(($r || {})->{out} // '');
ok($end, 'the second tried') or diag(json($r));
is($t->status()->{slots}[1]{network}{held_by}, $ports ? 'ports' : 'namespace',
	'held as it is meant to be');
if ($ports) {
	isnt($own->{AP_SANDBOX_WS_PORT}, $theirs{link},
		'each has ports of its own');
	is_deeply($why, { 'their link' => 'EACCES', 'their proxy' => 'EACCES' },
		'and the other\'s are refused');
} else {
	is_deeply([ @{$own}{qw/AP_SANDBOX_WS_PORT AP_EGRESS_PROXY_URL/} ],
		[ @{$env}{qw/AP_SANDBOX_WS_PORT AP_EGRESS_PROXY_URL/} ],
		'the same numbers');
	is_deeply([ sort @$open ], [ 'their link', 'their proxy' ],
		'stand for its own: the other\'s have no address in there');
}
$t->engine()->release('enough');
is($api->wait_done('one')->{status}, 'OK', 'the first never noticed');
$t->stop();
$world->stop();
