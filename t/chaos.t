#!/usr/bin/perl

# A hundred and fifty jobs while processes are killed, configurations reloaded and
# connections dropped: each is settled once.  (contrib/chaos has the long run.)

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Chaos;

my $c = Test::Apworker::Chaos->new(jobs => 150, seed => $ENV{APW_SEED} || 7,
	quiet => 1, again_ms => 6000, slots => 3, every => { kill => 20, reload => 75,
	drop => 60, upgrade => 0 });
ok($c->run(60), 'all jobs have ended');
note($c->check());
