#!/usr/bin/perl

# Strict, from the side of hostile code: nothing that an engine or what it
# starts can do reaches anything but its link and its proxy, in any mode.
# Outside of the engine the same list finds everything open.

use strict;
use warnings;

use lib 't/lib', 'lib';
use Test::Apworker::Netns;

use Test::More;
use Test::Apworker;
use Test::Apworker::Proc;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns ip unshare/);
my $world = Test::Apworker::Netns->new($t);
my @attacks = $world->attacks();
my ($may, $may_not) = $world->by_proxy();

# What is no way out: nobody can call a listener in a network of its own; and
# what is a file, and open to the engine's user, where it has the host's files.
my %ajar = (ports => [], namespace => [ "everybody's listener" ]);

my ($open, $refused) = $world->results($world->outside(@attacks));
is_deeply($refused, {}, 'outside all of it is open');

my $api = $t->api();
for my $mode (@ARGV ? @ARGV : $ENV{APW_TEST_NO_USERNS}
    ? qw/UNSANDBOXED SANDBOX_CODE_ONLY/
    : qw/UNSANDBOXED SANDBOX_CODE_ONLY SANDBOX_PROCESS
	SANDBOX_CODE_AND_PROCESS/) {
	$t->write_app_conf(mode => $mode, main => 'network strict;');
	$t->run();
	hostile($mode);
	$t->stop();
}
$world->stop();

sub told {
	my @r = $api->told(@_);
	# an engine without a box writes them where they belong
	return @r ? @r : $t->engine()->records();
}

sub hostile {
	my ($mode) = @_;

	my ($r) = grep { $_->{what} eq 'exec' && ($_->{name} // '') eq $mode }
		told($mode, { do => 'exec', name => $mode,
			argv => [ '/usr/bin/perl', '-', '-w0.3', @attacks, @$may,
				@$may_not ],
			input => $world->script() });
	ok($r, "$mode: the attack ran") or return;
	my $held = $t->status()->{slots}[0]{network}{held_by};
	my ($open, $why, $done) = $world->results($r->{out});
	ok($done, "$mode: to its end, held by $held") or diag($r->{err});
	my $files = $mode =~ /PROCESS/ ? '' : 'path socket';
	my $unfiltered = $mode eq 'UNSANDBOXED' && $held eq 'namespace' ?
		'generic netlink' : '';
	is_deeply([ grep { $_ ne $files && $_ ne $unfiltered } @$open ],
		[ @{ $ajar{$held} }, map { /^([^=]+)/ } @$may ],
		"$mode: nothing is open but what the proxy lets through");
	is(scalar(keys %$why) + @$open, @attacks + @$may + @$may_not,
		"$mode: all tried");
	is_deeply([ grep { $why->{$_} ne '403' } map { /^([^=]+)/ }
		@$may_not ], [], "$mode: the proxy refuses");
	my $egress = $t->status()->{slots}[0]{egress};
	is("$egress->{allowed} $egress->{blocked}", @$may . ' ' . @$may_not,
		"$mode: and counts");
	note("$mode: $_: $why->{$_}") for sort keys %$why;
	# refused by what is to refuse it
	is_deeply([ map { $why->{$_} } 'tcp metadata', 'udp metadata',
		'tcp loopback', 'abstract socket' ],
		$held eq 'ports' ? [ qw/EACCES EACCES EACCES EACCES/ ]
		: [ qw/ENETUNREACH ENETUNREACH ECONNREFUSED ECONNREFUSED/ ],
		"$mode: for the right reason");
}
