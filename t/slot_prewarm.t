#!/usr/bin/perl

# From 0.86.2 on the app tells when a flow was published: one slot of the daemon
# makes it ready before a job needs it, gives way to jobs at once, and tells
# nobody but the log when that cannot be done.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules/)
	->plan(32 + 3 * $Test::Apworker::CHECKS)->write_app_conf(slots => 3);
my @names = qw/a b c d e/;
my $api = $t->api(release => '0.88.3', prewarm => { platformId => 'pl1' },
	settings => { FILE_STORAGE_LOCATION => 'S3' },
	pieces => [ map { {
	name => "\@x/piece-$_", version => '0.1.0' } } @names ]);
my ($bun, $esbuild) = ($t->tool('bun'), $t->tool('esbuild'));
my $stock = $t->testdir() . '/stock/v12';
$t->run();

sub version_of {
	my ($id, $piece) = @_;
	return flow_version(id => $id, fields => { schemaVersion => '23' },
		step => code_step(code => 'export const code = async () => 1;',
		next => piece_step(name => 'step_2', piece =>
		"\@x/piece-$piece", version => '0.1.0')));
}

sub publish {
	my ($of, $id) = @_;
	$of->ask(notify => { method => 'flowPublished', payload => {
		flowId => 'f1', flowVersionId => $id, projectId => 'p1' } });
}

sub ready {
	my ($of, $id) = @_;
	return $of->wait_log(qr/a flow was made ready flow_version=\Q$id\E /);
}

sub installed { return -e "$stock/common/pieces/\@x/piece-$_[0]-0.1.0/ready" }

sub count { return scalar(() = $api->calls($_[0])) }

# Nothing at the start, unless it is wanted.
$api->push_job(flow_job(id => 'first'));
is($api->wait_done('first')->{status}, 'OK', 'a job');
is(count('getPrewarmData'), 0, 'nothing is asked for at the start');

# One is published: three slots hear of it.
$api->version(version_of('fv-a', 'a'));
publish($api, 'fv-a');
ok(ready($t, 'fv-a'), 'a flow that was published is made ready');
ok(installed('a'), 'its piece');
ok(-e "$stock/codes/fv-a/step_1/index.js", 'and its code');
is_deeply([ map { $_->{payload} } $api->calls('getPrewarmData') ], [ { flow =>
	{ id => 'f1', versionId => 'fv-a', projectId => 'p1' } } ],
	'by one slot');
ok($api->wait_seen(kind => 'rpc', method => 'uploadFlowBundle'),
	'its bundle is published');
my ($got) = grep { $_->{url} =~ /pieces\/bundle/ } $api->seen(kind => 'http');
is($got->{headers}{authorization}, 'Bearer engine-token',
	'the app was asked for its piece');
my %before = map { $_ => count($_) } qw/getFlowVersion getPiece/;
my $tools = () = ($bun->calls(), $esbuild->calls());
my $job = flow_job(id => 'a', no_version => 1, version => 'fv-a');
$api->push_job($job);
is($api->wait_done('a')->{status}, 'OK', 'its first job');
is(count($_), $before{$_}, "asks for no $_") for qw/getFlowVersion getPiece/;
is(scalar(() = ($bun->calls(), $esbuild->calls())), $tools,
	'and builds nothing');

# What is no good.
publish($api, 'fv-nowhere');
ok($t->wait_log(qr/info .* a flow was not made ready flow_version=fv-nowhere/),
	'one that this app does not have');
$api->version(version_of('fv-x', 'unknown'));
publish($api, 'fv-x');
ok($t->wait_log(qr/info .* a flow was not made ready flow_version=fv-x /),
	'one whose piece it does not know');
is(count('disableFlow'), 0, 'is not turned off');
for my $bad (undef, 7, [], {}, { flowId => 'f1', flowVersionId => '',
    projectId => 'p1' }, { flowId => 'f' x 5000, flowVersionId => 'fv-b',
    projectId => 'p1' }, { flowId => {}, flowVersionId => [],
    projectId => \1 }) {
	$api->ask(notify => { method => 'flowPublished', payload => $bad });
}
$api->ask(notify => { method => 'somethingNew', payload => {} });

# A release that does not know it, and a daemon that does not want it.
my @others = ([ '0.86.1', '' ], [ '0.88.3', 'warm off;' ]);
for my $case (@others) {
	my ($release, $conf) = @$case;
	my $other = Test::Apworker->new()->write_app_conf(stock => $conf);
	my $of = $other->api(release => $release);
	$other->run();
	$other->wait_log(qr/connected to the app/);
	publish($of, 'fv-a');
	$of->push_job(flow_job(id => 'after'));
	$of->wait_done('after');
	$of->push_job(flow_job(id => 'later'));
	is($of->wait_done('later')->{status}, 'OK', "$release $conf");
	is(scalar(() = $of->calls('getPrewarmData')), 0, 'asks for nothing');
	$other->stop();
}

# All that are enabled, at the start.
my $two = Test::Apworker->new()->write_app_conf(stock => 'warm_all on;');
my $of = $two->api(release => '0.88.3', pieces => [ map { {
	name => "\@x/piece-$_", version => '0.1.0' } } @names ],
	versions => [ map { version_of("fv-$_", $_) } @names ], prewarm =>
	{ flows => [ map { { id => 'f1', versionId => "fv-$_", projectId =>
	'p1' } } qw/nowhere c/ ] });
($bun, $stock) = ($two->tool('bun'), $two->testdir() . '/stock/v12');
$two->run();
ok(ready($two, 'fv-c'), 'the flows that are enabled are made ready');
ok(installed('c'), 'their pieces');
is_deeply([ map { $_->{payload} } $of->calls('getPrewarmData') ], [ {} ],
	'the app was asked once');

# A job comes while it installs: that ends, and is done again later.
my ($n) = scalar(() = $bun->calls());
$two->tool('bun', { hang => 1 });
publish($of, 'fv-b');
$bun->wait_call($n + 1);
my $pid = ($bun->calls())[-1]{pid};
ok($pid, 'an install');
$of->push_job(flow_job(id => 'b1'));
is($of->wait_done('b1')->{status}, 'OK', 'a job does not wait for it');
ok(wait_for(sub { !-e "/proc/$pid" }, 'the end of the tool'), 'it ends');
ok(!installed('b'), 'with nothing left of it');
$two->tool('bun', {});
ok(ready($two, 'fv-b'), 'and is done again');
ok(installed('b'), 'later');

# The same flow's job, while it is made ready, installs it itself.
$n = () = $bun->calls();
$two->tool('bun', { wait => 'd' });
publish($of, 'fv-d');
$bun->wait_call($n + 1);
$of->push_job(flow_job(id => 'd1', no_version => 1, version => 'fv-d'));
$bun->wait_call($n + 2);
$bun->release('d');
is($of->wait_done('d1')->{status}, 'OK', 'a job of the flow in hand');

# Nor is the end of the daemon waited for.
$n = () = $bun->calls();
$two->tool('bun', { hang => 1 });
publish($of, 'fv-e');
$bun->wait_call($n + 1);
$pid = ($bun->calls())[-1]{pid};
$two->stop();
ok(!-e "/proc/$pid", 'it leaves with the daemon');
unlike($_->log(), qr/(?:warn|error|alert) slot\S* (?!master).*(?:prewarm|ready)/,
	'no failure of it is more than a line of level info') for $t, $two;
