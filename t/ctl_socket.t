#!/usr/bin/perl

# apworkerctl finds its daemon without a "monitor": by a socket below the state
# directory, which is nobody's but the daemon's own user.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use File::Copy ();
use IO::Socket::UNIX;
use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots ctl/)->plan(45);
my $dir = $t->testdir();
my $none = '# no monitor';
my $program = "$dir/apworkerd";
File::Copy::copy($t->daemon_path(), $program) or die "$program: $!";
chmod 0755, $program;
$t->{program} = $program;
my $control = "$dir/state/control.sock";
fake_conf($t, monitor => $none, main => "pid $dir/apworkerd.pid; user nobody;")
	->write_file('main.js', '');
fake_conf($t, monitor => $none, main => "pid $dir/apworkerd.pid;") if $> != 0;
chmod 0755, $dir;

sub ready {
	my ($t) = @_;
	my @got;
	wait_for(sub { @got = $t->ctl('status'); $got[0] == 0 }, 'ready');
	return @got;
}

# not there, then there

my ($code, $out, $err) = $t->ctl('status');
is($code, 75, 'status without a daemon');
like($err, qr{^apworkerctl: cannot reach the monitor on unix:\Q$control\E: },
	'says where it looked');
$t->run();
($code, $out, $err) = ready($t);
is("$code$err", '0', 'status: no monitor is configured, and it works');
like($out, qr/^apworkerd \S+, pid ${\ $t->pid() }, /, 'of this daemon');
my @st = lstat $control;
is(sprintf('%o', $st[2] & 07777), '600', 'the socket is the owner\'s alone');
is($st[4], $>, 'who is the master\'s user');
is(join(' ', grep { /^monitor/ } sort keys %{ family($t) }), 'monitor',
	'one monitor serves it');
($code, $out, $err) = $t->ctl('status', '--json');
is(unjson($out)->{pid}, $t->pid(), 'JSON');

SKIP: {
	skip 'only root can become another user', 2 unless $> == 0;
	($code, $out, $err) = $t->run_command([ 'setpriv', '--reuid=nobody',
		'--clear-groups', $t->daemon_path('apworkerctl'), '-c',
		$t->conf_file(), '-g', $t->globals(), 'status' ]);
	is($code, 75, 'another user');
	like($err, qr/control\.sock: Permission denied/, 'is told why not');
}

# reload waits for its result, and keeps the socket

($code, $out, $err) = $t->ctl('reload');
is("$code $out$err", "0 reloaded: configuration 2\n", 'reload: its result');
is((lstat $control)[1], $st[1], 'the socket is the same');
my $port = $t->port('MONITOR');
my $main = "pid $dir/apworkerd.pid; " . ($> == 0 ? 'user nobody;' : '');
fake_conf($t, main => $main, monitor => "monitor { listen 127.0.0.1:$port; }");
($code, $out, $err) = $t->ctl('reload');
is("$code $out$err", "0 reloaded: configuration 3\n", 'a monitor comes');
is(($t->http_get('/livez', address => $_))[0], 200, "asked at $_")
	for "127.0.0.1:$port", "unix:$control";
fake_conf($t, main => $main, monitor => "monitor { listen unix:$control; }");
($code, $out, $err) = $t->ctl('reload');
is("$code $out$err", "0 reloaded: configuration 4\n",
	'a monitor of just that name');
fake_conf($t, main => $main, monitor => $none);
($code, $out, $err) = $t->ctl('reload');
is("$code $out$err", "0 reloaded: configuration 5\n", 'and it goes');
ok(!$t->http_get('/livez', address => "127.0.0.1:$port"), 'nobody at its port');
is((ready($t))[0], 0, 'the control socket is still served');

# another binary takes it over

my $old = $t->pid();
$t->log_mark();
kill 'USR2', $old;
$t->wait_log(qr/the new binary is up/);
my $new = slurp("$dir/apworkerd.pid") + 0;
wait_for(sub { ($code, $out) = $t->ctl('status'); $out =~ /pid $new,/ },
	'the new one');
like($out, qr/pid $new,/, 'after USR2 the new binary answers');
is((lstat $control)[1], $st[1], 'on the same socket');
kill 'QUIT', $old;
is($t->wait_exit(), 0, 'the old one leaves');
is((ready($t))[0], 0, 'the socket stays');
$t->{pid} = $new;
($code, $out, $err) = $t->ctl('stop');
is("$code$out$err", '0', 'stop');
wait_for(sub { !Test::Apworker::Proc::alive($new) }, 'gone');
delete $t->{pid};
ok(!-e $control, 'nothing is left behind');

# what a dead daemon has left is no hindrance; something else is not touched

IO::Socket::UNIX->new(Local => $control, Listen => 1) or die "$control: $!";
ok(-S $control, 'a stale socket');
fake_conf($t, monitor => $none, main => "pid $dir/apworkerd.pid;");
$t->run();
is((ready($t))[0], 0, 'is replaced');
kill 'KILL', $t->pid();
$t->expect_exit('signal 9');
$t->wait_exit();
$t->expect_exit(0);
ok(-S $control, 'a killed daemon leaves it');
$t->run();
is((ready($t))[0], 0, 'and the next one has its own');
$t->ctl('stop');
$t->wait_exit();
$t->write_file('state/control.sock', 'not a socket');
$t->log_mark()->run();
ok($t->wait_log(qr/no control socket: .* error=.*control\.sock is there and not a socket/),
	'a file of that name: the daemon starts without, and says so');
is(slurp($control), 'not a socket', 'the file is not touched');
$t->stop();
unlink $control;

# a path that no socket address has room for; two daemons at a time

my $long = "$dir/" . join '/', map { $_ x 40 } 'a' .. 'd';
fake_conf($t, monitor => $none,
	main => "pid $dir/apworkerd.pid;\nstate $long;");
$t->run();
($code, $out, $err) = ready($t);
is("$code$err", '0', 'a state directory with a long path');
ok(-S "$long/control.sock", 'has its socket');
is((stat _)[2] & 0777, 0600, 'the owner\'s alone');
my $u = Test::Apworker->new()->has(qw/fake_slots ctl/);
fake_conf($u, monitor => $none)->write_file('main.js', '');
if ($> == 0) {
	$u->{as} = [ qw/setpriv --reuid=nobody --clear-groups/ ];
	$u->write_conf_now();
	system 'chown', '-R', 'nobody', $u->testdir();
}
$u->run();
($code, $out) = ready($u);
like($out, qr/pid ${\ $u->pid() },/, 'another daemon, of an ordinary user');
is((lstat $u->testdir() . '/state/control.sock')[2] & 0777, 0600, 'has its own');
($code, $out) = $t->ctl('status');
like($out, qr/pid ${\ $t->pid() },/, 'beside the first');
($code, $out, $err) = $u->ctl('reload');
is("$code $out$err", "0 reloaded: configuration 2\n", 'and can be reloaded');
$u->stop();
is((ready($t))[0], 0, 'the first goes on');
$t->stop();
ok(!-e "$long/control.sock", 'nothing is left behind');
