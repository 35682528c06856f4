#!/usr/bin/perl

# How slots learn of new jobs: one watch for all of them, a look each second
# where nothing can be watched, and folders that are removed or replaced under
# the daemon are followed without a reload.

use strict;
use warnings;

use File::Path ();
use Test::More;
use Time::HiRes ();

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Proc;

# Without one inotify instance for the whole user namespace.
my @none = ('unshare', '-U', '--map-root-user', 'sh', '-c',
	'echo 0 >/proc/sys/user/max_inotify_instances && exec "$@"', 'sh');

sub make {
	my (%opt) = @_;

	my $t = Test::Apworker->new()->has(qw/daemon ctl node userns/);
	$t->write_app_conf(slots => 3, main => 'respawn_burst 50;');
	$t->{conf} =~ s/^source app .*$/source spool { path %%TESTDIR%%\/spool; }/m;
	$t->{spool} = $t->testdir() . '/spool';
	$t->{as} = $opt{as} if $opt{as};
	$t->engine();
	$t->run();
	wait_for(sub { ready($t) == 3 }, 'the slots');
	return $t;
}

sub slots {
	my ($t) = @_;
	return grep { (Test::Apworker::Proc::cmdline($_) // '') =~
		/^apworkerd: slot/ } Test::Apworker::Proc::descendants($t->{pid});
}

# Slots that have their alive file.
sub ready {
	my ($t) = @_;
	my @alive = glob "$t->{spool}/run/.slot-*.alive";
	return scalar @alive;
}

sub instances {
	my ($t) = @_;
	return scalar grep { /anon_inode:\[?inotify/ } map { readlink($_) // '' }
		map { glob "/proc/$_/fd/*" } $t->{pid},
		Test::Apworker::Proc::descendants($t->{pid});
}

sub submit {
	my ($t, $id) = @_;
	my $job = flow_job(id => $id, engine => [ { do => 'answer' } ]);
	my $text = json({ jobData => $job->{jobData},
		flowVersion => $job->{flowVersion}, engineToken => "token-$id" });
	$t->write_file($t->testdir() . "/job-$id", $text, 0600);
	rename $t->testdir() . "/job-$id", "$t->{spool}/new/$id.json"
		or die "$id: $!";
}

sub done {
	my ($t, $id, $what) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok(wait_for(sub { -e "$t->{spool}/done/$id/result.json" }, $id), $what);
}

sub lines {
	my ($t, $re) = @_;
	return scalar grep { /$re/ } split /\n/, $t->log();
}

my $t = make();
is(instances($t), 1, 'one instance for all slots');
submit($t, 'first');
done($t, 'first', 'a job is taken');

# Folders go, in every way, and come back.
my $spool = $t->{spool};
File::Path::remove_tree("$spool/new");
mkdir "$spool/new";
submit($t, 'removed');
done($t, 'removed', 'new/ removed and made again');
wait_for(sub { lines($t, qr/a folder was .*spool\/new/) }, 'the line');
is(lines($t, qr/a folder was .*spool\/new/), 1, 'said once');

rename "$spool/new", "$spool/old" or die;
mkdir "$spool/new";
submit($t, 'renamed');
done($t, 'renamed', 'new/ renamed, another in its place');

mkdir "$spool/other";
rename "$spool/new", "$spool/older" or die;
rename "$spool/other", "$spool/new" or die;
submit($t, 'swapped');
done($t, 'swapped', 'new/ replaced by rename');

File::Path::remove_tree("$spool/new");
ok(wait_for(sub { -d "$spool/new" }, 'new/'), 'new/ removed: made again');
submit($t, 'mended');
done($t, 'mended', 'and used');

for my $dir (qw/run done failed tmp/) {
	File::Path::remove_tree("$spool/$dir");
	submit($t, "no-$dir");
	done($t, "no-$dir", "$dir/ removed");
}

rename $spool, "$spool.gone" or die;
ok(wait_for(sub { -d "$spool/new" && -d "$spool/run" && -d "$spool/tmp" },
	'the spool'), 'the spool renamed: made again');
submit($t, 'root');
done($t, 'root', 'and used');
is(lines($t, qr/cannot look for jobs/) <= 3, 1, 'no slot repeats itself');
rename $spool, "$spool.too" or die;
mkdir $spool;	# or the master was faster
ok(wait_for(sub { -d "$spool/new" }, 'new/'), 'the spool replaced by an empty '
	. 'one');
submit($t, 'empty');
done($t, 'empty', 'and used');
my @own = slots($t);
is(instances($t), 1, 'still one instance');

# Slots that are killed leave nothing that stays: no list in the stock, no
# alive file, no descriptor of the master's.
sub left {
	my $dir = $t->testdir();
	return grep { !m{/(?:error|stderr)\.log$|/new$|/tmp/} } split /\n/,
		qx{find $dir -name 'asan*' -prune -o -print};
}
my @left = left();
my @fds = $t->fds();
for (1 .. 4) {
	my @now = slots($t);
	kill 'KILL', @now;
	wait_for(sub {
		my %old = map { $_ => 1 } @now;
		my @new = slots($t);
		return @new == 3 && !grep { $old{$_} } @new;
	}, 'their successors', 30);
	submit($t, "after-$_");
	wait_for(sub { -e "$spool/done/after-$_/result.json" }, "after-$_");
}
ok(wait_for(sub { ready($t) == 3 }, 'alive files'),
	'alive files of dead slots go');
my @lists = glob $t->testdir() . '/stock/*/.use/*-*';
is(scalar @lists, 3, 'a list for each slot that lives')
	or diag(join "\n", @lists);
my @more = grep { !m{/done/after-|/\.use/|/run/\.slot} } left();
my %before = map { $_ => 1 } @left;
is_deeply([ grep { !$before{$_} } @more ], [], 'nothing else is left');
is(scalar(() = $t->fds()), scalar @fds, 'nor descriptors of the master');
$t->finish();

# Nothing can be watched.
$t = make(as => \@none);
is(instances($t), 0, 'no instance can be had');
is(lines($t, qr/slots look into them each second/), 1, 'said once');
like($t->log(), qr/user\.max_inotify_instances is 0/, 'with the sysctl');
submit($t, 'looked');
done($t, 'looked', 'a job is taken');
File::Path::remove_tree("$t->{spool}/new");
mkdir "$t->{spool}/new";
submit($t, 'looked-2');
done($t, 'looked-2', 'from a new folder, too');
is(lines($t, qr/slot ended/), 0, 'no slot died');

# ctl run looks, too.
$t->write_file($t->testdir() . '/flow.json', json(flow_job(id => 'c',
	engine => [ { do => 'answer' } ])->{flowVersion}));
my ($code, $out, $err) = $t->run_command([ @none,
	$t->daemon_path('apworkerctl'), '-c', $t->conf_file(), '-g',
	$t->globals(), 'run', $t->testdir() . '/flow.json' ]);
is($code, 0, 'ctl run has its result') or diag("$out$err");
like($err, qr/looking for the result each second: .*max_inotify_instances/,
	'and says what it does');
