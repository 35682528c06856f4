#!/usr/bin/perl

# What the monitor tells, and to whom it says nothing.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(69);
fake_conf($t, slots => 3, main => 'respawn_max 5s;')->write_file('main.js', '');
order($t, 1, 'busy=j-1');
order($t, 3, 'exit=78 why=refused');
$t->run();
$t->wait_status(sub { $_->{slots_able} == 2
	&& grep { $_->{state} eq 'dead' } @{ $_->{slots} } });

# the Node worker's health server: exact URLs, whatever is behind them

for my $path (qw{/worker/health /v1/health /api/v1/health}) {
	my ($code, $body, $head) = $t->http_get($path);
	is("$code $body", '200 {"status":"ok"}', $path);
	like($head, qr{^Content-Type: application/json\r?$}m, 'type');
	($code, $body) = $t->http_get("$path?x=1");
	is("$code $body", '404 ', 'with a query');
	($code, $body) = $t->http_get("$path/");
	is("$code $body", '404 ', 'with a slash');
}
for my $path ('/', '/status/', '/Status', '//livez', '/livez%20', '/etc/passwd',
    '/../livez', 'livez') {
	my ($code, $body) = $t->http_get($path);
	like($code . $body, qr/^40[04]$/, "nothing at $path");
}
is(($t->http_get('/livez', method => 'POST'))[0], 405, 'POST');
is(($t->http_get('/status', method => 'DELETE'))[0], 405, 'DELETE');

# HEAD is GET without its body; queries and other spellings change nothing

for my $path (qw{/worker/health /v1/health /api/v1/health /livez /readyz /status
    /metrics}) {
	my ($code, $body, $head) = $t->http_get($path, method => 'HEAD');
	my ($get, $page, $of_get) = $t->http_get($path);
	$head .= $of_get;
	is("$code $body", "$get ", "HEAD $path");
	like($head, qr/^Content-Length: [1-9]\d*\r?\n.*^Content-Length: [1-9]/ms,
		'with the length of the page');
}
for my $path ('/metrics?x=1', '/readyz?verbose', '/livez?', '/status?a=b&c=%',
    '/%6Civez') {
	is(($t->http_get($path))[0], 200, $path);
}
my ($code, $body) = $t->http_get('/metrics?x=1');
like($body, qr/^apworkerd_ready 1$/m, 'metrics with a query: the page');

# livez, readyz

($code, $body) = $t->http_get('/livez');
is($code, 200, 'alive');
ok(unjson($body)->{alive}, 'says so');
($code, $body) = $t->http_get('/readyz');
my $r = unjson($body);
is($code, 200, 'ready');
is("$r->{slots_able}/$r->{slots_wanted}", '2/3', 'two of three');
is_deeply([ map { "$_->{slot} $_->{state} $_->{why}" } @{ $r->{slots} } ],
	[ '3 dead refused' ], 'the third says why');

# status

my $st = $t->status();
like($st->{started}, qr/^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/, 'started');
cmp_ok($st->{uptime_ms}, '>', 0, 'uptime');
is($st->{cycle}, 1, 'cycle');
is($st->{reload}{at}, undef, 'no reload yet');
my ($one, $two, $three) = @{ $st->{slots} };
is($one->{state}, 'busy', 'slot 1: state');
is("$one->{job}{id} $one->{job}{type} $one->{job}{phase}",
	'j-1 EXECUTE_FLOW run', 'job');
cmp_ok($one->{job}{age_ms}, '>=', 0, 'age of the job');
is($one->{pid}, pid_of($t, 'slot 1'), 'pid');
is($two->{state}, 'idle', 'slot 2: state');
is($two->{job}, undef, 'no job');
cmp_ok($two->{tick_age_ms}, '<', 15000, 'its loop turns');
is($three->{pid}, 0, 'slot 3: no process');
is($st->{total}{jobs}{started}, 1, 'jobs of all');

# metrics

($code, $body) = $t->http_get('/metrics');
is($code, 200, 'metrics');
like($body, qr/^apworkerd_slots\{state="busy"\} 1$/m, 'states');
like($body, qr/^apworkerd_slot_deaths_total 1$/m, 'deaths');
ok(!(grep { !/^(?:# (?:HELP|TYPE) apworkerd_\w+ .+|apworkerd_\w+(?:\{\w+="[^"]*"\})? [\d.]+)$/ }
	split /\n/, $body), 'each line is well formed');

# counters outlive a reload

order($t, 3, undef);
order($t, 1, undef);
$t->reload();
$t->wait_status(sub { $_->{slots_able} == 3 && @{ $_->{slots} } == 3 });
($code, $body) = $t->http_get('/metrics');
like($body, qr/^apworkerd_slot_starts_total 6$/m, 'starts');
like($body, qr/^apworkerd_jobs_started_total 1$/m, 'jobs');

# not one slot: not ready

order($t, 'all', 'exit=75');
kill 'KILL', map { pid_of($t, "slot $_") } 1 .. 3;
ok(wait_for(sub { ($t->http_get('/readyz'))[0] == 503 }, '503'), 'not ready');
$r = unjson(($t->http_get('/readyz'))[1]);
is($r->{reason}, 'no slot takes jobs', 'and why');
is(scalar @{ $r->{slots} }, 3, 'slot by slot');
