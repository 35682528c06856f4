package Test::Apworker::Has;

# What a test may ask for before it runs, and where programs are found.
# missing() gives the words of the skip, or undef when the thing is there.

use strict;
use warnings;

use Cwd ();

my $here = Cwd::abs_path(__FILE__);
$here =~ s{/lib/Test/Apworker/Has\.pm$}{};

# The version of this kernel's Landlock, 0 without: of 6 are its scopes.
sub landlock {
	# landlock_create_ruleset, the same number everywhere
	my $abi = syscall(444, 0, 0, 1);
	return $abi > 0 ? $abi : 0;
}

my %checks = (
	landlock => sub {
		my ($t, $abi) = @_;
		return landlock() >= ($abi || 1) ? undef
			: 'Landlock of version ' . landlock();
	},
	root => sub { $> == 0 ? undef : 'not root' },
	linux => sub { $^O eq 'linux' ? undef : 'not Linux' },
	userns => sub {
		return system('unshare -Ur true >/dev/null 2>&1') == 0
			? undef : 'no unprivileged user namespaces';
	},
	cgroup2 => sub {
		return defined Test::Apworker::Proc::cgroup2()
			? undef : 'no cgroup v2';
	},
	ipv6 => sub {
		require IO::Socket::IP;
		return IO::Socket::IP->new(LocalHost => '::1', Listen => 1)
			? undef : 'no IPv6 loopback';
	},
	daemon => sub {
		my ($t) = @_;
		my $path = $t->daemon_path();
		return -x $path ? undef : "no $path (run make)";
	},
	# the daemon with slots that do what they are told (bin/fake-slot.c)
	fake_slots => sub {
		my ($t) = @_;
		my $top = $ENV{APW_BUILD} || "$here/..";
		my $path = Cwd::abs_path("$top/t/bin/apworkerd-fake");
		return 'no t/bin/apworkerd-fake (run make check-unit)'
			unless $path && -x $path;
		$t->{program} = $path;
		return undef;
	},
	# the daemon whose boxes leak as they are told (bin/leaky-box.c)
	leaky_boxes => sub {
		my ($t) = @_;
		my $top = $ENV{APW_BUILD} || "$here/..";
		my $path = Cwd::abs_path("$top/t/bin/apworkerd-leaky");
		return 'no t/bin/apworkerd-leaky (run make check-unit)'
			unless $path && -x $path;
		$t->{program} = $path;
		return undef;
	},
	ctl => sub {
		my ($t) = @_;
		my $path = $t->daemon_path('apworkerctl');
		return -x $path ? undef : "no $path (run make)";
	},
	node_modules => sub {
		return -d "$here/node_modules/socket.io" ? undef
			: 'no t/node_modules (run npm ci in t/)';
	},
	deno => sub {
		return defined deno() ? undef
			: 'no deno in t/node_modules (run npm ci in t/)';
	},
	reference_engine => sub {
		return -d "$here/../contrib/engine/node_modules" ? undef
			: 'no contrib/engine/node_modules';
	},
	# directives and modules that this build knows
	directive => sub {
		my ($t, $name) = @_;
		my ($code, $out) = $t->run_command(
			[ $t->daemon_path(), '-V' ]);
		return $out =~ /\b\Q$name\E\b/ ? undef : "built without $name";
	},
);

sub missing {
	my ($t, $what) = @_;

	my ($name, $arg) = split /=/, $what, 2;
	return $checks{$name}->($t, $arg) if $checks{$name};
	return find($name) ? undef : "no $name";
}

# A program: named by APW_<NAME>, installed for the tests or the tools, on PATH.
sub find {
	my ($name) = @_;

	my $env = $ENV{'APW_' . uc $name};
	return $env if defined $env && -x $env;
	for my $dir ("$here/../contrib/tools/node_modules/.bin",
	    "$here/node_modules/.bin", split /:/, $ENV{PATH}) {
		my $path = Cwd::abs_path("$dir/$name") or next;
		return $path if -x $path && !-d $path;
	}
	return undef;
}

# The binary that npm's package has for this machine.
sub deno {
	my ($path) = grep { -x } $ENV{APW_DENO} || (),
		glob "$here/node_modules/\@deno/linux-*-glibc/deno";
	return $path;
}

1;
