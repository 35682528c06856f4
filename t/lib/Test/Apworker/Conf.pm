package Test::Apworker::Conf;

# What a test writes down: files below its directory, the configuration with
# its %%NAMES%%, tokens and certificates.  Methods of Test::Apworker.

use strict;
use warnings;

use File::Path ();
use IO::Socket::INET;
use MIME::Base64 ();
use Socket qw/AF_UNIX SOCK_STREAM pack_sockaddr_un/;

use Test::Apworker::Has;
use Test::Apworker::Util;

sub write_file {
	my ($self, $name, $content, $mode) = @_;

	my $path = $name =~ m{^/} ? $name : "$self->{testdir}/$name";
	my ($dir) = $path =~ m{^(.*)/};
	File::Path::make_path($dir) unless -d $dir;
	open my $fh, '>:raw', $path or die "$path: $!";
	utf8::encode($content) if utf8::is_utf8($content);
	print $fh $content;
	close $fh or die "$path: $!";
	chmod $mode, $path if defined $mode;
	return $self;
}

sub write_file_expand {
	my ($self, $name, $content, $mode) = @_;
	return $self->write_file($name, $self->expand($content), $mode);
}

sub read_file {
	my ($self, $name) = @_;
	return slurp($name =~ m{^/} ? $name : "$self->{testdir}/$name");
}

# The text is kept as it is and expanded by run(): doubles may be made later.
sub write_conf {
	my ($self, $text) = @_;

	$self->{conf} = $text;
	$self->write_conf_now() if $self->{pid};
	return $self;
}

# The usual configuration of a test against the app double: one slot, the
# engine double, recording tools.  main, source, engine, stock => more
# directives for that place; slots, mode, url.
sub write_app_conf {
	my ($self, %o) = @_;
	my %more = map { $_ => $o{$_} // '' } qw/main source engine stock/;
	my $slots = $o{slots} || 1;
	my $mode = $o{mode} || 'UNSANDBOXED';
	$mode .= ';' unless $mode =~ /[;}]$/;
	my $url = $o{url} || '%%API%%';

	return $self->write_conf(<<"EOC");
slots $slots;
$more{main}
source app { url $url; token_file %%TESTDIR%%/token; $more{source} }
sandbox $mode
engine { node %%NODE%%; bundle %%BUNDLE%%; $more{engine} }
stock {
	path %%TESTDIR%%/stock;
	jail off;
	installer_path %%FAKE_BUN%%;
	bundler_path %%FAKE_ESBUILD%%;
	$more{stock}
}
EOC
}

sub conf_file { return "$_[0]->{testdir}/apworker.conf" }

sub write_conf_now {
	my ($self) = @_;

	$self->write_file('token', worker_token(), 0600)
		if $self->{conf} =~ m{%%TESTDIR%%/token\b}
		&& !-e "$self->{testdir}/token";
	return $self->write_file('apworker.conf',
		$self->expand($self->{conf}));
}

# %%TESTDIR%% %%SRCDIR%% (t/) %%API%% %%PORT_n%% %%BUNDLE%% (engine double)
# %%NODE%% %%BUN%% %%ESBUILD%% (real ones) %%FAKE_BUN%% ... (recording ones)
sub expand {
	my ($self, $text) = @_;
	my $dir = $self->{testdir};

	$text =~ s/%%TESTDIR%%/$dir/g;
	$text =~ s/%%API%%/$self->api_url()/ge;
	$text =~ s/%%PORT_(\w+)%%/$self->port($1)/ge;
	$text =~ s/%%NODE%%/Test::Apworker::Has::find('node') || 'node'/ge;
	$text =~ s/%%ESBUILD%%/Test::Apworker::Has::find('esbuild') || 'esbuild'/ge;
	$text =~ s/%%BUN%%/Test::Apworker::Has::find('bun') || 'bun'/ge;
	$text =~ s/%%FAKE_(\w+)%%/$self->tool(lc $1)->path()/ge;
	$text =~ s/%%BUNDLE%%/$self->engine()->bundle()/ge;
	my $src = $self->srcdir();
	$text =~ s/%%SRCDIR%%/$src/g;
	return $text;
}

my $ports = 0;
my @kept;

# A name that one process of this network can have: the port is its own, until
# it ends, also while nobody listens there.
sub keep_port {
	my ($port) = @_;

	socket my $s, AF_UNIX, SOCK_STREAM, 0 or die "socket: $!";
	bind $s, pack_sockaddr_un("\0apw-test-port-$port") or return 0;
	return push @kept, $s;
}

# A port nobody listens on now.  The same name gives the same port.  Not one of
# those that connections get: nobody comes in between while a daemon is down.
sub port {
	my ($self, $name) = @_;

	return $self->{ports}{$name} ||= do {
		my $port;
		do {
			$port = 10000 + ($$ * 43 + $ports++) % 20000;
			die "no free port" if $ports > 1000;
		} until $port != 12345 && keep_port($port)
			&& IO::Socket::INET->new(Listen => 1,
			LocalAddr => "127.0.0.1:$port", ReuseAddr => 1);
		$port;
	};
}

# Directives that each test wants, unless its configuration has them.
sub globals {
	my ($self) = @_;
	my $conf = $self->{conf} // '';
	my $dir = $self->{testdir};

	my @all = (
		daemon => $self->{daemon} ? 'on' : 'off',
		pid => "$dir/apworkerd.pid",
		log => "$dir/error.log " . ($ENV{APW_TEST_LOG} || 'debug'),
		state => "$dir/state",
	);
	my $text = '';
	while (my ($name, $value) = splice @all, 0, 2) {
		$text .= "$name $value; " if $conf !~ /^\s*$name\s/m;
	}
	if ($conf !~ /^\s*(?:# no )?monitor\b/m) {
		$text .= 'monitor { listen 127.0.0.1:'
			. $self->port('MONITOR') . '; } ';
	}
	return $text;
}

# A token of the right shape: a worker's JWT, signed by nobody.
sub worker_token {
	return join '.', map { my $b = MIME::Base64::encode_base64($_, '');
		$b =~ tr{+/=}{-_}d; $b } '{"alg":"HS256","typ":"JWT","kid":"1"}',
		'{"id":"w1","type":"WORKER","iat":1700000000,"exp":4853600000,'
		. '"iss":"activepieces"}', 'no-signature-at-all';
}

# A certificate for 127.0.0.1 by an authority made on the spot:
# {key, cert, ca} are file names.
sub tls {
	my ($self) = @_;
	return $self->{tls} if $self->{tls};

	my $dir = "$self->{testdir}/tls";
	$self->write_file("$dir/ext", 'subjectAltName=IP:127.0.0.1,DNS:localhost');
	my @ec = qw/-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes/;
	for my $cmd (
	    [ qw/req -x509 -subj/, '/CN=test authority', @ec, '-days', 30,
		'-keyout', "$dir/ca.key", '-out', "$dir/ca.pem" ],
	    [ qw/req -subj/, '/CN=localhost', @ec, '-keyout', "$dir/key.pem",
		'-out', "$dir/csr" ],
	    [ qw/x509 -req -days 30 -CAcreateserial/, '-CA', "$dir/ca.pem",
		'-CAkey', "$dir/ca.key", '-in', "$dir/csr", '-extfile',
		"$dir/ext", '-out', "$dir/cert.pem" ]) {
		my ($code, $out, $err) = $self->run_command([ 'openssl', @$cmd ]);
		die "openssl: $err" if $code;
	}
	return $self->{tls} = { key => "$dir/key.pem",
		cert => "$dir/cert.pem", ca => "$dir/ca.pem" };
}

1;
