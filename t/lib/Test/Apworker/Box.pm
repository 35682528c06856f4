package Test::Apworker::Box;

# Boxes without a daemon: a stock of a few folders, and box-tool around
# commands, as root and as an ordinary user.
#
#	for my $who (Test::Apworker::Box::everybody($t)) {
#		my ($code, $out, $err) = $who->run([ '-p', 64 ], '/bin/id');
#	}
#
# The ordinary user is nobody, through setpriv, when the test is root; an
# ordinary tester is the only one there is.

use strict;
use warnings;

use Cwd ();
use File::Copy ();
use File::Path ();

use Test::Apworker::Proc;
use Test::Apworker::Util;

my $here = Cwd::abs_path(__FILE__);
$here =~ s{/lib/Test/Apworker/Box\.pm$}{};

sub everybody {
	my ($t) = @_;

	my @names = $> == 0 ? qw/root user/ : qw/user/;
	return map { __PACKAGE__->new($t, $_) } @names;
}

sub new {
	my ($class, $t, $name) = @_;

	my $self = bless { t => $t, name => $name,
		dir => "$t->{testdir}/$name" }, $class;
	my $dir = $self->{dir};
	# as a sanitizer's program cannot do without the host's libraries,
	# both are copied to where the user may read them
	File::Path::make_path(map { "$dir/$_" } qw{common codes/mine/step_1
		codes/other/step_1 custom/p1 custom/p2 bin});
	$self->put('common/main.js', "engine\n");
	$self->put('codes/mine/step_1/index.js', "mine\n");
	$self->put('codes/other/secret', "other\n");
	$self->put('custom/p1/piece', "one\n");
	$self->put('custom/p2/piece', "two\n");
	$self->put('host-secret', "secret of the host\n");
	for my $what ([ 'box-tool', 'bin' ], [ 'box-attack', 'common' ]) {
		my $to = "$dir/$what->[1]/$what->[0]";
		File::Copy::copy(build() . "/t/bin/$what->[0]", $to)
			or die "$what->[0]: $! (make check-programs?)";
		chmod 0755, $to;
	}
	if ($name eq 'user' && $> == 0) {
		system('chown', '-R', 'nobody', $dir) == 0 or die 'chown';
		$self->{as} = [ 'setpriv', '--reuid=nobody',
			'--regid=' . (getgrgid((getpwnam 'nobody')[3]))[0],
			'--clear-groups', '--' ];
	}
	return $self;
}

sub build { return $ENV{APW_BUILD} || "$here/.." }
sub name { return $_[0]{name} }
sub is_root { return $_[0]{name} eq 'root' }
sub dir { return $_[0]{dir} }

sub put {
	my ($self, $path, $text) = @_;
	open my $fh, '>', "$self->{dir}/$path" or die "$path: $!";
	print $fh $text;
	close $fh;
	chmod 0644, "$self->{dir}/$path";
}

# The command line of box-tool around a command; options first.
sub command {
	my ($self, $options, @command) = @_;
	my $dir = $self->{dir};
	return [ @{ $self->{as} || [] }, "$dir/bin/box-tool", '-v',
		'-c', "$dir/common", '-C', "$dir/codes", '-P', "$dir/custom",
		'-e', 'PATH=/usr/bin:/bin', '-e', 'HOME=/tmp/', @$options,
		@command ];
}

# (exit code, stdout, stderr); box-tool's own last line is in `end`.
sub run {
	my ($self, $options, @command) = @_;

	my ($code, $out, $err) = Test::Apworker::Proc::capture(
		$self->command($options, @command),
		cwd => "$self->{t}{testdir}/tmp", seconds => 180,
		env => { %ENV, APW_TEST_ID => $self->{t}{test_id} });
	%{ $self->{end} } = $err =~ s/^box: (.*)\n//m ?
		map { split /=/ } split / /, $1 : ();
	return ($code, $out, $err);
}

sub end { return $_[0]{end}{$_[1]} }

# One line of shell inside of a box, its trimmed output.
sub sh {
	my ($self, $options, $line) = @_;
	my ($code, $out, $err) = $self->run($options, '/bin/sh', '-c', $line);
	$out .= $err;
	chomp $out;
	return $out;
}

# Start and leave running; returns the pid.  Output goes to files `out`, `err`.
sub start {
	my ($self, $options, @command) = @_;
	my $n = ++$self->{started};
	my $base = "$self->{t}{testdir}/tmp/box-$self->{name}-$n";
	pipe my $r, $self->{in} or die $!;
	my $pid = Test::Apworker::Proc::spawn(
		$self->command($options, @command), out => "$base.out",
		err => "$base.err", in => "/proc/self/fd/" . fileno($r),
		env => { %ENV, APW_TEST_ID => $self->{t}{test_id} });
	$self->{in}->autoflush(1);
	@$self{qw/out err pid/} = ("$base.out", "$base.err", $pid);
	return $pid;
}

sub say {
	my ($self, $line) = @_;
	print { $self->{in} } "$line\n";
}

sub wait_out {
	my ($self, $re) = @_;
	return wait_for(sub { slurp($self->{out}) =~ $re }, "$re");
}

# Waits for the end and tidies up; the exit code.
sub done {
	my ($self) = @_;
	close $self->{in};
	my $code = 'timeout';
	wait_for(sub { waitpid($self->{pid}, 1) == $self->{pid}
		&& defined($code = $? & 127 ? 'signal ' . ($? & 127)
			: $? >> 8) }, 'box-tool');
	my @text = (slurp($self->{out}), slurp($self->{err}));
	unlink @$self{qw/out err/};
	return ($code, @text);
}

1;
