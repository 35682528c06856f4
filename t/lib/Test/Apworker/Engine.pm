package Test::Apworker::Engine;

# The engine double of one test: writes the bundle that the configuration names
# as %%BUNDLE%%, tells it how to behave at its starts, and reads what the
# starts recorded about themselves.
#
# bin/engine-double.js is bundled with socket.io-client into one file, once for
# a checkout and under a lock; each test gets a copy with its own directory
# written into the first line, because an engine's environment is composed by
# the daemon and carries nothing of ours.

use strict;
use warnings;

use Fcntl qw/:flock/;
use Test::More ();

use Test::Apworker::Has;
use Test::Apworker::Proc;
use Test::Apworker::Util;

sub new {
	my ($class, $t, %o) = @_;
	my $self = bless { t => $t, %o }, $class;
	$self->{name} ||= 'engine-double';
	$self->{dir} = $t->testdir() . '/engine';
	return $self;
}

# Path of the bundle; the first call writes it.
sub bundle {
	my ($self) = @_;
	my $path = "$self->{dir}/main.js";
	return $path if $self->{written}++;

	my $where = json({ dir => $self->{dir}, testdir => $self->{t}->testdir() });
	my $head = "globalThis.APW_DOUBLE = $where; ";
	$self->{t}->write_file($path, $head . slurp(built($self->{t}, $self->{name})));
	$self->{t}->write_file("$self->{dir}/package.json", json({
		name => 'engine', version => $self->{version} || '0.85.4' }));
	chmod 01777, $self->{dir};
	return $path;
}

# How starts behave, see bin/engine-double.js: a hash for all, or starts =>
# [ {...}, {...} ], one for each start and the last for all that follow.
sub behave {
	my ($self, %start) = @_;
	my $list = $start{starts} || [ \%start ];
	$self->{t}->write_file("$self->{dir}/starts.json.new", json($list));
	rename "$self->{dir}/starts.json.new", "$self->{dir}/starts.json";
	return $self;
}

# What each start and step wrote down: a list of {what, pid, ...}.  Pids are
# ours: where an engine has its own, they are translated while it lives.
sub records {
	my ($self, $what) = @_;
	my @all = map { unjson($_) } grep { /\}$/ }
		split /\n/, slurp("$self->{dir}/records.jsonl");
	for my $r (grep { $_->{what} =~ /^(start|fork)$/ } @all) {
		for my $pid (grep { defined } @$r{qw/pid child/}) {
			$pid = $self->{outside}{"$r->{pidns} $pid"} ||=
				Test::Apworker::Proc::outside($pid, $r->{pidns});
		}
		$_ ||= Test::Apworker::Proc::NOBODY
			for grep { defined } @$r{qw/pid child/};
	}
	return defined $what ? grep { $_->{what} eq $what } @all : @all;
}

sub starts { return $_[0]->records('start') }

# Waits for the n-th record of a kind and returns it.
sub wait_record {
	my ($self, $what, $n, $seconds) = @_;
	$n ||= 1;
	my @got;
	wait_for(sub { (@got = $self->records($what)) >= $n },
		"engine record $what $n", $seconds) or return undef;
	return $got[$n - 1];
}

# A step {do => 'wait', name => X} goes on.
sub release {
	my ($self, $name) = @_;
	$self->{t}->write_file("$self->{dir}/go-$name", '');
	return $self;
}

# The built bundle in t/build, made again when a source is newer.
sub built {
	my ($t, $name) = @_;
	my $here = $t->srcdir();
	my $src = "$here/bin/$name.js";
	return $src if slurp($src) !~ /socket\.io-client/;

	my $dir = $ENV{APW_TEST_BUILD}
		|| ($ENV{APW_BUILD} ? "$ENV{APW_BUILD}/t/build" : "$here/build");
	mkdir $dir;
	open my $lock, '>', "$dir/.lock" or die "$dir/.lock: $!";
	flock $lock, LOCK_EX;
	my $out = "$dir/$name.js";
	my $newest = (sort { $b <=> $a } map { (stat)[9] || 0 } $src,
		"$here/node_modules/socket.io-client/package.json")[0];
	return $out if -e $out && (stat _)[9] > $newest;

	my $esbuild = Test::Apworker::Has::find('esbuild')
		or die "no esbuild to bundle $name (run npm ci in t/)\n";
	my $log = `$esbuild $src --bundle --platform=node --format=cjs --log-level=warning --outfile=$out.new 2>&1`;
	die "bundling $name: $log" if $?;
	rename "$out.new", $out or die "$out: $!";
	return $out;
}

1;
