#!/usr/bin/perl

# install-deps.sh: a download that failed is not taken for done, npm's own
# words are shown, another package manager is waited for.  npm, apt-get and
# dpkg-query are doubles here.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->plan(16);
my $dir = $t->testdir();
my $clone = "$dir/clone";

sub script {
	my ($path, $text) = @_;
	$t->write_file("$dir/$path", "#!/bin/sh\n$text");
	chmod 0755, "$dir/$path";
}

# A clone with nothing but what the script reads.
for my $part (qw/contrib\/tools contrib\/tools\/node contrib\/engine t/) {
	$t->write_file("$clone/$part/package-lock.json", "lock of $part\n");
}
$t->write_file("$clone/contrib/install-deps.sh",
	slurp($t->srcdir() . '/../contrib/install-deps.sh'));
$t->write_file("$clone/contrib/engine/src/main.js", '');
script("clone/contrib/engine/dist/main.js", '');

my $tools = "$clone/contrib/tools/node_modules";
my %program = (bun => '@oven/bun-linux-x64-baseline/bin/bun',
	esbuild => '@esbuild/linux-x64/bin/esbuild');

# What npm brings of the tools; without bun it is content, too, as the real one.
sub npm {
	my (%o) = @_;
	my $make = join '', map { "mkdir -p '$tools/" . $program{$_} =~ s{/[^/]+$}{}r
		. "'; cp $dir/bin/$_ '$tools/$program{$_}'\n" } @{ $o{brings} };
	script('bin/npm', <<EOS);
echo "\$PWD" >>$dir/npm.calls
while [ "\$1" != --cache ]; do shift; done
mkdir -p "\$2/_logs" node_modules
echo '18 http fetch GET bun attempt 1 failed with ECONNREFUSED' >"\$2/_logs/1.log"
rm -rf node_modules; mkdir node_modules
case \$PWD in */contrib/tools) $make ;; esac
@{[ $o{fails} ? "echo 'npm error code EINTEGRITY' >&2; exit 1" : '' ]}
exit 0
EOS
}

script('bin/node', "echo v22.1.0\n");
script('bin/bun', "echo 1.2.3\n");
script('bin/esbuild', "echo 0.25.0\n");
script('bin/dpkg-query', "echo installed\n");
script('bin/apt-get', "echo apt \"\$*\" >>$dir/apt.calls\n");

sub install {
	unlink "$dir/npm.calls", "$dir/apt.calls";
	return $t->run_command(['/bin/sh', "$clone/contrib/install-deps.sh", @_],
		env => { PATH => "$dir/bin:/usr/bin:/bin", TMPDIR => "$dir/tmp",
		APW_LOCK_SECONDS => 15, APW_LOCK_PAUSE => 0 });
}

npm(brings => ['esbuild']);
my ($code, $out, $err) = install();
is($code, 1, 'npm ends well and has brought no bun: refused');
like($err, qr/attempt 1 failed with ECONNREFUSED/, "npm's own words");
like($err, qr/npm has brought no bun/, 'what is missing');
ok(!-e "$tools/.installed", 'it is not taken for done');
($code) = install();
is($code, 1, 'nor is it the second time');

npm(brings => [qw/bun esbuild/]);
($code) = install();
is($code, 0, 'the next run finds the registry well');
($code, $out, $err) = install();
is(slurp("$dir/npm.calls"), '', 'what is there is left alone');

unlink "$tools/$program{bun}";
($code) = install();
is($code, 0, 'a tool that is gone');
ok(-x "$tools/$program{bun}", 'is installed again');

script('bin/bun', "echo 'Illegal instruction' >&2; exit 132\n");
npm(brings => [qw/bun esbuild/]);
unlink "$tools/.installed";
($code, $out, $err) = install();
is($code, 1, 'a tool that does not run on this machine');
like($err, qr/no bun that runs here.*Illegal instruction/s, 'is told');
script('bin/bun', "echo 1.2.3\n");

npm(brings => [qw/bun esbuild/], fails => 1);
($code, $out, $err) = install();
is("$code " . ($err =~ /EINTEGRITY/ ? 'told' : $err), '1 told',
	'npm that fails says why');
npm(brings => [qw/bun esbuild/]);

# another package manager has the lock, twice
script('bin/dpkg-query', "exit 1\n");
script('bin/apt-get', <<EOS);
echo apt "\$*" >>$dir/apt.calls
[ \$(wc -l <$dir/apt.calls) -gt 2 ] && exit 0
echo 'E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 7' >&2
exit 100
EOS
($code, $out) = install();
is($code, 0, 'a lock that is given back');
like($out, qr/waiting .* held by process 7/, 'is waited for, and told');
is(() = $out =~ /waiting/g, 1, 'once');

script('bin/apt-get', <<EOS);
echo 'E: Unable to locate package libfoo' >&2
exit 100
EOS
($code, $out, $err) = install();
is("$code " . ($err =~ /Unable to locate package libfoo/ ? 'told' : $err),
	'1 told', 'an error of apt-get is none to wait for');
