package Test::Apworker::Tool;

# A program of the test's own in the place of bun, npm, esbuild or node: a
# two-line script in the test directory that runs bin/fake-tool, which records
# its calls and does what it was told (see there).

use strict;
use warnings;

use Test::Apworker::Util;

sub new {
	my ($class, $t, $name) = @_;
	my $self = bless { t => $t, name => $name,
		dir => $t->testdir() . '/tools' }, $class;
	my $fake = $t->srcdir() . '/bin/fake-tool';

	$t->write_file($self->path(), "#!/bin/sh\n"
		. "exec $^X $fake $self->{dir} $name \"\$@\"\n", 0755);
	chmod 01777, $self->{dir};
	return $self;
}

sub path { my ($self) = @_; return "$self->{dir}/$self->{name}" }

# What the calls do: one hash each, the last for all that follow.
sub behave {
	my ($self, @orders) = @_;
	$self->{t}->write_file("$self->{dir}/$self->{name}.json",
		json(\@orders));
	return $self;
}

# {argv, cwd, env, fds, pid} of each call so far.
sub calls {
	my ($self) = @_;
	return map { unjson($_) } split /\n/,
		slurp("$self->{dir}/$self->{name}.calls.jsonl");
}

sub wait_call {
	my ($self, $n) = @_;
	my @got;
	wait_for(sub { (@got = $self->calls()) >= $n },
		"call $n of $self->{name}") or return undef;
	return $got[$n - 1];
}

sub release {
	my ($self, $name) = @_;
	$self->{t}->write_file("$self->{dir}/go-$name", '');
	return $self;
}

1;
