# Secrets: from a file, a systemd credential or the environment; never printed,
# and complaints about them do not repeat them.

use strict;
use warnings;

use MIME::Base64 ();
use Test::More;
use Test::Apworker::Reader;

my $r = Test::Apworker::Reader->new();
my $dir = $r->dir();
my $g = 'engine { bundle main.js; }';
plan(tests => 24);

# token_file
$r->write('token', "  \n", 0600);
my $conf = "source app { url http://a; token_file token; }\n";
my ($code, $err) = $r->read_conf($conf, g => $g);
is($err, <<"EOE", 'blank');
c.conf:1:39: error: "token_file": "$dir/token" is empty; expected a secret
apworkerd: c.conf: 1 error
EOE

$r->write('token', "s3cret\r\n", 0640);
($code, $err) = $r->read_conf($conf, g => $g);
is($code, 0, 'a line end is no part of it') or diag($err);
unlike($err, qr/warning/, '0640 is private enough');

$r->write('token', "s3cret\n", 0644);
($code, $err) = $r->read_conf($conf, g => $g);
is($code, 0, 'world-readable is a warning');
like($err, qr{^c\.conf:1:28: warning: "token_file": everybody can read "\Q$dir\E/token"; expected mode 0600 or 0640$}m,
	'which says what to do');

SKIP: {
	skip 'root can read everything', 1 if $> == 0;
	$r->write('token', "s3cret\n", 0000);
	($code, $err) = $r->read_conf($conf, g => $g);
	like($err, qr{^c\.conf:1:39: error: "token_file": cannot open "\Q$dir\E/token": Permission denied$}m,
		'unreadable');
}
chmod 0600, "$dir/token";

system('mkfifo', "$dir/fifo") == 0 or die;
($code, $err) = $r->read_conf("source app { url http://a; token_file fifo; }\n",
	g => $g);
like($err, qr{"token_file" is "\Q$dir\E/fifo", which is not a file},
	'a FIFO does not stop us');

# What looks like a secret is not repeated.
for my $case (
	[ 'token "s3cret s3cret";', 'a blank in it' ],
	[ 'token "s3cret\n";', undef ],
	[ 'token s3cret s3cret;', 'two words' ],
	[ 'url http://me:s3cret@a/; token t;', 'a password in a URL' ],
) {
	my ($text, $name) = @$case;
	($code, $err) = $r->read_conf("source app { url http://a; $text }\n",
		g => $g) if $text !~ /url/;
	($code, $err) = $r->read_conf("source app { $text }\n", g => $g)
		if $text =~ /url/;
	is($code, defined $name ? 1 : 0, $name // 'a line end at its end');
	unlike($err, qr/s3cret/, 'not repeated');
}

# systemd credentials
mkdir "$dir/credentials";
my %env = (AP_FRONTEND_URL => 'http://a', CREDENTIALS_DIRECTORY =>
	"$dir/credentials");
(undef, undef, $err) = $r->run(env => { %env }, args => [ '-g', $g ]);
like($err, qr/^environment: error: found no worker token; /m,
	'a directory without it is no credential');
$r->write('credentials/worker-token', "s3cret-of-systemd\n", 0400);
my ($d) = $r->dump_conf(undef, env => { %env }, args => [ '-g', $g ]);
is_deeply($d->{'source app/token_file'}, [ "$dir/credentials/worker-token",
	'environment CREDENTIALS_DIRECTORY' ], 'a credential');
($d) = $r->dump_conf(undef, env => { %env, AP_WORKER_TOKEN => 's3cret' },
	args => [ '-g', $g ]);
is_deeply([ $d->{'source app/token'}[1], $d->{'source app/token_file'} ],
	[ 'environment AP_WORKER_TOKEN', undef ], 'AP_WORKER_TOKEN wins over it');
($d, $err) = $r->dump_conf($conf, g => $g, env => { %env,
	AP_WORKER_TOKEN => 's3cret' });
is($d->{'source app/token_file'}[1], 'c.conf:1', 'token_file wins over both');

# Of another kind: the app would accept it and then say nothing.
sub jwt {
	my $claims = MIME::Base64::encode_base64url(
		$_[0] =~ /^\{/ ? $_[0] : qq({"id":"x","type":"$_[0]"}));
	return "eyJhbGciOiJIUzI1NiJ9.$claims.c2lnbmF0dXJl";
}
for my $case ([ 'WORKER', 0 ], [ 'USER', 1 ], [ 'ENGINE', 1 ],
	[ '{"id":"x"}', 0 ])
{
	my ($type, $want) = @$case;
	($code, $err) = $r->read_conf(
		"source app { url http://a; token " . jwt($type) . "; }\n", g => $g);
	is($code, $want, "a token with $type");
	next unless $type eq 'USER';
	like($err, qr/^c\.conf:1:\d+: error: found a token of type "USER"; expected one of type "WORKER"$/m,
		'the complaint');
}
