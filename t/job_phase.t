#!/usr/bin/perl

# Two daemons with one stock: kill -9 of the first one's keeper, or slot, in the
# phases of an install that the second one waits for.  The second one's job
# runs, the first one's ends clearly or is run again, and nothing half-done is
# ever used.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my @rounds = ((map { [ 'keeper', $_ ] } qw/lock staging tool verify flush
	publish published tidy/), (map { [ 'slot', $_ ] } qw/lock verify
	publish/));

my $one = Test::Apworker->new()->has(qw/daemon node node_modules/)
	->plan(4 * @rounds + 2 + $Test::Apworker::CHECKS)
	->write_app_conf(main => ($> ? '' : 'user nobody;')
	. 'respawn_max 100ms; respawn_burst 64;', stock =>
	'warm off; negative_ttl 0s;');
my $two = Test::Apworker->new()->write_app_conf(main => $> ? '' :
	'user nobody;', stock => 'warm off; negative_ttl 0s;');
my $dir = $one->testdir();
my $stock = "$dir/stock/v12";
$two->{conf} =~ s{path %%TESTDIR%%/stock}{path $dir/stock} or die;
$one->{program} = $one->daemon_path('t/bin/apworkerd-stops');
chmod 01777, $dir, $two->testdir();
mkdir "$dir/stops";
chmod 0777, "$dir/stops";

my @pieces = map { { name => "\@x/piece-$_", version => '1.0.0' } }
	0 .. @rounds;
my %api = (one => $one->api(pieces => \@pieces),
	two => $two->api(pieces => \@pieces));

sub job {
	my ($id, $n) = @_;
	return flow_job(id => $id, version => "fv$n", step => code_step(
		code => "export const code = async () => $n;",
		next => piece_step(name => 'step_2', piece => "\@x/piece-$n",
		version => '1.0.0')));
}

# Neither of both is there, or they are whole.
sub half {
	my ($n) = @_;
	my $step = "$stock/codes/fv$n/step_1";
	my $piece = "$stock/common/pieces/\@x/piece-$n-1.0.0";
	return (-e $step && slurp("$step/index.js") !~ /=> $n;/ ? 'step' : (),
		-e $piece && slurp("$piece/node_modules/\@x/piece-$n/src/index.js")
		!~ /piece-$n\@1/ ? 'piece' : ());
}

sub slot_pid { my ($t) = @_; return ($t->slots())[0]{pid} }

$one->run(env => { APW_STOPS => "$dir/stops" });
$two->run();
$api{two}->push_job(job('warm', 0));
is($api{two}->wait_done('warm')->{status}, 'OK', 'a stock with an engine');

my $n = 0;
for my $round (@rounds) {
	my ($victim, $moment) = @$round;
	my $name = "$victim at $moment";
	++$n;
	unlink "$dir/stops/stopped";
	$one->write_file('stops/at', "$moment\n");
	$api{one}->push_job(job("one$n", $n));
	wait_for(sub { -e "$dir/stops/stopped" }, $name) or last;
	chomp(my $keeper = slurp("$dir/stops/stopped"));
	wait_for(sub { Test::Apworker::Proc::state_of($keeper) eq 'T' },
		'a keeper that stands still');
	$api{two}->push_job(job("two$n", $n));
	my $slot = slot_pid($two);
	wait_for(sub { $api{two}->settled("two$n") || grep {
		slurp("/proc/$_/comm") eq "apw-stock\n" }
		Test::Apworker::Proc::children($slot) }, 'the other keeper');
	is_deeply([ half($n) ], [], "$name: nothing half-done is to be seen");
	if ($victim eq 'keeper') {
		kill 'KILL', $keeper;
	} else {
		kill 'KILL', slot_pid($one);
		kill 'CONT', $keeper;
	}
	is($api{two}->wait_done("two$n")->{status}, 'OK',
		"$name: the other daemon's job");
	my $done = $api{one}->wait_done("one$n");
	if ($victim eq 'keeper') {
		is("$done->{status} " . ($done->{errorMessage} // '') =~
			s/.*(keeper died).*/$1/sr, 'INTERNAL_ERROR keeper died',
			"$name: the job ends with the reason");
	} else {
		is($done->{status}, 'OK', "$name: the job is run by the next");
	}
	is_deeply([ half($n) ], [], "$name: all is whole");
}

$api{one}->push_job(job('last', 0));
is($api{one}->wait_done('last')->{status}, 'OK', 'and the next job is fine');
$two->finish();
$one->finish();
