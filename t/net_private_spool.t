#!/usr/bin/perl

# Private, with a spool: its server is on the host's loopback, which is out of
# reach of such an engine, and is reached all the same, by engines that report
# by the link and by those that do by HTTP; nothing else of the loopback is.

use strict;
use warnings;

use lib 't/lib', 'lib';
use Test::Apworker::Netns;

use IO::Socket::INET;
use Test::More;
use Test::Apworker;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild userns
	ip unshare pasta reference_engine/);
my $world = Test::Apworker::Netns->new($t)->way_out();
my $src = $t->srcdir();
my $spool = $t->testdir() . '/spool';
my $host = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 50)
	or die "listen: $!";
my $code = "import net from 'node:net'; export const code = () =>"
	. " new Promise((done) => net.connect(${\ $host->sockport() },"
	. " '127.0.0.1', () => done('reached')).on('error',"
	. " (e) => done(e.code)));";

for my $engine ('main.js', 'later/main.js') {
	$t->write_conf(<<"EOC");
slots 1;
sandbox SANDBOX_PROCESS;
network private;
source spool { path %%TESTDIR%%/spool; }
engine { node %%NODE%%; bundle $src/../contrib/engine/dist/$engine; standby 0; }
stock { path %%TESTDIR%%/stock; jail off; installer_path %%FAKE_BUN%%;
	bundler_path %%ESBUILD%%; }
EOC
	$t->run();
	wait_for(sub { -d "$spool/new" && -d "$spool/tmp" }, 'the folders');
	my $id = $engine =~ s/\W/-/gr;
	submit($id);
	my ($where) = wait_for(sub { grep { -s "$_/result.json" }
		"$spool/done/$id", "$spool/failed/$id" }, "result of $id", 60);
	($where) = grep { -d } "$spool/done/$id", "$spool/failed/$id";
	my $receipt = unjson(slurp("$where/result.json"));
	is($receipt->{status}, 'SUCCEEDED', "$engine: the run")
		or diag(json($receipt), slurp("$where/log"), $t->log_tail(30));
	my @files = glob "$where/files/*";
	is(scalar @files, 1, "$engine: its log was stored");
	my $steps = unjson(slurp("$where/output.json"))->{steps};
	is($steps->{step_1}{output}, 'ECONNREFUSED',
		"$engine: the rest of the host's loopback is out of reach");
	ok(!exists $receipt->{network}, "$engine: it has no account");
	$t->stop();
}

$world->stop();

sub submit {
	my ($id) = @_;
	my $job = flow_job(id => $id);
	$job->{jobData}{streamStepProgress} = 'WEBSOCKET';
	my $flow = { %{ $job->{flowVersion} }, trigger => {
		name => 'trigger', type => 'EMPTY', valid => \1,
		displayName => 'Trigger', settings => {}, nextAction => {
			name => 'step_1', type => 'CODE', skip => \0,
			valid => \1, displayName => 'Code', settings => {
				input => {}, errorHandlingOptions => {},
				sourceCode => { packageJson => '{}',
					code => $code } } } } };
	$t->write_file("$spool/tmp/$id.json", json({ jobData =>
		$job->{jobData}, flowVersion => $flow,
		engineToken => "token-$id" }), 0600);
	rename "$spool/tmp/$id.json", "$spool/new/$id.json" or die $!;
}
