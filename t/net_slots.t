#!/usr/bin/perl

# One slot's engine uses its proxy up: the slot stays, the other slot's engine
# notices nothing, and the receipts say what each of them did.

use strict;
use warnings;

use lib 't/lib', 'lib';
use Test::Apworker::Netns;

use Test::More;
use Test::Apworker;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns ip unshare/);
my $world = Test::Apworker::Netns->new($t);
my ($to, $port) = ($Test::Apworker::Netns::PLACES{public}, $world->port());

$t->write_app_conf(slots => 2, mode => 'SANDBOX_PROCESS',
	main => 'network strict { connections 64; }');
$t->{conf} =~ s/^source app .*$/source spool { path %%TESTDIR%%\/spool; }/m;
my $spool = $t->testdir() . '/spool';
$t->run();
wait_for(sub { -d "$spool/new" && -d "$spool/tmp" }, 'the folders');
my $slots = $t->wait_status(sub { 2 == grep { $_->{state} eq 'idle' }
	@{ $_[0]{slots} } and $_[0] }, 'two slots');
my @pids = sort map { $_->{pid} } @{ $slots->{slots} };

submit('bad', 'flood=flood,400,600,' . "$to,$port");
wait_for(sub { grep { $_->{egress}{failed} + $_->{egress}{allowed} > 20 }
	@{ ($t->status() || {})->{slots} || [] } }, 'the flood');
submit('good', map { "get $_=proxy,get,$to,$port" } 1 .. 20);
my $good = result('good');
is(scalar(my @open = $good->{log} =~ /OPEN get/g), 20,
	'the other slot: all of it is served');
ok(!-d "$spool/failed/bad", 'while the flood goes on');
# who has not been looked at when it ends is not refused
wait_for(sub { grep { $_->{egress}{blocked} > 200 }
	@{ ($t->status() || {})->{slots} || [] } }, 'refusals');
kill 'USR1', grep { Test::Apworker::Proc::cmdline($_) =~ /^\S*perl - flood=/ }
	Test::Apworker::Proc::descendants($t->pid());
is_deeply([ @{ $good->{network} }{qw/allowed blocked failed/} ], [ 20, 0, 0 ],
	'its receipt');
cmp_ok($good->{network}{receivedBytes}, '>=', 20 * 6, 'and bytes');
my $bad = result('bad');
like($bad->{log}, qr/flood 400/, 'all were connected');
cmp_ok($bad->{network}{blocked}, '>', 200, 'those beyond the limit were '
	. 'refused') or diag(json($bad->{network}));
is_deeply([ sort map { $_->{pid} } @{ $t->status()->{slots} } ], \@pids,
	'the slots are the same');
$t->stop();
$world->stop();

sub submit {
	my ($id, @attacks) = @_;
	my $job = flow_job(id => $id, engine => [ { do => 'exec', name => $id,
		argv => [ '/usr/bin/perl', '-', @attacks ],
		input => $world->script() }, { do => 'answer', value => {
		status => 'INTERNAL_ERROR', error => 'told' } } ]);
	$t->write_file("$spool/tmp/$id.json", json({
		jobData => $job->{jobData}, flowVersion => $job->{flowVersion},
		engineToken => "token-$id" }), 0600);
	rename "$spool/tmp/$id.json", "$spool/new/$id.json" or die $!;
}

sub result {
	my ($id) = @_;
	my $dir = "$spool/failed/$id";
	wait_for(sub { -s "$dir/result.json" }, "result of $id");
	my $r = unjson(slurp("$dir/result.json"));
	my $log = slurp("$dir/log");
	($r->{log}) = map { $_->{out} } grep { $_->{what} eq 'exec' }
		map { unjson($_) } $log =~ /^record (\{.*\})$/mg;
	return $r;
}
