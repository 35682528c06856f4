#!/usr/bin/perl

# Strangers at a link, an engine that asks for what it may not, an app that is
# away: one line and a count, not a line each.  And a job runs on while nobody
# reads the log.

use strict;
use warnings;

use Fcntl;
use IO::Socket::INET;
use POSIX ();
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(13)->write_app_conf(main => 'log_format json;');
my $api = $t->api();
$t->run();

# how many lines of the log have this event
sub lines { my ($re) = @_; return scalar grep { /"event":"$re/ }
	split /\n/, $t->log(@{ $t->{mark} || [] }) }

$api->push_job(flow_job(id => 'hold', engine => [ { do => 'wait', name => 'on' },
	{ do => 'answer' } ]));
$t->engine()->wait_record('operation');
my $env = $t->engine()->wait_record('start')->{env};
$t->log_mark();

# Polling sessions with a wrong token, plain connections and nonsense.
sub knock {
	my ($text) = @_;
	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		PeerPort => $env->{AP_SANDBOX_WS_PORT}, Timeout => 5) or return '';
	print $s $text if length $text;
	$s->flush();
	my $r = '';
	vec($r, fileno $s, 1) = 1;
	sysread $s, my $got, 65536 if length $text && select $r, undef, undef, 3;
	return $got // '';
}
for (1 .. 40) {
	knock("\x16\x03\x01nonsense\r\n\r\n");
	my ($sid) = knock("GET /worker/ws/?EIO=4&transport=polling HTTP/1.1\r\n"
		. "Host: x\r\n\r\n") =~ /"sid":"([^"]+)"/ or next;
	my $body = '40{"sandboxId":"x","connectionToken":"wrong"}';
	knock("POST /worker/ws/?EIO=4&transport=polling&sid=$sid HTTP/1.1\r\n"
		. "Host: x\r\nContent-Type: text/plain\r\nContent-Length: "
		. length($body) . "\r\n\r\n$body");
}
my @open = map { IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	PeerPort => $env->{AP_SANDBOX_WS_PORT}, Timeout => 5) } 1 .. 200;
close $_ for grep { $_ } @open;
$t->engine()->release('on');
is($api->wait_done('hold')->{status}, 'OK', 'the engine did not notice');
my %n;
$n{$_}++ for map { /"level":"(?:warn|error|notice|info)".*"event":"([^"]*)"/ ? $1 : () }
	split /\n/, $t->log(@{ $t->{mark} });
is(join(', ', grep { $n{$_} > 4 } sort keys %n), '',
	'no phrase is said again and again');

# An engine that calls what it may not.
$t->log_mark();
$api->push_job(flow_job(id => 'calls', engine => [
	(map { { do => 'rpc', method => 'nonsense', payload => {} } } 1 .. 60),
	{ do => 'answer' } ]));
ok($api->wait_done('calls'), 'an engine that calls what it may not');
is(lines('a call of the engine was refused"'), 1, 'one line');

# Another job has a line of its own.
$api->push_job(flow_job(id => 'calls2', engine => [
	{ do => 'rpc', method => 'nonsense', payload => {} },
	{ do => 'answer' } ]));
ok($api->wait_done('calls2'), 'another job');
is(lines('a call of the engine was refused"'), 2, 'another line');

$t->stop();
my ($count) = $t->log() =~ /"event":"a call of the engine was refused: (\d+) more in the last \d+ s"/;
is($count, 59, 'and the count, at the end at the latest');

# Each line is one JSON value, without a key twice.
my @bad;
for my $line (split /\n/, slurp($t->log_file())) {
	my %seen;
	my $o = eval { unjson($line) };
	push @bad, $line if !$o;
	$seen{$_}++ && push @bad, $line
		for $line =~ /(?<=[{,])"((?:[^"\\]|\\.)*)":/g;
}
is("@bad[0 .. ($#bad < 2 ? $#bad : 2)]", '', 'each line is a JSON value, no key is there twice');

# Nobody reads: jobs are run, and it stops when told to.
$t->write_app_conf(main => 'log stderr debug;');
my $fifo = $t->testdir() . '/fifo';
POSIX::mkfifo($fifo, 0600) or die "mkfifo: $!";
sysopen my $r, $fifo, O_RDONLY | O_NONBLOCK or die $!;
$t->{as} = [ $^X, '-MFcntl', '-e', 'sysopen F, shift, O_WRONLY or die $!;
	fcntl F, 1031, 4096; open STDERR, ">&F"; close F; exec @ARGV or die $!;',
	$fifo ];
$t->run();
for my $id (qw/full1 full2/) {
	$api->push_job(flow_job(id => $id));
	is($api->wait_done($id)->{status}, 'OK', "$id is run while nobody reads");
}
sysread $r, my $got, 65536;
like($got, qr/starting/, 'the first lines went');
$t->signal('TERM');
$api->ask('let_go');
is($t->wait_exit(), 0, 'SIGTERM ends it');
ok(!-s $t->testdir() . '/pidfile', 'and it has left');
unlink $fifo;
