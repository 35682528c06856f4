#!/usr/bin/perl

# The daemon starts, shows who it is, refuses a second one, and leaves nothing.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(31);
fake_conf($t)->write_file('main.js', '');

# the command line

my ($code, $out, $err) = $t->apworkerd('-v');
is("$code $out", "0 apworkerd 0.1.0\n", '-v');
($code, $out) = $t->apworkerd('-V');
is($code, 0, '-V');
like($out, qr/^modules:.* source_spool/m, 'modules');
like($out, qr/^libraries: libevent 2\.\d+.*wslay.*jansson.*OpenSSL/m,
	'libraries with their versions');
($code, $out) = $t->apworkerd('-h');
like("$code $out", qr/^0 usage:.*-c, --config/s, '-h');
($code, $out, $err) = $t->apworkerd('--versoin');
like("$code $err", qr/^1 .*did you mean "--version"\?/, 'unknown option');
($code, $out, $err) = $t->apworkerd('-s', 'relaod');
like("$code $err", qr/^1 .*did you mean "reload"\?/, 'unknown signal');
($code, $out, $err) = $t->apworkerd('-x');
like("$code $err", qr/^1 .*unknown option "-x"/, 'unknown letter');
($code, $out, $err) = $t->apworkerd('-c');
like("$code $err", qr/^1 .*"-c" needs FILE/, 'missing word');
($code, $out, $err) = $t->apworkerd('conf');
like("$code $err", qr/^1 .*unexpected "conf".*-c/, 'stray word');

# testing a configuration

($code, $out) = $t->test_conf();
is($code, 0, '-t');
like($out, qr/apworker\.conf: configuration is good/, 'is good');
ok(!-e $t->pidfile(), '-t makes no pidfile');
$t->write_file('bad.conf', "slots 0;\n");
($code, $out, $err) = $t->apworkerd('-t', '-c', 'bad.conf');
is($code, 1, '-t of a bad one');
like($err, qr/bad\.conf:1:7: error: .*slots/, 'the place');
($code, $out, $err) = $t->apworkerd('-c', 'bad.conf');
is($code, 1, 'no start with a bad one');

# -s without a daemon

my @command = $t->command('-s', 'stop');
($code, $out, $err) = $t->run_command(\@command);
like("$code $err", qr/^75 .*not running/, '-s without a daemon');

# a stale pidfile, with the pid of a living process that is not ours

$t->write_file('apworkerd.pid', "$$\n");
($code, $out, $err) = $t->run_command(\@command);
like("$code $err", qr/^75 .*nobody holds/, '-s does not believe a number');

$t->run();
is($t->read_file('apworkerd.pid'), $t->pid() . "\n", 'stale pidfile taken');
$t->wait_status(sub { $_->{slots_able} == 2 });
is(join(',', sort keys %{ family($t) }), 'monitor,slot 1,slot 2', 'family');
like(Test::Apworker::Proc::cmdline($t->pid()),
	qr/^apworkerd: master .*apworker\.conf/, 'title');

my $st = $t->status();
is($st->{pid}, $t->pid(), 'status: pid');
is($st->{version}, '0.1.0', 'status: version');
is(scalar @{ $st->{slots} }, 2, 'status: slots');

# nothing of the environment can be read from outside

my %left = %{ Test::Apworker::Proc::environ(pid_of($t, 'slot 1')) };
is(join(',', keys %left), '', 'no environment in /proc');

# a second daemon on the same pidfile

my ($pid) = $t->pid();
($code, $out, $err) = $t->run_command([ $t->command() ]);
is($code, 71, 'second daemon refused');
like($err, qr/already running with pid $pid\b/, 'and told by whom');
is($t->status()->{pid}, $pid, 'the first one is not disturbed');

# leaving

$t->run_command([ $t->command('-s', 'quit') ]);
is($t->wait_exit(), 0, 'exit status');
ok(!-e $t->pidfile(), 'pidfile removed');
like($t->log(), qr/notice master stopped exit=0/, 'last line');
