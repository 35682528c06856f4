#!/usr/bin/perl

# Two hundred real clients connect by polling and upgrade, all at once, twice.
# They are one process: it gets more time for an upgrade, and to answer, than a
# client would, since it may be long in coming where much else runs.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Link;

my $t = Test::Apworker->new()->has(qw/node node_modules/)->plan(9);
my $d = link_program($t, 'bin/sio-server', '-p', 0, '-i', 60000, '-t', 60000,
	'-c', 60000, '-u', 60000);
my ($port) = $d->expect(qr/^port (\d+)/);
my $fds = sub { scalar @{[ glob '/proc/' . $d->pid() . '/fd/*' ]} };
my $before = $fds->();

for my $round (1, 2) {
	my $c = link_program($t, 'bin/link-soak.js', $port, 200);
	ok($c->expect(qr/^upgraded 200$/), "round $round: all upgraded");
	ok($c->expect(qr/^answered 200$/), 'all answered');
	ok($c->expect(qr/^left 200$/), 'all left');
	ok(wait_for(sub { $fds->() <= $before }), 'no descriptor is left');
	$c->stop();
}
cmp_ok($d->peak_kib(), '<', 150000, 'memory is bounded');
