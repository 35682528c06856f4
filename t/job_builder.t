#!/usr/bin/perl

# Jobs whose code is installed and built in builders' boxes by the daemon; a
# slot that lost what makes these is born again with another.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon linux userns node bun esbuild
	node_modules/)->plan(12);
# root's daemon works as another user: his are the files, not the builders
my $nobody = $> == 0 ? (getpwnam 'nobody')[2] : undef;
for my $name (qw/stock state/) {
	mkdir $t->testdir() . "/$name";
	chown $nobody, (getpwnam 'nobody')[3], $t->testdir() . "/$name"
		if defined $nobody;
}
chmod 0755, $t->testdir();
my $user = defined $nobody ? 'user nobody;' : '';
my %version = (versions => { '1.0.0' => { files => { 'src/index.js' =>
	'exports.x = 41;' } } });
my $registry = Test::Apworker::Stock->new($t)->registry(good => { %version },
	moved => { %version, tarball => { moved => 'localhost' } });
my ($port) = $registry->{stock}{registry} =~ /:(\d+)/;
$t->write_conf(<<"EOC");
slots 1;
$user
state %%TESTDIR%%/state;
source app { url %%API%%; token_file %%TESTDIR%%/token; }
sandbox UNSANDBOXED;
engine { node %%NODE%%; bundle %%BUNDLE%%; }
stock {
	path %%TESTDIR%%/stock;
	jail require;
	installer_path %%BUN%%;
	bundler_path %%ESBUILD%%;
	registry $registry->{stock}{registry};
	warm off;
}
EOC
my $api = $t->api();
$t->run();

sub job {
	my ($n) = @_;

	$api->push_job(flow_job(id => "job$n", version => "fv$n",
		step => code_step(code => "import { x } from 'good';\n"
		. "export const code = async () => x + $n;",
		package => '{"dependencies":{"good":"1.0.0"}}')));
	is($api->wait_done("job$n")->{status}, 'OK', "job $n");
	my ($code, $out) = $t->run_command([ Test::Apworker::Has::find('node'),
		'-p', "require('" . $t->testdir() . "/stock/v12/codes/fv$n/step_1/"
		. "index.js').code().then((v) => console.log(v)), ''" ]);
	like($out, qr/^@{[ 41 + $n ]}$/m, "what was built for it");
}

job(1);
my @slots = $t->slots();
cmp_ok($slots[0]{egress}{allowed}, '>=', 2, 'and in the counts');
my ($nursery) = grep { slurp("/proc/$_/cmdline") =~ /builders 1/ }
	Test::Apworker::Proc::descendants($slots[0]{pid});
ok($nursery, 'what makes boxes for builders');
ok(wait_for(sub { !Test::Apworker::Proc::descendants($nursery) }, 'its rest'),
	'it has nothing to do when there is nothing to build');
ok($t->wait_log(qr/egress run=install verdict=allowed .*host=127\.0\.0\.1/),
	'the way of the install is in the log');

# a registry whose archives are elsewhere
$api->push_job(flow_job(id => 'moved', version => 'fv-moved', step =>
	code_step(code => 'export const code = 1;',
	package => '{"dependencies":{"moved":"1.0.0"}}')));
my $done = $api->wait_done('moved');
is($done->{status}, 'INTERNAL_ERROR', 'archives on a host that is not named');
like($done->{errorMessage}, qr/add localhost:$port to registry_hosts/,
	'the job says which, and what to do') or diag(json($done));

is((stat $t->testdir() . '/stock/v12/codes/fv1/step_1/index.js')[4],
	$nobody // $>, 'whose the built code is');

kill 'KILL', $nursery;
ok(wait_for(sub {
	my ($slot) = $t->slots();
	return $slot && $slot->{pid} != $slots[0]{pid}
		&& $slot->{state} eq 'idle';
}, 'another slot'), 'a slot without it is born again');
job(2);
