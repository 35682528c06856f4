#!/usr/bin/perl

# The second run of a flow: no install, no build, no call to the app but the
# job's own, and not one flush in the stock.  Eight slots that want the same
# new flow do one install.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules/)->plan(12)
	->write_app_conf(slots => 8, stock => 'warm off;', main => 'journal off;');
my $api = $t->api(pieces => [ { name => '@x/piece-a', version => '1.0.0' } ]);
my ($bun, $esbuild) = ($t->tool('bun', { wait => 'go' }, {}),
	$t->tool('esbuild'));
my %flow = (version => 'fv1', step => code_step(
	code => 'export const code = async () => 1;',
	package => '{"dependencies":{"left-pad":"1.3.0"}}',
	next => piece_step(name => 'step_2', piece => '@x/piece-a',
	version => '1.0.0')));
$t->run();

# Eight at once.
$api->push_job(map { flow_job(id => "first$_", %flow) } 1 .. 8);
ok($bun->wait_call(1), 'the first install');
wait_for(sub { 8 == grep { $_->{state} eq 'busy' } $t->slots() },
	'eight slots at work');
$bun->release('go');
is(join(' ', map { $api->wait_done("first$_")->{status} } 1 .. 8),
	join(' ', ('OK') x 8), 'eight slots with the same new flow');
is(scalar(() = $bun->calls()), 2, 'one install of packages, one of the piece');
is(scalar(() = $esbuild->calls()), 1, 'one build');

# Which slot gets the next one is not known: all have had it.
sub stock_files {
	return join '', map { my @st = lstat; "$_ @st[1, 7, 9, 10]\n" }
		grep { !m{/\.use} && -f } sort split /\n/,
		qx{find '@{[ $t->testdir() ]}/stock'};
}
my @pids = map { $_->{pid} } $t->slots();
my $before = stock_files();
my $trace = $t->testdir() . '/trace';
my $strace;
SKIP: {
	skip 'no strace', 1 if system('strace -V >/dev/null 2>&1') != 0;
	$strace = Test::Apworker::Proc::spawn([ '/usr/bin/strace', '-f', '-qq',
		'-e', 'trace=fsync,fdatasync,syncfs,sync,execve', '-o', $trace,
		map { ('-p', $_) } @pids ], out => "$trace.out");
	my $attached = wait_for(sub { 8 == grep { slurp("/proc/$_/status") =~
		/^TracerPid:\s*[1-9]/m } @pids }, 'strace', 10);
	if (!$attached) {
		kill 'INT', $strace;
		waitpid $strace, 0;
		undef $strace;
		skip 'strace may not attach', 1;
	}
	ok($attached, 'watched');
}
my $seen = () = $api->seen(kind => 'rpc');
$api->push_job(my $job = flow_job(id => 'second', %flow, no_version => 1));
is($api->wait_done('second')->{status}, 'OK', 'the second run');
my @rpc = $api->seen(kind => 'rpc');
splice @rpc, 0, $seen;
my %own = map { $_ => 1 } qw/poll completeJob extendLock uploadRunLog
	markPieceAsUsed/;
is(join(' ', grep { !$own{$_} } map { $_->{method} } @rpc), '',
	'no call but the job\'s own');
is(scalar(() = $bun->calls()) + (() = $esbuild->calls()), 3,
	'no install, no build');
is(stock_files(), $before, 'nothing was written to the stock');
SKIP: {
	skip 'not watched', 1 unless $strace;
	kill 'INT', $strace;
	waitpid $strace, 0;
	my @lines = grep { /sync|execve/ } split /\n/, slurp($trace);
	is_deeply(\@lines, [], 'no flush, no program started');
}
my $again = flow_job(id => 'third', %flow, no_version => 1);
$api->push_job($again);
is($api->wait_done('third')->{status}, 'OK', 'and the third');
is(scalar(() = $api->calls('getPiece')) <= 8, 1, 'each slot asked once at most');
