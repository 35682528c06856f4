package Test::Apworker::Master;

# Helpers of master_*.t, mon_*.t and ctl_*.t: a daemon whose slots do what a
# test tells them (bin/fake-slot.c), and its family as /proc shows it.

use strict;
use warnings;

use Test::Apworker;
use Test::Apworker::Proc;

use base qw/Exporter/;
our @EXPORT = qw/fake_conf family pid_of slot_of order/;

# A configuration that needs nothing but the fake slots.
sub fake_conf {
	my ($t, %o) = @_;
	my $slots = $o{slots} // 2;
	my $main = $o{main} // '';
	my $monitor = $o{monitor} // '';
	my $engine = $o{engine} // '';

	return $t->write_conf(<<"EOC");
slots $slots;
sandbox UNSANDBOXED;
$main
source spool { path %%TESTDIR%%/spool; }
engine { node /bin/true; bundle %%TESTDIR%%/main.js; $engine }
stock { path %%TESTDIR%%/stock; }
$monitor
EOC
}

# What a slot does at its next start; 'all' for those without own orders.
sub order {
	my ($t, $slot, $orders) = @_;

	my $file = "$t->{testdir}/state/slot-$slot";
	return unlink $file unless defined $orders;
	$t->write_file("state/.new", "$orders\n");
	rename "$t->{testdir}/state/.new", $file or die "$file: $!";
}

# The living children of the master by title: { 'slot 1' => [pids], ... }
sub family {
	my ($t, $master) = @_;
	my %found;
	for my $pid (Test::Apworker::Proc::children($master || $t->pid())) {
		next unless Test::Apworker::Proc::alive($pid);
		my $title = Test::Apworker::Proc::cmdline($pid);
		$title =~ s/^apworkerd: //;
		$title =~ s/\s+$//;
		# who is about to be gone has none
		push @{ $found{$title} }, $pid if length $title;
	}
	return \%found;
}

# The one process with this title, once there is exactly one that is not
# `not`; undef after the deadline.
sub pid_of {
	my ($t, $title, $not) = @_;

	my $pid;
	wait_for(sub {
		my $pids = family($t)->{$title} or return 0;
		return 0 if @$pids != 1 || $pids->[0] == ($not || 0);
		return $pid = $pids->[0];
	}, "one $title");
	return $pid;
}

# The record of a slot in /status (of the newest configuration).
sub slot_of {
	my ($t, $n) = @_;
	my $st = $t->status() or return undef;
	my ($found) = grep { $_->{slot} == $n && $_->{cycle} == $st->{cycle} }
		@{ $st->{slots} };
	return $found;
}

1;
