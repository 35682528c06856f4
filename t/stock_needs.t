#!/usr/bin/perl

# What a bundle needs and is not there: -t says so, with the remedy, and a slot
# that finds it out later takes no job until it is there.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/);
my $api = $t->api();
$t->write_app_conf();
$t->write_conf_now();
my $bundle = $t->engine()->bundle();
my ($folder) = $bundle =~ m{^(.*)/};
my $plain = slurp($bundle);

my $piece = 'spawn("piece-child.js")';
my $deno = 'process.env.AP_DENO_PATH';
my $zstd = 'promisify(zlib.zstdDecompress)';
my $node = "$folder/old-node";
$t->write_file($node, "#!/bin/sh\necho v22.14.9\n", 0755);
chmod 0755, $node;

# Each of: what is in the bundle, the node, what -t says, the remedy.
for my $case (
	[ $piece, undef, qr/starts piece-child\.js, which is not beside it/,
		qr/copy all files of the release's engine folder/ ],
	[ $deno, undef, qr/runs code steps with deno, and none is configured/,
		qr/engine \{ deno PATH; \}/ ],
	[ $zstd, $node, qr/needs Node\.js 22\.15 or later \(zstd\), and .* is v22\.14\.9/,
		qr/engine \{ node PATH; \}/ ],
	[ $zstd, undef, undef ],
) {
	my ($word, $with, $says, $remedy) = @$case;
	bundle($word);
	$t->write_app_conf(engine => $with ? "node $with;" : '');
	$t->{conf} =~ s/node %%NODE%%;// if $with;
	my ($code, $out) = $t->test_conf();
	if (!$says) {
		is($code, 0, "$word: all is there") or diag($out);
		next;
	}
	isnt($code, 0, "$word: -t refuses it");
	like($out, qr/error: "bundle": engine bundle .* $says/,
		"$word: and says what is not there");
	like($out, $remedy, "$word: and what to do");
}

# A slot that meets it takes no job, and does when it is there.
bundle('');
$t->write_app_conf();
$t->run();
is($api->settled('j0'), 0, 'nothing was asked for');
bundle($piece);
$api->down();
$api->up();
$t->wait_status(sub { ($_[0]{slots}[0]{why} // '') =~ /piece-child\.js/ },
	'the slot is blocked, and says why');
$api->push_job(flow_job(id => 'j1'));
$t->write_file("$folder/piece-child.js", '');
$t->wait_log(qr/what was missing is there: jobs are taken/, 60);
is($api->wait_done('j1')->{status}, 'OK', 'the job waited, and ran');
is($api->settled('j1'), 1, 'once');

sub bundle {
	my ($word) = @_;
	$t->write_file($bundle, "$plain\n/* $word */\n");
}
