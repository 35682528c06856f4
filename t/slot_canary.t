#!/usr/bin/perl

# A reload with real slots: the new configuration has to fetch the app's
# settings and to boot an engine before it is taken; the old slots work on.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;

my $t = Test::Apworker->new()->has(qw/daemon node node_modules esbuild/)
	->plan(12);
my $n = 0;
sub conf {
	my (%o) = @_;
	my $engine = 'max_jobs ' . (1000 + ++$n) . '; ' . ($o{engine} || '');
	return $t->write_app_conf(slots => 2, %o, engine => $engine);
}
conf();
my $api = $t->api(poll_ms => 1000);
$t->run();
$t->wait_status(sub { $_->{slots_able} == 2 });
my %old = map { $_->{pid} => 1 } $t->slots();

sub work {
	my ($id) = @_;
	$api->push_job(flow_job(id => $id, engine => [ { do => 'answer' } ]));
	return $api->wait_done($id)->{status};
}

# an engine that does not come up

conf();
$t->write_conf($t->{conf} =~ s{\bnode \S+;}{node /bin/false;}r);
my ($code, undef, $err) = $t->ctl('reload', '--wait');
is($code, 1, 'no engine: refused');
like($err, qr/no engine comes up/, 'with the reason');
is(work('j1'), 'OK', 'the old slots work on');

# another app, where nobody is

conf(url => 'http://127.0.0.1:9', main => 'reload_timeout 3s;');
($code, undef, $err) = $t->ctl('reload');
is($code, 1, 'no app: refused');
like($err, qr/within reload_timeout: connecting/, 'with the state');
is(work('j2'), 'OK', 'the old slots work on');
ok($t->wait_status(sub { !grep { !$old{ $_->{pid} } } @{ $_->{slots} } }),
	'the same ones');

# a good one

conf();
is(($t->ctl('reload'))[0], 0, 'a good one is taken');
ok($t->wait_status(sub { $_->{slots_able} == 2 && !grep { $old{ $_->{pid} } }
	@{ $_->{slots} } }), 'and all slots are new');
like($t->log(), qr/the new configuration works/, 'one of them has shown it');
is(work('j3'), 'OK', 'they work');
my @handed = $api->seen(kind => 'handed');
is(scalar(@handed), 3, 'no job went out twice');
