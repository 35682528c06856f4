#!/usr/bin/perl

# A piece that runs in a process of its own and takes all the memory there is:
# the step fails, and the engine goes on with the next one; the job is no
# failure, and is not told as out of memory.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;

my $t = Test::Apworker->new()->has(qw/daemon node bun node_modules esbuild
	reference_engine userns/);
my $s = Test::Apworker::Stock->new($t);
my $src = $t->srcdir();
my $spool = $t->testdir() . '/spool';
$s->registry('@test/piece-bomb' => { versions => { '0.1.0' => { files => {
	'src/index.js' => <<'EOS' } } } });
class Piece {
	constructor() { this.displayName = 'Bomb'; }
	triggers() { return {}; }
	actions() {
		return { buffers: { props: {}, run: async () => {
			const all = [];
			for (;;)
				all.push(Buffer.alloc(8 << 20, 1));
		} }, heap: { props: {}, run: async () => {
			const all = [];
			for (let i = 0;; i++)
				all.push({ i, text: 'x' + i });
		} } };
	}
}
exports.bomb = new Piece();
EOS

my $engines = 0;
for my $mode (qw/SANDBOX_PROCESS SANDBOX_CODE_AND_PROCESS/) {
	for my $how (qw/buffers heap/) {
		$t->write_conf(<<"EOC");
slots 1;
sandbox $mode;
source spool { path %%TESTDIR%%/spool; flow_timeout 120s; }
engine { node %%NODE%%; bundle $src/../contrib/engine/dist/later/main.js;
	node_path $src/../contrib/engine/node_modules; memory 128m; standby 0; }
stock { path %%TESTDIR%%/stock; jail off; installer_path %%BUN%%;
	bundler_path %%ESBUILD%%; registry $s->{stock}{registry}; }
EOC
		$t->run();
		wait_for(sub { -d "$spool/new" && -d "$spool/tmp" }, 'the folders');
		my $id = "$mode-$how";
		submit($id, $how);
		wait_for(sub { grep { -s "$_/result.json" } "$spool/done/$id",
			"$spool/failed/$id" }, "result of $id", 90);
		my ($where) = grep { -d } "$spool/done/$id", "$spool/failed/$id";
		my $r = unjson(slurp("$where/result.json"));
		is("$r->{status} $r->{jobStatus}", 'SUCCEEDED OK', "$id: the run")
			or diag(json($r), slurp("$where/log"), $t->log_tail(30));
		my $steps = unjson(slurp("$where/output.json"))->{steps};
		is($steps->{step_1}{status}, 'FAILED', "$id: the step failed")
			or diag(json($steps));
		like($steps->{step_1}{errorMessage} // json($steps->{step_1}),
			qr/memory|alloc/i, "$id: and says of what");
		is($steps->{step_2}{output}, 'alive', "$id: the engine went on");
		is(scalar(() = $t->log() =~ /\bengine started\b/g), ++$engines,
			"$id: the same one");
		$t->stop();
	}
}

sub submit {
	my ($id, $how) = @_;
	my $job = flow_job(id => $id);
	$job->{jobData}{streamStepProgress} = 'WEBSOCKET';
	my %common = (skip => \0, valid => \1);
	my $flow = { %{ $job->{flowVersion} }, trigger => {
		name => 'trigger', type => 'EMPTY', valid => \1,
		displayName => 'Trigger', settings => {}, nextAction => {
			name => 'step_1', type => 'PIECE', %common,
			displayName => 'Bomb', settings => { input => {},
				pieceName => '@test/piece-bomb',
				pieceVersion => '0.1.0', actionName => $how,
				propertySettings => {},
				errorHandlingOptions => {
					retryOnFailure => { value => \0 },
					continueOnFailure => { value => \1 } } },
			nextAction => { name => 'step_2', type => 'CODE', %common,
				displayName => 'Code', settings => {
					input => {}, errorHandlingOptions => {},
					sourceCode => { packageJson => '{}', code =>
				"export const code = async () => 'alive';" } } } } } };
	$t->write_file("$spool/tmp/$id.json", json({ jobData =>
		$job->{jobData}, flowVersion => $flow,
		engineToken => "token-$id" }), 0600);
	rename "$spool/tmp/$id.json", "$spool/new/$id.json" or die $!;
}
