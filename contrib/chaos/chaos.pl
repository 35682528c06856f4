#!/usr/bin/perl

# Chaos: many jobs while processes of the daemon are killed, configurations
# reloaded, connections dropped and binaries upgraded.  At the end every job has
# to be accounted for.  The seed draws what happens after which job, and to which
# slot; the same seed draws the same.
#
#	perl contrib/chaos/chaos.pl --jobs 10000 --seed 42 --slots 4
#
#	--every WHAT=N	one in N jobs: kill reload drop upgrade (0: never)
#	--mode MODE	of the sandbox
#	--calm		no deaths: a reload and an upgrade under load, measured
#	APW_BUILD=DIR	the daemon to try; TEST_KEEP=1 keeps its directory

use strict;
use warnings;

use FindBin;
use Getopt::Long;
use Test::More;

use lib "$FindBin::Bin/../../t/lib";
use Test::Apworker;
use Test::Apworker::Chaos;
use Test::Apworker::Util;

my %o = (jobs => 1000, seed => time % 100000, slots => 4, every => {});
GetOptions(\%o, 'jobs=i', 'seed=i', 'slots=i', 'mode=s', 'seconds=i', 'calm',
	'every=s%') or exit 2;
$ENV{APW_TEST_LOG} //= 'info';
my $calm = delete $o{calm};
my $seconds = delete $o{seconds} || 60 + $o{jobs};
$o{every} = { kill => 0, reload => 0, drop => 0, upgrade => 0 } if $calm;
my $c = Test::Apworker::Chaos->new(%o);

if ($calm) {
	my @windows;
	my $half = 0;

	$c->{t}->run();
	for my $what (qw/nothing reload upgrade/) {
		my $from;
		$c->{jobs} = $o{jobs} / 3 * ++$half;
		my $at = $c->{jobs} - $o{jobs} / 6;
		local *Test::Apworker::Chaos::happen = sub {
			my $p = $c->{api}->ask('progress');
			return if $from || $p->{settled} < $at - $o{jobs} / 12;
			$from = $p->{t_ms};
			my $do = "do_$what";
			$c->$do() if $what ne 'nothing';
			push @windows, [ $from, $from + 1500 ];
		};
		ok($c->run($seconds), "$what: all settled");
	}
	my $a = $c->account(windows => \@windows);
	my ($nothing, $reload, $upgrade) = map { int } @{ $a->{gaps_ms} };
	is($a->{once}, $c->{pushed}, 'each job once');
	is($a->{handed_again} + $a->{stalled}, 0, 'none stranded');
	is(join(' ', keys %{ $a->{status} }), 'OK', 'none failed');
	ok($_ < 1500, 'throughput was never zero') for $reload, $upgrade;
	diag("$c->{pushed} jobs, $o{slots} slots; longest time without a "
		. "settled job in 1500 ms: $nothing ms, from a reload on "
		. "$reload ms, from an upgrade on $upgrade ms");
	exit;
}
ok($c->run($seconds), 'all jobs have ended');
diag($c->check());
