#!/usr/bin/perl

# A reload is taken only after one slot of the new configuration has shown that
# it works; only what changed starts anew.

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Apworker;
use Test::Apworker::Master;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/fake_slots/)->plan(37);
my $own = $t->port('MONITOR');
my %usual = (monitor => "monitor { listen 127.0.0.1:$own; }", slots => 3);
my $n = 0;

# Another configuration of slots each time.
sub changed { return fake_conf($t, %usual, engine => 'max_jobs ' . ++$n . ';',
	@_) }
sub status { return $t->status() }
# Once a canary has left.
sub slots_are { my %f;
	wait_for(sub { %f = %{ family($t) }; !grep { @$_ != 1 } values %f },
		'one of each');
	return { map { $_ => $f{$_}[0] } grep { /^slot/ } keys %f } }

fake_conf($t, %usual)->write_file('main.js', '');
$t->run();
$t->wait_status(sub { $_->{slots_able} == 3 });
my $before = slots_are();

# what does not work is not taken

order($t, 'all', 'unfit=no-engine');
changed();
my ($code, $out, $err) = $t->ctl('reload', '--wait');
is($code, 1, 'apworkerctl reload says no');
like($err, qr/runs no job: no-engine/, 'and why');
is(status()->{cycle}, 1, 'the configuration stays');
like(status()->{reload}{message}, qr/no-engine/, 'status has the reason');
is_deeply(slots_are(), $before, 'the old slots have not been touched');
unlike($t->log(), qr/told to leave.*slot=[23]/, 'none was told to leave');

# a canary that dies

order($t, 'all', 'abort');
$t->allow_alert('signal');
($code, undef, $err) = $t->ctl('reload');
is($code, 1, 'a canary that dies refuses the reload');
like($err, qr/died; the log tells how/, 'with the reason');
is_deeply(slots_are(), $before, 'and nothing has changed');
ok(wait_for(sub { keys %{ family($t) } == 4 }, 'canary gone'), 'but the canary');

# one that needs another configuration

order($t, 'all', 'exit=78');
($code) = $t->ctl('reload');
is($code, 1, 'one that cannot be is refused');
is_deeply(slots_are(), $before, 'nothing has changed');

# one that hangs: a deadline

order($t, 'all', 'slow=600000');
changed(main => 'reload_timeout 300ms;');
($code, undef, $err) = $t->ctl('reload');
is($code, 1, 'one that hangs is refused');
like($err, qr/within reload_timeout: booting/, 'with its state');
is_deeply(slots_are(), $before, 'nothing has changed');
ok(wait_for(sub { keys %{ family($t) } == 4 }, 'canary gone'),
	'the canary is gone');
order($t, 'all', undef);
is(status()->{cycle}, 1, 'still the first configuration');
is(status()->{reload}{failed}, 4, 'four refused');

# one that works

changed();
($code, $out) = $t->ctl('reload', '--wait');
is($code, 0, 'what works is taken');
like($out, qr/reloaded: configuration \d+/, 'and told');
ok($t->wait_status(sub { $_->{slots_able} == 3 && @{ $_->{slots} } == 3 }),
	'three new slots');
my $now = slots_are();
is(scalar(grep { $now->{$_} == $before->{$_} } keys %$now), 0,
	'all are new');

# only what changed

my $mon = pid_of($t, 'monitor');
$usual{monitor} = "monitor { listen 127.0.0.1:$own; "
	. "listen unix:%%TESTDIR%%/mon.sock; }";
sub same_engine { return fake_conf($t, %usual, engine => "max_jobs $n;", @_) }
same_engine();
is(($t->ctl('reload'))[0], 0, 'another address for the monitor');
is_deeply(slots_are(), $now, 'the slots stay');
isnt(pid_of($t, 'monitor', $mon), $mon, 'the monitor is new');
ok($t->wait_status(sub { $_->{slots_able} == 3 }), 'and knows them');

$mon = pid_of($t, 'monitor');
same_engine(slots => 4);
is(($t->ctl('reload'))[0], 0, 'one slot more');
ok($t->wait_status(sub { $_->{slots_able} == 4 }), 'is there');
my %four = %{ slots_are() };
delete $four{'slot 4'};
is_deeply(\%four, $now, 'the others stay');
same_engine(slots => 2);
is(($t->ctl('reload'))[0], 0, 'two slots less');
ok(wait_for(sub { keys %{ slots_are() } == 2 }, 'two'), 'are gone');
is_deeply(slots_are(), { map { $_ => $now->{$_} } 'slot 1', 'slot 2' },
	'those that are left are the old ones');
is(pid_of($t, 'monitor'), $mon, 'the monitor stayed');
same_engine(slots => 2, main => 'respawn_burst 3;');
is(($t->ctl('reload'))[0], 0, 'a matter of the master');
is(slots_are()->{'slot 1'}, $now->{'slot 1'}, 'changes no process');

# a storm, the file deleted in the middle of it

my $cycle = status()->{cycle};
for my $i (1 .. 100) {
	changed() if $i % 10 == 0;
	kill 'HUP', $t->pid();
}
unlink $t->conf_file();
kill 'HUP', $t->pid();
ok($t->wait_status(sub { $_->{reload}{message} =~ /No such file/ }),
	'a hundred reloads, the last without a file');
changed();
$t->reload();
ok($t->wait_status(sub { $_->{reload}{message} eq '' && $_->{slots_able} == 3
	&& @{ $_->{slots} } == 3 }), 'and one with it again');
