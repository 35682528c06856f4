#!/usr/bin/perl

# The engine double does what it is told, and fake tools record their calls.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/node node_modules esbuild/)->plan(20);
my $e = $t->engine();

# The steps as operation; returns {what => [values]}.
sub host {
	my ($steps, %start) = @_;
	$e->behave(%start);
	my ($code, $out, $err) = $t->run_command([ 'node',
		$t->srcdir() . '/bin/engine-host.js', $e->bundle(),
		json([ { operationType => 'EXECUTE_FLOW', operation => {
			flowRunId => 'r1', projectId => 'p1',
			flowVersion => flow_version(engine => $steps) } } ]) ]);
	my %got = (err => $err);
	for my $line (map { unjson($_) } grep { /^\{/ } split /\n/, $out) {
		push @{ $got{$line->{what}} }, $line->{value};
	}
	return \%got;
}

my $got = host(undef);
is_deeply([ map { $_->{payload}{status} } @{ $got->{rpc} } ],
	[ qw/RUNNING SUCCEEDED/ ], 'reports of itself');
is_deeply($got->{result}, [ { status => 'OK' } ], 'answers OK');

$got = host([ { do => 'upgraded' }, { do => 'answer' } ]);
is(($e->records('answer'))[-1]{transport}, 'websocket', 'upgrades');
$got = host([ { do => 'answer' }, { do => 'upgrade' } ], hold_upgrade => 1);
is(($e->records('answer'))[-1]{transport}, 'polling', 'result first');
$got = host([ { do => 'answer' } ], transports => [ 'polling' ]);
is(($e->records('answer'))[-1]{transport}, 'polling', 'polling only');
$got = host([ { do => 'answer' } ], transports => [ 'websocket' ]);
is(($e->records('connect'))[-1]{transport}, 'websocket', 'WebSocket only');

$got = host([ { do => 'parallel', calls => [ map {
	{ method => 'uploadRunLog', payload => { n => $_ } } } 1 .. 4 ] },
	{ do => 'rpc', method => 'nonsense' },
	{ do => 'stdout', text => "out\n" }, { do => 'stderr', text => "err\n" },
	{ do => 'real_stderr', text => "real\n" },
	{ do => 'flood', bytes => 200000 } ]);
is(scalar @{ $got->{rpc} }, 5, 'four calls at once, one unknown');
is($got->{stdout}[0], "out\n", 'stdout');
is($got->{stderr}[0], "err\n", 'stderr');
is($got->{err}, "real\n", 'real stderr');
cmp_ok(scalar @{ $got->{stdout} }, '>', 3, 'flood');

for my $code (0, 1, 134) {
	$got = host([ { do => 'exit', code => $code } ]);
	is($got->{exit}[0]{code}, $code, "exit $code");
}
is(host([ { do => 'kill' } ])->{exit}[0]{signal}, 'SIGKILL', 'kills itself');
is(host([], before => [ { do => 'exit', code => 7 } ])->{exit}[0]{code}, 7,
	'exits before connecting');
host([ { do => 'second' }, { do => 'answer' } ], second => 1);
ok(scalar $e->records('second'), 'connects twice');
host([ { do => 'fork', seconds => 1 }, { do => 'answer' } ]);
ok(scalar $e->records('fork'), 'leaves a grandchild for a second');

# Tools.
my $dir = $t->testdir();
$t->write_file('in.ts', "export const code = async (i) => i.a;\n");
my $tool = $t->tool('esbuild');
$t->run_command([ $tool->path(), "$dir/in.ts", '--bundle',
	"--outfile=$dir/out.js" ]);
like($t->read_file('out.js'), qr/^exports\.code = /, 'fake esbuild');
is_deeply([ map { $_->{cwd} } $tool->calls() ], [ $dir ], 'recorded');
