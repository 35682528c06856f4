#!/usr/bin/perl

# Started by root with "user": slots and monitor are that user, for good, with
# no capability, and have no descriptor of the master's.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots root/)->plan(34);
my ($uid, $gid) = (getpwnam 'nobody')[2, 3];
# as service managers make them: empty, and root's
mkdir "$t->{testdir}/$_", 0755 for 'lib', 'lib/state';
fake_conf($t, main => join("\n", 'user nobody;',
	'log %%TESTDIR%%/logs/error.log debug;',
	'pid %%TESTDIR%%/run/apworkerd.pid;',
	'state %%TESTDIR%%/lib/state;'),
	monitor => 'monitor { listen unix:%%TESTDIR%%/run/monitor.sock; }')
	->write_file('main.js', '')->run();
ok($t->wait_status(sub { $_->{slots_able} == 2 }), 'up');

for my $who ('slot 1', 'slot 2', 'monitor') {
	my %st = status_of(pid_of($t, $who));
	is($st{Uid}, join("\t", ($uid) x 4), "$who: uid");
	is($st{Gid}, join("\t", ($gid) x 4), "$who: gid");
	unlike(" $st{Groups} ", qr/ 0 /, "$who: groups");
	is(join(',', map { hex $st{"Cap$_"} } qw/Inh Prm Eff Bnd Amb/),
		'0,0,0,0,0', "$who: capabilities");
	is($st{NoNewPrivs}, 1, "$who: no new privileges");
	is(hex($st{SigBlk}), 0, "$who: nothing is blocked");
}
my %st = status_of($t->pid());
is($st{Uid}, join("\t", (0) x 4), 'the master stays root');

# what a slot was born with

my $old = pid_of($t, 'slot 1');
$t->write_file("$t->{testdir}/lib/state/slot-1", "stray-fds\n");
chmod 0777, "$t->{testdir}/lib/state";
kill 'KILL', $old;
pid_of($t, 'slot 1', $old);
$t->wait_status(sub { $_->{slots_able} == 2 });
my @fds = grep { !/^[012] / } split /\n/,
	$t->read_file("$t->{testdir}/lib/state/fds-1");
# what speaks with its broker is its own
my %masters = map { $_ => 1 } map { /(socket:\[\d+\])/ } $t->fds();
is(join(' ', grep { /(socket:\[\d+\])/ && $masters{$1} } @fds), '',
	'no socket of the master');
is(join(' ', map { s{^\d+ .*/}{}r } grep { !/socket:|anon_inode:/ } @fds),
	'error.log', 'of files, the log alone');
my @listening = Test::Apworker::Proc::fds(pid_of($t, 'slot 2'));
unlike(join("\n", @listening), qr/apworkerd\.pid/, 'not the pidfile');

# who owns what

is(owner('run/apworkerd.pid'), '0 644', 'pidfile');
is(owner('run'), '0 755', 'its directory');
is(owner('run/monitor.sock'), "$uid 660", 'socket');
is((owner('lib/state') =~ /^(\d+)/)[0], $uid, 'state');
is(owner('stock'), "$uid 750", 'stock');
is(owner('logs/error.log'), "$uid 640", 'log');

# so that slots can open the log again

rename "$t->{testdir}/logs/error.log", "$t->{testdir}/logs/old";
$t->signal('USR1');
ok(wait_for(sub { (() = ($t->read_file('logs/error.log') // '')
	=~ /slot reopened the log/g) == 2 }, 'reopened'), 'slots reopen the log');
is(owner('logs/error.log'), "$uid 640", 'the new log');
unlike($t->read_file('logs/error.log'), qr/cannot reopen/, 'without trouble');

# a group that is not the user's
$t->stop();
my $other = (getgrnam 'daemon')[2];
$t->{conf} =~ s/user nobody;/user nobody daemon;/;
$t->run();
$t->wait_status(sub { $_->{slots_able} == 2 });
%st = status_of(pid_of($t, 'slot 1'));
is($st{Gid}, join("\t", ($other) x 4), 'another group');
is($st{Uid}, join("\t", ($uid) x 4), 'same user');

sub status_of {
	my ($pid) = @_;
	open my $fh, '<', "/proc/$pid/status" or return ();
	return map { /^(\w+):\s*(.*?)\s*$/ ? ($1, $2) : () } <$fh>;
}

sub owner {
	my @st = stat "$t->{testdir}/$_[0]" or return "no $_[0]";
	return sprintf '%d %o', $st[4], $st[2] & 07777;
}
