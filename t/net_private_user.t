#!/usr/bin/perl

# Private as an ordinary user, where /dev/net/tun is everybody's, as on most
# hosts: net_private.t, all of it.  Here that file may be root's alone, so that
# the test makes one of its own in a /dev that nobody else sees.

use strict;
use warnings;

use FindBin;

if ($> == 0 && !$ENV{APW_TEST_TUN}) {
	$ENV{APW_TEST_TUN} = 1;
	exec 'unshare', '-m', '--propagation', 'private', '--', 'sh', '-c',
		'mkdir -p /dev/net && mount -t tmpfs -o mode=0755 tun /dev/net '
		. '&& mknod -m 0666 /dev/net/tun c 10 200 && exec "$@"', 'sh',
		$^X, (map { "-I$_" } @INC), $0, @ARGV;
	die "unshare: $!";
}
$ENV{APW_TEST_DAEMON_USER} = 'nobody' if $> == 0;
do "$FindBin::Bin/net_private.t" or die $@ || $!;
