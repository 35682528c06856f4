# -T: the effective configuration, each value with its origin; what is printed
# can be read again and means the same.

use strict;
use warnings;

use Test::More;
use Test::Apworker::Reader;
use Test::Apworker::Util;

my $r = Test::Apworker::Reader->new();
my $dir = $r->dir();
plan(tests => 43);

$r->write('token', "s3cret-of-file\n", 0600);
$r->write('more.inc', "drain_timeout\n\t90s;\n");

my $conf = <<'EOC';
# a comment; with { special } "characters"
slots 4;
include more.inc;
log "a log; with {blanks}.log" debug;
state ./var//state/;
user root;
source app {
	url https://flows.example.com:8443/base;
	token_file token;
	group eu-1;
}
engine {
	bundle main.js;	# relative to the file
	memory 512m; propagate TZ LANG;
	propagate "HOME";
}
network unrestricted { allow 10.0.5.12 fd00::/8; }
stock { installer npm; negative_ttl 0; }
monitor { listen 127.0.0.1:9464; listen [::1]:9464; listen unix:m.sock; }
EOC

my ($d, $err, $out, $code) = $r->dump_conf($conf, g => 'respawn_burst 3;');
is($code, 0, 'read') or diag($err);
is($err, '', 'no complaint');
my %want = (
	'main/slots' => [ '4', 'c.conf:2' ],
	'main/drain_timeout' => [ '90s', 'more.inc:1' ],
	'main/log' => [ qq{"$dir/a log; with {blanks}.log"}, 'c.conf:4' ],
	'main/log_level' => [ 'debug', 'c.conf:4' ],
	'main/log_format' => [ 'text', 'default' ],
	'main/state' => [ "$dir/var/state", 'c.conf:5' ],
	'main/respawn_burst' => [ '3', 'command line' ],
	'source app/url' => [ 'https://flows.example.com:8443/base', 'c.conf:8' ],
	'source app/token_file' => [ "$dir/token", 'c.conf:9' ],
	'source app/verify' => [ 'on', 'default' ],
	'engine/node' => [ "$dir/bin/node", 'default, found on PATH' ],
	'engine/bundle' => [ "$dir/main.js", 'c.conf:13' ],
	'engine/memory' => [ '512m', 'c.conf:14' ],
	'engine/propagate' => [ 'TZ LANG HOME', 'c.conf:15' ],
	'network' => [ 'unrestricted', 'c.conf:17' ],
	'network/allow' => [ '10.0.5.12 fd00::/8', 'c.conf:17' ],
	'stock/installer' => [ 'npm', 'c.conf:18' ],
	'stock/installer_path' => [ "$dir/bin/npm", 'default, found on PATH' ],
	'stock/bundler_path' => [ "$dir/bin/esbuild", 'default, found on PATH' ],
	'monitor/listen' => [ "127.0.0.1:9464 [::1]:9464 unix:$dir/m.sock",
		'c.conf:19' ],
);
is_deeply($d->{$_}, $want{$_}, $_) for sort keys %want;
unlike($out, qr/s3cret/, 'no secret');
like($out, qr/^\t# token TOKEN;  not set$/m, 'what is not set is named');
like($out, qr/^sandbox auto;  # default$/m, 'sandbox');
like($out, qr/^slots 4; {40}# c\.conf:2$/m, 'comments line up');

# What engines get to see: as much as the slot gives them.
like($out, qr/^#   NODE_PATH=\S+ +# "node_path" is not set$/m,
	'the environment of engines');
my $command = slurp($r->top() . '/src/slot/command.c');
my @missing = grep { $out !~ /^#   \Q$_\E\b/m && !/^AP_SANDBOX_WS_|^SANDBOX_ID$/ }
	$command =~ /command_env(?:_number|_list)?\(m, "(\w+)"/g;
is("@missing", '', 'is all of what the slot composes');

# Read again, from another directory's point of view and without -g.
my ($again, $err2, $out2, $code2) = $r->dump_conf($out, g => undef);
is($code2, 0, 'what is printed can be read') or diag($err2);
is_deeply(values_of($again), values_of($d), 'and means the same');
is($again->{'main/respawn_burst'}[1], 'c.conf:15', 'with new origins');
my ($third) = $r->dump_conf($out2, g => undef);
is_deeply(values_of($third), values_of($d), 'once more');

# A token in the file is hidden, and the stars can be read.
($d, $err, $out) = $r->dump_conf(
	'source app { url http://a; token s3cret-of-conf; }',
	g => 'engine { bundle main.js; }');
is_deeply($d->{'source app/token'}, [ '***', 'c.conf:1' ], 'token');
unlike($out . $err, qr/s3cret/, 'is not printed');
($d, $err, $out, $code) = $r->dump_conf($out, g => undef);
is($code, 0, 'stars can be read');
like($err, qr/^c\.conf:\d+:2: warning: "token" is \*\*\*, which stands for a secret that is not shown$/m,
	'with a warning');

# Every default is in bounds: the full file as it is, with all defaults on.
($code, my $full) = $r->run(args => [ '-F' ]);
(my $on = $full) =~ s/^#(\t?\w.*(?:;|\{)|\})$/$1/gm;
$on =~ s/^\t?\w+ \.\.\.;$//gm;
$on =~ s/^source app \{.*?^\}$//gms;
$on =~ s/^sandbox [A-Z]\w+(?:;$| \{.*?^\}$)//gms;
$on =~ s/^include .*$//gm;
$on =~ s/^monitor \{.*?^\}$//gms;
$on =~ s/^\tbundle .*;/\tbundle main.js;/m;
($d, $err, $out, $code) = $r->dump_conf($on, g => undef);
is($code, 0, 'the full file with its defaults switched on is good')
	or diag($on, $err);
my ($plain) = $r->dump_conf("$Test::Apworker::Reader::BASE\n", g => undef);
$plain->{'source spool/path'} = $d->{'source spool/path'};
is_deeply(values_of($d), values_of($plain), 'and changes nothing');

# apworker.conf.full is this text; its paths are those of the build.
my @said = names_of($full);
my @kept = names_of(slurp($r->top() . '/conf/apworker.conf.full'));
is_deeply(\@kept, \@said, 'conf/apworker.conf.full is up to date (make conf-full)');

# What a reload cannot change.
$r->write('next.conf', "slots 9; daemon on; log x; pid other.pid;\n");
($code, $out) = $r->run(args => [ '-c', 'c.conf', '-r', 'next.conf', '-g',
	'source spool { path spool; } engine { bundle main.js; }' ])
	if $r->write('c.conf', "slots 1;\n");
is($out, <<'EOE', 'daemon and pid need a restart');
"daemon" in "main" changed: it needs a restart, the old value stays
"pid" in "main" changed: it needs a restart, the old value stays
EOE
($code, $out) = $r->run(args => [ '-c', 'c.conf', '-r', 'c.conf', '-g',
	$Test::Apworker::Reader::BASE ]);
is($out, '', 'the same file needs none');

($d, $err, $out) = $r->dump_conf('network auto { allow 10.0.0.1; }'
	. ' stock { path a; }', g => $Test::Apworker::Reader::BASE
	. ' network unrestricted { allow 10.0.0.2; } slots 2;');
is_deeply([ map { $d->{$_}[0] } qw{network network/allow stock/path} ],
	[ 'unrestricted', '10.0.0.2', "$dir/a" ],
	'the command line wins over the file, lists and all');

($d) = $r->dump_conf("slots 1;\n", g => undef, env => {},
	args => [ '-p', '/nowhere', '-g',
	"source spool { path x; } engine { bundle $dir/main.js; }" ]);
is($d->{'source spool/path'}[0], '/nowhere/x', '-p: relative paths');

sub values_of {
	my ($d) = @_;
	return { map { $_ => $d->{$_}[0] } keys %$d };
}

# Directive lines and help, without the defaults that are paths.
sub names_of {
	my ($text) = @_;
	$text =~ s{^(#\t?\w+) /.*;$}{$1 PATH;}gm;
	return split /\n/, $text;
}
