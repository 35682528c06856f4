#!/usr/bin/perl

# An app that is newer than any release we know: its jobs are taken, or not, as
# "newest" says; either is told once, in the status and to a reload.  What it
# wants and we do not know is answered at once, told once a type with the
# release that it appeared in, and counted.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(34)->write_app_conf(slots => 2);
my $api = $t->api(release => '0.92.2', poll_ms => 2000);

sub job { return { jobId => $_[0], jobData => { jobType => $_[1],
	projectId => 'p1', platformId => 'pl1', schemaVersion => 10 } } }

sub lines { return scalar(() = $t->log() =~ /$_[0]/g) }

# --------------------------------------------------------------------- taken
$t->run();
$t->wait_ready();
$api->push_job(flow_job(id => 'j1'));
is($api->wait_done('j1')->{status}, 'OK', 'take: its jobs are taken');
my $news = qr/slot\/\d+ the app is newer than any release this build knows/;
is(lines(qr/notice $news: its jobs are taken all the same app_version=0\.92\.2/),
	1, 'with a notice, once, by all slots');
$api->act('drop');
$t->wait_log(qr/connection to the app lost/);
ok($t->wait_status(sub { $_->{slots_able} == 2 && 2 == grep {
	$_->{notice} =~ /0\.92\.2, newer than any release.*\(0\.88\.3\)/ }
	@{ $_->{slots} } }), 'the status has it');
my ($code, $out) = $t->ctl('status');
is(scalar(() = $out =~ /^notice: the app is release 0\.92\.2/mg), 1,
	'apworkerctl says it in one line');
$api->push_job(flow_job(id => 'j2'));
is($api->wait_done('j2')->{status}, 'OK', 'after a lost connection too');
is(lines(qr/notice $news/), 1, 'which is no news');

# ------------------------------------------------------------- types of jobs
my %type = (EXECUTE_NOTHING => [ 'not known', 'it knows apps up to release 0\.88\.3' ],
	EXECUTE_PERSONALIZATION_RESEARCH => [ 'a release after 0\.88\.3',
		'apps have them since a release after 0\.88\.3' ]);
$api->push_job(map { my $n = $_; map { job("$_-$n", $_) } sort keys %type } 1 .. 3);
for my $type (sort keys %type) {
	my ($since, $words) = @{ $type{$type} };
	my @done = map { $api->wait_done("$type-$_") } 1 .. 3;
	is(join(' ', map { $_->{status} // 'none' } @done),
		'INTERNAL_ERROR INTERNAL_ERROR INTERNAL_ERROR',
		"$type: each is answered");
	like($done[0]{errorMessage}, qr/type $type are not supported.*$words/,
		'in words');
	my $lines = lines(qr/warn .*type that this build does not do.*type=$type /);
	ok($lines >= 1 && $lines <= 2, 'told once by a slot') or diag($lines);
	like($t->log(), qr/type=$type since="?$since"?/, 'with its release');
}
ok($t->wait_status(sub { $_->{total}{jobs}{unknown} == 6 }), 'all are counted');
my (undef, $metrics) = $t->http_get('/metrics');
like($metrics, qr/^apworkerd_jobs_unknown_total 6$/m, 'for others, too');
is(scalar(() = $t->log() =~ /EXECUTE_FLOW.*does not do/g), 0,
	'what we do is not among them');

# There is an end to what a stranger's words cost.
$api->push_job(map { job("x-$_", "STRANGE_$_") } 1 .. 100);
is($api->wait_done("x-100")->{status}, 'INTERNAL_ERROR', 'a hundred types');
ok(wait_for(sub { !grep { !$api->settled("x-$_") } 1 .. 100 }, 'all settled'),
	'are all answered');
cmp_ok(lines(qr/type that this build does not do/), '<=', 32,
	'a few of them are told');

# -------------------------------------------- calls that the app has no more
$api->rule(at => 'rpc:uploadRunLog', do => 'error', times => 0,
	message => 'handlers[request.method] is not a function');
$api->push_job(map { flow_job(id => "c$_", engine =>
	[ { do => 'answer' } ]) } 1 .. 4);
is(join(' ', map { $api->wait_done("c$_")->{status} } 1 .. 4), 'OK OK OK OK',
	'an app without a call: jobs that can do without');
my $missing = lines(qr/does not have a call .*method=uploadRunLog app_version=0\.92\.2/);
ok($missing >= 1 && $missing <= 2, 'told once by a slot') or diag($missing);
$api->clear_rules();

# ------------------------------------------------------------------- a reload
$t->{conf} =~ s/(url [^;]*;)/$1 newest PAUSE;/;
$t->write_conf($t->{conf})->write_conf_now();
$t->log_mark();
$t->signal('HUP');
ok($t->wait_log(qr/reload.*refused|new configuration runs no job/),
	'pause: the canary finds out');
like($t->status()->{reload}{message}, qr/no job comes from the source: the app is release 0\.92\.2, newer.*directive newest/,
	'and the reload says why');
$api->push_job(flow_job(id => 'j3'));
is($api->wait_done('j3')->{status}, 'OK', 'the old configuration goes on');
$t->stop();

# --------------------------------------------------------------------- paused
my $polls = () = $api->calls('poll');
my $told = lines(qr/warn $news: no job is taken/);
$t->run();
ok($t->wait_status(sub { 2 == grep { $_->{state} eq 'blocked' && $_->{why} =~
	/release 0\.92\.2, newer than any release.*no job is taken \(directive newest\)/ }
	@{ $_->{slots} } }), 'pause: slots are blocked, and say why');
is(lines(qr/warn $news: no job is taken/) - $told, 1, 'told once');
is(scalar(() = $api->calls('poll')), $polls, 'and do not poll');
is(($t->http_get('/v1/health'))[0], 200, 'that is no stall');
$t->ctl('status');
# an app that we know: it goes on by itself
$api->settings(APP_VERSION => '0.88.3');
$api->act('drop');
$api->push_job(flow_job(id => 'j4'));
is($api->wait_done('j4')->{status}, 'OK', 'an app that is known is polled');
ok($t->wait_status(sub { $_->{slots_able} == 2 && !grep { $_->{notice} ne '' }
	@{ $_->{slots} } }), 'and nothing is odd any more');
$t->stop();

# ------------------------------------------------- a group: what it demands
$t->write_app_conf(source => 'group g1;');
$api->settings(APP_VERSION => '0.92.2');
$t->run();
$api->push_job(flow_job(id => 'j5'));
is($api->wait_done('j5')->{status}, 'OK', 'a later app: a group in any mode');
$api->settings(EDITION => 'cloud');
$api->act('drop');
my $group = qr/worker group needs mode/;
ok($t->wait_status(sub { $_->{slots}[0]{why} =~ $group }),
	'but in the cloud');
$api->settings(EDITION => 'ce', APP_VERSION => '0.88.3');
$api->act('drop');
ok($t->wait_log(qr/connected to the app.*app_version=0\.88\.3/)
	&& $t->wait_status(sub { $_->{slots}[0]{why} =~ $group
	&& $_->{slots}[0]{app_version} eq '0.88.3' }), 'and before');
$t->stop();
