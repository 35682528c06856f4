#!/usr/bin/perl

# What the start, a slot or an engine would refuse, `apworkerd -t` refuses,
# with the place of the directive; it works beside a daemon that runs, which
# has its addresses, its pidfile and its state; and it changes nothing.

use strict;
use warnings;

use Fcntl qw/:flock/;
use IO::Socket::INET;
use IO::Socket::UNIX;
use POSIX ();
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node openssl/);
my $dir = $t->testdir();
my $tls = $t->tls();
my $bundle = "$dir/main.js";
my $port = $t->port('MONITOR');
my $user = $> == 0 ? 'user nobody;' : '';

my %parts = (
	main => "$user slots 1; daemon off;\npid $dir/run/apworkerd.pid;\n"
		. "log stderr; state $dir/state;",
	source => "url https://127.0.0.1:1; token 0123456789abcdef; ",
	engine => "node %%NODE%%; bundle $bundle;",
	stock => "path $dir/stock; installer_path %%FAKE_BUN%%; "
		. 'bundler_path %%FAKE_ESBUILD%%; jail off;',
	monitor => "listen 127.0.0.1:$port;",
	sandbox => 'UNSANDBOXED',
	kind => 'app',
);

sub conf {
	my (%p) = (%parts, @_);
	return $t->expand(join "\n", $p{main}, "source $p{kind} {",
		$p{source}, '}', 'engine {', $p{engine}, '}', 'stock {',
		$p{stock}, '}', 'monitor {', $p{monitor}, '}',
		"sandbox $p{sandbox};", '');
}

my $n = 0;
sub try {
	my (%p) = @_;
	my $as = delete $p{as} || [];
	my $file = "$dir/c" . ++$n . '.conf';
	$t->write_file($file, conf(%p), 0644);
	my ($code, $out, $err) = $t->run_command([ @$as, $t->daemon_path(),
		'-t', '-c', $file ]);
	return ($code, $out . $err);
}

# All complaints come in one go: one run shows several.
sub bad {
	my ($name, $wants, %p) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($code, $out) = try(%p);
	ok($code == 1 && $out !~ /configuration is good/, "$name: refused")
		or diag("exit $code\n$out");
	my $at = qr/^(?:\S*c\d+\.conf(?::\d+:\d+)?): error: /m;
	like($out, qr/$at.*$_/, "$name: $_") for @$wants;
}

sub good {
	my ($name, %p) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $re = delete $p{warns};
	my ($code, $out) = try(%p);
	ok($code == 0 && $out =~ /configuration is good/
		&& $out !~ /: error: / && (!$re || $out =~ /warning: .*$re/),
		$name) or diag("exit $code\n$out");
}

# Files of every wrong kind.
$t->write_file($bundle, "// engine\n");
$t->write_file("$dir/empty", '');
$t->write_file("$dir/text", "no certificate\n");
$t->write_file("$dir/npmrc", "registry=https://r.example/\n");
$t->write_file("$dir/secret", slurp($tls->{ca}), 0600);
chmod 0600, "$dir/secret";
my $pem = slurp($tls->{ca});
$t->write_file("$dir/broken", substr($pem, 0, 80) . '!!' . substr $pem, 90);
$t->write_file("$dir/script", "#!/nonexistent/interpreter\n", 0755);
chmod 0755, "$dir/script";
$t->run_command([ 'openssl', 'x509', '-in', $tls->{ca}, '-outform', 'der',
	'-out', "$dir/der" ]);
mkdir "$dir/folder";
POSIX::mkfifo("$dir/fifo", 0600) or die;
symlink "$dir/nowhere", "$dir/dangling";

good('a configuration that is good');
ok(!-e "$dir/run" && !-e "$dir/state" && !-e "$dir/stock",
	'nothing was made');

my $other = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1,
	ReuseAddr => 1) or die;
my $taken = $other->sockport();
my $sock = IO::Socket::UNIX->new(Local => "$dir/sock", Listen => 1) or die;

