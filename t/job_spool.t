#!/usr/bin/perl

# Jobs from a directory: run once each, results beside them, and what is no job
# is put aside with a reason while the others go on.

use strict;
use warnings;

use POSIX ();
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon ctl node node_modules esbuild/);
$t->write_app_conf(slots => 2, main => 'respawn_burst 50;');
$t->{conf} =~ s/^source app .*$/source spool { path %%TESTDIR%%\/spool; max_job_size 64k; }/m;
my $spool = $t->testdir() . '/spool';

sub spool_job {
	my ($id, @steps) = @_;
	my $job = flow_job(id => $id, engine => @steps ? [ @steps ] : undef);
	return { jobData => $job->{jobData}, flowVersion => $job->{flowVersion},
		engineToken => "token-$id" };
}

sub submit {
	my ($name, $text, $mode, $owner) = @_;
	$t->write_file("$spool/tmp/$name", ref $text ? json($text) : $text,
		$mode || 0600);
	chown $owner, $owner, "$spool/tmp/$name" if $owner;
	rename "$spool/tmp/$name", "$spool/new/$name" or die "$name: $!";
}

# Waits for a result: ('done' or 'failed', result.json).
sub result {
	my ($id) = @_;
	my @got;
	wait_for(sub {
		for my $dir (qw/done failed/) {
			my $text = slurp("$spool/$dir/$id/result.json") or next;
			@got = ($dir, unjson($text));
			return 1;
		}
		return 0;
	}, "result of $id");
	return @got ? @got : ('none', {});
}

$t->run();
wait_for(sub { -d "$spool/new" && -d "$spool/tmp" }, 'the folders');

# One that goes well.
submit('ok.json', spool_job('ok', { do => 'stdout', text => "hello\n" },
	{ do => 'rpc', method => 'uploadRunLog', payload =>
		{ status => 'RUNNING' } },
	{ do => 'rpc', method => 'uploadRunLog', payload =>
		{ status => 'SUCCEEDED', stepsCount => 2 } },
	{ do => 'answer' }));
my ($where, $res) = result('ok');
is($where, 'done', 'a good run is done');
is($res->{status}, 'SUCCEEDED', 'its status');
is($res->{jobStatus}, 'OK', 'and that of the job');
is($res->{attempts}, 1, 'at the first try');
like($t->read_file("$spool/done/ok/log"), qr/^hello$/m, 'output');
is(unjson($t->read_file("$spool/done/ok/run.json"))->{stepsCount}, 2, 'run');
is_deeply(unjson($t->read_file("$spool/done/ok/job.json")),
	unjson(json(spool_job('ok', { do => 'stdout', text => "hello\n" },
	{ do => 'rpc', method => 'uploadRunLog', payload =>
		{ status => 'RUNNING' } },
	{ do => 'rpc', method => 'uploadRunLog', payload =>
		{ status => 'SUCCEEDED', stepsCount => 2 } },
	{ do => 'answer' }))), 'the job as it came');

# Ones that do not.
submit('fails.json', spool_job('fails', { do => 'rpc', method => 'uploadRunLog',
	payload => { status => 'FAILED' } }, { do => 'answer' }));
($where, $res) = result('fails');
is("$where $res->{status}", 'failed FAILED', 'a failed run');
submit('exits.json', spool_job('exits', { do => 'exit', code => 7 }));
($where, $res) = result('exits');
is("$where $res->{status}", 'failed INTERNAL_ERROR', 'an engine that exits');
like($res->{error}, qr/code 7/, 'and why');

# No jobs at all.
my $good = json(spool_job('x'));
my %bad = (
	'empty.json' => '', 'space.json' => "  \n", 'text.json' => 'hello',
	'list.json' => '[]', 'number.json' => '7', 'string.json' => '"job"',
	'object.json' => '{}', 'half.json' => substr($good, 0, 300),
	'more.json' => $good . $good, 'zero.json' => "\0" x 100,
	'deep.json' => '[' x 30000, 'deep2.json' => '{"a":' x 10000,
	'latin.json' => "{\"jobData\":\"\xe4\"}",
	'large.json' => '{"x":"' . 'y' x 100000 . '"}',
	'nodata.json' => '{"jobData":null}', 'array.json' => '{"jobData":[]}',
	'types.json' => '{"jobData":{"jobType":7,"runId":[]}}',
	'unknown.json' => '{"jobData":{"jobType":"EXECUTE_NOTHING"}}',
	'version.json' => json({ %{ spool_job('v') },
		flowVersion => { id => 'other' } }),
	'missing.json' => json({ jobData => spool_job('m')->{jobData} }),
	'dots.json' => json({ jobData => { %{ spool_job('d')->{jobData} },
		flowVersionId => '../../token' } }),
);
submit($_, $bad{$_}) for sort keys %bad;

