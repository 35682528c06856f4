package Test::Apworker::Stock;

# The stock alone: orders placed through bin/stock-tool, as a slot would place
# them, with real or fake tools and a registry on the loopback.
#
#	my $s = Test::Apworker::Stock->new($t, jail => 0);
#	$s->registry(a => { versions => { '1.0.0' => {} } });
#	my $got = $s->order(codes => [ step('s', 'code', '{}') ]);
#	is($got->{fault}, 'OK');
#
# start() and wait() place orders of several processes at once.

use strict;
use warnings;

use JSON::PP ();
use POSIX qw/:sys_wait_h/;

use Test::Apworker::Has;
use Test::Apworker::Proc;
use Test::Apworker::Util;

use base 'Exporter';
our @EXPORT = qw/step piece_of piece_package/;

sub new {
	my ($class, $t, %stock) = @_;
	my $self = bless { t => $t, n => 0 }, $class;

	$self->{stock} = { path => $t->testdir() . '/stock',
		installer_path => Test::Apworker::Has::find('bun'),
		bundler_path => Test::Apworker::Has::find('esbuild'),
		%stock };
	for my $key (qw/jail/) {
		$self->{stock}{$key} = $self->{stock}{$key}
			? JSON::PP::true : JSON::PP::false
			if exists $self->{stock}{$key}
			&& $self->{stock}{$key} !~ /[a-z]/;
	}
	$self->{engine} = $t->testdir() . '/main.js';
	$t->write_file('main.js', "// an engine\n");
	return $self;
}

sub tool { my ($self, $name) = @_;
	return ($ENV{APW_BUILD} ? "$ENV{APW_BUILD}/t" : $self->{t}->srcdir())
		. '/bin/' . ($name || 'stock-tool') }

sub path { my ($self, $rel) = @_;
	return "$self->{stock}{path}/v12" . (defined $rel ? "/$rel" : '') }

# From now on as an ordinary user, who has a stock of its own.
sub as_nobody {
	my ($self) = @_;
	my $dir = $self->{t}->testdir() . '/nobody';

	mkdir $dir;
	chown scalar((getpwnam 'nobody')[2]), scalar((getpwnam 'nobody')[3]),
		$dir or die "chown: $!";
	$self->{stock}{path} = "$dir/stock";
	$self->{as} = [ '/usr/bin/setpriv', '--reuid=nobody', '--regid='
		. (getpwnam 'nobody')[3], '--clear-groups' ];
	return $self;
}

sub set { my ($self, %stock) = @_;
	$self->{stock} = { %{ $self->{stock} }, %stock }; return $self }

# A code step; source as the app sends it.
sub step {
	my ($name, $code, $package) = @_;
	return { step => $name, code => $code,
		packageJson => defined $package ? $package : '{}' };
}

sub piece_of {
	my ($name, $version, %more) = @_;
	return { packageType => 'REGISTRY', pieceType => 'OFFICIAL',
		pieceName => $name, pieceVersion => $version, %more };
}

# A package that is a piece, for registry().
sub piece_package {
	my ($text, %more) = @_;
	return { files => { 'src/index.js' => "exports.piece = '$text';\n" },
		%more };
}

sub start {
	my ($self, %order) = @_;
	my $t = $self->{t};
	my $n = ++$self->{n};
	my $base = $t->testdir() . "/order-$n";
	my %stock = (%{ $self->{stock} }, %{ delete $order{stock} || {} });
	my $tool = delete $order{tool};

	for my $key (qw/packages per_platform background/) {
		$order{$key} = $order{$key} ? JSON::PP::true : JSON::PP::false
			if exists $order{$key};
	}
	$t->write_file("$base.json", json({ stock => \%stock,
		engine => $self->{engine}, node =>
		Test::Apworker::Has::find('node'), flow_version_id => 'fv',
		packages => JSON::PP::true, %order }));
	my %env = $t->environment(%{ delete $order{env} || {} });
	my $pid = Test::Apworker::Proc::spawn([ @{ $self->{as} || [] },
		$self->tool($tool) ],
		env => \%env, cwd => $t->testdir(), in => "$base.json",
		out => "$base.out", err => "$base.err");
	return { pid => $pid, base => $base };
}

sub wait {
	my ($self, $order, $seconds) = @_;

	my $status;
	wait_for(sub {
		waitpid($order->{pid}, WNOHANG) == $order->{pid} or return 0;
		$status = $?;
		return 1;
	}, 'the end of an order', $seconds || 60)
		or kill 'KILL', $order->{pid};
	my $got = eval { unjson(slurp("$order->{base}.out")) } || {};
	$got->{status} = $status;
	$got->{log} = slurp("$order->{base}.err");
	return $got;
}

sub order {
	my ($self, %order) = @_;
	return $self->wait($self->start(%order));
}

# What a step's `code` gives, or throws, in a process of its own.
sub result {
	my ($self, $step, $input) = @_;
	my $file = $self->path("codes/fv/$step/index.js");
	my ($code, $out, $err) = $self->{t}->run_command([
		Test::Apworker::Has::find('node'), '-e', "require('$file')"
		. ".code(" . json($input || {}) . ").then((v) => console.log("
		. "JSON.stringify(v)), (e) => console.log('threw ' + "
		. "e.message))" ]);
	chomp $out;
	return $out . $err;
}

# What loading a piece as the engine does gives.
sub load {
	my ($self, $name, $version, $root) = @_;
	my $dir = $self->path(($root || 'common')
		. "/pieces/$name-$version/node_modules/$name");
	my ($code, $out, $err) = $self->{t}->run_command([
		Test::Apworker::Has::find('node'), '-p',
		"require('$dir/src/index.js').piece" ]);
	chomp $out;
	return $out . $err;
}

# Staging directories that are left.
sub staged {
	my ($self) = @_;
	return map { s{.*/}{}r } glob $self->path('.staging') . '/*';
}

# Starts the registry, or changes what it has.
sub registry {
	my ($self, %packages) = @_;
	my $t = $self->{t};
	my $dir = $t->testdir() . '/registry';

	$t->write_file("$dir/packages.json.new", json(\%packages));
	rename "$dir/packages.json.new", "$dir/packages.json" or die $!;
	return $self if $self->{registry_pid};
	$self->{registry_pid} = Test::Apworker::Proc::spawn([
		Test::Apworker::Has::find('node'),
		$t->srcdir() . '/bin/npm-registry.js', $dir ],
		out => "$dir/log", env => { $t->environment() });
	$t->keep($self);
	wait_for(sub { -e "$dir/port" }, 'the registry') or die;
	$self->{stock}{registry} = 'http://127.0.0.1:' . slurp("$dir/port")
		. '/';
	return $self;
}

sub requests {
	my ($self, $re) = @_;
	return grep { /$re/ } split /\n/,
		slurp($self->{t}->testdir() . '/registry/requests');
}

sub stop {
	my ($self) = @_;
	my $pid = delete $self->{registry_pid} or return;
	kill 'KILL', $pid;
	waitpid $pid, 0;
}

1;
