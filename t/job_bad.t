#!/usr/bin/perl

# Jobs, flow versions and answers of the app that make no sense: each ends once,
# with a reason, in the same slot, and writes nothing outside the stock.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(10)->write_app_conf();
my $api = $t->api(pieces => [ map { { name => $_->[0], version => $_->[1] } }
	[ '../../p1', '1.0.0' ], [ 'p/../../p2', '1.0.0' ], [ 'p3', '*' ],
	[ 'p4', '^1.0.0' ], [ 'p5', '1.0.0/../..' ], [ '@x/../../p6', '1.0.0' ],
	[ "p7\n", '1.0.0' ], [ '-p8', '1.0.0' ], [ 'p9', 'file:/etc' ],
	[ 'p' x 300, '1.0.0' ] ]);
$t->run();
$api->wait_call('poll');
my ($slot) = $t->slots();

sub with { my (%o) = @_; return flow_job(id => 'x', %o)->{jobData} }
sub without {
	my ($key) = @_;
	my $d = with();
	delete $d->{$key};
	return $d;
}

# Job data.
my %data = (
	null => undef, empty => {}, list => [], text => 'x', number => 7,
	type_number => { %{ with() }, jobType => 7 },
	type_unknown => { %{ with() }, jobType => 'EXECUTE_NOTHING' },
	(map { ("no_$_" => without($_)) } qw/jobType projectId platformId runId
		flowVersionId executionType environment payload/),
	id_number => { %{ with() }, flowVersionId => 7 },
	id_dots => { %{ with() }, flowVersionId => '../../../escaped' },
	id_slash => { %{ with() }, flowVersionId => '/escaped' },
	id_empty => { %{ with() }, flowVersionId => '' },
	id_zero => { %{ with() }, flowVersionId => "a\0b" },
	id_long => { %{ with() }, flowVersionId => 'x' x 5000 },
	run_list => { %{ with() }, runId => [] },
	mode => { %{ with() }, executionType => 'NEITHER' },
	payload_text => { %{ with() }, payload => 'x' },
	payload_type => { %{ with() }, payload => { type => 'other' } },
);
$api->push_job(map { { jobId => "d_$_", jobData => $data{$_} } }
	sort keys %data);
my (@lost, @odd);
for my $name (sort keys %data) {
	my $done = $api->wait_done("d_$name");
	push @lost, $name unless $done->{status};
	push @odd, "$name: " . json($done) if $done->{status}
		&& $done->{status} !~ /^(?:INTERNAL_ERROR|OK)$/;
}
is("@lost", '', 'job data without sense: settled') or diag($t->log_tail(20));
is("@odd", '', 'with a known status');

# Flow versions.
my $deep = code_step(name => 'last');
$deep = { name => "s$_", type => 'LOOP_ON_ITEMS', settings => { items => '' },
	firstLoopAction => $deep } for 1 .. 1500;
my $n = 0;
my %steps = (
	deep => $deep,
	map({ my $n = $_; ("name_" . $n->[0] => code_step(name => $n->[1])) }
		[ dots => '../../../escaped' ], [ slash => '/tmp/escaped' ],
		[ empty => '' ], [ zero => "a\0b" ], [ dash => '-rf' ],
		[ long => 'y' x 5000 ], [ space => 'a b' ], [ dot => '.' ]),
	code_number => { name => 's', type => 'CODE', settings => {
		sourceCode => { code => 7, packageJson => [] } } },
	code_missing => { name => 's', type => 'CODE', settings => {} },
	package_text => code_step(package => 'no JSON'),
	package_dots => code_step(package =>
		'{"dependencies":{"../../../escaped":"file:/etc"}}'),
	type_list => { name => 's', type => [], settings => {} },
	no_type => { name => 's' }, text => 'step', list => [],
	router => { name => 'r', type => 'ROUTER', settings => {},
		children => { a => 1 } },
	map({ my ($p, $v) = @$_; ("piece_" . ++$n => piece_step(
		piece => $p, version => $v)) }
		[ '../../p1', '1.0.0' ], [ 'p/../../p2', '1.0.0' ], [ 'p3', '*' ],
		[ 'p4', '^1.0.0' ], [ 'p5', '1.0.0/../..' ],
		[ '@x/../../p6', '1.0.0' ], [ "p7\n", '1.0.0' ],
		[ '-p8', '1.0.0' ], [ 'p9', 'file:/etc' ],
		[ 'p' x 300, '1.0.0' ]),
);
$api->push_job(map { flow_job(id => "s_$_", step => $steps{$_}) }
	sort keys %steps);
@lost = @odd = ();
for my $name (sort keys %steps) {
	my $done = $api->wait_done("s_$name");
	push @lost, $name unless $done->{status};
	push @odd, "$name: " . json($done) if $done->{status}
		&& $done->{status} !~ /^(?:INTERNAL_ERROR|OK)$/;
}
is("@lost", '', 'steps without sense: settled') or diag($t->log_tail(20));
is("@odd", '', 'with a known status');

my %answers = (number => 7, text => 'x', list => [], empty => {},
	other => flow_version(id => 'other'),
	no_trigger => { id => 'fv-a_no_trigger', flowId => 'f1' },
	trigger_text => { id => 'fv-a_trigger_text', trigger => 'x' });
@lost = ();
for my $name (sort keys %answers) {
	$api->rule(at => 'rpc:getFlowVersion', do => 'value',
		value => $answers{$name});
	$api->push_job(flow_job(id => "a_$name"));
	push @lost, $name unless $api->wait_done("a_$name")->{status};
	$api->clear_rules();
}
is("@lost", '', 'answers that are no flow version: settled');

# Answers to poll: no job to settle, but nobody dies of them.
for my $value (7, 'x', [], {}, { jobId => 'only' }, { jobId => 7 },
    { jobId => 'j', jobData => {}, token => 't' }) {
	my $n = $api->calls('poll');
	$api->rule(at => 'rpc:poll', do => 'value', value => $value);
	$api->wait_call('poll', $n + 1);
	$api->clear_rules();
}
$api->push_job(flow_job(id => 'sane'));
is($api->wait_done('sane', 60)->{status}, 'OK', 'works on');

my ($now) = $t->slots();
is($now->{pid}, $slot->{pid}, 'the same process all the time');
my @jobs = grep { $_->{settled} > 1 || @{ $_->{late} } } @{ $api->ask('jobs') };
is(scalar @jobs, 0, 'nothing completed twice');
my @escaped = grep { -e } map { ("$_/escaped", "$_/p1", "$_/p2", "$_/p6") }
	$t->testdir(), $t->testdir() . '/stock', $t->testdir() . '/stock/v12',
	'/tmp', '';
is("@escaped", '', 'nothing was written elsewhere');
ok(!-e '/escaped', 'not at the root either');
