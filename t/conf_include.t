# include: patterns in the order of names, in any context, relative to the
# file that includes; no circles, no bottomless depth.

use strict;
use warnings;

use Test::More;
use Test::Apworker::Reader;

my $r = Test::Apworker::Reader->new();
my $dir = $r->dir();
plan(tests => 20);

mkdir "$dir/conf.d";
$r->write('conf.d/10-a.conf', "slots 7;\n");
$r->write('conf.d/20-b.conf', "engine { include engine.inc; }\n");
$r->write('conf.d/engine.inc', "bundle main.js;\nmemory 256m;\n");
$r->write('conf.d/ignored', "broken\n");
my $spool = 'source spool { path spool; }';

my ($d, $err, $out, $code) = $r->dump_conf("include conf.d/*.conf;\n",
	g => $spool);
is($code, 0, 'a pattern') or diag($err);
is_deeply($d->{'main/slots'}, [ '7', 'conf.d/10-a.conf:1' ], 'first file');
is_deeply($d->{'engine/memory'}, [ '256m', 'conf.d/engine.inc:2' ],
	'in a block, relative to the file that includes');
is($d->{'engine/bundle'}[0], "$dir/main.js",
	'paths are relative to the main file');

($d, $err, $out, $code) = $r->dump_conf("include $dir/conf.d/[1]*.conf;\n");
is($d->{'main/slots'}[0], 7, 'an absolute pattern');

($d, $err, $out, $code) = $r->dump_conf("include none.d/*.conf;\n");
is($code, 0, 'a pattern without files is no error');

$r->write('conf.d/30-c.conf', "slots 8;\nslotz 1;\n");
(undef, $err) = $r->read_conf("include conf.d/*.conf;\n", g => $spool);
is($err, <<'EOE', 'complaints name the included file');
conf.d/30-c.conf:1:1: error: "slots" is given twice; first at conf.d/10-a.conf:1
conf.d/30-c.conf:2:1: error: unknown directive "slotz" in "main"; did you mean "slots"?
apworkerd: c.conf: 2 errors
EOE
unlink "$dir/conf.d/30-c.conf";

check('a file that is not there', "slots 1;\ninclude missing.inc;\n",
	'c.conf:2:9: error: cannot open "missing.inc": No such file or directory');
check('a directory', "include conf.d;\n",
	'c.conf:1:9: error: cannot read "conf.d": Is a directory');
check('a device', "include /dev/zero;\n",
	'c.conf:1:9: error: cannot read "/dev/zero": it is not a regular file');
check('a file that includes itself', "include c.conf;\n",
	'c.conf:1:9: error: "c.conf" includes itself');
$r->write('a.inc', "include b.inc;\n");
$r->write('b.inc', "include ./a.inc;\n");
check('a circle of two', "include a.inc;\n",
	'b.inc:1:9: error: "./a.inc" includes itself');
symlink 'c.conf', "$dir/other.conf";
check('a circle through a link', "include other.conf;\n",
	'c.conf:1:9: error: "other.conf" includes itself');

$r->write("deep$_.inc", "include deep" . ($_ + 1) . ".inc;\n") for 1 .. 12;
check('too deep', "include deep1.inc;\n",
	'deep7.inc:1:9: error: files include each other more than 8 deep');

mkdir "$dir/many";
$r->write("many/$_.inc", '') for 100 .. 299;
check('too many files', "include many/*.inc;\n",
	'c.conf:1:9: error: "include" reads more than 128 files');

check('no argument', "include;\n",
	'c.conf:1:1: error: "include" has 0 arguments; expected 1 (a path)');
check('a block', "include x { }\n",
	'c.conf:1:1: error: "include" has a block; expected ";"');

SKIP: {
	skip 'root can read everything', 1 if $> == 0;
	$r->write('secret.inc', '', 0000);
	check('a file that we may not read', "include secret.inc;\n",
		'c.conf:1:9: error: cannot open "secret.inc": Permission denied');
}

# A reload must not hang on a FIFO, nor any include.
system('mkfifo', "$dir/fifo.inc") == 0 or die;
check('a FIFO', "include fifo.inc;\n",
	'c.conf:1:9: error: cannot read "fifo.inc": it is not a regular file');
(undef, undef, $err) = $r->run(args => [ '-n', 2, '-c', 'fifo.inc' ]);
like($err, qr/^fifo\.inc: error: cannot read "fifo.inc": it is not a regular file$/m,
	'a FIFO at a reload');

sub check {
	my ($name, $text, $want) = @_;
	my ($code, $got) = $r->read_conf($text);
	is("$code\n$got", "1\n$want\napworkerd: c.conf: 1 error\n", $name);
}
