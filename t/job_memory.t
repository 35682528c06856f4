#!/usr/bin/perl

# What the kernel counted for an engine's own control group decides: a child
# that was killed for memory is memory, whatever the engine does then; and it
# is the job's in which it happened.  What an engine writes decides nothing.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

plan skip_all => 'no memory controller here' unless $> == 0
	&& (-w '/sys/fs/cgroup/memory' || -w '/sys/fs/cgroup/cgroup.procs');

my @modes = qw/UNSANDBOXED SANDBOX_CODE_ONLY SANDBOX_PROCESS/;
my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild userns/)
	->plan(7 * @modes);
my @eats = (do => 'exec', argv => [ '/usr/bin/perl', '-e',
	'my @x; push @x, "x" x 1e6 while 1' ]);
my @says = (do => 'real_stderr', text =>
	"FATAL ERROR: Reached heap limit - JavaScript heap out of memory\n");

for my $mode (@modes) {
	$t->write_app_conf(mode => $mode, engine => 'memory 192m; standby 0;');
	my $api = $t->api();
	$t->run();
	my $one = sub {
		my ($name, @steps) = @_;
		my $id = "$mode-$name";
		$api->push_job(flow_job(id => $id, engine => \@steps));
		return $api->wait_done($id, 60);
	};
	my $done = $one->('answers', { @eats }, { do => 'answer' });
	is($done->{status}, 'OK', "$mode: an engine that answers is believed");
	$done = $one->('later', { do => 'exit', code => 1 });
	is($done->{status}, 'INTERNAL_ERROR',
		"$mode: what was killed in a job before is not this one's");
	like($done->{errorMessage}, qr/code 1 and signal null/,
		"$mode: but its own exit");
	$done = $one->('exits', { @eats }, { do => 'exit', code => 1 });
	is($done->{status}, 'MEMORY_ISSUE', "$mode: a child was killed, and "
		. 'the engine exits');
	$done = $one->('crashes', { @eats }, { do => 'kill',
		signal => 'SIGSEGV' });
	is($done->{status}, 'MEMORY_ISSUE', "$mode: or crashes");
	$done = $one->('words', { @says }, { do => 'exit', code => 1 });
	is($done->{status}, 'INTERNAL_ERROR', "$mode: words alone");
	$done = $one->('words-killed', { @says }, { do => 'kill' });
	is($done->{status}, 'INTERNAL_ERROR', "$mode: words, and a kill from "
		. 'outside');
	$t->stop();
}
