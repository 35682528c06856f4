#!/usr/bin/perl

# apworkerctl run, end to end with the reference engine and real tools: what
# its user sees of empty code, of values that are hard to show, and of flows
# as the app exports them.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon ctl node bun esbuild node_modules
	reference_engine/);
my $dir = $t->testdir();
my $engine = $t->srcdir() . '/../contrib/engine';
my $s = Test::Apworker::Stock->new($t);
$s->registry('@activepieces/piece-webhook' => { versions => {
	'0.1.29' => piece_package('webhook') } });

sub start {
	my ($mode) = @_;
	$t->write_conf(<<"EOC");
slots 1;
sandbox $mode;
source spool { path %%TESTDIR%%/spool; }
engine { node %%NODE%%; bundle $engine/dist/main.js;
	node_path $engine/node_modules; }
stock { path %%TESTDIR%%/stock; jail off; warm off; installer_path %%BUN%%;
	bundler_path %%ESBUILD%%; registry $s->{stock}{registry}; }
EOC
	$t->run();
	wait_for(sub { -d "$dir/spool/new" && -d "$dir/spool/tmp" },
		'the folders');
}

sub trigger {
	my ($step, $version) = @_;
	return { name => 'trigger', type => 'PIECE_TRIGGER', valid => \1,
		displayName => 'Catch Webhook', nextAction => $step, settings => {
			pieceName => '@activepieces/piece-webhook',
			pieceVersion => $version || '0.1.29',
			triggerName => 'catch_webhook', propertySettings => {},
			input => { authType => 'none', authFields => {} } } };
}

my $flows = 0;

# (exit status, stdout, stderr) of the code as the only step of a flow.
sub run_code {
	my ($code, @options) = @_;
	my $id = 'run' . ++$flows;
	my $step = code_step();
	$step->{settings}{sourceCode}{code} = $code;
	return run_file({ flowVersion => { %{ flow_version(id => $id) },
		state => 'DRAFT',
		trigger => trigger($step) },
		payload => {} }, @options);
}

sub run_file {
	my ($flow, @options) = @_;
	$t->write_file('flow.json', ref $flow ? json($flow) : $flow);
	return $t->ctl('run', @options, "$dir/flow.json", { seconds => 120 });
}

# Where it lies, as a line of the output says.
sub lies {
	my ($out, $file) = @_;
	return $out =~ m{: (\Q$dir\E/spool/done/\S+/\Q$file\E)$}m ? $1 : '';
}

# Code without code; what code may give, and how it is shown.
my @empty = ('', "// todo\n", " \n\t\n", "/* a\n * b */", 'export {}',
	'const code = 1;');
