package Test::Apworker::Netns;

# A network for one test: a namespace with nothing in it but addresses of our
# own, so that "metadata", "private" and "public" exist, answer, and lead
# nowhere.  Whole test files run in there, their daemon too.
#
#	use Test::Apworker::Netns;		# first of all: runs the file anew
#	my $world = Test::Apworker::Netns->new($t);
#	my @attacks = $world->attacks();	# for bin/net-attack.pl
#
# APW_TEST_USER=nobody makes an ordinary user of a tester who is root.
# APW_TEST_NO_USERNS=1 makes a host where nobody may make namespaces.

use strict;
use warnings;

use Cwd ();
use IO::Select ();
use IO::Socket::IP ();
use Socket;

use Test::Apworker::Proc;
use Test::Apworker::Util;

# Where there is nothing outside: the world is one loopback with many names.
our %PLACES = (
	'loopback' => '127.0.0.1',
	'loopback, another' => '127.9.9.9',
	'private 10' => '10.77.0.1',
	'private 172' => '172.20.7.7',
	'private 192' => '192.168.77.1',
	'carrier NAT' => '100.64.7.7',
	'metadata' => '169.254.169.254',
	'link-local' => '169.254.7.7',
	'benchmark' => '198.18.7.7',
	'public' => '93.184.215.14',
	'loopback 6' => '::1',
	'unique local 6' => 'fd00:77::1',
	'public 6' => '2606:2800:220::14',
	'NAT64 of metadata' => '64:ff9b::a9fe:a9fe',
	'6to4' => '2002:a9fe:a9fe::1',
);

sub import {
	return if $ENV{APW_TEST_NETNS};
	my @enter;
	if (($ENV{APW_TEST_USER} || '') eq 'nobody' && $> == 0) {
		my $gid = (getpwnam 'nobody')[3];
		@enter = ('setpriv', '--reuid=nobody', "--regid=$gid",
			'--clear-groups', '--');
		$ENV{HOME} = '/tmp';
	}
	local $ENV{APW_TEST_NETNS} = 1;
	my $script = Cwd::abs_path($0);
	my $lib = Cwd::abs_path(__FILE__) =~ s{/Test/Apworker/Netns\.pm$}{}r;
	my $plain = $> == 0 && !@enter && !$ENV{APW_TEST_NO_USERNS};
	{
		no warnings;
		exec @enter, 'unshare', ($plain ? '-n' : '-Urn'), '--', $^X,
			"-I$lib", $script, @ARGV;
	}
	print "1..0 # SKIP no unshare\n";
	exit 0;
}

sub new {
	my ($class, $t) = @_;
	my $self = bless { t => $t }, $class;

	# an ordinary user cannot build where root did
	$ENV{APW_TEST_BUILD} = "$t->{testdir}/build"
		if $ENV{APW_TEST_USER};
	run('ip', 'link', 'set', 'lo', 'up');
	for my $address (sort values %PLACES) {
		next if $address =~ /^127\.|^::1$/;
		run('ip', 'address', 'add', $address . ($address =~ /:/
			? '/128' : '/32'), 'dev', 'lo', ($address =~ /:/
			? 'nodad' : ()));
	}
	# an interface beside loopback, for those who look at them
	run('ip', 'link', 'add', 'apw0', 'type', 'veth', 'peer', 'name',
		'apw1');
	run('ip', 'link', 'set', 'apw0', 'up');
	$self->serve();
	if ($ENV{APW_TEST_NO_USERNS}) {
		for my $what (qw/user net/) {
			open my $fh, '>', "/proc/sys/user/max_${what}_namespaces"
				or die "max_${what}_namespaces: $!";
			print $fh "0\n";
			close $fh or die "max_${what}_namespaces: $!";
		}
	}
	return $self;
}

sub run {
	my @command = @_;
	system(@command) == 0 or die "@command: $?\n";
}

