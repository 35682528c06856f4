#!/usr/bin/perl

# What a slot leaves behind dies with it; what is not a slot's is left alone;
# nothing survives the master.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(13);
fake_conf($t, slots => 2)->write_file('main.js', '');

# A side process of the script that became the daemon: the master's child,
# and none of its business.

order($t, 1, 'orphans');
$t->write_file('start.sh', <<'EOS', 0755);
#!/bin/sh
sleep 1000 &
echo $! >side.pid
exec "$@"
EOS
{
	no warnings 'redefine';
	my $command = \&Test::Apworker::command;
	local *Test::Apworker::command = sub {
		return ('/bin/sh', './start.sh', $command->(@_));
	};
	$t->run();
}
$t->wait_status(sub { $_->{slots_able} == 2 });
my ($side) = $t->read_file('side.pid') =~ /(\d+)/;

sub below {
	my ($pid) = @_;
	my @all;
	wait_for(sub { 2 == (@all = grep {
		Test::Apworker::Proc::cmdline($_) !~ /: (?:broker|builders)/ }
		Test::Apworker::Proc::descendants($pid)) },
		'a child and a grandchild');
	return @all;
}

sub gone { return !grep { Test::Apworker::Proc::alive($_) } @_ }

my $slot = pid_of($t, 'slot 1');
my @orphans = below($slot);
is(scalar @orphans, 2, 'a slot with processes below it');
order($t, 1, undef);
kill 'KILL', $slot;
ok(wait_for(sub { gone(@orphans) }, 'orphans'), 'they die with it');
isnt(pid_of($t, 'slot 1', $slot), undef, 'the slot is back');
ok($t->wait_log(qr/killing what a process left behind/), 'and a line tells');
ok(wait_for(sub { !grep { (Test::Apworker::Proc::state_of($_) // '') eq 'Z' }
	Test::Apworker::Proc::children($t->pid()) }, 'reaping'), 'no zombie');
ok(Test::Apworker::Proc::alive($side), 'the side process lives');

# a slot that leaves in peace leaves nothing either

order($t, 2, 'orphans');
kill 'KILL', pid_of($t, 'slot 2');
$t->wait_status(sub { $_->{slots_able} == 2 && $_->{total}{deaths} == 2 });
@orphans = below(pid_of($t, 'slot 2'));
order($t, 2, undef);
$t->reload();
ok(wait_for(sub { gone(@orphans) }, 'orphans'), 'a drained slot is swept');
ok(Test::Apworker::Proc::alive($side), 'the side process lives');

# the side process ends: reaped

kill 'TERM', $side;
ok(wait_for(sub { !defined Test::Apworker::Proc::state_of($side) }, 'reaped'),
	'a process that is not ours is reaped');

# kill -9 of the master, with a deaf slot

order($t, 1, 'deaf');
$t->wait_status(sub { @{ $_->{slots} } == 2 });
my $old = pid_of($t, 'slot 1');
kill 'KILL', $old;
pid_of($t, 'slot 1', $old);
$t->wait_status(sub { $_->{slots_able} == 2 });
my @family = map { @$_ } values %{ family($t) };
is(scalar @family, 3, 'three children');
$t->expect_exit('signal 9');
$t->signal('KILL');
ok(wait_for(sub { gone(@family) }, 'children'), 'nothing survives the master');
is($t->wait_exit(), 'signal 9', 'killed');

# what it left in the file system does not hinder the next

order($t, 1, undef);
$t->expect_exit(0);
$t->run();
ok($t->wait_status(sub { $_->{slots_able} == 2 }), 'the next one starts');
