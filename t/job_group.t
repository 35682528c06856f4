#!/usr/bin/perl

# A dedicated worker: takes no job unless it has boxes and was told about
# reuse; calls somebody when a run of it breaks, and does not leave before that
# call has been made.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns/)->plan(13)
	->write_app_conf(source => 'group g1;', mode => 'auto',
		main => 'network auto { allow 127.0.0.1; }');
my $api = $t->api();
$api->settings(PAGE_ONCALL_WEBHOOK => $api->url() . '/page?secret');
$t->run();

sub blocked {
	my ($why, $name) = @_;
	ok($t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
		$s && $s->{state} eq 'blocked' && $s->{why} =~ $why }), $name)
		or diag($t->log_tail(10));
}

# No boxes; no word about reuse.
blocked(qr/worker group needs mode SANDBOX_PROCESS or /, 'no boxes: blocked');
is(($api->seen(kind => 'connect'))[0]{payload}{workerGroupId}, 'g1',
	'the group is told all the same');
$api->settings(EXECUTION_MODE => 'SANDBOX_PROCESS');
$api->act('drop');
blocked(qr/worker group needs to be told whether engines are reused/,
	'nothing said of reuse: blocked');
is(scalar(() = $api->calls('poll')), 0, 'no poll');
$t->stop();

# Both.
$t->{conf} =~ s/(bundle [^;]*;)/$1 reuse platform;/;
$t->run();
$api->push_job(flow_job(id => 'fine'));
is($api->wait_done('fine')->{status}, 'OK', 'both: it works');

# A page, by which the good-bye waits for an answer that takes its time.
$api->ask(set => { http_delay_ms => 1500 });
$api->push_job(flow_job(id => 'broken', engine => [
	{ do => 'exit', code => 9 } ]));
is($api->wait_done('broken')->{status}, 'INTERNAL_ERROR', 'broken run');
$t->signal('QUIT');
my $page = $api->wait_seen(kind => 'http', method => 'POST');
is_deeply([ $page->{url}, unjson($page->{text}) ], [ '/page?secret', {
	code => 'ENGINE_OPERATION_FAILURE',
	message => 'Flow run run-broken ended with INTERNAL_ERROR',
	params => { runId => 'run-broken', flowId => 'f1',
	projectId => 'p1' } } ], 'the page');
$t->wait_exit();
like($t->log(), qr/was answered what="on-call page"/,
	'its answer was waited for');
unlike($t->log(), qr/secret/, 'its URL is not logged');

# It goes where the daemon may: the page's URL is the app's to choose.
$api->ask(set => { http_delay_ms => 0 });
my $pages = $api->seen(kind => 'http', method => 'POST');
(my $other = $api->url()) =~ s/127\.0\.0\.1/127.0.0.2/ or die $api->url();
$api->settings(PAGE_ONCALL_WEBHOOK => "$other/page?secret");
$t->run();
$t->log_mark();
$api->push_job(flow_job(id => 'again', engine => [
	{ do => 'exit', code => 9 } ]));
is($api->wait_done('again')->{status}, 'INTERNAL_ERROR', 'another broken run');
ok($t->wait_log(qr/what="on-call page".*blocked address: 127\.0\.0\.2 is loopback/),
	'a page to a place that is blocked');
is($t->status()->{slots}[0]{egress}{blocked}, 1, 'is counted');
is(scalar(my @p = $api->seen(kind => 'http', method => 'POST')), $pages,
	'and is not sent');
$t->stop();
