#!/usr/bin/perl

# An engine that stands by loads the framework that the last job's piece
# stands on, while it has nothing to do: the next operation does not wait for
# it.  Only that, only from the stock's own folder, only when it is asked to.

use strict;
use warnings;

use File::Path qw/remove_tree/;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns root/)->plan(14)
	->write_app_conf(mode => 'SANDBOX_PROCESS');
my $api = $t->api(pieces => [ { name => '@x/piece-a', version => '0.1.0' } ]);
my $framework = 'pieces/@x/piece-a-0.1.0/node_modules/@activepieces/'
	. 'pieces-framework';
my $common = $t->testdir() . '/stock/v12/common';

# Pids of engines that stand by, all that there were.
sub standbys { return $t->log() =~ /standby engine started pid=(\d+)/g }

# The one that stands by after n others: its pid, and what it was told to load.
sub after {
	my ($n) = @_;
	my @pids;
	wait_for(sub { (@pids = standbys()) > $n && $t->log() =~
		/standby engine started pid=$pids[-1] sandbox=(\S+)(?s:.*)engine ready sandbox=\1/ },
		'an engine that stands by', 30);
	# it is below its box's init
	for my $pid (split ' ',
		slurp("/proc/$pids[-1]/task/$pids[-1]/children")) {
		my $env = slurp("/proc/$pid/environ");
		return ($pid, $env =~ /\0APW_AHEAD=([^\0]*)/ ? $1 : 'nothing')
			if $env =~ /\0AP_EXECUTION_MODE=/;
	}
	return (0, 'no engine');
}

# A job with that piece, on the engine that stands by: what it sees.
sub env_of {
	my ($id) = @_;
	$api->push_job(flow_job(id => $id,
		engine => [ { do => 'env' }, { do => 'answer', value => {
			status => 'INTERNAL_ERROR', error => 'told' } } ],
		step => piece_step(piece => '@x/piece-a', version => '0.1.0')));
	my ($env) = map { $_->{env} } grep { $_->{what} eq 'env' }
		map { unjson($_) } ($api->wait_done($id)->{logs} // '')
		=~ /^record (\{.*\})$/mg;
	ok($env, "$id tells what it has");
	return $env;
}

$t->run();
after(0);
my $env = env_of('j0');
my ($pid, $loads) = after(1);
is($loads, 'nothing', 'a piece without a framework: nothing to load');

# The framework says that it is there by what it keeps open.
$t->write_file("stock/v12/common/$framework/package.json",
	'{"name":"@activepieces/pieces-framework","version":"1.0.0"}');
$t->write_file("stock/v12/common/$framework/index.js",
	"require('fs').openSync(__filename);\n"
	. "process.env.FRAMEWORK = 'loaded';\n");
chmod 0755, "$common/$framework", "$common/$framework/..";
$env = env_of('j1');
is($env->{FRAMEWORK}, undef, 'that one was booted before');
($pid, $loads) = after(2);
is($loads, '/root/common/pieces/@x/piece-a-0.1.0/node_modules',
	'the next one loads it');
ok(wait_for(sub { grep { (readlink($_) // '') =~ /pieces-framework/ }
	glob "/proc/$pid/fd/*" }, 'the framework'), 'before there is a job');
$env = env_of('j2');
is($env->{FRAMEWORK}, 'loaded', 'its job has it');
is($env->{APW_AHEAD}, undef, 'and hears nothing of how');
after(3);

# Nothing that is not the stock's.
remove_tree("$common/$framework");
symlink '/usr', "$common/$framework" or die "symlink: $!";
env_of('j3');
($pid, $loads) = after(4);
is($loads, 'nothing', 'a link out of the stock is not followed');
unlink "$common/$framework";
$t->stop();
is((stat "$common/.ahead.cjs")[2] & 07777, 0644, 'the script is its owner\'s');

$t->write_app_conf(mode => 'SANDBOX_PROCESS', engine => 'standby_loads off;');
$t->write_file("stock/v12/common/$framework/package.json", '{}');
$t->write_file("stock/v12/common/$framework/index.js", "\n");
my $n = () = standbys();
$t->run();
after($n);
env_of('j4');
($pid, $loads) = after($n + 1);
is($loads, 'nothing', 'with standby_loads off nothing is');
