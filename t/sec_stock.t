#!/usr/bin/perl

# What the stock starts sees no secret and no file of the host; names from the
# wire lead nowhere.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/node bun esbuild/)->plan(44);
my $bun = $t->tool('bun');
my $esbuild = $t->tool('esbuild');
my $s = Test::Apworker::Stock->new($t, jail => 0, negative_ttl_ms => 0,
	installer_path => $bun->path(), bundler_path => $esbuild->path());
my %env = (AP_WORKER_TOKEN => 'secret', AP_JWT_SECRET => 'secret',
	AWS_SECRET_ACCESS_KEY => 'secret', NODE_OPTIONS => '--inspect',
	LD_PRELOAD_NOT => 'x', BUN_CONFIG_TOKEN => 'secret',
	HTTPS_PROXY => 'http://127.0.0.1:2/', npm_config_registry =>
	'http://127.0.0.1:3/', npm_config_ignore_scripts => 'false',
	NODE_EXTRA_CA_CERTS => '/nonexistent');

# the tool as it runs
$bun->behave({ hang => 1 }, {});
my $order = $s->start(env => \%env, codes => [ step('s',
	'export const code = async () => 1;', '{"dependencies":{"x":"1"}}') ],
	stock => { install_timeout_ms => 60000 });
my $call = $bun->wait_call(1);
my $status = slurp("/proc/$call->{pid}/status");
like($status, qr/^NoNewPrivs:\s*1$/m, 'no new privileges');
like($status, qr/^CapEff:\s*0+$/m, 'no capabilities');
like($status, qr/^CapBnd:\s*0+$/m, 'and no way to them') if $> == 0;
ok(1, 'not root') if $> != 0;
my ($sid) = slurp("/proc/$call->{pid}/stat") =~ /\) \S \d+ \d+ (\d+)/;
is($sid, $call->{pid}, 'a session of its own');
like(slurp("/proc/$call->{pid}/limits"), qr/core file size\s+0 /, 'no core');
is(slurp("/proc/$call->{pid}/oom_score_adj") + 0, 500, 'killed first');
kill 'KILL', $call->{pid};
$s->wait($order);

my %got = %{ $call->{env} };
delete @got{qw/PWD SHLVL OLDPWD _/};	# the shell of the fake
is_deeply([ sort keys %got ], [ sort qw/BUN_INSTALL_CACHE_DIR DO_NOT_TRACK
	HOME HTTPS_PROXY LANG NODE_EXTRA_CA_CERTS NO_COLOR PATH TERM TMPDIR
	XDG_CACHE_HOME npm_config_cache npm_config_registry
	npm_config_update_notifier npm_config_userconfig/ ],
	'environment name by name');
unlike(join(' ', %got), qr/secret/, 'no secret in it');
like($got{HOME}, qr{/stock/v12/\.staging/[^/]+/\.home$}, 'a home of its own');
is($got{npm_config_registry}, 'http://127.0.0.1:3/', 'registry from outside');
ok((grep { $_ eq '--ignore-scripts' } @{ $call->{argv} }), 'no scripts');
my @fds = grep { $_ > 2 && $call->{fds}{$_} !~ m{^/proc/|/fake-tool$|^\?$} }
	keys %{ $call->{fds} };		# but what the fake opened itself
is_deeply(\@fds, [], 'no descriptor but 0 to 2')
	or diag(json($call->{fds}));
my ($build) = grep { $_->{argv}[0] eq 'index.ts' } $esbuild->calls();
$s->order(env => \%env, codes => [ step('t', 'export const code = 1;') ]);
($build) = grep { $_->{argv}[0] eq 'index.ts' } $esbuild->calls();
is_deeply([ grep { /proxy|registry|npm|AP_|SECRET/i }
	keys %{ $build->{env} } ], [], 'a bundler is told of no network');

# the registry that is named wins over the environment
$s->order(env => \%env, stock => { registry => 'http://127.0.0.1:4/',
	npmrc => '/nonexistent/npmrc' }, pieces => [ piece_of('p', '1.0.0') ]);
%got = %{ ($bun->calls())[-1]{env} };
is($got{npm_config_registry}, 'http://127.0.0.1:4/', 'registry directive');
is($got{npm_config_userconfig}, "$got{HOME}/.npmrc", 'an npmrc of its own');

# a tool that looks around
$t->write_file('secret.txt', "top secret\n", 0644);
my $dir = $t->testdir();
$t->write_file('evil/bun', <<"EOS", 0755);
#!/bin/sh
[ "\$1" = --version ] && { echo 1; exit 0; }
cat $dir/secret.txt
cat /etc/shadow
cat /proc/\$PPID/environ
echo x > $dir/written
echo x > /tmp/apw-written-$$
echo x > \$HOME/ok && echo home is fine
exit 1
EOS
my $evil = Test::Apworker::Stock->new($t, negative_ttl_ms => 0,
	installer_path => "$dir/evil/bun", bundler_path => $esbuild->path());
my $got = $evil->order(env => \%env, pieces => [ piece_of('q', '1.0.0') ]);
SKIP: {
	skip 'no Landlock here', 5 if $got->{error} =~ /top secret/;
	unlike($got->{error}, qr/top secret/, 'no file of the host');
	unlike($got->{error}, qr/root:/, 'no password');
	unlike($got->{error}, qr/AP_WORKER_TOKEN/, 'no environment of ours');
	ok(!-e "$dir/written" && !-e "/tmp/apw-written-$$", 'writes nowhere');
	like($got->{error}, qr/home is fine/, 'but at home');
}

# bundles, with the kernel's help and without
for my $jail (0, 1) {
	my $real = Test::Apworker::Stock->new($t, jail => $jail,
		path => "$dir/stock$jail");
	for my $path ("$dir/secret.txt", '/etc/passwd', '../../../../secret.txt',
	    '/etc/group', "file://$dir/secret.txt") {
		$got = $real->order(codes => [ step('s', "import x from '$path'"
			. '; export const code = async () => x;') ]);
		my $all = join '', map { slurp($_) } glob
			$real->path('codes/fv/s') . '/*';
		unlike($all, qr/top secret|root:/, "jail $jail: $path");
	}
	$got = $real->order(codes => [ step('s', 'export const code = 1; //# '
		. "sourceMappingURL=$dir/secret.txt") ]);
	unlike(slurp($real->path('codes/fv/s/index.js')), qr/top secret/,
		"jail $jail: a map");
}

# names
for my $bad ('../x', 'a/b', '..', '', 'a b', 'x' x 300) {
	$got = $s->order(codes => [ step($bad, 'export const code = 1;') ]);
	is($got->{fault}, 'USER', 'step ' . json(substr $bad, 0, 10));
}
for my $bad ('../x', 'a/b', '..', '', "a\nb", 'x' x 300) {
	$got = $s->order(flow_version_id => $bad,
		codes => [ step('s', 'export const code = 1;') ]);
	is($got->{fault}, 'USER', 'flow version ' . json(substr $bad, 0, 10));
}
