#!/usr/bin/perl

# A hundred and fifty jobs while processes are killed, configurations reloaded
# and connections dropped: each is settled once.  (contrib/chaos has the long run.)
# Then the same ledger sees what apps that break their word do.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Chaos;

my $c = Test::Apworker::Chaos->new(jobs => 150, seed => $ENV{APW_SEED} || 7,
	quiet => 1, again_ms => 6000, slots => 3, lock_s => 20,
	every => { kill => 20, reload => 75, drop => 60, upgrade => 0 });
# a job that was handed to a slot which died before it could read it comes
# back when its lock has run out
ok($c->run(90), 'all jobs have ended');
note($c->check());

is($c->broken('well'), '', 'an app that keeps its word');
is($c->broken('lose'), 'lost', 'an app that loses jobs');
is($c->broken('double'), 'repeated', 'an app that is told twice');
# whether the copy meets the first one at work or done is a matter of time
like($c->broken('hand_twice'),
	qr/^(?:after_settled )?handed_twice(?: overlap)? repeated$/,
	'an app that hands jobs out twice');
