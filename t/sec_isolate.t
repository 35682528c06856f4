#!/usr/bin/perl

# Code steps in V8 isolates: what gets out of one, with the reference engine's
# own code and the real isolated-vm.  The same step in a plain process has all
# of it.  The walls behind the isolate are in sec_modes.t.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Has;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node node_modules reference_engine/);
my $node = Test::Apworker::Has::find('node');
my $engine = $t->srcdir() . '/../contrib/engine';
# built here, or brought for several machines: one of them is for this
my @addons = map { glob "$engine/node_modules/isolated-vm/$_" }
	qw{out/*.node build/Release/*.node prebuilds/*/*.node};
my $code = slurp($t->srcdir() . '/bin/isolate-attack.js');
$code =~ s/__ADDONS__/json(\@addons)/ge;
$t->write_file('attack.js', $code);

# (OPEN names), (refused names)
sub attempt {
	my ($how) = @_;
	my ($code, $out, $err) = $t->run_command([ $node,
		'--no-node-snapshot', '-e', <<"EOJ" ]);
(async () => {
	process.chdir(${\ json($engine) });
	const step = require(${\ json("$engine/src/code_$how.js") });
	const out = await step.runStep(${\ json($t->testdir()
		. '/attack.js') }, {});
	console.log('\\n' + out.join('\\n'));
	process.exit(0);
})();
EOJ
	diag($err) if $code;
	return ([ $out =~ /^OPEN (.*)/mg ], [ $out =~ /^refused (.*)/mg ]);
}

my ($open, $refused) = attempt('isolate');
is(join('; ', @$open), '', 'nothing leaves the isolate');
cmp_ok(scalar @$refused, '>', 30, 'all was tried');

# and in a process of its own, where the same is no attack
($open, $refused) = attempt('process');
my %open = map { $_ => 1 } @$open;
is(join('; ', grep { !$open{$_} } 'process', 'process by this',
	'process by a constructor', 'process.binding', 'process.env',
	'process.kill', 'a native addon', 'require', 'child_process',
	'a worker thread', 'import()', 'fetch', 'timers',
	'memory that is shared with the engine'), '',
	'the same code does it where nothing guards');

# what the isolate's memory limit stops, and that the engine outlives it
my $file = $t->testdir() . '/bomb.js';
for my $bomb ([ heap => 'const a = []; for (;;) a.push(new Array(1e6).fill(1.5))' ],
	[ buffers => 'const a = []; for (;;) a.push(new Uint8Array(1 << 24).fill(1))' ],
	[ strings => 'const a = []; for (;;) a.push(JSON.stringify("x".repeat(1e6) + a.length))' ],
) {
	$t->write_file('bomb.js', "exports.code = async () => { $bomb->[1] };");
	my ($code, $out, $err) = $t->run_command([ $node,
		'--no-node-snapshot', '-e', <<"EOJ" ]);
const step = require(${\ json("$engine/src/code_isolate.js") });
process.chdir(${\ json($engine) });
step.runStep(${\ json($file) }, {}).then(() => console.log('came back'),
    (err) => console.log('refused ' + err.message))
    .then(() => console.log('peak ' + process.resourceUsage().maxRSS));
EOJ
	like($out, qr/^refused .*(?:disposed|memory|length|heap|allocation failed)/mi,
		"a bomb of $bomb->[0] ends") or diag("$code $out $err");
	cmp_ok(($out =~ /^peak (\d+)/m)[0] // 9e9, '<', 900 << 10,
		'... before it is a danger');
}
