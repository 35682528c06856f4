#!/usr/bin/perl

# Jobs that bring a piece and no flow: properties, validation and refresh of a
# connection, what a piece says about itself.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my %piece = (packageType => 'REGISTRY', pieceType => 'OFFICIAL',
	pieceName => '@activepieces/piece-a', pieceVersion => '0.1.0');
my %family = (
	property => { jobType => 'EXECUTE_PROPERTY', projectId => 'p1',
		propertyName => 'channel', actionOrTriggerName => 'send',
		input => {}, sampleData => { step_1 => {} },
		searchValue => 'pea', flowVersion => { id => 'fv1' } },
	validation => { jobType => 'EXECUTE_VALIDATION', projectId => 'p1',
		connectionValue => { type => 'SECRET_TEXT',
			secret_text => 'geheim' } },
	refresh => { jobType => 'EXECUTE_TOKEN_REFRESH',
		connectionValue => { type => 'OAUTH2', token => 'geheim' } },
	extract => { jobType => 'EXECUTE_EXTRACT_PIECE_INFORMATION' },
);
my @families = qw/property validation refresh extract/;

sub job {
	my ($id, $family, %data) = @_;
	return { jobId => $id, attempsStarted => 0,
		engineToken => "engine-token-$id", jobData => {
		schemaVersion => 10, platformId => 'pl1', requestId => $id,
		webserverId => 's1', piece => \%piece, %{ $family{$family} },
		%data } };
}

sub told {
	my ($done) = @_;
	return join ' ', $done->{status} // 'nothing',
		grep { exists $done->{$_} } qw/errorMessage logs response/;
}

my $dying = { do => 'real_stderr', text => "said\n" };
my $FAIL = 'INTERNAL_ERROR errorMessage logs';
my @cases = (
	# name, engine, property, validation, refresh, extract
	[ ok => [ { do => 'stdout', text => "said\n" }, { do => 'answer',
		value => { status => 'OK', response => { valid => \1 } } } ],
		('OK logs response') x 4 ],
	[ internal => [ { do => 'answer', value => {
		status => 'INTERNAL_ERROR', error => 'broken' } } ],
		('INTERNAL_ERROR errorMessage') x 4 ],
	[ user => [ { do => 'answer', value => {
		status => 'USER_FAILURE', error => 'broken' } } ],
		('USER_FAILURE errorMessage') x 4 ],
	[ limit => [ { do => 'never' } ], ('TIMEOUT response') x 3,
		'INTERNAL_ERROR errorMessage' ],
	[ exit => [ $dying, { do => 'exit', code => 7 } ], ($FAIL) x 4 ],
	[ memory => [ $dying, { do => 'exit', code => 134 } ], ($FAIL) x 4 ],
);

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->write_app_conf();
# one engine after the other: it does what its list says, job by job
my (@starts, @list);
for my $case (@cases) {
	for (@families) {
		push @list, $case->[1];
		next if $case->[0] !~ /limit|exit|memory/;
		push @starts, { operations => [ @list ] };
		@list = ();
	}
}
push @starts, { operations => [ [ { do => 'answer', value => {
	status => 'OK', response => 1 } } ] ] };
$t->engine(starts => \@starts);
my $api = $t->api(settings => { TRIGGER_TIMEOUT_SECONDS => 60 }, pieces => [
	{ name => '@activepieces/piece-a', version => '0.1.3' } ]);
$t->run();

my %late = (property => {}, refresh => { skipped => JSON::PP::true },
	validation => { valid => JSON::PP::false,
		error => 'Validation timed out' });

# From the next connection on.
sub limit {
	my $seen = $api->seen(kind => 'settings');
	$api->settings(TRIGGER_TIMEOUT_SECONDS => $_[0]);
	$api->act('drop');
	$api->wait_seen(kind => 'settings', n => $seen + 1);
}

