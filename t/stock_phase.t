#!/usr/bin/perl

# kill -9 of the keeper, or of its slot, in each phase of its work, while
# another process waits for the same entry: nobody ever sees half of it, the
# other one finishes it, and nothing is left behind.

use strict;
use warnings;

use JSON::PP ();
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my @steps = qw/lock staging tool flush publish published tidy/;
my @pieces = qw/lock staging tool verify flush merge package publish published
	tidy/;
my @engines = qw/lock staging engine mark tidy/;
my %phases = (keeper => [ \@steps, \@pieces, \@engines ],
	slot => [ [qw/lock tool publish/], [qw/lock tool merge publish/],
	[qw/engine mark/] ]);
my $rounds = 0;
$rounds += @$_ for map { @$_ } values %phases;

my $t = Test::Apworker->new()->has(qw/node bun esbuild/)
	->plan(5 * $rounds + 8);
my $dir = $t->testdir();
my $s = Test::Apworker::Stock->new($t, negative_ttl_ms => 0);
my %packages;
my $n = 0;

# An order for something new, a look at it, and the name in the log of who
# made it.  A look finds nothing, or all.
sub new_step {
	my $name = 's' . ++$n;
	return { order => { codes => [ step($name,
		"export const code = async () => $n;") ] },
		want => $n, made => 'code step built',
		look => sub { -e $s->path("codes/fv/$name")
			? $s->result($name) : undef } };
}

# Three packages, so that there is a moment with some of them.
sub new_piece {
	my $name = 'piece-' . ++$n;
	$packages{"lib-$n"} = { versions => { '1.0.0' => { files => {
		'src/index.js' => "exports.n = $n;" } } } };
	$packages{"mid-$n"} = { versions => { '1.0.0' => { files => {
		'src/index.js' => "exports.n = require('lib-$n').n;" },
		dependencies => { "lib-$n" => '1.0.0' } } } };
	$packages{$name} = { versions => { '1.0.0' => { files => {
		'src/index.js' => "exports.piece = require('mid-$n').n;" },
		dependencies => { "mid-$n" => '1.0.0' } } } };
	$s->registry(%packages);
	return { order => { pieces => [ piece_of($name, '1.0.0') ] },
		want => $n, made => 'pieces installed',
		look => sub { -e $s->path("common/pieces/$name-1.0.0")
			? $s->load($name, '1.0.0') : undef } };
}

# Its file has a name that others have had: there is the old one, or the new.
sub new_engine {
	my $old = slurp("$dir/main.js");
	my $new = '// engine ' . ++$n . "\n";
	$t->write_file('main.js', $new);
	return { order => {}, want => $new, made => 'engine installed',
		look => sub { my $now = slurp($s->path('common/main.js'));
			$now eq $old ? undef : $now } };
}

sub locks_of { return map { m{-> (.*/\.locks/.*)} ? $1 : () }
	Test::Apworker::Proc::fds($_[0]) }

# Places it where its keeper stops at the moment.
sub start_stopped {
	my ($moment, $what) = @_;
	my $stops = "$dir/stops-$n";
	$t->write_file("stops-$n/at", "$moment\n");
	my $order = $s->start(%{ $what->{order} }, tool => 'stock-stops',
		env => { APW_STOPS => $stops });
	wait_for(sub { -e "$stops/stopped" }, "$moment") or return;
	chomp(my $keeper = slurp("$stops/stopped"));
	wait_for(sub { Test::Apworker::Proc::state_of($keeper) eq 'T' },
		"a keeper that stands still");
	return ($order, $keeper);
}

# Another one wants it now; where there is a lock, it waits for it.
sub start_other {
	my ($keeper, $order) = @_;
	my $other = $s->start(%$order);
	my %held = map { $_ => 1 } locks_of($keeper);
	wait_for(sub { !Test::Apworker::Proc::alive($other->{pid}) ||
		grep { $held{$_} } map { locks_of($_) }
		Test::Apworker::Proc::children($other->{pid}) },
		'the other keeper');
	return $other;
}

sub round {
	my ($moment, $victim, $what) = @_;
	my $name = "$victim killed at $moment: $what->{made}";
	my ($order, $keeper) = start_stopped($moment, $what);
	my $seen = $what->{look}();
	ok(!defined $seen || $seen eq $what->{want}, "$name: half is not seen")
		or diag($seen);

	my $other = start_other($keeper, $what->{order});
	kill 'KILL', $victim eq 'keeper' ? $keeper : $order->{pid};
	kill 'CONT', $keeper if $victim eq 'slot';
	my $first = $s->wait($order);
	my $second = $s->wait($other);
	is($second->{fault}, 'OK', "$name: the other one has it")
		or diag($second->{log});
	is($what->{look}(), $what->{want}, "$name: and it is whole");
	wait_for(sub { !Test::Apworker::Proc::alive($keeper) },
		"the keeper's end");

	# Whoever gave it its name did so once, and nobody does it again.
	my $third = $s->order(%{ $what->{order} });
	my $makers = () = "$first->{log}$second->{log}$third->{log}" =~
		/\Q$what->{made}\E/g;
	cmp_ok($makers, '<=', 1, "$name: once");
	unlike($third->{log}, qr/installed|built/, "$name: nothing to do");
}

for my $victim (qw/keeper slot/) {
	my ($steps, $pieces, $engines) = @{ $phases{$victim} };
	round($_, $victim, new_step()) for @$steps;
	round($_, $victim, new_piece()) for @$pieces;
	round($_, $victim, new_engine()) for @$engines;
}

# The tool itself, at work: an installer that waits for the registry, and a
# bundler that does not end.
sub tool_round {
	my ($name, $order, $pid, $go, %first) = @_;
	my $one = $s->start(%$order, %first);
	my $tool = $pid->($one);
	my ($keeper) = grep { locks_of($_) }
		Test::Apworker::Proc::children($one->{pid});
	my $other = start_other($keeper, $order);
	kill 'KILL', $tool;
	my $got = $s->wait($one);
	is($got->{fault}, 'OURS', "a killed $name is not the user's fault");
	like($got->{error}, qr/Killed by signal 9/, 'is told');
	$go->();
	is($s->wait($other)->{fault}, 'OK', 'and the other one has it');
}

my $held = new_piece();
my ($name) = grep { /^piece-$n$/ } keys %packages;
$packages{$name}{tarball} = { wait => 'held' };
$s->registry(%packages);
tool_round('installer', $held->{order}, sub {
	my ($one) = @_;
	wait_for(sub { $s->requests(qr/\Q$name\E.*\.tgz/) }, 'its request');
	return (grep { Test::Apworker::Proc::cmdline($_) =~ / install / }
		Test::Apworker::Proc::descendants($one->{pid}))[0];
}, sub { $t->write_file('registry/go-held', '') });
my $esbuild = $t->tool('esbuild', { hang => 1 });
tool_round('bundler', new_step()->{order}, sub {
	return $esbuild->wait_call(1)->{pid};
}, sub {}, stock => { jail => JSON::PP::false,
	bundler_path => $esbuild->path() });

# What killed keepers left goes when it is certain that they are gone.
my @left = $s->staged();
cmp_ok(scalar @left, '<=', $rounds, 'staging of those who were killed');
utime 1000, 1000, map { $s->path(".staging/$_") } @left;
my $last = new_step();
$s->order(%{ $last->{order} });
is_deeply([ $s->staged() ], [], 'is swept');
