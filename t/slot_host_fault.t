#!/usr/bin/perl

# What this host or the slot itself is to blame for keeps a job from beginning,
# and does not end it: it is done when that has passed, here or in a slot that
# is well; a slot that can start no engine takes no job and says why.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon root node node_modules esbuild userns prlimit/);
my ($api, $n) = (undef, 0);

# Something is taken away; the slot is blocked with this reason, the job that
# found out is not completed; it is given back, and the job is done.
sub fault {
	my ($name, $why, $take, $give) = @_;
	my $id = 'j' . ++$n;
	$t->log_mark();
	$take->();
	$api->push_job(flow_job(id => $id, engine => [ { do => 'answer' } ]));
	ok($t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
		$s && $s->{state} eq 'blocked' && $s->{why} =~ $why && $s }),
		"$name: blocked, with the reason") or diag($t->log_tail(20));
	my ($code, $body) = $t->http_get('/readyz');
	is($code, 503, "$name: not ready");
	like($body, $why, "$name: and says why");
	is($api->settled($id), 0, "$name: the job is not completed");
	$give->();
	is($api->wait_done($id)->{status}, 'OK', "$name: healed, and it is done");
	is($api->settled($id), 1, "$name: once");
	return;
}

sub one_job {
	my ($name) = @_;
	my $id = 'j' . ++$n;
	$api->push_job(flow_job(id => $id, engine => [ { do => 'answer' } ]));
	is($api->wait_done($id)->{status}, 'OK', $name);
	return;
}

sub slot_pid { return ($t->slots())[0]{pid} }

my $dir = $t->testdir();
for my $mode (qw/UNSANDBOXED SANDBOX_PROCESS/) {
	my $node = "$dir/node-$mode";
	symlink Test::Apworker::Has::find('node'), $node;
	$t->write_app_conf(mode => $mode, engine => 'max_jobs 1; standby 0;');
	$t->write_conf($t->{conf} =~ s/node %%NODE%%;/node $node;/r
		=~ s/standby 0;/$mode eq 'UNSANDBOXED' ? '' : 'standby 0;'/re);
	$api = $t->api();
	$t->run();
	one_job("$mode: works");
	my $bundle = $t->engine()->bundle();
	fault("$mode, bundle", qr/engine bundle .*No such file/,
		sub { rename $bundle, "$bundle.away" or die $! },
		sub { rename "$bundle.away", $bundle or die $! });
	fault("$mode, broken bundle", qr/exited before connecting/,
		sub { rename $bundle, "$bundle.away" or die $!;
			$t->write_file($bundle, "throw new Error('broken');\n") },
		sub { rename "$bundle.away", $bundle or die $! });
	if ($mode eq 'UNSANDBOXED') {
		fault("$mode, node", qr/node.*No such file/,
			sub { unlink $node },
			sub { symlink Test::Apworker::Has::find('node'),
				$node });
	}

	# no descriptors
	my $pid = slot_pid();
	my ($soft) = slurp("/proc/$pid/limits") =~ /^Max open files\s+(\d+)/m;
	fault("$mode, descriptors", qr/Too many open files/,
		sub { system("prlimit --pid $pid --nofile=5:$soft") },
		sub { system("prlimit --pid $pid --nofile=$soft:$soft") });
	is(slot_pid(), $pid, "$mode: all that by one process");

	# the stock: what cannot be made anew is a reason, what can is made
	fault("$mode, stock", qr/stock/,
		sub { rename "$dir/stock", "$dir/stock.away" or die $!;
			$t->write_file('stock', 'in the way') },
		sub { unlink "$dir/stock" });
	for my $gone ('stock', 'stock/v12/common', 'stock/v12/codes') {
		system('rm', '-rf', "$dir/$gone");
		one_job("$mode: without $gone");
	}
	system('rm', '-rf', "$dir/stock.away");
	is(scalar(grep { ($_->{payload}{status} // '') ne 'OK' }
		$api->calls('completeJob')), 0,
		"$mode: no job was completed for any of that");
	$t->stop();
}

# Two slots, one of them ill: it draws no jobs, and what it had the other does.
$t->write_app_conf(slots => 2, mode => 'UNSANDBOXED');
$api = $t->api();
$t->run();
$t->wait_status(sub { $_->{slots_able} == 2 });
my $ill = slot_pid();
my ($soft) = slurp("/proc/$ill/limits") =~ /^Max open files\s+(\d+)/m;
system("prlimit --pid $ill --nofile=5:$soft");
my @ids = map { "two-$_" } 1 .. 12;
$api->push_job(map { flow_job(id => $_, engine => [ { do => 'answer' } ]) }
	@ids);
$api->wait_done($_) for @ids;
is(scalar(grep { $_->{payload}{status} ne 'OK' } $api->calls('completeJob')),
	0, 'one slot of two is ill: all jobs are done');
my ($s) = grep { $_->{pid} == $ill } $t->slots();
is($s->{state}, 'blocked', 'it is blocked');
cmp_ok($s->{jobs}{started}, '<=', 1, 'and took one at most');
is(($t->http_get('/readyz'))[0], 200, 'the other is ready');
system("prlimit --pid $ill --nofile=$soft:$soft");
ok($t->wait_status(sub { $_->{slots_able} == 2 }), 'it heals');
$t->stop();

# A spool: back to new/ with it.
$t->write_conf(<<"EOC");
slots 1;
source spool { path $dir/spool; }
sandbox UNSANDBOXED;
engine { node %%NODE%%; bundle %%BUNDLE%%; }
stock { path $dir/stock; jail off; installer_path %%FAKE_BUN%%;
	bundler_path %%FAKE_ESBUILD%%; }
EOC
$t->run();
$t->wait_ready();
my $bundle = $t->engine()->bundle();
rename $bundle, "$bundle.away" or die $!;
my $job = flow_job(id => 'in', engine => [ { do => 'answer' } ]);
$t->write_file('spool/in.json', json({ jobData => $job->{jobData},
	flowVersion => $job->{flowVersion} }));
rename "$dir/spool/in.json", "$dir/spool/new/in.json" or die $!;
ok($t->wait_log(qr/put back into the spool/), 'spool: put back');
ok(-e "$dir/spool/new/in.json", 'it is in new/');
is(join(' ', glob("$dir/spool/run/*.json")), '', 'and nowhere else');

# Nor is it a file's fault that it cannot be opened.
$ill = slot_pid();
system("prlimit --pid $ill --nofile=5:$soft");
rename "$bundle.away", $bundle or die $!;
$t->write_file('spool/in2.json', slurp("$dir/spool/new/in.json"));
rename "$dir/spool/in2.json", "$dir/spool/new/in2.json" or die $!;
ok($t->wait_status(sub { my ($s) = @{ $_[0]{slots} };
	$s && $s->{state} eq 'blocked' && $s->{why} =~ /Too many open files/
	&& $s }), 'no descriptors: blocked') or diag($t->log_tail(20));
system("prlimit --pid $ill --nofile=$soft:$soft");
for my $id (qw/in in2/) {
	ok(wait_for(sub { -e "$dir/spool/done/$id"
		|| -e "$dir/spool/failed/$id" }, 'its end'),
		"$id ends when the slot is well");
	ok(-e "$dir/spool/done/$id", 'well');
}
