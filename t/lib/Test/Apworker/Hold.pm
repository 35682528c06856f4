package Test::Apworker::Hold;

# Keeps processes from ending when they are killed, as a disk does that does
# not answer: bin/hold traces them.  Root's.

use strict;
use warnings;

use Exporter 'import';
use IPC::Open2;

use Test::Apworker::Proc;

our @EXPORT = qw/hold_box/;

# All that is in a box, given its first process, which waits for the rest.
sub hold_box {
	my ($t, $init) = @_;
	my $top = $ENV{APW_BUILD} || $t->srcdir() . '/..';
	my $self = bless {}, __PACKAGE__;
	$self->{pid} = open2(my $out, $self->{in}, "$top/t/bin/hold",
		Test::Apworker::Proc::descendants($init));
	my $word = <$out> // '';
	die "nothing is held in the box of $init\n" unless $word eq "held\n";
	return $self;
}

sub release {
	my ($self) = @_;
	return unless $self->{pid};
	close $self->{in};
	waitpid delete $self->{pid}, 0;
	return;
}

sub DESTROY {
	my ($self) = @_;
	local $?;
	$self->release();
	return;
}

1;