# Places for pidfile, state, log and stock.
sub places {
	my ($pid, $state, $log, $stock, $npmrc) = @_;
	return (main => "$user pid $dir/$pid; state $dir/$state; log $log;",
		stock => $parts{stock} =~ s/path \S+;/path $dir\/$stock;/r
			. (defined $npmrc ? "npmrc $dir/$npmrc;" : ''));
}

for ([ empty => 'it is empty' ], [ text => 'it holds no certificates' ],
	[ der => 'it is DER, not PEM' ], [ folder => 'it is a directory' ],
	[ fifo => 'it is not a file|Permission denied' ],
	[ broken => 'broken' ], [ nowhere => 'No such file' ]) {
	my ($file, $why) = @$_;
	bad("ca_file $file", [ qr/"ca_file" is ".*$file": .*(?:$why)/ ],
		source => $parts{source} . "ca_file $dir/$file;");
}
bad('first', [
	qr/"ca_file" is ".*text": it holds no certificates/,
	qr/"node_path": ".*nowhere": No such file/,
	qr/"npmrc" is ".*nowhere": No such file/,
	qr/"log" is ".*folder", .*a directory/,
	qr/"pid" is ".*dangling", which is a symbolic link/,
	qr/"state": ".*broken" is a file/, qr/"path": ".*text" is a file/,
	qr/"listen" is "127\.0\.0\.1:$taken", which pid $$ \(\S+\) has/ ],
	engine => $parts{engine} . "ca_file $dir/text; node_path $dir/nowhere;",
	monitor => "listen 127.0.0.1:$taken;",
	places('dangling', 'broken', "$dir/folder", 'text', 'nowhere'));
bad('second', [
	qr/"ca_file" is ".*broken": .*broken/,
	qr/"node_path": ".*text" is a file/, qr/"npmrc" is ".*: it is a dir/,
	qr/"pid" is ".*folder", .*a directory/, qr/".*dangling" leads to nothing/,
	qr/"path": ".*fifo" is a FIFO/,
	qr/cannot listen on 203\.0\.113\.1:80: /,
	qr/"listen" is "unix:.*sock", which pid $$/ ],
	engine => $parts{engine} . "ca_file $dir/broken; node_path $dir/text;",
	monitor => "listen 203.0.113.1:80; listen unix:$dir/sock;",
	places('folder', 'dangling', 'stderr', 'fifo', 'folder'));
$t->write_file("$dir/npmrc-ca", "cafile=$dir/nowhere\n");
bad('third', [
	qr/"ca_file" is ".*der": it is DER/,
	qr/"npmrc" is ".*nowhere": No such file/,
	qr/"pid" is ".*x\.pid": Not a directory/,
	qr/"state": ".*text" is a file/, qr/"log" is ".*x\.log": Not a dir/,
	qr/"listen" is "unix:.*text": what is there is not a socket/,
	qr/"listen": ".*text" is a file/ ],
	engine => $parts{engine} . "ca_file $dir/der;",
	monitor => "listen unix:$dir/text; listen unix:$dir/text/sock;",
	places('text/x.pid', 'text/below', "$dir/text/x.log", 'stock',
		'npmrc-ca'));
mkdir "$dir/state";
open my $lock, '<', "$dir/state" or die;
flock $lock, LOCK_EX or die;
bad('fourth', [ qr/"npmrc" is ".*fifo": it is a FIFO/,
	qr/"node" is .*\(its interpreter\)/,
	qr/"state" is .*another apworkerd has: pid $$/ ],
	engine => "node $dir/script; bundle $bundle;",
	stock => $parts{stock} . "npmrc $dir/fifo;");
close $lock;
close $sock;
bad("log $_", [ qr/"log" is "\Q$_\E"; expected a path, stderr or stdout/ ],
	main => $parts{main} =~ s/log stderr/log $_/r)
	for 'syslog:server=127.0.0.1', 'journald';
good('all that can be', main => $parts{main} =~ s/log stderr/log stdout debug/r,
	source => $parts{source} . "ca_file $tls->{ca};",
	engine => $parts{engine} . "ca_file $tls->{ca}; node_path $dir/folder;",
	stock => $parts{stock} . "npmrc $dir/npmrc;",
	monitor => "listen unix:$dir/sock;");
