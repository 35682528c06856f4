package Test::Apworker::Reader;

# The configuration reader alone (apw_conf_tool) in a directory of its own,
# with programs that are none on its PATH: for conf_*.t, which need no daemon.

use strict;
use warnings;

use Cwd ();
use File::Temp ();
use Test::More;

use Test::Apworker::Util;

my $here = Cwd::abs_path(__FILE__);
$here =~ s{/t/lib/Test/Apworker/Reader\.pm$}{};

# What every configuration needs; comes with -g, so that each test shows only
# what it is about.
our $BASE = 'source spool { path spool; } engine { bundle main.js; }';

sub new {
	my ($class) = @_;
	my $top = $ENV{APW_BUILD} || $here;
	my $self = bless {
		tool => Cwd::abs_path("$top/src/core/apw_conf_tool"),
		dir => Cwd::abs_path(File::Temp::tempdir('apworker-conf-XXXXXXXX',
			DIR => $ENV{TEST_TMPDIR} || '/tmp', CLEANUP => 1)),
	}, $class;

	unless ($self->{tool} && -x $self->{tool}) {
		plan(skip_all => 'src/core/apw_conf_tool is not built');
	}
	mkdir "$self->{dir}/bin";
	for my $name (qw/node bun esbuild npm/) {
		$self->write("bin/$name", "#!/bin/sh\n", 0755);
	}
	$self->write('main.js', '');
	return $self;
}

sub dir { return $_[0]->{dir} }
sub top { return $here }

sub write {
	my ($self, $name, $text, $mode) = @_;
	my $path = "$self->{dir}/$name";

	my ($dir) = $path =~ m{^(.*)/};
	mkdir $dir unless -d $dir;
	open my $fh, '>:raw', $path or die "$path: $!";
	print $fh $text;
	close $fh or die "$path: $!";
	chmod $mode, $path if defined $mode;
	return $self;
}

# Runs the tool in the directory: (exit code or 'signal N', out, err).  args,
# env; no more environment than that and PATH.
sub run {
	my ($self, %o) = @_;

	my $dir = $self->{dir};
	my $pid = fork // die "fork: $!";
	if ($pid == 0) {
		chdir $dir or die "$dir: $!";
		open STDIN, '<', '/dev/null';
		open STDOUT, '>', "$dir/.out" or die $!;
		open STDERR, '>', "$dir/.err" or die $!;
		%ENV = (PATH => "$dir/bin", LC_ALL => 'C',
			ASAN_OPTIONS => 'exitcode=99', %{ $o{env} || {} });
		{ no warnings; exec { $self->{tool} } 'apw_conf_tool',
			@{ $o{args} || [] }; }
		POSIX::_exit(127);
	}
	waitpid $pid, 0;
	my $code = $? & 127 ? 'signal ' . ($? & 127) : $? >> 8;
	return ($code, slurp("$dir/.out"), slurp("$dir/.err"));
}

# Writes c.conf and reads it: (code, complaints).  g: instead of $BASE.
sub read_conf {
	my ($self, $text, %o) = @_;
	my $g = exists $o{g} ? $o{g} : $BASE;

	$self->write('c.conf', $text);
	my ($code, $out, $err) = $self->run(%o, args => [ '-c', 'c.conf',
		defined $g ? ('-g', $g) : (), @{ $o{args} || [] } ]);
	return ($code, $err, $out);
}

# Is that sandbox mode built in?
sub has_mode {
	my ($self, $mode) = @_;
	my (undef, $err) = $self->read_conf("sandbox $mode;\n");
	return $err !~ /not built in/;
}

# The effective configuration as { 'context/directive' => [ value, origin ] };
# lists have the values of all lines.
sub dump_conf {
	my ($self, $text, %o) = @_;
	my ($code, $err, $out) = defined $text
		? $self->read_conf($text, %o, args => [ '-T', @{ $o{args} || [] } ])
		: (sub { @_[0, 2, 1] })->($self->run(%o,
			args => [ '-T', @{ $o{args} || [] } ]));
	return ({ parse_dump($out) }, $err, $out, $code);
}

sub parse_dump {
	my ($out) = @_;
	my (%all, $context);

	for (split /\n/, $out) {
		my $in = s/^\t// ? $context : 'main';
		next if /^#/ || /^\s*$/ || /^\}/;
		my ($text, $origin) = /^(.*?)\s*(?:# (.*))?$/;
		if ($text =~ /^(\S+)(?: (\S+))? \{$/) {
			$context = $1 eq 'network' ? $1
				: join ' ', grep { defined } $1, $2;
			$all{$1} = [ $2 // '', $origin ] if $in eq 'main';
			next;
		}
		my ($name, $value) = $text =~ /^(\S+)\s*(.*);$/ or next;
		if ($name eq 'sandbox') {
			$all{$name} = [ $value, $origin ];
			next;
		}
		my $key = "$in/$name";
		$value = "$all{$key}[0] $value" if $all{$key};
		$all{$key} = [ $value, $origin ];
	}
	return %all;
}

1;
