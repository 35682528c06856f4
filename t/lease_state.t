#!/usr/bin/perl

# The state directory: one daemon at a time; when nothing can be written there
# jobs are run all the same, and that is said; leases survive a restart.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(17)->write_app_conf(main => 'journal sync;');
my $api = $t->api();
my $engine = $t->engine();
$t->run();
$api->wait_call('poll');
my $dir = $t->testdir();

my @mode = map { sprintf '%o', (stat $_)[2] & 07777 } "$dir/state/leases",
	glob "$dir/state/leases/*";
is_deeply(\@mode, [ 700, 600 ], 'nobody else looks in');

# two daemons
$t->write_file_expand('other.conf', $t->{conf});
my $globals = $t->globals();
$globals =~ s{\bpid \S+;}{pid $dir/other.pid;};
my ($code, $out, $err) = $t->apworkerd('-c', "$dir/other.conf", '-g',
	$globals);
is($code, 78, 'a second daemon on the same state directory is refused');
like($err, qr/the state directory \S+ is in use by another apworkerd/,
	'and says why');
ok(!-e "$dir/other.pid", 'and leaves no pidfile');

# stopped with a job in hand, and started again
$api->push_job(flow_job(id => 'left', engine => [
	{ do => 'wait', name => 'on' }, { do => 'answer' } ]));
$engine->wait_record('operation');
$t->log_mark()->signal('TERM');
$t->wait_log(qr/stopping/);
$t->signal('TERM');
is($t->wait_exit(), 0, 'stopped at once');
is(scalar(glob "$dir/state/leases/*"), "$dir/state/leases/1.0",
	'the lease stays');
$t->run();
ok($t->wait_log(qr/a job goes on whose slot died.* deaths=0/),
	'the next daemon goes on with it, and counts no death');
$engine->release('on');
is($api->wait_done('left')->{status}, 'OK', 'job done');
is(scalar @{ $api->job('left')->{handed} }, 1, 'handed out once');
$t->stop();
is_deeply([ glob "$dir/state/leases/*" ], [], 'and nothing is left');

# a place where no file can be made
rmdir "$dir/state/leases" or die $!;
$t->write_file('state/leases', 'in the way');
$t->log_mark()->run();
ok($t->wait_log(qr/error slot\/1 jobs are not journalled.*leases/),
	'no journal: said aloud');
$api->push_job(flow_job(id => 'plain'));
is($api->wait_done('plain')->{status}, 'OK', 'jobs are run all the same');
$t->stop();

# a full disk, and one that cannot be written
my $tmpfs;
END { system('umount', '-l', "$dir/state/leases") if $tmpfs }
SKIP: {
	unlink "$dir/state/leases";
	mkdir "$dir/state/leases", 0700;
	skip 'no tmpfs here', 5 if $> != 0 || system('mount', '-t', 'tmpfs',
		'-o', 'size=64k,mode=0700', 'tmpfs', "$dir/state/leases") != 0;
	$tmpfs = 1;
	$t->log_mark()->run();
	ok($t->wait_log(qr/error slot\/1 jobs are not journalled.*No space/),
		'full disk: said aloud');
	$api->push_job(flow_job(id => 'full'));
	is($api->wait_done('full')->{status}, 'OK', 'jobs are run all the same');
	$t->stop();
	is_deeply([ glob "$dir/state/leases/*" ], [], 'no ruins are left');
	system('mount', '-o', 'remount,ro', "$dir/state/leases");
	$t->log_mark()->run();
	ok($t->wait_log(qr/error slot\/1 jobs are not journalled.*Read-only/),
		'read-only: said aloud');
	$api->push_job(flow_job(id => 'ro'));
	is($api->wait_done('ro')->{status}, 'OK', 'jobs are run all the same');
	$t->stop();
}
