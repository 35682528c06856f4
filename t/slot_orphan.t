#!/usr/bin/perl

# A slot whose loop hangs in the moment its master is killed ends all the same,
# and the next daemon finds nothing in its way.

use strict;
use warnings;

use Fcntl;
use POSIX ();
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(3)->write_app_conf();
my $api = $t->api(poll_ms => 1000);
my $fifo = "$t->{testdir}/fifo";
POSIX::mkfifo($fifo, 0600) or die "$fifo: $!";
sysopen my $reader, $fifo, O_RDONLY | O_NONBLOCK or die "$fifo: $!";
sysopen my $writer, $fifo, O_WRONLY | O_NONBLOCK or die "$fifo: $!";

# a log that nobody reads: writing to it hangs once it is full
{
	no warnings qw/redefine once/;
	my $globals = \&Test::Apworker::Conf::globals;
	local *Test::Apworker::globals = sub {
		return $globals->(@_) =~ s/log \S+error\.log/log $fifo/r };
	$t->start();
}
wait_for(sub { my $st = $t->status(); $st && $st->{slots_able} == 1 }, 'slot');
my ($slot) = map { $_->{pid} } $t->slots();
1 while syswrite $writer, 'x' x 4096;
1 while syswrite $writer, 'x';
$api->push_job(flow_job(id => 'j1', engine => [ { do => 'answer' } ]));
ok(wait_for(sub { slurp("/proc/$slot/wchan") =~ /pipe/
	|| slurp("/proc/$slot/syscall") =~ /^1 / }, 'slot hangs'),
	'the slot hangs in a write');
my @below = Test::Apworker::Proc::descendants($t->pid());
$t->expect_exit('signal 9');
kill 'KILL', $t->pid();
is($t->wait_exit(), 'signal 9', 'the master is killed');
ok(wait_for(sub { !grep { Test::Apworker::Proc::alive($_) } @below },
	'the others'), 'all others end');
