#!/usr/bin/perl

# The README's "Use it", taken at its word: the file it shows is good, it is
# where the program looks for it, and what is missing is said.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node esbuild/)->plan(9);
my $dir = $t->testdir();
my ($use) = slurp($t->srcdir() . '/../README') =~ /^Use it\n-+\n(.*?)\n\n\n/ms;
ok($use, 'the README says how to use it');

# places

my ($code, $out, $err) = $t->apworkerd('-V');
my ($arguments) = ($out . $err) =~ /^configure arguments: *(.*)$/m;
(my $help) = ($t->apworkerd('-h'))[1] =~ m{configuration file \((\S+)\)};
SKIP: {
	skip "configured with $arguments", 1
		if ($arguments // '') =~ /--(?:prefix|sysconfdir)/;
	is($help, '/etc/apworker.conf', 'the file is where configure puts it');
}
like($use, qr{^    # /etc/apworker\.conf$}m, 'as the README says');

# the file

my ($conf) = $use =~ m{^    # /etc/apworker\.conf\n((?:    .*\n)+)}m;
$conf =~ s/^    //mg;
my ($bundle) = $conf =~ /bundle (\S+);/;
my ($token) = $conf =~ /token_file (\S+);/;
$t->write_file('main.js', "AP_SANDBOX_WS_TOKEN\n");
$t->write_file('token', Test::Apworker::Conf::worker_token() . "\n", 0600);
$conf =~ s/\Q$bundle\E/$dir\/main.js/;
$conf =~ s/\Q$token\E/$dir\/token/;
$t->write_file('readme.conf', $conf);
($code, $out, $err) = $t->apworkerd('-t', '-c', "$dir/readme.conf",
	'-g', "state $dir/state; pid $dir/pid; stock { path $dir/stock; }");
is($code, 0, 'the file is good') or diag($out, $err);
(my $lib = $bundle) =~ s{/engine/main\.js$}{};
like($use, qr{^    docker cp \S+/engine \Q$lib\E$}m,
	'its engine is where it was copied to');

# without a file

my %env = (AP_FRONTEND_URL => 'http://flows.example.com/',
	AP_WORKER_TOKEN => Test::Apworker::Conf::worker_token());
my @empty = ('-g', "state $dir/state; pid $dir/pid; stock { path $dir/stock; }");
SKIP: {
	skip "there is a $help, or an engine", 3
		if -e $help || -e $bundle;
	($code, $out, $err) = $t->apworkerd('-t', @empty, { env => \%env });
	is($code, 1, 'no engine') or diag($out, $err);
	like($err, qr{"bundle" is "\S+" by default: No such file or directory; expected the engine's main\.js, which is the app's: copy the files of dist/packages/engine of its image},
		'it is said where it comes from');
	$empty[1] .= " engine { bundle $dir/main.js; }";
	($code, $out, $err) = $t->apworkerd('-t', @empty, { env => \%env });
	is($code, 0, 'with an engine no file is needed') or diag($out, $err);
}
($code, $out, $err) = $t->apworkerd('-t', '-g', "engine { bundle $dir/no.js; }",
	{ env => \%env });
unlike($err, qr/dist\/packages/, 'a place of one\'s own needs no such word');
