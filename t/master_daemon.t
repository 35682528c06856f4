#!/usr/bin/perl

# In the background: the starter returns when the daemon is up, and tells by
# its exit status when it is not.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new(daemon => 1)->has(qw/fake_slots/)->plan(15);
fake_conf($t)->write_file('main.js', '');

$t->run();
is($t->status()->{pid}, $t->pid(), 'listens when the starter returns');
isnt($t->pid(), getppid(), 'another process');
my @fds = Test::Apworker::Proc::fds($t->pid());
is(scalar(grep { m{^[012] -> /dev/null$} } @fds), 3, 'standard descriptors');
my @held;
# one that was just forked is about to let go of it
wait_for(sub { !(@held = map { my $p = $_; grep { m{^[012] -> (?!/dev/null)} }
	Test::Apworker::Proc::fds($p) } children($t->pid())) });
is("@held", '', 'nor does a child hold what the starter had');
my ($session, $ppid) = session($t->pid());
isnt($session, session($$), 'a session of its own');
isnt($session, $t->pid(), 'which it does not lead');
is(readlink('/proc/' . $t->pid() . '/cwd'), '/', 'in the root directory');

# a relative -c is found again

my ($code, $out, $err) = $t->run_command([ $t->command('-s', 'reload') ]);
is($code, 0, '-s reload');
ok($t->wait_status(sub { $_->{reload}{ok} == 1 }), 'reloaded');

# the second one: the starter has the reason and the status

($code, $out, $err) = $t->run_command([ $t->command() ]);
is($code, 71, 'a second one is refused');
like($err, qr/already running with pid ${\ $t->pid() }/, 'with its pid');

my $pid = $t->pid();
$t->run_command([ $t->command('-s', 'stop') ]);
ok(wait_for(sub { !Test::Apworker::Proc::alive($pid) }, 'end'), '-s stop');
$t->reap();

# what cannot be bound

my $taken = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1');
my $port = $taken->sockport();
fake_conf($t, monitor => "monitor { listen 127.0.0.1:$port; }");
$t->write_conf_now();
($code, $out, $err) = $t->run_command([ $t->command() ]);
is($code, 71, 'not started');
like($err, qr/cannot listen on 127\.0\.0\.1:$port: .*in use/, 'and why');
ok(!-e $t->pidfile(), 'no pidfile left');

sub session {
	my ($pid) = @_;
	my @f = split ' ', (slurp_stat($pid) =~ /\) (.*)/)[0];
	return wantarray ? ($f[3], $f[1]) : $f[3];
}

sub children {
	my ($pid) = @_;
	return split ' ', qx{cat /proc/$pid/task/$pid/children};
}

sub slurp_stat {
	open my $fh, '<', "/proc/$_[0]/stat" or return '';
	return scalar <$fh>;
}
