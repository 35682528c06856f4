#!/usr/bin/perl

# Open files: a soft limit is raised to what the configuration needs; a hard
# one that does not allow that is refused, by -t, the start and a reload, with
# what is needed and what there is.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Util;

my $t = Test::Apworker->new()
	->has(qw/daemon node node_modules esbuild userns prlimit/)->plan(15);

sub conf {
	my ($more) = @_;
	return $t->write_app_conf(mode => 'SANDBOX_PROCESS', %{ $more || {} });
}

sub limited {
	my ($limit, @args) = @_;
	$t->write_conf_now();
	return $t->run_command([ 'prlimit', "--nofile=$limit", $t->command(@args) ]);
}

conf();
my $api = $t->api();
for my $hard (64, 500) {
	my ($code, $out, $err) = limited("$hard:$hard", '-t');
	is($code, 1, "hard limit $hard: refused by -t");
	like($err, qr/512 open files are needed.* hard limit is $hard\b/,
		'with what is needed and what there is');
}
my ($code, undef, $err) = limited('64:64');
is($code, 1, 'and not started');
like($err, qr/512 open files are needed/, 'with the same words');
is((limited('64:512', '-t'))[0], 0, 'a soft limit of 64 is none');

# It works under it, with boxes, and at the hard limit that is just enough.
$t->{as} = [ 'prlimit', '--nofile=64:512' ];
$t->run();
is($api->push_job(flow_job(id => 'j1', engine => [ { do => 'answer' } ]))
	->wait_done('j1')->{status}, 'OK', 'a job runs in a box');
my ($slot) = $t->slots();
my ($soft, $now) = slurp("/proc/$slot->{pid}/limits") =~
	/^Max open files\s+(\d+)\s+(\d+)/m;
is("$soft $now", '512 512', 'the soft limit was raised');
unlike($t->log(), qr/cannot close what is not its own/, 'nothing misleads');

# More than that is refused while it runs.
conf({ main => 'slots 200;' });
$t->write_conf($t->{conf} =~ s/^slots 1;\n//r);
$t->write_conf_now();
($code, undef, $err) = $t->ctl('reload');
is($code, 1, 'a reload that needs more is refused');
like($err, qr/1664 open files are needed/, 'with how many');
is($api->push_job(flow_job(id => 'j2', engine => [ { do => 'answer' } ]))
	->wait_done('j2')->{status}, 'OK', 'and changes nothing');
conf({ engine => 'standby 1;' });
$t->write_conf_now();
is(($t->ctl('reload'))[0], 0, 'one that fits is taken');
is($api->settled('j2'), 1, 'once');