my @wrong;
for my $name (sort keys %bad) {
	(my $id = $name) =~ s/\.json$//;
	my ($dir, $r) = result($id);
	push @wrong, "$id: $dir " . json($r)
		if $dir ne 'failed' || !$r->{status} || !$r->{error};
}
is(join("\n", @wrong), '', 'what is no job is put aside with a reason');

like((result('missing'))[1]{error}, qr{^flow version fv-m is neither in },
	'a flow version that is nowhere');

# Files that are not ours to read.
$t->write_file("$spool/secret", $good, 0600);
symlink "$spool/secret", "$spool/new/link.json";
symlink '/etc/passwd', "$spool/new/passwd.json";
symlink 'nowhere', "$spool/new/nowhere.json";
POSIX::mkfifo("$spool/new/fifo.json", 0600);
mkdir "$spool/new/dir.json";
submit('world.json', $good, 0666);
submit('.hidden.json', $good);
submit('white space.json', $good);
submit('long' . 'g' x 200 . '.json', $good);
submit('readme.txt', 'a text');
link "$spool/secret", "$spool/new/hard.json";
submit('theirs.json', $good, 0600, 65534) if $> == 0;
submit('after.json', spool_job('after'));
is((result('after'))[0], 'done', 'a job behind all of that is run');
is(scalar(grep { -e && !-l && -s } map { "$spool/$_/passwd/job.json" }
	qw/done failed/), 0, 'no link is followed');
is(scalar(grep { $_->{operation}{flowRunId} eq 'run-x' }
	$t->engine()->records('operation')), 0, 'none of it was run')
	or diag(join ' ', glob "$spool/{new,run,done,failed}/*");
ok(-s '/etc/passwd', 'nobody was harmed');
is_deeply([ glob "$spool/failed/*~*" ], [], 'each was rejected once');

# Many jobs, two slots, each once.
submit("many$_.json", spool_job("many$_")) for 10 .. 49;
result("many$_") for 10 .. 49;
my %runs;
$runs{ $_->{operation}{flowRunId} }++ for $t->engine()->records('operation');
is(scalar(grep { ($runs{"run-many$_"} || 0) != 1 } 10 .. 49), 0,
	'forty jobs ran once each');

# A slot that dies in mid-job: again at once, then it counts.
submit('dies.json', spool_job('dies', { do => 'wait', name => 'on' },
	{ do => 'answer' }));
my ($slot, $pid) = $t->wait_job('dies');
wait_for(sub { grep { $_->{operation}{flowRunId} eq 'run-dies' }
	$t->engine()->records('operation') }, 'the run');
kill 'KILL', $pid;
wait_for(sub { 2 <= grep { $_->{operation}{flowRunId} eq 'run-dies' }
	$t->engine()->records('operation') }, 'the second run');
$t->engine()->release('on');
($where, $res) = result('dies');
is("$where $res->{attempts}", 'done 2', 'a slot died: run again, done');

# apworkerctl run.
$t->write_file('flow.json', json(flow_version(id => 'fvrun')));
my ($code, $out, $err) = $t->ctl('run', $t->testdir() . '/flow.json',
	'--payload', '{"a":1}');
is($code, 0, 'apworkerctl run: a flow that succeeds') or diag($out, $err);
$t->write_file('flow.json', json(flow_version(id => 'fvfail', engine => [
	{ do => 'rpc', method => 'uploadRunLog', payload =>
	{ status => 'FAILED' } }, { do => 'answer' } ])));
($code, $out, $err) = $t->ctl('run', $t->testdir() . '/flow.json');
is($code, 1, 'one that fails') or diag($out, $err);
my $op = ($t->engine()->records('operation'))[-2]{operation};
is_deeply($op->{triggerPayload}, { type => 'inline', value => { a => 1 } },
	'the payload arrived');

