#!/usr/bin/perl

# From 0.86 on the app says where the package of a piece is: it gives it, or
# leads to another server, which gets no token, or to the registry, where the
# installer goes by itself.  What it does not have comes otherwise.

use strict;
use warnings;

use MIME::Base64;
use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules/)
	->plan(26)->write_app_conf(main => 'network auto { allow 127.0.0.1; }');
my $n = 0;
my @names = qw/given cdn moved npm none page loop away plain own private
	pack archive again/;
my $api = $t->api(release => '0.88.3', pieces => [ map { {
	name => "\@x/piece-$_", version => '0.1.0',
	/^(?:private|archive)$/ ? (packageType => 'ARCHIVE', pieceType =>
	'CUSTOM', archiveId => "id-$_", platformId => 'pl1') : () } } @names ]);
my $cdn = Test::Apworker::App->new($t, release => '0.88.3');
my $tgz = "\x1f\x8bnot that anybody looks";
my $url = $cdn->url();
$api->settings(PUBLIC_URL => $api->url());
$t->run();

# What the app has of a piece.
sub gives {
	my ($name, %o) = @_;
	$o{text} = encode_base64($o{text}, '') if exists $o{text};
	$api->ask(package => { name => $o{id} || "\@x/piece-$name\@0.1.0", %o });
}

# Where the installer has it from: the file that it was given, or a version.
sub installed {
	my ($name, %o) = @_;
	my $id = "$name-" . ++$n;
	$api->push_job(flow_job(id => $id, step => piece_step(
		piece => "\@x/piece-$name", version => '0.1.0')));
	my $done = $api->wait_done($id);
	return $done->{errorMessage} // $done->{status}
		if $done->{status} ne 'OK';
	my $dir = $t->testdir() . "/stock/v12/common/pieces/"
		. "\@x/piece-$name-0.1.0";
	slurp("$dir/node_modules/\@x/piece-$name/src/index.js")
		=~ /\@([^\@']*)';$/ or return 'nothing';
	my $from = $1;
	return $from unless $from =~ m{^file:\./(.*)};
	return $from . (slurp("$dir/$1") eq $tgz ? '' : ' of other bytes');
}

sub asked {
	my ($of, $what) = @_;
	return grep { index($_->{url}, $what) >= 0 } $of->seen(kind => 'http');
}

# It is there.
gives('given', text => $tgz);
is(installed('given'), 'file:./bundle.tgz', 'given by the app');
my ($got) = asked($api, 'pieces/bundle');
is($got->{url}, '/api/v1/engine/pieces/bundle?name=%40x%2Fpiece-given'
	. '&version=0.1.0', 'who was asked for it by name and version');
is($got->{headers}{authorization}, 'Bearer engine-token-given-1',
	'with the token of the job\'s engine');
is(installed('given'), 'file:./bundle.tgz', 'the next job');
is(scalar(() = asked($api, 'pieces/bundle')), 1, 'asks no more');

# It is somewhere else.
$cdn->ask(package => { name => '@c/cdn@1', text => encode_base64($tgz, ''),
	open => \1 });
gives('cdn', to => "$url/api/v1/engine/pieces/bundle?name=\@c/cdn&version=1");
is(installed('cdn'), 'file:./bundle.tgz', 'on another server');
($got) = $cdn->seen(kind => 'http');
is($got->{headers}{authorization}, undef, 'which is shown no token');
gives('moved', to => '/api/v1/engine/pieces/bundle?archiveId=id-moved');
gives('moved', id => 'id-moved', text => $tgz);
is(installed('moved'), 'file:./bundle.tgz', 'elsewhere on the app\'s server');
is(($api->seen(kind => 'http'))[-1]{headers}{authorization},
	'Bearer engine-token-moved-4', 'which is shown it again');

# The registry has it.
gives('npm', to => 'https://registry.npmjs.org/@x/piece-npm/-/'
	. 'piece-npm-0.1.0.tgz');
is(installed('npm'), '0.1.0', 'the registry\'s is left to the installer');

# The app has not, or not what it should be.
my $before = () = asked($api, 'pieces/bundle');
is(installed('none'), '0.1.0', 'what the app does not know');
is(scalar(() = asked($api, 'pieces/bundle')), $before + 1,
	'is asked for once');
gives('page', text => '<html>Welcome</html>');
is(installed('page'), '0.1.0', 'a page in its place');
gives('loop', to => '/api/v1/engine/pieces/bundle?name=@x/piece-loop'
	. '&version=0.1.0');
$before = () = asked($api, 'pieces/bundle');
is(installed('loop'), '0.1.0', 'one that leads to itself');
is(scalar(() = asked($api, 'pieces/bundle')), $before + 6,
	'is followed five times');
gives('away', to => 'http://127.0.0.2:' . $cdn->{port} . '/x.tgz');
is(installed('away'), '0.1.0', 'one that leads to an address that is closed');
ok($t->wait_log(qr/127\.0\.0\.2/), 'as the log says');
gives('plain', to => 'ftp://127.0.0.1/x.tgz');
is(installed('plain'), '0.1.0', 'one that leads to no URL');

# Archives.
$api->piece(name => '@x/piece-archive', version => '0.1.0', packageType =>
	'ARCHIVE', pieceType => 'CUSTOM', archiveId => 'id-archive',
	platformId => 'pl1', archive => encode_base64($tgz, ''));
is(installed('archive'), 'file:./id-archive.tgz', 'an archive');
like(($api->seen(kind => 'http'))[-1]{url}, qr/\?archiveId=id-archive$/,
	'is asked for by its id');
is(scalar(() = $api->calls('getPieceArchive')), 0, 'and by nothing else');
like(installed('private'), qr/^Failed\ to\ fetch\ piece\ bundle
	\ \@x\/piece-private\@0\.1\.0:\ status\ 404\ Not\ Found;
	\ getPieceArchive/x, 'one that nobody has');
$api->piece(name => '@x/piece-pack', version => '0.1.0', packageType =>
	'ARCHIVE', pieceType => 'CUSTOM', archiveId => 'id-pack',
	platformId => 'pl1', archive => encode_base64($tgz, ''));
gives('pack', id => 'id-pack', status => 500);
is(installed('pack'), 'file:./id-pack.tgz', 'one that comes by a call alone');
is(scalar(() = $api->calls('getPieceArchive')), 2, 'asked for then');

# Nobody is at the public URL.
$api->settings(PUBLIC_URL => 'http://127.0.0.1:9/');
$api->act('drop');
$api->wait_seen(kind => 'settings', n => 2);
gives('own', text => $tgz);
is(installed('own'), 'file:./bundle.tgz', 'by the app\'s own address');
gives('again', text => $tgz);
is(installed('again'), 'file:./bundle.tgz', 'and again');
