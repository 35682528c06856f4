#!/usr/bin/perl

# Installers and bundlers in a box: they do their work, and find nothing of the
# host, reach nothing but the registry, and leave nothing; as root and as an
# ordinary user.

use strict;
use warnings;

use File::Copy qw/copy/;
use File::Temp qw/tempdir/;
use IO::Socket::INET;
use Socket qw/SOCK_STREAM pack_sockaddr_un AF_UNIX/;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Builder;
use Test::Apworker::Proc;
use Test::Apworker::Stock;
use Test::Apworker::Util;

my @who = $> == 0 ? ('root', 'nobody') : ('an ordinary user');
my $t = Test::Apworker->new()->has(qw/linux userns node bun esbuild/)
	->plan(5 + 16 * @who);
my $dir = $t->testdir();

# What the host has that a box must not reach.
my $tcp = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 5)
	or die "listen: $!";
my $abstract = "apw-builder-$$";
socket my $abs, AF_UNIX, SOCK_STREAM, 0 or die $!;
bind $abs, pack_sockaddr_un("\0$abstract") or die "abstract: $!";
listen $abs, 5;
$t->write_file('secret.txt', "top secret\n", 0644);
chmod 0755, $dir;

for my $who (@who) {
	works($who);
	below_tmp($who);
	doors($who);
}
fallback();

sub works {
	my ($who) = @_;
	my $s = jailed_stock($t, $who, 'works');
	my $got = $s->order(codes => [ step('s', "import { x } from 'good';\n"
		. 'export const code = async () => x + 1;',
		'{"dependencies":{"good":"1.0.0"}}') ],
		pieces => [ piece_of('good', '1.0.0') ]);

	is($got->{fault}, 'OK', "$who: bun and esbuild in a box")
		or diag($got->{error}, $got->{log});
	is($s->result('s'), 42, "$who: what they built works");
	like($got->{log}, qr/ egress run=install verdict=allowed /,
		"$who: the way to the registry is in the log");
	my @st = stat $s->path('codes/fv/s/index.js');
	is($st[4], $who eq 'nobody' ? (getpwnam 'nobody')[2] : $>,
		"$who: it is the daemon's user's");
	is($st[2] & 07777, 0644, "$who: engines can read it");
	is_deeply([ $s->staged() ], [], "$who: nothing staged is left");

	$got = $s->order(flow_version_id => 'npm', codes => [ step('s',
		"import { x } from 'good';\nexport const code = async () => x;",
		'{"dependencies":{"good":"1.0.0"}}') ], stock =>
		{ installer => 'npm', installer_path =>
		Test::Apworker::Has::find('npm'), bundler => 'bun',
		bundler_path => Test::Apworker::Has::find('bun') });
	is($got->{fault}, 'OK', "$who: npm and bun in a box")
		or diag($got->{error}, $got->{log});
}

# Tools that lie where a box has a folder of its own: packages with links into
# themselves, and a link from elsewhere.
sub below_tmp {
	my ($who) = @_;
	my $place = tempdir('apworker-XXXXXXXX', DIR => '/tmp', CLEANUP => 1);
	my $esbuild = "$place/node_modules/esbuild/bin/esbuild";

	mkdir $_ for "$place/node_modules",
		map({ "$place/node_modules/$_" } '.bin', 'esbuild',
		'esbuild/bin'), "$place/bin";
	copy(Test::Apworker::Has::find('esbuild'), $esbuild) or die $!;
	chmod 0755, $esbuild;
	symlink '../esbuild/bin/esbuild', "$place/node_modules/.bin/esbuild";
	symlink loose_tool($t, "linked-$who", <<'EOP'), "$place/bin/linked";
print STDERR "index.ts: ", -l $0 ? 'a link' : 'no link', "\n"; exit 1;
EOP
	system 'chmod', '-R', 'a+rX', $place;
	my $s = jailed_stock($t, $who, 'tmp', bundler_path =>
		"$place/node_modules/.bin/esbuild");
	my $got = $s->order(codes => [ step('s', 'export const code = 1;') ]);
	is($got->{fault}, 'OK', "$who: a tool by a link among its packages")
		or diag($got->{error}, $got->{log});
	$s->set(bundler_path => "$place/bin/linked");
	$s->order(flow_version_id => 'link', codes => [ step('s', '1') ]);
	like(slurp($s->path('codes/link/s/index.js')), qr/index\.ts: a link/,
		"$who: a link stays one");
}

