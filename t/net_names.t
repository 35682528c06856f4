#!/usr/bin/perl

# Names of the egress proxy: answers that are too long for a datagram come
# over TCP, whole, and every address of them counts; name servers that never
# say anything to AAAA; the system's own, search list and hosts file.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Egress;
use Test::Apworker::Link;

Test::Apworker::Egress->alone(qw/8.8.8.8 8.8.4.4 10.9.0.1 127.0.0.53
	fd00::53 2a00::8/);

my $t = Test::Apworker->new();
my $e = Test::Apworker::Egress->new($t);
my $dir = $t->testdir();
my @public = map { "8.8.1.$_" } 1 .. 40;
my $zone = {
	'pub.example' => [ '8.8.8.8' ],
	'long.example' => { cut => 'A', a => [ '8.8.8.8', @public ] },
	'both.example' => { cut => 'A AAAA', a => [ '8.8.8.8', '2a00::8' ] },
	'alias.example' => { cut => 'A', cname => 'x.internal',
		a => [ '8.8.8.8', @public ] },
	'mixed.example' => { cut => 'A', a => [ @public, '10.9.0.1' ] },
	'mixed6.example' => { cut => 'AAAA', a => [ '8.8.8.8', 'fd00::1' ] },
	(map { ("$_.example" => { cut => 'A', tcp => $_,
		a => [ '8.8.8.8' ] }) } qw/silent close short lie garbage/),
	'half.example' => { drop => 'AAAA', a => [ '8.8.8.8' ] },
	'late.example' => { late => { AAAA => 2 },
		a => [ '8.8.8.8', 'fd00::1' ] },
	'late4.example' => { late => { A => 0.6 }, a => [ '8.8.8.8',
		'2a00::77' ] },
	'dead4.example' => { late => { AAAA => 1 },
		a => [ '8.8.9.9', '2a00::8' ] },
	'dead.example' => { late => { AAAA => 0.8 }, a => [ '8.8.9.9' ] },
	'half.corp.example' => { drop => 'AAAA', a => [ '8.8.4.4' ] },
	'db.corp.example' => [ '8.8.4.4' ],
	'cut.corp.example' => { cut => 'A', a => [ '8.8.4.4' ] },
};
my $dns = $e->dns($zone);
$e->origin(undef, '8.8.8.8:80', '8.8.4.4:80', '10.9.0.1:80', '[2a00::8]:80');
my $p = $e->proxy("network auto { resolver $dns; upstream off;"
	. ' connect_timeout 3s; }');

# --- too long for a datagram ---

for my $name (qw/long alias/) {
	is(join(' ', $p->get("http://$name.example/")), '200 at 8.8.8.8:80: /',
		"$name: the whole answer over TCP");
}
is(join(' ', map { $e->asked()->{"long.example $_"} ? 'asked' : 'not' }
	'A', 'A/tcp', 'AAAA', 'AAAA/tcp'), 'asked asked asked not',
	'asked for by what each needs');
like(join(' ', $p->get('http://both.example/')),
	qr/^200 at (?:8\.8\.8\.8|\[2a00::8\]):80: /, 'both families');
is($p->connect_to('both.example:80'), 200, 'for a tunnel, too');
is(scalar($p->get("http://$_.example/")), 403,
	"$_: one private address among many, over TCP") for qw/mixed mixed6/;
my ($refused) = grep { $_->{host} eq 'mixed.example' } $p->decisions();
is($refused->{address}, '10.9.0.1', 'and it is named');

# --- servers that say nothing to AAAA, or say it late ---

for my $name (qw/half late/) {
	is(join(' ', $p->get("http://$name.example/")),
		'200 at 8.8.8.8:80: /', "$name: A alone will do");
}
is($p->connect_to('half.example:80'), 200, 'for a tunnel, too');
is(join(' ', $p->get('http://late4.example/')), '200 at 8.8.8.8:80: /',
	'AAAA alone will not: A is waited for');
is(join(' ', $p->get('http://dead4.example/')), '200 at [2a00::8]:80: /',
	'what comes late is there when the first is of no use');
is(scalar($p->get('http://dead.example/')), 502,
	'and when nothing comes, that is the end');
