package Test::Apworker::Builder;

# Stocks whose installers and bundlers work in boxes, and tools of a test's own
# to be let loose in there.

use strict;
use warnings;

use base 'Exporter';
our @EXPORT = qw/jailed_stock loose_tool/;

use Test::Apworker::Stock;

# A stock that insists on boxes, and a registry that has the package "good";
# all stocks of a test share the registry.
sub jailed_stock {
	my ($t, $who, $name, %more) = @_;

	my $s = Test::Apworker::Stock->new($t, jail => 'require',
		negative_ttl_ms => 0, path => $t->testdir() . "/stock-$name",
		%more);
	$t->{registry_keeper} ||= $s->registry(good => { versions => { '1.0.0' =>
		{ files => { 'src/index.js' => 'exports.x = 41;' } } } });
	$s->set(registry => $t->{registry_keeper}{stock}{registry});
	$s->as_nobody() if $who eq 'nobody';
	return $s;
}

# The path of a tool that does what the Perl text says, and tells a version.
sub loose_tool {
	my ($t, $name, $text) = @_;
	my $dir = $t->testdir();

	$t->write_file("tools/$name", "#!/usr/bin/perl\n" . <<'EOP' . $text,
use strict; use IO::Socket::INET; use Socket;
if ($ARGV[0] eq '--version') { print "1\n"; exit 0; }
EOP
		0755);
	chmod 0755, "$dir/tools";
	return "$dir/tools/$name";
}

1;
