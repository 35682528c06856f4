#!/usr/bin/perl

# The spool remembers its jobs itself.  A job that kills its slots ends after
# `attempts`; a result that finds no room on the disk is written once there is
# some, and its job is not run again.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(9);
$t->write_app_conf(main => 'respawn_max 100ms; respawn_burst 64;');
$t->{conf} =~ s/^source app .*$/source spool { path %%TESTDIR%%\/spool; attempts 2; }/m;
my ($dir, $engine) = ($t->testdir(), $t->engine());
my $spool = "$dir/spool";
mkdir $spool;
my $tmpfs = $> == 0 && system('mount', '-t', 'tmpfs', '-o', 'size=512k',
	'tmpfs', $spool) == 0;

END { system('umount', '-l', $spool) if $tmpfs }

sub submit {
	my ($id, @steps) = @_;
	my $job = flow_job(id => $id, engine => [ @steps ]);
	$t->write_file("$spool/tmp/$id.json", json({ jobData => $job->{jobData},
		flowVersion => $job->{flowVersion} }), 0600);
	rename "$spool/tmp/$id.json", "$spool/new/$id.json" or die $!;
}
sub runs {
	my ($id) = @_;
	return grep { $_->{operation}{flowRunId} eq "run-$id" }
		$engine->records('operation');
}
sub result {
	my ($id) = @_;
	my @files;
	wait_for(sub { @files = grep { -s }
		glob "$spool/{done,failed}/$id/result.json" },
		"result of $id");
	return @files ? unjson(slurp($files[0])) : {};
}

$t->run();
$t->wait_ready();
submit('bad', { do => 'never' });
for my $n (1 .. 2) {
	wait_for(sub { runs('bad') == $n }, "run $n");
	my ($slot, $pid) = $t->wait_job('bad');
	kill 'KILL', $pid;
}
my $res = result('bad');
is($res->{status}, 'INTERNAL_ERROR', 'a job that kills its slots ends');
like($res->{error}, qr/died 2 times/, 'and says so');
is(scalar(runs('bad')), 2, 'run as often as attempts says');
is_deeply([ glob "$spool/run/*" ], [], 'and nothing is left of it');

SKIP: {
	skip 'no tmpfs here', 5 unless $tmpfs;
	submit('full', { do => 'stdout', text => 'x' x 70000 },
		{ do => 'wait', name => 'on' }, { do => 'answer' });
	wait_for(sub { runs('full') == 1 }, 'the run');
	my $n = 0;
	open my $fh, '>', "$spool/ballast" or die $!;
	$fh->autoflush(1);
	1 while syswrite $fh, 'x' x 4096;
	close $fh;
	$t->log_mark();
	$engine->release('on');
	ok($t->wait_log(qr/cannot write the job's result.*No space/),
		'a full disk is told');
	ok($t->wait_log(qr/a call is repeated method=completeJob/),
		'and tried again');
	is_deeply([ glob "$spool/tmp/full*" ], [], 'without ruins');
	unlink "$spool/ballast";
	is(result('full')->{status}, 'SUCCEEDED', 'then the result is there');
	is(scalar(runs('full')), 1, 'and the job ran once');
}
$t->stop();
