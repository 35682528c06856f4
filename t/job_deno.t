#!/usr/bin/perl

# deno, as engines after 0.88.3 start it for code steps: shown in boxes, handed
# over as AP_DENO_PATH, allowed to be executed and to write below the engine's
# temporary folder, and held by the network of its box like everything else.

use strict;
use warnings;

use IO::Socket::INET;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Has;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns deno/);
my $deno = Test::Apworker::Has::deno();
my $host = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 50)
	or die "listen: $!";

# A code step in TypeScript: computes, writes, and knocks at a door.
my $step = <<'EOS';
interface Input { n: number }
const [ port, dir ] = Deno.args;
const input: Input = { n: 20 };
let door: string;
try {
	const c = await Deno.connect({ hostname: "127.0.0.1", port: Number(port) });
	c.close();
	door = "connected";
} catch (e) {
	door = (e as Error).name;
}
Deno.writeTextFileSync(`${dir}/out.txt`, String(input.n * 2 + 2));
console.log(JSON.stringify({ answer: Deno.readTextFileSync(`${dir}/out.txt`),
    env: Object.keys(Deno.env.toObject()).sort().join(" "), door }));
EOS

# Its environment is empty but for these, its cache is made for each call.
my $run = <<'EOS';
tmp=${TMPDIR:-/tmp}; dir=$(mktemp -d "$tmp/ap-deno-XXXXXX") || exit
cat >"$dir/step.ts"
exec env -i PATH="$PATH" DENO_DIR="$dir" "$AP_DENO_PATH" run --quiet \
	--no-prompt --no-config --no-lock --no-remote --no-npm \
	--v8-flags=--max-old-space-size=128 --allow-net --allow-env \
	--allow-run --allow-sys --allow-write="$tmp" --allow-read="$dir" \
	"$dir/step.ts" "$1" "$dir"
EOS

my $api = $t->api();
my $n = 0;
for my $case (
	[ 'UNSANDBOXED { harden off; }', 'unrestricted', $deno, 'connected' ],
	[ 'UNSANDBOXED { harden on; }', 'unrestricted', $deno, 'connected' ],
	[ 'UNSANDBOXED { harden on; }', 'strict', $deno, 'ConnectionRefused' ],
	[ 'SANDBOX_CODE_ONLY', 'unrestricted', $deno, 'connected' ],
	[ 'SANDBOX_CODE_ONLY', 'strict', $deno, 'ConnectionRefused' ],
	[ 'SANDBOX_PROCESS', 'unrestricted', '/box/deno', 'connected' ],
	[ 'SANDBOX_PROCESS', 'strict', '/box/deno', 'ConnectionRefused' ],
	[ 'SANDBOX_CODE_AND_PROCESS', 'strict', '/box/deno',
		'ConnectionRefused' ],
) {
	my ($mode, $network, $place, $door) = @$case;
	my $what = "$mode, $network";
	$t->write_app_conf(mode => $mode,
		main => "network $network;", engine => "deno $deno;");
	$t->run();
	my $id = 'j' . ++$n;
	my @r = $api->told($id, { do => 'env' }, { do => 'exec',
		name => 'deno', argv => [ '/bin/sh', '-c', $run, 'sh',
			$host->sockport() ], input => $step });
	# one that is kept from nothing writes them beside its bundle
	@r = map { $t->engine()->records($_) } qw/env exec/ if !@r;
	my ($env) = grep { $_->{what} eq 'env' } @r;
	is($env->{env}{AP_DENO_PATH}, $place, "$what: where it is");
	my ($exec) = grep { $_->{what} eq 'exec' } @r;
	my $got = eval { unjson($exec->{out}) } || {};
	is($exec->{code}, 0, "$what: it runs") or diag(json($exec));
	is($got->{answer}, '42', "$what: and writes where it may");
	is($got->{env}, 'DENO_DIR PATH', "$what: with nothing of ours");
	is($got->{door}, $door, "$what: the host's loopback");
	$t->stop();
}

# What -t says of what is no deno.
for my $case (
	[ "$deno-not", qr/"deno" is ".*": No such file/ ],
	[ "%%TESTDIR%%/deno", qr/"deno" is ".*", which is a script, as npm puts/ ],
) {
	my ($path, $says) = @$case;
	$t->write_file('deno', "#!/usr/bin/env node\n", 0755);
	chmod 0755, $t->testdir() . '/deno';
	$t->write_app_conf(mode => 'UNSANDBOXED', engine => "deno $path;");
	my ($code, $out) = $t->test_conf();
	isnt($code, 0, '-t: refused');
	like($out, $says, '-t: and says why');
}
