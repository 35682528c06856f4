#!/usr/bin/perl

# Code that wants all of something gets its share, and the box ends: memory of
# every kind, processes, descriptors, disk, output, time.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Box;

my $t = Test::Apworker->new()->has(qw/linux userns/);
my @limits = ('-p', 64, '-m', '128m', '-t', '16m', '-T', 100, '-o', 64,
	'-F', '8m');

for my $box (Test::Apworker::Box::everybody($t)) {
	my $who = $box->name();
	my $grouped = $box->sh([ '-d' ], 'true') =~ /memory/;

	memory($box, $who, $grouped);
	my %far = map { $_ => far($box, $_) } qw/tmp devshm fork fds inodes/;
	cmp_ok($far{tmp}, '<=', 8, "$who: a file ends at its limit");
	cmp_ok($far{devshm}, '<=', 8, "$who: /dev/shm is no way around");
	cmp_ok($far{fork}, '<=', 66, "$who: processes");
	cmp_ok($far{fds}, '<=', 64, "$who: descriptors");
	cmp_ok($far{inodes}, '<=', 100, "$who: files");

	# several files together: the size of /tmp
	like($box->sh([ @limits ], 'for i in 1 2 3 4 5; do head -c 7m '
		. '/dev/urandom >/tmp/f$i; done 2>&1; '
		. 'du -sk /tmp | cut -f1'), qr/No space left.*\n1[56]\d\d\d$/s, "$who: /tmp ends at 16 MiB");

	# 40,000 processes, one after the other, take their time
	my ($code, $out, $err) = do {
		local $ENV{APW_TEST_SLOW} = 5 * ($ENV{APW_TEST_SLOW} || 1);
		bomb($box, 'zombies');
	};
	like($err, qr/^zombies (?:1|2)\d{4}$/m, "$who: init reaps 10,000 orphans")
		or diag($err);

	for my $name (qw/spin stay/) {
		($code) = $box->run([ @limits, '-k', 300 ],
			'/root/common/box-attack', 'bomb', $name);
		is($code, 137, "$who: $name ends when it is killed");
		is($box->end('told'), 0, "$who: and nobody in there was asked");
	}
}

# Each kind of memory: either the kernel ends it at the group's limit, or the
# process is refused more.  4096 MiB is where the bomb gives up.
sub memory {
	my ($box, $who, $grouped) = @_;
	for my $kind (qw/heap shared zero memfd shm/) {
		my ($code, $out, $err) = bomb($box, $kind);
		my ($far) = $err =~ /^$kind (-?\d+)/m;
		if ($grouped && $code == 137) {
			is($box->end('signal'), 9, "$who: $kind is killed");
			cmp_ok($box->end('oom_kills'), '>', 0,
				"$who: and the evidence says memory");
			cmp_ok($box->end('peak'), '<=', 128 << 20,
				"$who: at its limit");
			next;
		}
		cmp_ok($far // 9999, '<', 1024, "$who: $kind is refused more");
		cmp_ok($far // 9999, '<', $kind eq 'heap' ? 1024 : 1,
			"$who: $kind: what no limit counts is not there")
			unless $grouped;
	}
}

sub bomb {
	my ($box, $name) = @_;
	return $box->run([ @limits ], '/root/common/box-attack', 'bomb', $name);
}

sub far {
	my ($box, $name) = @_;
	my ($code, $out, $err) = bomb($box, $name);
	return $err =~ /^$name (\d+)/m ? $1 : 99999;
}

# output has no end of its own: the reader's pipe is the limit, and the box
# ends with its reader
my ($any) = Test::Apworker::Box::everybody($t);
$any->start([ @limits, '-k', 2000 ], '/root/common/box-attack', 'bomb', 'spin');
is(($any->done())[0], 137, 'a spinning box is killed by the clock');
