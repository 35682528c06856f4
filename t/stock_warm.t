#!/usr/bin/perl

# Pieces that the app says are in use are installed when the first slot has
# nothing to do: at low priority, once, and out of the way of every job.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

sub used {
	return { packageType => 'REGISTRY', pieceType => 'OFFICIAL',
		pieceName => $_[0], pieceVersion => $_[1] };
}

my $t = Test::Apworker->new()->has(qw/daemon node node_modules/)->plan(20)
	->write_app_conf(slots => 2);
my $api = $t->api(used_pieces => [ used('@x/piece-one', '1.0.0'),
	used('../evil', '1.0.0'), 7, {}, used('@x/piece-range', '^1.0.0'),
	used('@x/piece-mine', '1.0.0'), used('@x/piece-two', '2.0.0'),
	{ packageType => 'ARCHIVE', pieceType => 'CUSTOM', platformId => 'pl1',
	  pieceName => 'piece-gone', pieceVersion => '1.0.0',
	  archiveId => 'none' } ],
	pieces => [ { name => '@x/piece-job', version => '3.0.0' } ],
	settings => { DEV_PIECES => [ 'mine' ] });
my $esbuild = $t->tool('esbuild');
my $bun = $t->tool('bun', { wait => 'first' }, {});
$t->run();

# The first chunk is being installed.
my $call = $bun->wait_call(1);
ok($call, 'an install without a job');
my ($nice) = (split ' ', slurp("/proc/$call->{pid}/stat") =~ s/^.*\) //r)[16];
is($nice, 19, 'at the lowest priority');
is(scalar(() = $api->calls('getUsedPieces')), 1, 'one slot has asked');

# A job for each slot: nobody waits for the install that hangs.
for my $n (1, 2) {
	$api->push_job(flow_job(id => "job$n", step => piece_step(
		piece => '@x/piece-job', version => '3.0.0')));
}
is($api->wait_done("job$_")->{status}, 'OK', "job $_ goes first") for 1, 2;
ok(wait_for(sub { !-d "/proc/$call->{pid}" }, 'its end'),
	'what was under way was given up');

# Then it is done all the same.
ok($t->wait_log(qr/pieces in use are installed count=3 failed=1/),
	'later it is done') or diag($t->log_tail());
my $pieces = $t->testdir() . '/stock/v12/common/pieces';
ok(-e "$pieces/\@x/piece-$_/ready", $_) for qw/one-1.0.0 two-2.0.0/;
ok(!-e "$pieces/\@x/piece-mine-1.0.0", 'no piece that is developed here');
is(scalar(() = $api->calls('getPieceArchive')), 1,
	'an archive that the app does not have');
$t->log_mark();
$api->act('drop');
ok($t->wait_log(qr/connection to the source lost/), 'the connection is lost');
$api->push_job(flow_job(id => 'job3'));
is($api->wait_done('job3')->{status}, 'OK', 'and there again');
is(scalar(() = $api->calls('getUsedPieces')), 1, 'it is asked once');
$t->stop();

# Between processes: the one that somebody waits for takes the other's place.
my $s = Test::Apworker::Stock->new($t, jail => 0, path => $t->testdir()
	. '/other', installer_path => $bun->path(),
	bundler_path => $esbuild->path());
$bun->behave(({}) x (() = $bun->calls()), { wait => 'never' }, {});
my $low = $s->start(pieces => [ piece_of('@x/piece-a', '1.0.0'),
	piece_of('@x/piece-b', '1.0.0') ], background => 1);
my $n = () = $bun->calls();
ok(wait_for(sub { $n < (() = $bun->calls()) }, 'the slow install'),
	'an install in the background');
my $got = $s->order(pieces => [ piece_of('@x/piece-a', '1.0.0') ]);
is($got->{fault}, 'OK', 'a job wants the same');
is($s->wait($low)->{fault}, 'YIELDED', 'the other one gave way');
ok(!-e $s->path('common/pieces/@x/piece-b-1.0.0'), 'with all it had');
$got = $s->order(pieces => [ piece_of('@x/piece-b', '1.0.0') ],
	background => 1);
is($got->{fault}, 'OK', 'and its turn comes');
is_deeply([ $s->staged() ], [], 'nothing is left behind');
