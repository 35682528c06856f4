#!/usr/bin/perl

# Builders' boxes end: by their limits, and with whatever made them, at any
# kill -9; as root and as an ordinary user.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Builder;
use Test::Apworker::Proc;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my @who = $> == 0 ? ('root', 'nobody') : ('an ordinary user');
my $t = Test::Apworker->new()->has(qw/linux userns node bun esbuild/)
	->plan(16 * @who);
my $dir = $t->testdir();
chmod 0755, $dir;
for my $who (@who) {
	limits($who);
	killed($who);
}

# Processes on this host whose title is this.
sub running {
	my ($title) = @_;
	return scalar grep { slurp($_) =~ /\Q$title\E/ }
		glob '/proc/[0-9]*/cmdline';
}

sub limits {
	my ($who) = @_;
	my $s = jailed_stock($t, $who, 'limits', build_memory => 200 << 20);
	my %code = (codes => [ step('s', 'export const code = 1;',
		'{"dependencies":{"x":"1"}}') ]);

	my $got = $s->order(%code, stock => { installer_path => loose_tool($t,
		'memory',
		"my \@a; push \@a, 'x' x (8 << 20) for 1 .. 100; exit 0;\n") });
	like($got->{error}, qr/more memory than build_memory/,
		"$who: memory ends") or diag($got->{log});
	$got = $s->order(%code, stock => { installer_path => loose_tool($t,
		'forks',
		"my \$n = 0; while (\$n < 3000) { my \$p = fork;\n"
		. "last unless defined \$p; if (!\$p) { sleep 60; exit; } \$n++ }\n"
		. "sleep 60 if \$n < 3000; exit 1;\n"),
		build_memory => 8 << 30 });
	like($got->{error}, qr/too many processes/, "$who: forks end")
		or diag($got->{log});
	$got = $s->order(%code, stock => { installer_path => loose_tool($t,
		'hang',
		"\$SIG{\$_} = 'IGNORE' for qw/TERM INT HUP/; sleep 600;\n"),
		install_timeout_ms => 1500 });
	like($got->{error}, qr/did not end within 1500 ms/, "$who: time ends");
}

# kill -9 of each link of the chain.
sub killed {
	my ($who) = @_;
	my $s = jailed_stock($t, $who, 'killed', installer_path => loose_tool($t,
		'wait',
		"\$0 = 'apw-waits-$$'; sleep 600;\n"));
	my %find = (
		tool => sub { $_[0]{cmd} =~ /apw-waits-$$/ },
		init => sub { $_[1]{ $_[0]{pid} } },
		keeper => sub { $_[0]{comm} eq 'apw-stock' },
		gate => sub { $_[0]{comm} eq 'apw-gate' },
		broker => sub { $_[0]{comm} eq 'apw-broker'
			&& $_[2]{ $_[0]{pid} } },
		nursery => sub { $_[0]{comm} eq 'apw-broker'
			&& !$_[2]{ $_[0]{pid} } },
		slot => undef,
	);
	for my $link (qw/tool init broker nursery keeper slot/) {
		my $order = $s->start(codes => [ step("s$link",
			'export const code = 1;',
			'{"dependencies":{"x":"1"}}') ]);
		wait_for(sub { running("apw-waits-$$") }, 'the tool')
			or return fail("$who: no tool to wait for");
		my @all = map { facts($_) } Test::Apworker::Proc::descendants(
			$order->{pid});
		my ($tool) = grep { $_->{cmd} =~ /apw-waits-$$/ } @all;
		my %init = ($tool->{ppid} => 1);
		my ($init) = grep { $_->{pid} == $tool->{ppid} } @all;
		my %broker = ($init->{ppid} => 1);
		my ($victim) = $link eq 'slot' ? { pid => $order->{pid} }
			: grep { $find{$link}->($_, \%init, \%broker) } @all;
		kill 'KILL', $victim->{pid};
		ok($victim->{pid} && wait_for(sub { !running("apw-waits-$$") },
			"the end of the tool, $link killed"),
			"$who: nothing is left when $link is killed");
		if ($link eq 'keeper' || $link eq 'slot') {
			ok(wait_for(sub { !grep { kill 0, $_->{pid} } grep {
				$_->{comm} =~ /gate/ || $broker{ $_->{pid} }
				|| $init{ $_->{pid} } } @all }, 'the rest'),
				"$who: and its box's makers, $link killed");
		}
		my $got = $s->wait($order);
		next if $link eq 'slot';
		is($got->{fault}, 'OURS', "$who: $link: our fault");
	}
}

sub facts {
	my ($pid) = @_;
	my $stat = slurp("/proc/$pid/stat");
	my ($comm, $ppid) = $stat =~ /\((.*)\) \S (\d+)/ or return;
	return { pid => $pid, ppid => $ppid, comm => $comm,
		cmd => slurp("/proc/$pid/cmdline") };
}

# Where there are no boxes, or none are wanted.
