#!/usr/bin/perl

# Recorded sessions without a job: what the daemon says when it connects, asks
# for work, leaves, or is sent away.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $dir = Test::Apworker::srcdir() . '/recordings';

# What the recorded worker said: [kind, keys of what went with it].
sub said {
	my ($case) = @_;
	my @said;
	for my $e (map { unjson($_) } split /\n/,
	    slurp("$dir/$case.UNSANDBOXED.jsonl")) {
		next unless ($e->{dir} // '') eq 'worker->app'
			&& $e->{kind} eq 'text';
		if ($e->{data} =~ /^40(\{.*\})$/s) {
			push @said, [ 'connect', keys_of(unjson($1)) ];
		} elsif ($e->{data} =~ /^42\d*(\[.*\])$/s) {
			my ($event, $arg) = @{ unjson($1) };
			push @said, $event eq 'rpc' ? [ "rpc $arg->{method}",
				keys_of($arg->{payload}) ]
				: [ 'settings', keys_of($arg) ];
		} elsif ($e->{data} =~ /^41/) {
			push @said, [ 'leave', '' ];
		}
	}
	return @said;
}

sub keys_of { return join ' ', sort keys %{ $_[0] } }

# What newer apps want to hear before anybody knows how old this one is.
my %LATER = map { $_ => 1 } qw/projectWorker serverPingMs/;

# The same of what the app double saw.
sub seen {
	my ($api) = @_;
	my @seen = seen_all($api);
	$_->[1] = join ' ', grep { !$LATER{$_} } split ' ', $_->[1]
		for grep { $_->[0] =~ /^(?:connect|settings)$/ } @seen;
	return @seen;
}

sub seen_all {
	my ($api) = @_;
	my %name = (connect => sub { 'connect' }, settings => sub { 'settings' },
		rpc => sub { "rpc $_[0]{method}" },
		disconnected => sub { 'leave' });
	return map { [ $name{ $_->{kind} }->($_), $_->{kind} eq 'disconnected'
		? '' : keys_of($_->{payload}) ] }
		grep { $name{ $_->{kind} } && ($_->{method} // '') ne 'getUsedPieces' }
		$api->seen(conn => 1);
}

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->write_app_conf();
plan(tests => 5 + 2 * $Test::Apworker::CHECKS);
my $api = $t->api(poll_ms => 60000);
$t->run();
$api->wait_call('poll');
$t->signal('TERM');
# the poll that is parked is answered before anybody leaves
$api->ask('let_go');
$t->wait_exit();
my $end = $api->wait_seen(kind => 'disconnected');
is($end->{reason}, 'client namespace disconnect', 'left in words');
# warming up with used pieces is the stock's matter
my @want = grep { $_->[0] ne 'rpc getUsedPieces' } said('session-start-stop');
is_deeply([ map { $_->[0] } seen($api) ], [ map { $_->[0] } @want ],
	'said the same, in the same order');
is_deeply([ seen($api) ], \@want, 'with the same keys');
$t->finish();

$t = Test::Apworker->new()->write_app_conf();
$api = $t->api(rules => [ { at => 'connect', do => 'reject' } ]);
$t->run();
ok($t->wait_log(qr/Authentication error|refused|rejected/i),
	'a refused token is told in the log');
is_deeply([ grep { $_->[0] ne 'leave' } seen($api) ],
	[ grep { $_->[0] ne 'leave' } said('session-bad-token') ],
	'nothing is said after it');
$t->finish();
