#!/usr/bin/perl

# apworkerctl status, reload and stop: what they print, and their exit status.

use warnings;
use strict;

use Test::More;
use Time::HiRes qw/time/;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots ctl/)->plan(48);
my $port = $t->port('MONITOR');
my $paths = "pid %%TESTDIR%%/apworkerd.pid;\nstate %%TESTDIR%%/state;";
my %usual = (main => "$paths drain_timeout 1s;",
	monitor => "monitor { listen unix:%%TESTDIR%%/mon.sock; "
	. "listen 127.0.0.1:$port; }");
fake_conf($t, %usual)->write_file('main.js', '');

# the command line

my ($code, $out, $err) = $t->ctl('-h');
is($code, 2, 'an option that is none');
($code, $out, $err) = $t->run_command([ $t->daemon_path('apworkerctl'), '-h' ]);
like("$code $out", qr/^0 usage:.*status.*reload.*stop.*run/s, '-h');
($code, $out) = $t->run_command([ $t->daemon_path('apworkerctl'), '-v' ]);
is("$code $out", "0 apworkerctl 0.1.0\n", '-v');
($code, $out, $err) = $t->ctl();
like("$code $err", qr/^2 usage:/, 'no command');
($code, $out, $err) = $t->ctl('statsu');
like("$code $err", qr/^2 .*did you mean "status"\?/, 'no such command');
($code, $out, $err) = $t->ctl('status', '--jsno');
like("$code $err", qr/^2 .*did you mean "--json"\?/, 'no such option');
($code, $out, $err) = $t->ctl('stop', '--timeout', 'x');
like("$code $err", qr/^2 .*--timeout is "x"; expected/, 'no number');
($code, $out, $err) = $t->ctl('stop', '--timeout');
like("$code $err", qr/^2 .*--timeout is ""/, 'no word');
($code, $out, $err) = $t->ctl('status', 'x');
like("$code $err", qr/^2 .*unexpected "x"/, 'a word too many');

# nobody there

for my $command (qw/status reload stop/) {
	($code, $out, $err) = $t->ctl($command);
	is($code, 75, "$command without a daemon");
	like($err, $command eq 'status' ? qr/cannot reach the monitor/
		: qr/not running/, 'says so');
}

# status

order($t, 1, 'busy=j-1');
$t->run();
$t->wait_status(sub { $_->{slots_able} == 2 });
($code, $out, $err) = $t->ctl('status');
is($code, 0, 'status: ready');
is($err, '', 'without noise');
like($out, qr/^apworkerd 0\.1\.0, pid ${\ $t->pid() }, up \d+\.\ds, configuration 1\n/,
	'head');
like($out, qr/^ready: 2 of 2 slots take jobs$/m, 'ready');
like($out, qr/^\s+1\s+busy\s+\S+\s+\d+\s+j-1\s+run\s+\d+\.\ds\s/m, 'slot 1');
like($out, qr/^\s+2\s+idle\s+\S+\s+\d+\s+-\s+-\s+-\s/m, 'slot 2');
($code, $out) = $t->ctl('status', '--json');
is($code, 0, 'as JSON');
is(unjson($out)->{pid}, $t->pid(), 'the same');

# reload: good

($code, $out, $err) = $t->ctl('reload');
is("$code $out$err", "0 reloaded: configuration 2\n", 'reload');
is($t->status()->{cycle}, 2, 'it is done when the command returns');

# reload: the new file has the monitor elsewhere

my %other = %usual;
$other{monitor} = "monitor { listen unix:%%TESTDIR%%/other.sock; }";
fake_conf($t, %other);
($code, $out, $err) = $t->ctl('reload');
is("$code $out$err", "0 reloaded: configuration 3\n", 'another address');
fake_conf($t, %usual);
($code, $out, $err) = $t->ctl('reload');
is("$code $out$err", "0 reloaded: configuration 4\n", 'and back');

# reload: refused by the daemon, though the file is good

my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
my $busy = $taken->sockport();
(my $more = $usual{monitor}) =~ s/ \}$/ listen 127.0.0.1:$busy; }/;
fake_conf($t, %usual, monitor => $more);
($code, $out, $err) = $t->ctl('reload');
is($code, 1, 'refused');
like($err, qr/cannot listen on 127\.0\.0\.1:$busy.*refused, the running configuration is unchanged/s,
	'and why');
is($t->status()->{cycle}, 4, 'unchanged');

# reload: a bad file is not even asked for

$t->write_conf("slots 0;\n");
($code, $out, $err) = $t->run_command([ $t->daemon_path('apworkerctl'), '-c',
	$t->conf_file(), 'reload' ]);
is($code, 1, 'a bad file');
like($err, qr/apworker\.conf:1:7: error/, 'and why');
is($t->status()->{reload}{failed}, 1, 'the daemon was not asked');

# reload: what needs a restart

(my $elsewhere = $usual{main}) =~ s{/state;}{/other;};
fake_conf($t, %usual, main => $elsewhere);
($code, $out, $err) = $t->ctl('reload');
is($code, 0, 'restart-only');
like($out, qr/needs a restart: "state".*\nreloaded: configuration 5/, 'told');

# status: not ready

fake_conf($t, %usual);
order($t, 1, undef);
order($t, 'all', 'exit=75');
kill 'KILL', map { pid_of($t, "slot $_") } 1, 2;
wait_for(sub { ($t->http_get('/readyz'))[0] == 503 }, 'not ready');
($code, $out) = $t->ctl('status');
is($code, 1, 'status: not ready');
like($out, qr/^not ready: 0 of 2/m, 'says so');
order($t, 'all', undef);
order($t, 1, 'busy=j-2 linger=700');
$t->ctl('reload');
$t->wait_status(sub { $_->{slots_able} == 2 });

# stop --drain waits for the job, longer than drain_timeout if need be

my $from = time();
($code, $out, $err) = $t->ctl('stop', '--drain');
is("$code $out$err", '0 ', 'stop --drain');
cmp_ok(time() - $from, '>=', 0.6, 'waited for the job');
is($t->wait_exit(), 0, 'gone');

# stop, with a job that does not end; stop --now

order($t, 1, 'busy=j-3 linger');
$t->run();
$t->wait_job('j-3');
$from = time();
($code, $out, $err) = $t->ctl('stop');
is("$code $out$err", '0 ', 'stop');
cmp_ok(time() - $from, '>=', 1, 'gave it drain_timeout');
is($t->wait_exit(), 0, 'gone');
fake_conf($t, %usual, main => "$paths drain_timeout 1h;");
$t->run();
$t->wait_job('j-3');
($code, $out, $err) = $t->ctl('stop', '--timeout', 1);
is($code, 75, 'stop --timeout');
like($err, qr/is still there/, 'says so');
$from = time();
($code, $out, $err) = $t->ctl('stop', '--now');
is("$code $out$err", '0 ', 'stop --now');
cmp_ok(time() - $from, '<', 600, 'at once');
is($t->wait_exit(), 0, 'gone');