# Everything answers: TCP and UDP on one port of all addresses, a socket with
# a path, one without.
sub serve {
	my ($self) = @_;
	my $tcp = IO::Socket::IP->new(LocalHost => '::', LocalPort => 0,
		V6Only => 0, Listen => 128, ReuseAddr => 1) or die "tcp: $@";
	my $port = $self->{port} = $tcp->sockport();
	my $udp = IO::Socket::IP->new(LocalHost => '::', LocalPort => $port,
		V6Only => 0, Proto => 'udp') or die "udp: $@";
	my $dir = $self->{t}{testdir};
	$self->{path} = "$dir/world.sock";
	$self->{abstract} = "apw-world-$$";
	my @local;
	for my $name ($self->{path}, "\0$self->{abstract}") {
		socket my $s, AF_UNIX, SOCK_STREAM, 0 or die $!;
		bind $s, pack_sockaddr_un($name) or die "$name: $!";
		listen $s, 50;
		push @local, $s;
	}
	chmod 0777, $self->{path};
	my $parent = $$;
	$self->{pid} = fork // die $!;
	return if $self->{pid};
	$SIG{PIPE} = 'IGNORE';
	$0 = "world $dir";
	my $select = IO::Select->new($tcp, $udp, @local);
	while (getppid() == $parent) {
		for my $s ($select->can_read(0.5)) {
			if ($s == $udp) {
				my $from = $udp->recv(my $got, 1000) or next;
				$udp->send("answer", 0, $from);
			} elsif ($s == $tcp) {
				my $c = $tcp->accept() or next;
				# what nobody read would reset the answer
				IO::Select->new($c)->can_read(1)
					&& sysread $c, my $got, 4096;
				syswrite $c, "HTTP/1.0 200 OK\r\n"
					. "Content-Length: 6\r\n\r\nworld\n";
				shutdown $c, 1;
			} else {
				accept(my $c, $s);
			}
		}
	}
	require POSIX;
	POSIX::_exit(0);
}

sub stop {
	my ($self) = @_;
	kill 'KILL', $self->{pid} or return;
	waitpid $self->{pid}, 0;
}
sub port { return $_[0]{port} }

# NAME=KIND,ARG... of all there is.
sub attacks {
	my ($self) = @_;
	my $port = $self->{port};
	my @all = map { ("tcp $_=tcp,$PLACES{$_},$port",
		"udp $_=udp,$PLACES{$_},$port") } sort keys %PLACES;
	push @all, map { "mapped $_=tcp,::ffff:$PLACES{$_},$port" }
		'metadata', 'loopback', 'private 10', 'public';
	push @all, "mptcp=tcp,$PLACES{public},$port,262",
		"fast open=fastopen,$PLACES{public},$port",
		"path socket=unix,$self->{path}",
		"abstract socket=unix,\@$self->{abstract}",
		'interfaces=links', 'generic netlink=raw,16,3,16',
		'raw socket=raw,2,3,1', 'raw socket 6=raw,10,3,58',
		'packet socket=raw,17,3,768',
		"everybody's listener=listen,0.0.0.0," . ($port + 1);
	push @all, 'curl=run,curl,-sS,-m,3,http://' . $PLACES{'private 10'}
		. ":$port/" if -x '/usr/bin/curl';
	push @all, "nc=run,nc,-w,3,-z,$PLACES{metadata},$port"
		if -x '/usr/bin/nc' || -x '/bin/nc';
	return @all;
}

# An interface that looks as if it led somewhere; it leads to a peer that
# nobody listens at.
sub way_out {
	my ($self) = @_;
	run('ip', 'address', 'add', '192.0.2.10/24', 'dev', 'apw0');
	run('ip', 'link', 'set', 'apw1', 'up');
	run('ip', 'route', 'add', 'default', 'via', '192.0.2.1');
	return $self;
}

sub way_out_attacks {
	my ($self) = @_;
	return ("the host by its gateway=tcp,192.0.2.1,$self->{port}",
		"the host by its address=tcp,192.0.2.10,$self->{port}");
}

# The same by way of the proxy: (what it lets through, what it does not).
sub by_proxy {
	my ($self) = @_;
	my %ways;
	for my $place (sort keys %PLACES) {
		my $kind = $place =~ /^public/ ? 'may' : 'may not';
		push @{ $ways{$kind} }, map {
			"$_ $place=proxy,$_,$PLACES{$place},$self->{port}" }
			qw/connect get/;
	}
	push @{ $ways{'may not'} }, map { "connect mapped $_=proxy,connect,"
		. "::ffff:$PLACES{$_},$self->{port}" } 'metadata', 'loopback';
	push @{ $ways{'may not'} }, map { "connect $_=proxy,connect,$_,"
		. $self->{port} } qw/localhost 0x7f000001 2130706433 127.1
		017700000001/;
	return ($ways{'may'}, $ways{'may not'});
}

sub script {
	my ($self) = @_;
	return slurp($self->{t}->srcdir() . '/bin/net-attack.pl');
}

# (names that are open, {name => why} of the others), of its output.
sub results {
	my ($self, $out) = @_;
	my @open = $out =~ /^OPEN (.*)$/mg;
	my %refused = $out =~ /^refused (.*): (.*)$/mg;
	return (\@open, \%refused, scalar($out =~ /^done$/m));
}

# Here, without a box.
sub outside {
	my ($self, @attacks) = @_;
	my ($code, $out, $err) = Test::Apworker::Proc::capture(
		[ $^X, '-', '-w5', @attacks ], stdin => $self->script(),
		cwd => "$self->{t}{testdir}/tmp",
		env => { PATH => $ENV{PATH} }, seconds => 60);
	return $out;
}

1;