good('an empty bundle', warns => qr/"bundle" is ".*empty", which is empty/,
	engine => "node %%NODE%%; bundle $dir/empty;");
ok(-S "$dir/sock" && !-e "$dir/stock" && !-e "$dir/stdout",
	'nothing is made or removed');

if ($> == 0) {
	$t->write_file("$dir/roots/x", 'x');
	chmod 0755, "$dir/roots";
	mkdir "$dir/roots-empty";
	chmod 0600, $bundle;
	bad('what is root\'s', [
		qr/"path": ".*roots": Permission denied for nobody/,
		qr/"bundle" is .*Permission denied for nobody/,
		qr/"ca_file" is ".*secret": .*Permission denied/ ],
		source => $parts{source} . "ca_file $dir/secret;",
		places('x.pid', 'state', 'stderr', 'roots'));
	chmod 0644, $bundle;
	good('an empty folder of root\'s is given to the user',
		places('x.pid', 'state', 'stderr', 'roots-empty'));
	chmod 0700, "$dir/folder";
	bad('an ordinary user', [ qr/"pid" is .*Permission denied/,
		qr/"state": .*cannot be made in .*Permission denied/ ],
		as => [ 'setpriv', '--reuid=nobody', '--clear-groups' ],
		places('folder/below/x.pid', 'below', 'stderr', 'stock'));
}

# The spool.
my %spool = (kind => 'spool', source => "path $dir/spool;");
mkdir "$dir/spool";
$t->write_file("$dir/spool/new", 'a file');
symlink '/tmp', "$dir/spool/run";
bad('the spool', [ qr/"\Q$dir\E\/spool\/new" is a file/,
	qr/"\Q$dir\E\/spool\/run" is a symbolic link/ ], %spool);
unlink "$dir/spool/new", "$dir/spool/run";

# What is written to standard output, by a start that comes as far as the log.
$t->write_file("$dir/stdout.conf", conf(%spool, main => $parts{main} =~
	s/log stderr/log stdout/r, monitor => "listen 127.0.0.1:$taken;"));
my (undef, $said) = $t->run_command([ $t->daemon_path(), '-c',
	"$dir/stdout.conf" ]);
like($said, qr/notice master starting/, 'log stdout');

# Of our own daemon: beside it -t finds nothing wrong, and disturbs nothing.
$t->{conf} = conf(%spool, monitor => "listen 127.0.0.1:$port; "
	. "listen unix:$dir/sock;");
{
	no warnings qw/redefine once/;
	*Test::Apworker::globals = sub { '' };
}
$t->engine();
$t->run();
wait_for(sub { -e "$dir/spool/tmp" }, 'the spool');
my ($code, $out) = $t->test_conf();
is($code, 0, 'good beside the daemon that runs') or diag($out);
unlike($out, qr/listen/, 'its addresses are its own');
is(IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port") ? 1 : 0, 1,
	'and still there');
bad('what others have', [
	qr/"listen" is "127\.0\.0\.1:$taken", which pid $$/ ], %spool,
	monitor => "listen 127.0.0.1:$port; listen 127.0.0.1:$taken;");
bad('for another pidfile', [ qr/"state" is .*another apworkerd has/,
	qr/"listen" is "127\.0\.0\.1:$port", which pid / ], %spool,
	main => $parts{main} =~ s/pid \S+;/pid $dir\/other.pid;/r);

# A reload is refused with the same words, and the daemon goes on.
$t->log_mark();
$t->write_file("$dir/apworker.conf", conf(%spool, stock => $parts{stock}
	. "npmrc $dir/nowhere;", monitor => "listen 127.0.0.1:$port; "
	. "listen unix:$dir/sock;"));
$t->reload();
ok($t->wait_log(qr/reload refused what=.*npmrc.*nowhere/),
	'a reload is refused');
$t->stop();
is($t->{status} >> 8, 0, 'the daemon was well');