sub doors {
	my ($who) = @_;
	my $port = $tcp->sockport();
	my $s = jailed_stock($t, $who, 'doors');
	my ($registry) = $s->{stock}{registry} =~ /:(\d+)/;
	my $other = $s->path('codes/fv/other');

	is($s->order(codes => [ step('other', 'export const code = 1;') ])
		->{fault}, 'OK', "$who: another's code is there");
	$s->set(installer_path => loose_tool($t, 'evil', <<"EOP"));
my \$tried = 0;
sub door { my (\$name, \$open) = \@_; \$tried++;
	print STDERR "OPEN \$name\\n" if \$open; }
sub ask { my (\$text) = \@_;
	my \$c = IO::Socket::INET->new(PeerAddr => '127.0.0.1',
		PeerPort => 52000) or return 'none';
	my (\$host) = \$text =~ m{(?:CONNECT |://)([^/]+)};
	syswrite \$c, "\$text HTTP/1.1\\r\\nHost: \$host\\r\\n\\r\\n";
	my (\$status) = (scalar(<\$c>) // '') =~ / (\\d+)/; \$status }
for my \$f ('$dir/secret.txt', '$dir/order-1.json', '$dir/main.js',
    '$other/index.js', '$other', '$s->{stock}{path}', '/etc/shadow',
    '/root/.npmrc', '/home', '/sys', '/run', '/var', '/root/common',
    '/proc/1/environ', '/proc/1/root', '/proc/1/mem', '/dev/tty',
    '/proc/kcore', '/proc/$$/status') {
	door("\$f", -d \$f ? opendir(my \$d, \$f) : open(my \$h, '<', \$f)); }
opendir my \$p, '/proc';
door('processes', (grep { /^\\d+\$/ } readdir \$p) > 3);
door('a signal', kill 0, $$);
open my \$not, '>', \$_ for '$dir/written', '$dir/tools/x';
for my \$f ('/usr/x', '/etc/x', '/x', '/bin/x', '/dev/x',
    '/root/x', '/proc/sys/kernel/core_pattern', '/build/../x') {
	door("write \$f", open my \$h, '>', \$f); }
door('a tool is changed', open my \$self, '>>', \$0);
open my \$mine, '>', '/tmp/apw-builder-$$';
door("port \$_", IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	PeerPort => \$_)) for $port, $registry, 22;
socket my \$a, AF_UNIX, SOCK_STREAM, 0;
door('abstract', connect \$a, pack_sockaddr_un("\\0$abstract"));
for my \$what ('CONNECT 127.0.0.1:$port', 'CONNECT localhost:$registry',
    'CONNECT 127.0.0.1:22', 'CONNECT [::1]:$registry',
    'CONNECT 0.0.0.0:$registry', 'CONNECT 127.1:$port',
    'CONNECT host.invalid:443', 'GET http://127.0.0.1:$port/',
    'GET http://host.invalid/') {
	my \$status = ask(\$what);
	door("\$what: \$status", \$status ne '403' && \$status ne '400'); }
door('no registry', ask('GET http://127.0.0.1:$registry/good') != 200);
open my \$h, '>', "\$ENV{HOME}/suid";
door('setuid', chmod 04755, "\$ENV{HOME}/suid");
door('setgid', chmod 02755, "\$ENV{HOME}/suid");
door('plain mode', !chmod 0755, "\$ENV{HOME}/suid");
door('unshare', syscall(272, 0x10000000) == 0);
door('chroot', chroot '/tmp');
my (\$x, \$to, \$fs) = ('x', '/tmp', 'tmpfs');
door('mount', syscall(165, \$x, \$to, \$fs, 0, 0) == 0);
open my \$st, '<', '/proc/self/status'; my \$st_text = join '', <\$st>;
door('capabilities', \$st_text !~ /^CapEff:\\s0+\$/m
	|| \$st_text !~ /^CapBnd:\\s0+\$/m);
door('privileges', \$st_text !~ /^NoNewPrivs:\\s1\$/m);
door('filter', \$st_text !~ /^Seccomp:\\s2\$/m);
door("environment \$_", \$ENV{\$_} =~ /secret/) for keys %ENV;
if (!fork) { fork and exit; POSIX::setsid() if require POSIX;
	\$SIG{\$_} = 'IGNORE' for qw/HUP TERM INT/;
	\$0 = 'apw-survivor-$$'; sleep 600; }
print STDERR "tried \$tried\\n"; exit 1;
EOP
	my $got = $s->order(flow_version_id => 'evil', codes => [ step('s',
		'export const code = 1;', '{"dependencies":{"x":"1"}}') ],
		env => { AP_WORKER_TOKEN => 'secret', NO_PROXY => '*',
		no_proxy => '*' });
	my ($tried) = ($got->{error} // '') =~ /tried (\d+)/;
	ok(($tried // 0) > 60, "$who: all doors were tried")
		or diag($got->{error}, $got->{log});
	is(join('; ', ($got->{error} // '') =~ /OPEN (.*)/g), '',
		"$who: no door is open");
	ok(!-e "/tmp/apw-builder-$$" && !-e "$dir/written"
		&& !-e "$dir/tools/x",
		"$who: its /tmp is its own");
	is(running("apw-survivor-$$"), 0, "$who: nothing survives");
	like($got->{log}, qr/egress .*blocked port.*host\.invalid.*not the reg/,
		"$who: refusals are in the log");

	# a bundler has no network at all
	$s->set(bundler_path => loose_tool($t, 'netless', <<'EOP'));
print STDERR "network\n" if IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	PeerPort => 52000) || grep { /proxy|registry/i } keys %ENV;
print STDERR "cache\n" if open my $c, '>', '/cache/x';
print STDERR "index.ts: was run\n"; exit 1;
EOP
	$s->order(flow_version_id => 'netless', codes => [ step('s', '1') ]);
	like($s->path('codes/netless/s/index.js') && slurp($s->path(
		'codes/netless/s/index.js')), qr/Error "?.*Exit 1\\nindex.ts: was run/,
		"$who: a bundler reaches nothing, and no cache");
}

# Processes on this host whose title is this.
sub running {
	my ($title) = @_;
	return scalar grep { slurp($_) =~ /\Q$title\E/ }
		glob '/proc/[0-9]*/cmdline';
}

sub fallback {
	my $port = $tcp->sockport();
	my $s = jailed_stock($t, 'root', 'fallback', jail => 'landlock');
	$s->set(jail => 'landlock');
	my $got = $s->order(codes => [ step('s', "import { x } from 'good';\n"
		. 'export const code = async () => x;',
		'{"dependencies":{"good":"1.0.0"}}') ]);
	is($got->{fault}, 'OK', 'landlock: builds') or diag($got->{error});
	$got = $s->order(flow_version_id => 'x', codes => [ step('s', '1',
		'{"dependencies":{"x":"1"}}') ], stock => { installer_path =>
		loose_tool($t, 'ports', <<"EOP") });
print STDERR "port ", IO::Socket::INET->new(PeerAddr => '127.0.0.1',
	PeerPort => $port) ? 'open' : "closed: \$!", "\\n"; exit 1;
EOP
	like($got->{error}, qr/port (?:closed: Permission|open)/,
		'landlock: other ports, as far as the kernel can');
	diag('this kernel has no rules for ports') if $got->{error} =~ /open/;

	# a host that allows none
	$s = jailed_stock($t, 'root', 'poor');
	$s->{as} = [ '/usr/bin/unshare', '-Ur', '/bin/sh', '-c', 'echo 0 '
		. '>/proc/sys/user/max_user_namespaces; exec "$@"', '-' ];
	my %order = (codes => [ step('s', 'export const code = 1;') ]);
	$got = $s->order(%order);
	like($got->{error}, qr/no box for a builder: .*user namespace/,
		'require: none, no build');
	delete $s->{stock}{jail};
	$got = $s->order(%order);
	is($got->{fault}, 'OK', 'on: none, Landlock') or diag($got->{error});
	like($got->{log}, qr/builders have no box/, 'and it is said');
}
