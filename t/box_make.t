#!/usr/bin/perl

# A box around a command: what is in it, how it ends, what is admitted to it,
# and that nothing of it is left for the next one.

use strict;
use warnings;

use Test::More;

use lib 't/lib', 'lib';
use Test::Apworker;
use Test::Apworker::Box;

my $t = Test::Apworker->new()->has(qw/linux userns node/);

for my $box (Test::Apworker::Box::everybody($t)) {
	my $who = $box->name();
	inside($box, $who);
	ends($box, $who);
	admits($box, $who);
	network($box, $who);
	forgets($box, $who);
}

sub inside {
	my ($box, $who) = @_;

	is($box->sh([], 'id -u; id -un; hostname; pwd; echo $HOME; umask'),
		"1000\nbox\nbox\n/root\n/tmp/\n0077", "$who: who and where");
	is($box->sh([], 'ls -A /'), join("\n", sort
		grep { $_ ne 'lib32' && $_ ne 'lib64' && $_ ne 'libx32'
			|| -e "/$_" }
		qw/bin box dev etc lib lib32 lib64 libx32 proc root sbin tmp
		usr/), "$who: nothing else at the root");
	is($box->sh([], 'ls -A /root /root/codes /root/custom_pieces /tmp'),
		"/root:\ncodes\ncommon\ncustom_pieces\n\n/root/codes:\n\n"
		. "/root/custom_pieces:\n\n/tmp:", "$who: nothing admitted");
	is($box->sh([], 'cat /root/common/main.js'), 'engine',
		"$who: the engine is there");
	is($box->sh([], 'cat /proc/[0-9]*/comm'), "apw-box\nsh",
		"$who: init, and what it runs");
	like($box->sh([], 'grep -E "^(Cap|NoNew|Seccomp:)" /proc/self/status'
		. ' | cut -f2 | sort -u | tr "\n" " "'),
		qr/^0000000000000000 1 2 $/, "$who: no capability, no new "
		. 'privileges, a filter');
	is($box->sh([], 'grep -vc " ro," /proc/self/mountinfo'),
		$box->sh([ '-d' ], 'true') =~ /memory/ ? 7 : 6,
		"$who: only devices and /tmp are writable");
	my ($code, $out) = $box->run([], '/usr/bin/env');
	is($out, "PATH=/usr/bin:/bin\nHOME=/tmp/\n", "$who: the environment "
		. 'is what was given');
	is($box->sh([], 'cat /proc/1/environ 2>&1 | tail -1'),
		'cat: /proc/1/environ: Permission denied',
		"$who: init's is closed");
}

sub ends {
	my ($box, $who) = @_;

	is(($box->run([], '/bin/sh', '-c', "exit $_"))[0], $_,
		"$who: exit $_") for 0, 1, 7, 134;
	is($box->end('told'), 1, "$who: and init told");
	my $node = Test::Apworker::Has::find('node');
	my @node = $node =~ m{^/usr/} ? ([], $node)
		: ([ '-N', $node ], '/box/node');
	is(($box->run(@node, '-e', 'process.abort()'))[0], 134,
		"$who: node's abort is an abort");
	is($box->end('signal'), 6, "$who: by its signal");
	is(($box->run(@node, '-e', 'process.memoryUsage().rss > 0 &&'
		. 'os.cpus().length || process.exit(3)'))[0], 0,
		"$who: node sees its memory and the processors");
	is(($box->run([], '/bin/sh', '-c', 'kill -9 $$'))[0], 137,
		"$who: killed from inside");
	is($box->end('oom_kills'), 0, "$who: which is no memory kill");
	my ($code, $out, $err) = $box->run([], '/nowhere');
	is("$code $err", "125 box-tool: a box cannot execute its command: "
		. "No such file or directory\n", "$who: no such command");
	($code) = $box->run([ '-k', 100 ], '/bin/sh', '-c',
		'sleep 100 & sleep 100');
	is($code, 137, "$who: killed by the broker");
	# what is left running when the command ends, ends
	is($box->sh([], 'setsid sleep 100 & echo started'), 'started',
		"$who: a daemon does not keep the box");
}

sub admits {
	my ($box, $who) = @_;

	is($box->sh([ '-f', 'mine', '-x', 'p1' ], 'cat /root/codes/mine/*/* '
		. '/root/custom_pieces/*; ls /root/codes'), "mine\none\nmine",
		"$who: what was admitted before");
	for my $bad ('..', '.', '', 'a/b', '../other', "x\ny") {
		my ($code, $out, $err) = $box->run([ '-f', $bad ], '/bin/true');
		like($err, qr/no name of a folder/, "$who: not '$bad'");
	}
	is(($box->run([ '-f', 'unknown' ], '/bin/true'))[0], 0,
		"$who: a flow without code");
	symlink '/etc', $box->dir() . '/codes/trick' or die $!;
	my ($code, $out, $err) = $box->run([ '-f', 'trick' ], '/bin/true');
	like($err, qr/code of trick/, "$who: a link is not followed");
	unlink $box->dir() . '/codes/trick';

	$box->start([ '-I' ], '/bin/sh', '-c', 'echo up; i=0; while ! test -e '
		. '/root/codes/mine/step_1; do i=$((i+1)); test $i -lt 200 || '
		. 'exit 1; sleep 0.05; done; ls /root/codes; '
		. 'while ! test -e /root/codes/other; do sleep 0.05; done; '
		. 'ls /root/codes; touch /root/codes/other/x; echo tried; '
		. 'sleep 100');
	$box->wait_out(qr/^up$/m);
	$box->say('flow mine');
	ok($box->wait_out(qr/^mine$/m), "$who: it appears in a running box");
	$box->say('flow other');
	ok($box->wait_out(qr/^other$/m), "$who: and the next in its place");
	$box->wait_out(qr/^tried$/m);
	$box->say('kill');
	($code, $out, $err) = $box->done();
	# the box may be quicker than who tells that it was admitted
	my @said = split /\n/, $out;
	is(join(' ', (grep { !/^admit/ } @said), scalar grep { /^admit 1$/ }
		@said), 'up mine other tried kill 2', "$who: only one at a time");
	like($err, qr/Read-only file system/, "$who: read-only");
}

sub network {
	my ($box, $who) = @_;

	is($box->sh([ '-n' ], 'cat /proc/net/dev | tail -n +3 | cut -d: -f1 '
		. '| tr -d " "; cat /proc/net/route | tail -n +2'), 'lo',
		"$who: loopback, no route");
	$box->start([ '-n', '-I' ], '/usr/bin/perl', '-MIO::Socket::INET',
		'-e', 'for my $p (52001, 52000) { my $s = '
		. 'IO::Socket::INET->new("127.0.0.1:$p") or die "$p $!"; '
		. 'print "$p ", scalar <$s> }');
	$box->say('link');
	$box->say('proxy');
	my ($code, $out, $err) = $box->done();
	is("$code $err" =~ s/box:.*\n//r, '0 ', "$who: connects");
	is(join(' ', sort split /\n/, $out), '52000 hello 52001 hello accept '
		. 'accept', "$who: to the slot's listeners in the box");
}

sub forgets {
	my ($box, $who) = @_;

	my ($code, $out, $err) = $box->run([ '-r', 5 ], '/bin/sh', '-c',
		'ls -A /tmp /dev/shm/ | grep left; touch /tmp/left; '
		. 'ipcmk -M 100 >/dev/null 2>&1; ipcs -m | grep -c 0x');
	unlike($out . $err, qr/left/, "$who: no file for the next box");
	unlike($out, qr/^2$/m, "$who: no shared memory either");
}