is($p->count_is(0), 0, 'nothing is left');

# --- servers that do not do what they should ---

for my $name (qw/silent close short lie garbage/) {
	like(scalar($p->get("http://$name.example/")), qr/^50[24]$/,
		"TCP, $name: no address");
}
is(scalar($p->get('http://pub.example/')), 200, 'others are served');
is($p->count_is(0), 0, 'nothing is left');

# Clients that leave: their questions are bounded.  (Another proxy: what was
# said in the connection that this one shares is half a lie.)
is($p->stop(), 0, 'clean');
$p = $e->proxy("network auto { resolver $dns; upstream off;"
	. ' connect_timeout 3s; }');
my @left = map { $p->connect() } 1 .. 400;
my $n = 0;
syswrite $_, "CONNECT silent.example:80 HTTP/1.1\r\nHost: x\r\n\r\n"
	for @left;
close $_ for splice @left;
is(scalar($p->get('http://long.example/')), 200,
	'hundreds asked and left: the next is served');
is($p->stop(), 0, 'clean');

# A server that has only an IPv6 address.
my $dns6 = $e->dns($zone, 'fd00::53');
like($dns6, qr/^\[fd00::53\]:\d+$/, 'a name server of IPv6');
$p = $e->proxy("network auto { resolver $dns6; upstream off; }");
is(scalar($p->get('http://long.example/')), 200, 'is asked, both ways');
is($p->stop(), 0, 'clean');

# --- the system's ---

SKIP: {
	# CLONE_NEWNS; the files are ours in here alone
	skip 'no mount namespace', 17 unless syscall(272, 0x20000) == 0
		&& system('mount --make-rprivate / 2>/dev/null') == 0;
	my $system = $e->dns($zone, '127.0.0.53', 53);
	$t->write_file('resolv.conf', "nameserver 127.0.0.53\n"
		. "search gone.example corp.example\n");
	$t->write_file('hosts', "127.0.0.1 localhost\n8.8.8.8 pinned\n"
		. "10.9.0.1 inner.example pub.example\n");
	for my $file (qw/resolv.conf hosts/) {
		system('mount', '--bind', "$dir/$file", "/etc/$file") == 0
			or die "mount $file";
	}
	$p = $e->proxy('network auto { upstream off; }');
	is(scalar($p->get('http://long.example/')), 200,
		'the name servers of resolv.conf');
	is(join(' ', $p->get('http://db/')), '200 at 8.8.4.4:80: /',
		'its search list');
	is(join(' ', $p->get('http://cut/')), '200 at 8.8.4.4:80: /',
		'also where the answer is too long');
	is(join(' ', $p->get('http://half/')), '200 at 8.8.4.4:80: /',
		'also where AAAA is never answered');
	is(join(' ', $p->get('http://pinned/')), '200 at 8.8.8.8:80: /',
		'the hosts file');
	is(scalar($p->get('http://inner.example/')), 403,
		'whose addresses are checked as well');
	is(scalar($p->get('http://pub.example/')), 403,
		'and which goes before the name servers');
	is(scalar($p->get('http://nowhere.example/')), 502, 'no such name');
	is(scalar($p->get('http://db./')), 502,
		'the root\'s dot: no search list');
	is(join(' ', $p->get('http://pinned./')), '200 at 8.8.8.8:80: /',
		'but the hosts file');
	is(scalar($p->get('http://pub.example./')), 403,
		'which goes before the name servers');
	is($p->stop(), 0, 'clean');
	# the app link has the same
	for my $case ([ 'http://db', 'HTTP status 200 instead of 101' ],
		[ 'http://pinned.', 'HTTP status 200 instead of 101' ],
		[ 'http://half', 'HTTP status 200 instead of 101' ],
		[ 'http://db.', 'cannot resolve db\\.: ' ],
		[ 'http://nowhere.example', 'cannot resolve nowhere' ]) {
		my $c = link_program($t, 'bin/app-link-peer', '-a', '{}',
			$case->[0])->say('open');
		ok($c->expect(qr/^closed 0 transport error: $case->[1]/),
			"the app link to $case->[0]");
		$c->stop();
	}
}
