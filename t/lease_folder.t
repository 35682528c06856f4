#!/usr/bin/perl

# The folder of the leases is removed, or replaced, under the daemon, and
# nothing can be watched: jobs are journalled all the same, and go on when
# their slot dies.

use strict;
use warnings;

use File::Path ();
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my @none = ('unshare', '-U', '--map-root-user', 'sh', '-c',
	'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"', 'sh');

# A job's slot is killed; what the next does with it.
sub killed {
	my ($t, $id) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $runs = () = $t->engine()->records('operation');

	$t->api()->push_job(flow_job(id => $id, engine => [ { do => 'wait',
		name => $id }, { do => 'answer' } ]));
	$t->engine()->wait_record('operation', $runs + 1);
	my (undef, $pid) = $t->wait_job($id);
	kill 'KILL', $pid;
	$t->engine()->release($id);
	is($t->api()->wait_done($id)->{status}, 'OK', "$id goes on");
	is(scalar(() = $t->log() =~ /a job goes on whose slot died/g),
		++$t->{gone_on}, 'from its journal');
}

for my $as (undef, \@none) {
	my $t = Test::Apworker->new()->has(qw/daemon node userns/);
	$t->write_app_conf(main => 'respawn_max 100ms; respawn_burst 64;');
	$t->{as} = $as if $as;
	$t->api();
	$t->engine();
	$t->run();
	my $leases = $t->testdir() . '/state/leases';
	wait_for(sub { -e "$leases/1.0" }, 'a journal');
	killed($t, 'before');

	File::Path::remove_tree($leases);
	ok(wait_for(sub { -d $leases }, 'leases'), 'leases removed: made anew');
	killed($t, 'removed');
	is((stat $leases)[2] & 0777, 0700, 'for nobody else');

	rename $leases, "$leases.old" or die;
	mkdir $leases, 0700;	# or a slot was faster
	killed($t, 'replaced');
	is(scalar(() = $t->log() =~ /a folder was (?:removed|replaced)/g), 2,
		'each said once');
	is(scalar(() = $t->log() =~ /slots look into them each second/g),
		$as ? 1 : 0, 'what cannot be watched is said');
	$t->finish();
}

done_testing();
