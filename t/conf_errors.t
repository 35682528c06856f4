# Broken configurations: each with the exact complaint, all of them at once.

use strict;
use warnings;

use Test::More;
use Test::Apworker::Reader;

my $r = Test::Apworker::Reader->new();
my $dir = $r->dir();

$r->write('not-a-program', '');
$r->write('empty.token', "\n", 0600);
$r->write('two.token', "one\ntwo\n", 0600);
$r->write('big.token', 'x' x 20000, 0600);
$r->write('broken.inc', "slots 1\n");
$r->write('self.inc', "include self.inc;\n");
mkdir "$dir/folder";
symlink 'spool', "$dir/link";
mkdir "$dir/spool";

my $levels = 'alert, error, warn, notice, info or debug';
my $time = 'a time with its unit (ms, s, m, h, d)';
my $size = 'a size (bytes, or with k, m, g, t)';

# name, configuration, complaints without "c.conf:", options
my @cases = (
	# grammar
	[ 'no semicolon at the end', "slots 4",
		'1:8: error: found the end of the file; expected ";" or "{" after "4"' ],
	[ 'no semicolon between two directives', "slots 4\nlog stderr;\n",
		'2:1: error: "slots" has 3 arguments; expected 1 (NUMBER);'
		. ' is ";" missing at the end of line 1?' ],
	[ 'no semicolon before a block', "slots 4\nstock { }\n",
		'1:1: error: "slots" has a block; expected ";";'
		. ' is ";" missing at the end of line 1?' ],
	[ 'no semicolon before a brace', "stock { path x }\n",
		'1:16: error: found "}"; expected ";" after "x"' ],
	[ 'a brace that is not closed', "slots 1;\nstock {\n\tpath x;\n",
		'4:1: error: found the end of the file; expected "}" to close'
		. ' "stock" of line 2' ],
	[ 'a brace too many', "stock { path x; }\n}\n",
		'2:1: error: found "}"; no block is open here' ],
	[ 'a semicolon of its own', "slots 1;;\n",
		'1:9: error: found ";"; expected a directive' ],
	[ 'a block without a name', "{ slots 1; }\n",
		'1:1: error: found "{"; expected a directive' ],
	[ 'a quote that is not closed', qq{log "x;\n},
		'1:5: error: found the end of the file in a text in quotes;'
		. ' expected the closing "' ],
	[ 'a single quote that is not closed', qq{log 'x;\n},
		"1:5: error: found the end of the file in a text in quotes;"
		. " expected the closing '" ],
	[ 'text right after a quote', qq{log "x"y;\n},
		'1:8: error: found a character right after a closing quote;'
		. ' expected a blank, ";", "{" or "}"' ],
	[ 'a control byte', "slots \x01;\n",
		'1:7: error: found a control byte; expected text' ],
	[ 'a NUL', "slots 4\0;\n",
		'1:7: error: found a control byte; expected text' ],
	[ 'a word without end', 'log ' . 'x' x 5000 . ";\n",
		'1:5: error: found a word of more than 4095 bytes' ],
	[ 'blocks without end', 'stock {' x 20,
		'1:8: error: found "stock" in "stock"; its place is "main"',
		'1:112: error: blocks are nested more than 16 deep' ],
	[ 'columns count characters, tabs are one',
		qq{\tlog "\xc3\xa4\xc3\xb6" x;\n},
		'1:11: error: "log" is "x"; expected ' . $levels ],

	# names and places
	[ 'unknown directive', "slotz 4;\n",
		'1:1: error: unknown directive "slotz" in "main"; did you mean'
		. ' "slots"?' ],
	[ 'unknown directive, nothing near', "frobnicate on;\n",
		'1:1: error: unknown directive "frobnicate" in "main"' ],
	[ 'unknown directive in a block', "engine { start_timout 5s; }\n",
		'1:10: error: unknown directive "start_timout" in "engine"; did you'
		. ' mean "start_timeout"?' ],
	[ 'unknown block', "engin { memory 1g; }\n",
		'1:1: error: unknown directive "engin" in "main"; did you mean'
		. ' "engine"?' ],
	[ 'a directive in the wrong place', "memory 1g;\n",
		'1:1: error: found "memory" in "main"; its place is "engine"' ],
	[ 'a main directive in a block', "stock { slots 2; }\n",
		'1:9: error: found "slots" in "stock"; its place is "main"' ],
	[ 'given twice', "slots 1;\nslots 2;\n",
		'2:1: error: "slots" is given twice; first at c.conf:1' ],
	[ 'a block given twice', "stock { path a; }\nstock { path b; }\n",
		'2:1: error: "stock" is given twice; first at c.conf:1' ],
	[ 'the level given twice', "log stderr debug;\nlog_level info;\n",
		'2:1: error: "log_level" is given twice; first at c.conf:1' ],
	[ 'a directive with a block', "slots 4 { }\n",
		'1:1: error: "slots" has a block; expected ";"' ],
	[ 'a block without braces', "stock;\n",
		'1:1: error: "stock" has no block; expected "{"' ],
	[ 'a block with a word', "stock big { }\n",
		'1:1: error: "stock" has 1 argument; expected "{"' ],
	[ 'no argument', "slots;\n",
		'1:1: error: "slots" has 0 arguments; expected 1 (NUMBER)' ],
	[ 'too many arguments', "pid a b;\n",
		'1:7: error: "pid" has 2 arguments; expected 1 (PATH)' ],

	# values
	[ 'zero', "slots 0;\n",
		'1:7: error: "slots" is "0"; expected a number from 1 to 1024' ],
	[ 'too many', "slots 1025;\n",
		'1:7: error: "slots" is "1025"; expected a number from 1 to 1024' ],
	[ 'negative', "slots -1;\n",
		'1:7: error: "slots" is "-1"; expected a number from 1 to 1024' ],
	[ 'beyond 64 bits', "slots 99999999999999999999;\n",
		'1:7: error: "slots" is "99999999999999999999"; expected a number'
		. ' from 1 to 1024' ],
	[ 'not a number', "slots four;\n",
		'1:7: error: "slots" is "four"; expected a number from 1 to 1024' ],
	[ 'not a flag', "daemon yes;\n",
		'1:8: error: "daemon" is "yes"; expected on or off; did you mean'
		. ' "on"?' ],
	[ 'a time without unit', "drain_timeout 30;\n",
		qq{1:15: error: "drain_timeout" is "30"; expected $time from 0ms to 7d} ],
	[ 'a time too long', "drain_timeout 8d;\n",
		qq{1:15: error: "drain_timeout" is "8d"; expected $time from 0ms to 7d} ],
	[ 'a time too short', "engine { start_timeout 5ms; }\n",
		qq{1:24: error: "start_timeout" is "5ms"; expected $time from 100ms}
		. ' to 10m' ],
	[ 'an unknown unit', "drain_timeout 3w;\n",
		qq{1:15: error: "drain_timeout" is "3w"; expected $time from 0ms to 7d} ],
	[ 'a size too small', "engine { memory 1m; }\n",
		qq{1:17: error: "memory" is "1m"; expected $size from 64m to 1t} ],
	[ 'a size that overflows', "engine { memory 99999999999t; }\n",
		qq{1:17: error: "memory" is "99999999999t"; expected $size from 64m}
		. ' to 1t' ],
	[ 'not one of the words', "log_format jsno;\n",
		'1:12: error: "log_format" is "jsno"; expected text or json; did you'
		. ' mean "json"?' ],
	[ 'a log level that is none', "log error.log loud;\n",
		'1:15: error: "log" is "loud"; expected ' . $levels ],
	[ 'an empty path', "pid '';\n",
		'1:5: error: "pid" is ""; expected PATH' ],
	[ 'a line end in a path', qq{pid "a\\nb";\n},
		'1:5: error: "pid" is "a?b"; expected a text of one line' ],
	[ 'an address to listen on', "monitor { listen localhost:80; }\n",
		'1:18: error: "listen" is "localhost:80"; expected ADDRESS:PORT,'
		. ' [ADDRESS]:PORT or unix:PATH' ],
	[ 'a port to listen on', "monitor { listen 127.0.0.1:70000; }\n",
		'1:18: error: "listen" is "127.0.0.1:70000"; expected ADDRESS:PORT,'
		. ' [ADDRESS]:PORT or unix:PATH' ],
	[ 'nothing to listen on', "monitor { }\n",
		'1:1: error: "monitor" has no "listen"; expected at least one' ],
	[ 'listening twice', "monitor { listen 127.0.0.1:1; listen 127.0.0.1:1; }\n",
		'1:11: error: "listen" has "127.0.0.1:1" twice' ],
	[ 'a network that is none', "network auto { allow 10.0.0.1 10.0.0.0/33; }\n",
		'1:31: error: "allow" is "10.0.0.0/33"; expected an IP address, a'
		. ' network such as 192.168.10.0/24, or a host name' ],
	[ 'an address that is none', "network auto { allow *.a.example 10.0.300.1; }\n",
		'1:34: error: "allow" is "10.0.300.1"; expected an IP address, a'
		. ' network such as 192.168.10.0/24, or a host name' ],
	[ 'a range of ports upside down', "network auto { ports 443 90-80; }\n",
		'1:26: error: "ports" is "90-80"; expected a port from 1 to 65535,'
		. ' or FIRST-LAST' ],
	[ 'a resolver that is a name', "network auto { resolver ns.example:53; }\n",
		'1:25: error: "resolver" is "ns.example:53"; expected the address of'
		. ' a name server, or ADDRESS:PORT' ],
	[ 'an upstream of another kind', "network auto { upstream socks5://a:1; }\n",
		'1:25: error: "upstream" is "socks5://a:1"; expected auto, off or an'
		. ' http:// or https:// URL' ],
	[ 'an upstream with a password', "network auto { upstream http://u:p\@a:1; }\n",
		'1:25: error: found a password in "upstream"; expected it in'
		. ' HTTPS_PROXY' ],
	[ 'names for nobody', "network auto { upstream off names; }\n",
		'1:29: error: "upstream" has "names"; expected nothing behind auto or'
		. ' off' ],
	[ 'a network mode', "network open;\n",
		'1:9: error: "network" is "open"; expected auto,'
		. ' unrestricted, private or strict' ],
	[ 'authorities that are not there', "engine { ca_file no.pem; }\n",
		'1:10: error: "ca_file" is "' . $dir . '/no.pem": No such file'
		. ' or directory; expected a file of certificates (PEM)' ],
	map({ [ "a variable that is ours: $_", "engine { propagate TZ $_; }\n",
		qq{1:23: error: "propagate" is "$_"; expected a variable that}
		. ' apworkerd has no say in (not NODE_*, LD_*, SANDBOX_ID, or an'
		. ' AP_* of its own)' ] } qw(AP_EXECUTION_MODE AP_SANDBOX_WS_TOKEN
		AP_WORKER_TOKEN AP_JWT_SECRET AP_DENO_PATH AP_NETWORK_MODE
		AP_ENFORCE_CONNECTION_PIECE_BINDING NODE_OPTIONS LD_PRELOAD
		SANDBOX_ID)),
	[ 'a variable that is none', "engine { propagate A=1; }\n",
		'1:20: error: "propagate" is "A=1"; expected the name of an'
		. ' environment variable' ],

	# source
	[ 'no source', "slots 1;\n",
		'error: found no source of jobs; expected "source app { ... }" or'
		. ' "source spool { ... }", or AP_FRONTEND_URL and AP_WORKER_TOKEN in'
		. ' the environment', { g => 'engine { bundle main.js; }' } ],
	[ 'two sources', "source spool { path x; }\nsource app { url http://a;"
		. " token t; }\n",
		'2:1: error: a second source: "source spool" is at c.conf:1;'
		. ' expected one', { g => 'engine { bundle main.js; }' } ],
	[ 'an unknown source', "source spol { path x; }\n",
		'1:8: error: "source" is "spol"; expected app or spool; did you mean'
		. ' "spool"?', { g => 'engine { bundle main.js; }' } ],
	[ 'a source without a name', "source { path x; }\n",
		'1:1: error: "source" has 0 arguments; expected 1: NAME',
		{ g => 'engine { bundle main.js; }' } ],
	[ 'an app without url and token', "source app { }\n",
		'1:1: error: found no url of the app; expected "url https://...;" or'
		. ' AP_FRONTEND_URL',
		'1:1: error: found no worker token; expected "token_file FILE;" or'
		. ' AP_WORKER_TOKEN', { g => 'engine { bundle main.js; }',
		env => { AP_CONTAINER_TYPE => 'WORKER' } } ],
	(map { [ "url: $_->[0]", "source app { url $_->[0]; token t; }\n",
		qq{1:18: error: "url" is "$_->[1]"; expected $_->[2]},
		{ g => 'engine { bundle main.js; }' } ] }
		[ 'flows.example.com', 'flows.example.com',
			'a URL that starts with http:// or https://' ],
		[ 'https://', 'https://', 'a host name after the scheme' ],
		[ 'https://a:0', 'https://a:0', 'a port from 1 to 65535 after the host' ],
		[ 'https://a:99999/', 'https://a:99999/',
			'a port from 1 to 65535 after the host' ],
		[ 'https://me:pw@a/', '***', 'a URL without a user name and password' ],
		[ 'https://a/?x', 'https://a/?x', 'a URL without a query and fragment' ],
		[ 'https://[::1', 'https://[::1', '"]" after the address' ]),
	[ 'two tokens', "source app { url http://a; token t; token_file x; }\n",
		'1:37: error: "token_file" is given, and "token" at c.conf:1 too;'
		. ' expected one of them', { g => 'engine { bundle main.js; }' } ],
	(map { [ "token file: $_->[0]",
		"source app { url http://a; token_file $_->[0]; }\n",
		qq{1:39: error: "token_file"$_->[1]},
		{ g => 'engine { bundle main.js; }' } ] }
		[ 'missing', qq{: cannot open "$dir/missing": No such file or directory} ],
		[ 'folder', qq{ is "$dir/folder", which is not a file} ],
		[ 'empty.token', qq{: "$dir/empty.token" is empty; expected a secret} ],
		[ 'two.token', qq{: "$dir/two.token" has a blank or special character}
			. ' in it; expected a secret of one line' ],
		[ 'big.token', qq{ is "$dir/big.token", which is larger than 16384}
			. ' bytes; expected a secret' ]),

	[ 'no certificates', "source app { url http://a; token t; ca_file ca.pem; }\n",
		qq{1:37: error: "ca_file" is "$dir/ca.pem": No such file or directory;}
		. ' expected a file of certificates (PEM)',
		{ g => 'engine { bundle main.js; }' } ],

	# sandbox
	[ 'an unknown mode', "sandbox UNSANDBOX;\n",
		'1:9: error: "sandbox" is "UNSANDBOX"; expected UNSANDBOXED,'
		. ' SANDBOX_CODE_ONLY, SANDBOX_PROCESS, SANDBOX_CODE_AND_PROCESS or'
		. ' auto; did you mean "UNSANDBOXED"?' ],
	[ 'the old name of a mode', "sandbox SANDBOXED;\n",
		'1:9: error: "sandbox" is "SANDBOXED"; expected UNSANDBOXED,'
		. ' SANDBOX_CODE_ONLY, SANDBOX_PROCESS, SANDBOX_CODE_AND_PROCESS or'
		. ' auto; did you mean "SANDBOX_PROCESS"?' ],
	[ 'two modes', "sandbox UNSANDBOXED;\nsandbox SANDBOX_CODE_ONLY;\n",
		'2:1: error: a second sandbox: "sandbox UNSANDBOXED" is at c.conf:1;'
		. ' expected one, or "sandbox auto;" too' ],
	[ 'auto with a block', "sandbox auto { }\n",
		'1:1: error: "sandbox auto" has a block; expected ";"' ],

	# the host
	[ 'no such user', "user nobody-of-this-name;\n",
		'1:1: error: "user" is "nobody-of-this-name"; expected the name of a'
		. ' user of this host' ],
	[ 'no such group', "user root nobody-of-this-name;\n",
		'1:1: error: "user" has the group "nobody-of-this-name"; expected the'
		. ' name of a group of this host' ],
	[ 'no such node', "engine { node missing; }\n",
		'1:10: error: "node" is "missing", and PATH has no such program;'
		. ' expected the Node.js executable' ],
	[ 'no such node by path', "engine { node bin/missing; }\n",
		qq{1:10: error: "node" is "$dir/bin/missing": No such file or directory;}
		. ' expected the Node.js executable' ],
	[ 'node is not executable', "engine { node ./not-a-program; }\n",
		qq{1:10: error: "node" is "$dir/not-a-program": not executable; expected}
		. ' the Node.js executable' ],
	[ 'no such bundle', "engine { bundle missing.js; }\n",
		qq{1:10: error: "bundle" is "$dir/missing.js": No such file or directory;}
		. " expected the engine's main.js", { g => 'source spool { path spool; }' } ],
	[ 'the bundle is a directory', "engine { bundle folder; }\n",
		qq{1:10: error: "bundle" is "$dir/folder": not a file; expected the}
		. " engine's main.js", { g => 'source spool { path spool; }' } ],
	[ 'a bundler that is none', "stock { bundler_path not-a-program; }\n",
		qq{1:9: error: "bundler_path" is "$dir/not-a-program": not executable;}
		. ' expected a program' ],
	[ 'state in the stock', "state cache/state;\nstock { path cache; }\n",
		qq{1:1: error: "state" is inside "path of stock" ("$dir/cache");}
		. ' expected another place' ],
	[ 'the spool in the stock, by a link',
		"source spool { path link/jobs; }\nstock { path spool; }\n",
		qq{1:16: error: "path of source" is inside "path of stock"}
		. qq{ ("$dir/spool"); expected another place},
		{ g => 'engine { bundle main.js; }' } ],
	[ 'one path for two', "state x;\nstock { path ./x/; }\n",
		qq{2:9: error: "state" and "path of stock" are both "$dir/x"; expected}
		. ' different paths' ],
	[ 'the root directory', "state /;\n",
		'1:1: error: "state" is "/"; expected a directory of its own' ],

	# several at once, in the order of the file
	[ 'all at once', "slots 0;\nengine {\n\tmemroy 1g;\n\tnode missing;\n}\n"
		. "daemon maybe;\nstate /;\n",
		'1:7: error: "slots" is "0"; expected a number from 1 to 1024',
		'3:2: error: unknown directive "memroy" in "engine"; did you mean'
		. ' "memory"?',
		'6:8: error: "daemon" is "maybe"; expected on or off',
		'7:1: error: "state" is "/"; expected a directory of its own' ],
);

plan(tests => @cases + 11);

my $all_modes = !grep { !$r->has_mode($_) } qw/UNSANDBOXED
	SANDBOX_CODE_ONLY SANDBOX_PROCESS SANDBOX_CODE_AND_PROCESS/;

for my $case (@cases) {
	my ($name, $text, @want) = @$case;
	my $o = ref $want[-1] ? pop @want : {};
  SKIP: {
	skip 'modes left out of the build', 1
		if $text =~ /^sandbox [A-Z]/ && !$all_modes;
	my ($code, $err) = $r->read_conf($text, %$o);
	my $n = @want;
	my $s = $n == 1 ? '' : 's';
	is("$code\n$err", join("\n", 1, map({
		/^\d/ ? "c.conf:$_" : "c.conf: $_" } @want),
		"apworkerd: c.conf: $n error$s", ''), $name);
  }
}

# Too much of everything.
my ($code, $err) = $r->read_conf("bogus;\n" x 500);
is($code, 1, 'five hundred errors');
is(scalar(() = $err =~ /^c\.conf:/mg), 100, 'a hundred are printed');
like($err, qr/^apworkerd: too many complaints; the first 100 are shown
apworkerd: c\.conf: 500 errors$/m, 'and all are counted');

($code, $err) = $r->read_conf("#\n" x 600000);
like($err, qr/^c\.conf: error: "c\.conf" is larger than 1 MiB/, 'a huge file');

($code, $err) = $r->read_conf("include x*.none;\n" x 10001);
like($err, qr/more than 10000 directives/, 'too many directives');

($code, $err) = $r->read_conf('log ' . 'x ' x 1200 . ";\n");
like($err, qr/"log" has more than 999 arguments/, 'too many arguments');

($code, undef, $err) = $r->run(args => [ '-c', 'missing.conf' ]);
is($err, <<'EOE', 'a file that is not there');
missing.conf: error: cannot open "missing.conf": No such file or directory
apworkerd: missing.conf: 1 error
EOE

($code, undef, $err) = $r->run(args => [ '-c', 'folder' ]);
is($err, <<'EOE', 'a directory');
folder: error: cannot read "folder": Is a directory
apworkerd: folder: 1 error
EOE

($code, $err) = $r->read_conf("slots 4;\n", g =>
	'slotz 2; source spool { path spool; } engine { bundle main.js; }');
is($err, <<'EOE', 'a complaint about the command line says so');
command line:1:1: error: unknown directive "slotz" in "main"; did you mean "slots"?
apworkerd: c.conf: 1 error
EOE

($code, $err) = $r->read_conf('', g => $Test::Apworker::Reader::BASE
	. ' slots 2');
is($err, <<'EOE', 'the command line needs its semicolon, too');
command line:1:64: error: found the end of the text; expected ";" or "{" after "2"
apworkerd: c.conf: 1 error
EOE

($code, $err) = $r->read_conf("slots 0;\n", args => [ '-n', 2 ]);
like($err, qr/^apworkerd: c\.conf: 1 error; the running configuration is unchanged$/m,
	'at a reload nothing changes');
