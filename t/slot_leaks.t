#!/usr/bin/perl

# Nothing piles up: descriptors of master and slot are as many after many jobs,
# engines and connections as before, and no zombie stays.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(8)->write_app_conf();
my $api = $t->api();
$t->run();

my $n = 0;
my $jobs = sub {
	my ($count, @steps) = @_;
	my @ids = map { 'j' . ++$n } 1 .. $count;
	$api->push_job(flow_job(id => $_, engine => \@steps)) for @ids;
	$api->wait_done($_) for @ids;
};
# warm: everything that is made once is there
$jobs->(3, { do => 'answer' });
my ($slot) = $t->slots();

$t->fds_stable($slot->{pid}, sub { $jobs->(50, { do => 'stdout',
	text => "x\n" }, { do => 'answer' }) }, 'slot: warm jobs');
$t->fds_stable($slot->{pid}, sub {
	$jobs->(8, { do => 'fork' }, { do => 'exit', code => 1 });
	$jobs->(1, { do => 'answer' });
}, 'slot: engines that end');
$t->fds_stable($slot->{pid}, sub {
	for (1 .. 4) {
		my $seen = $api->seen(kind => 'settings');
		$api->act('drop');
		$api->wait_seen(kind => 'settings', n => $seen + 1);
	}
	$jobs->(1, { do => 'answer' });
}, 'slot: lost connections');
$t->fds_stable($t->pid(), sub {
	for (1 .. 3) {
		my $cycle = $t->status()->{cycle};
		$t->reload();
		$t->wait_status(sub { $_[0]{cycle} > $cycle
			&& @{ $_[0]{slots} } == 1 }, 'the next cycle');
	}
	$jobs->(1, { do => 'answer' });
}, 'master: reloads');

($slot) = $t->slots();
ok($slot->{pid}, 'a slot is there');
my @zombies;
wait_for(sub { !(@zombies = grep {
	(Test::Apworker::Proc::state_of($_) // '') eq 'Z' }
	map { Test::Apworker::Proc::children($_) } $t->pid(), $slot->{pid}) });
is("@zombies", '', 'no zombies');
my @engines = grep { Test::Apworker::Proc::cmdline($_) =~ /main\.js/
	|| Test::Apworker::Proc::cmdline($_) =~ /^sandbox-/ }
	Test::Apworker::Proc::descendants($t->pid());
cmp_ok(scalar @engines, '<=', 1, 'one engine at most');
is(join(' ', grep { /deleted/ && !m{/memfd:} } $t->fds()), '',
	'no deleted file is kept open');