my %shown = (
	'a lone surrogate' => [ q{'half \ud800 end'}, q{"half \ud800 end"} ],
	'one as a key' => [ q{({ '\udfff': 1 })}, q{{"\udfff":1}} ],
	'NUL in a text' => [ q{'a\0b'}, q{"a\u0000b"} ],
	'NUL in a key' => [ q<JSON.parse('{"__proto__":{"x":1},"":3,>
		. q<"a\\\\u0000b":4,"toString":5}')>,
		q({"__proto__":{"x":1},"":3,"a\u0000b":4,"toString":5}) ],
	'a number beyond all' => [ '1.7e308', '1.7e+308' ],
);
# In either way that code runs.
for my $mode (qw/SANDBOX_CODE_ONLY UNSANDBOXED/) {
	start($mode);
	for my $code (@empty) {
		my ($exit, $out, $err) = run_code($code);
		my ($status) = $out =~ /^status +(\S+) in \d+ ms$/m;
		is("$exit " . ($status // ''), '1 FAILED', "$mode: "
			. json($code)) or diag($out, $err, $t->log_tail(20));
		like($out, qr/^ +error +.*\bcode is not a function/m,
			'what its author did not write') or diag($out);
	}
	for my $what (sort keys %shown) {
		my ($value, $output) = @{ $shown{$what} };
		my ($exit, $out, $err) = run_code(
			"export const code = async () => $value;");
		is($exit, 0, "$mode: $what, the run went well")
			or diag($out, $err);
		like($out, qr/^step +step_1 +SUCCEEDED\n +output \Q$output\E$/m,
			'it is shown') or diag($out);
	}
	$t->stop() if $mode ne 'UNSANDBOXED';
}

# Deeper than what most programs read, and than what one line shows.
for my $n (3000, 4200) {
	my ($exit, $out, $err) = run_code('export const code = async () => { '
		. "let o: any = 1; for (let i = 0; i < $n; i++) o = [o]; "
		. 'return o };');
	is($exit, 0, "$n levels: the run went well") or diag($out, $err);
	like($out, qr/^step +step_1 +SUCCEEDED\n +output \[{1900,} \.\.\.$/m,
		'the step is shown, cut') or diag(substr $out, 0, 500);
	my ($run) = $out =~ /^run +(\S+)$/m;
	my $all = slurp("$dir/spool/done/$run/output.json");
	ok(index($all, '[' x $n . 1 . ']' x $n) >= 0, 'all of it lies there');
}

# In errors and in logs.
my ($exit, $out, $err);
for my $error ([ q{'half \ud800 end'}, qr/half .{1,3} end/ ],
    [ q{'a\0b'}, qr/a\?b/ ]) {
	($exit, $out, $err) = run_code("export const code = async () => "
		. "{ throw new Error($error->[0]); };");
	is($exit, 1, "an error of $error->[0]: the run failed");
	my ($text) = $out =~ /^ +error +(.*)/m;
	like($text, qr/^Error: $error->[1]$/, 'its message, not its envelope')
		or diag($out);
}
($exit, $out, $err) = run_code('export const code = async () => '
	. '{ console.log("before\0behind"); console.log("more"); return 1; };');
is($exit, 0, 'NUL in the log');
like($out, qr/^log\n(?:.*\n)* *before\?behind\n *more$/m, 'cuts it nowhere')
	or diag($out);

# A flow as the app exports it.
my %version = (displayName => 'Hello', valid => \1, schemaVersion => '16',
	notes => [], trigger => trigger(code_step(
	code => 'export const code = async (i) => i;',
	input => { v => '{{trigger.body}}' }), '~0.1.29'));
my %export = (name => 'Hello', type => 'SHARED', summary => '', tags => [],
	description => '', blogUrl => '', metadata => undef, author => 'x',
	categories => [], pieces => [ '@activepieces/piece-webhook' ],
	status => 'PUBLISHED');
my @forms = ([ 'an export' => { %export, flows => [ \%version ] } ],
	[ 'an older one' => { %export, template => \%version } ],
	[ 'a flow of the API' => { id => 'f1', status => 'ENABLED',
		version => { %version, id => 'v1', flowId => 'f1' } } ],
	[ 'the flow version in it' => \%version ]);
for my $form (@forms) {
	($exit, $out, $err) = run_file($form->[1], '--payload',
		'{"body":{"a":1}}');
	is($exit, 0, "$form->[0] runs") or diag($out, $err, $t->log_tail(20));
	like($out, qr/^flow +Hello$/m, 'by its name');
	like($out, qr/^step +step_1 +SUCCEEDED\n +output \{"v":\{"a":1\}\}$/m,
		'with its payload') or diag($out);
}

# What holds no flow, and what is no request.
($exit, $out, $err) = run_file({ %export, flows => [] });
is($exit, 71, 'an export without flows');
like($err, qr/^apworkerctl: .*flows/m, 'says where it was looked for');
($exit) = run_file('no JSON');
is($exit, 71, 'no JSON');
($exit) = $t->ctl('run');
is($exit, 2, 'no file');
($exit, $out, $err) = run_code('export const code = async () => 1;',
	'--timeout', 'x');
is($exit, 2, 'a wrong option');
$t->stop();
($exit, $out, $err) = run_code('export const code = async () => 1;');
is($exit, 75, 'no daemon') or diag($err);