for my $case (@cases) {
	my ($name, undef, @want) = @$case;
	limit(2) if $name eq 'limit';
	for my $family (@families) {
		$api->push_job(job("$name-$family", $family));
		my $done = $api->wait_done("$name-$family");
		is(told($done), shift @want, "$family: $name")
			or diag(json($done));
		is_deeply($done->{response}, $late{$family},
			"$family: answer of a time limit") if $name eq 'limit'
			&& $late{$family};
	}
	limit(60) if $name eq 'limit';
}

# What the engine is asked.
my %base = (platformId => 'pl1', timeoutInSeconds => 60,
	internalApiUrl => $api->url() . '/api/',
	publicApiUrl => 'http://127.0.0.1/api/');
my %secret = map { $_ => $family{$_}{connectionValue} } @families;
my %want = (
	property => [ EXECUTE_PROPERTY => { %base, piece => \%piece,
		engineToken => 'engine-token-ok-property',
		map { $_ => $family{property}{$_} } qw/projectId propertyName
		actionOrTriggerName input sampleData searchValue flowVersion/ } ],
	validation => [ EXECUTE_VALIDATE_AUTH => { %base, piece => \%piece,
		engineToken => 'engine-token-ok-validation',
		auth => $secret{validation} } ],
	refresh => [ EXECUTE_REFRESH_TOKEN_AUTH => { %base, piece => \%piece,
		engineToken => 'engine-token-ok-refresh',
		auth => $secret{refresh} } ],
	extract => [ EXTRACT_PIECE_METADATA => { %piece, platformId => 'pl1',
		timeoutInSeconds => 60 } ],
);
my @ops = $t->engine()->records('operation');
is_deeply([ map { [ @$_{qw/type operation/} ] } @ops[0 .. 3] ],
	[ @want{@families} ], 'operations');
my @none;
is(scalar(@none = $api->calls('getPiece')), 0, 'the job says what the piece is');
is(scalar(@none = $api->calls('getFlowVersion')), 0, 'no flow is asked for');
unlike($t->log(), qr/geheim/, 'a secret is in no log');

# A version that is not exact is the app's to say.
$api->push_job(job('range', 'property', piece => { %piece,
	pieceVersion => '~0.1.0' }), job('exact', 'validation'));
is($api->wait_done('range')->{status}, 'INTERNAL_ERROR', 'no such range');
like($api->wait_done('range')->{errorMessage}, qr/~0\.1\.0 does not exist/,
	'message');
is(scalar(@none = $api->calls('disableFlow')), 0, 'no flow is disabled');
is($api->wait_done('exact')->{status}, 'OK', 'the next one is fine');

# What cannot be installed, or read.
my $bad = 0;
$t->tool('bun', { exit => 1, stderr => "no such package\n" });
for my $case (
	[ 'no package', { %piece, pieceVersion => '9.9.9' }, qr/no such package/ ],
	[ 'path in the name', { %piece, pieceName => '../../etc' }, qr/./ ],
	[ 'path in the version', { %piece, pieceVersion => '1.0.0/../x' }, qr/./ ],
	[ 'NUL in the name', { %piece, pieceName => "a\0b" }, qr/piece/ ],
	[ 'number', { %piece, pieceName => 7 }, qr/piece/ ],
	[ 'empty', {}, qr/VALIDATION: jobData\.piece/ ],
	[ 'no object', 'piece', qr/VALIDATION: jobData\.piece is a string/ ],
	[ 'null', undef, qr/VALIDATION: jobData\.piece is missing|null/ ],
	[ 'archive without its id', { %piece, packageType => 'ARCHIVE' },
		qr/VALIDATION/ ],
	[ 'archive that is gone', { %piece, packageType => 'ARCHIVE',
		pieceType => 'CUSTOM', archiveId => 'a1', platformId => 'pl1' },
		qr/getPieceArchive.*no archive a1/ ]) {
	my ($name, $piece, $message) = @$case;
	my $id = 'bad' . ++$bad;
	$api->push_job(job($id, $families[$bad % 4], piece => $piece));
	my $done = $api->wait_done($id);
	is(told($done), 'INTERNAL_ERROR errorMessage', "$name: completed");
	like($done->{errorMessage}, $message, "$name: message");
}
is(scalar(my @d = $api->calls('getPieceArchive')), 1, 'asked for one archive');
