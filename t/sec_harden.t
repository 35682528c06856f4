#!/usr/bin/perl

# A hardened plain engine reads what it was given and nothing else of the
# host, writes to its own folder, which is emptied, and has no use of calls
# that engines do not need.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild landlock/);

$t->write_file('secret', "of the host\n");
my $dir = $t->testdir();
for my $mode ('SANDBOX_CODE_ONLY;', 'UNSANDBOXED { harden require; }') {
	SKIP: {
	skip 'Landlock has no scopes here (kernel 6.12)', 1
		if $mode =~ /require/ && Test::Apworker::Has::landlock() < 6;
	(my $text = $t->write_app_conf(mode => 'MODE')->{conf})
		=~ s/sandbox MODE;/sandbox $mode/;
	$t->write_conf("state $dir/state;\n$text");
	my $api = $t->api();
	$t->run();
	hardened($api, $mode =~ s/ .*|;//gr);
	$t->stop();
	}
}

sub hardened {
	my ($api, $mode) = @_;
	ok($t->wait_status(sub { @{ $_->{slots} } && $_->{slots}[0]{pid} }),
		"$mode: up");
	my $slot = ($t->slots())[0]{pid};
	my $tmp = "$dir/state/tmp.1";

	my @r = $api->told("$mode-1",
		(map { { do => 'read', path => $_ } } "$dir/secret",
			"$dir/token", "$dir/apworker.conf", '/etc/shadow',
			"/proc/$slot/environ", "/proc/$slot/mem",
			"$dir/stock/v12/common/main.js", '/proc/self/status'),
		(map { { do => 'write', path => $_ } } "$tmp/left",
			"/tmp/apw-left-$$", "$dir/x", "$dir/stock/v12/x",
			"$dir/stock/v12/common/main.js"),
		{ do => 'env' });
	my %read = map { $_->{path} => $_->{error} // 'read' }
		grep { $_->{what} eq 'read' } @r;
	is(join(' ', grep { $read{$_} eq 'read' } sort keys %read),
		"/proc/self/status $dir/stock/v12/common/main.js",
		"$mode: reads the engine and itself");
	is($read{"$dir/secret"}, 'EACCES', "$mode: a file of the host");
	is($read{"$dir/token"}, 'EACCES', "$mode: the app's token");
	like($read{"/proc/$slot/environ"}, qr/EACCES|ENOENT/,
		"$mode: the slot");
	my %wrote = map { $_->{path} => $_->{error} // 'wrote' }
		grep { $_->{what} eq 'write' } @r;
	is(join(' ', grep { $wrote{$_} eq 'wrote' } sort keys %wrote),
		"$tmp/left", "$mode: writes to its own folder only");
	my ($env) = map { $_->{env} } grep { $_->{what} eq 'env' } @r;
	is($env->{TMPDIR}, $tmp, "$mode: which it is told of");
	ok(-e "$tmp/left", "$mode: the file is there");

	# the next engine, after this one was ended
	$api->push_job(flow_job(id => "$mode-2", engine => [
		{ do => 'exit', code => 1 } ]));
	$api->wait_done("$mode-2");
	@r = $api->told("$mode-3", { do => 'read', path => "$tmp/left" });
	my ($left) = grep { $_->{what} eq 'read' } @r;
	is($left->{error} // 'none', 'ENOENT', "$mode: and not for the next");

	# deeper than a path can say, and closed to its owner
	$api->push_job(flow_job(id => "$mode-4", engine => [ { do => 'exec',
		argv => [ '/usr/bin/perl', '-e', <<'EOP', $tmp ] },
chdir shift or die $!; my $d = 'd' x 250;
for (1 .. 300) { mkdir $d or die $!; chdir $d or die $!; }
open my $f, '>', 'left'; print $f 'x' x 1e6; close $f; chmod 0, '.';
EOP
		{ do => 'exit', code => 1 } ]));
	$api->wait_done("$mode-4");
	@r = $api->told("$mode-5", { do => 'exec', argv => [ '/bin/ls', '-A',
		$tmp ] });
	($left) = grep { $_->{what} eq 'exec' } @r;
	is("$left->{code} $left->{out}", '0 ', "$mode: nor what is deep");
	ok(wait_for(sub { !glob("$dir/state/tmp.1*.old-*") }, 'removal'),
		"$mode: its space is given back");
}
