#!/bin/sh
# What a box costs: around /bin/true beside a bare fork and exec, and with a
# network of its own; admission; kill.  Medians of N (default 200) in one run;
# absolute times are the machine's, the ratios are ours.
#
#	sh contrib/bench/box.sh [N]		after a build without sanitizers
#
# Where `isolate` is on PATH, or named by ISOLATE, and we are root, the same
# box is made with it beside: the same mounts, cleaned up, made and run, as one
# does for a job.
set -eu

cd "$(dirname "$0")/../.."
n=${1:-200}
tool=${BOX_TOOL:-t/bin/box-tool}
[ -x "$tool" ] || make "$tool" >/dev/null
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p "$dir/common" "$dir/codes/flow"

box() {
	"$tool" -c "$dir/common" -C "$dir/codes" "$@"
}
# "wall_us W cpu_us C": both numbers beside those of the floor
line() {
	echo "$2" | awk -v what="$1" -v w0="$3" -v c0="$4" '{
		printf "%-34s %8d us wall  %5.2fx  %8d us CPU  %5.2fx\n",
		    what, $2, $2 / w0, $4, $4 / c0 }'
}

# links into /usr are folders to it; its /box is our /tmp
isolated() {
	set -- ';' --run --processes=64 --no-default-dirs --dir=usr=/usr \
		--dir=bin=/usr/bin --dir=sbin=/usr/sbin --dir=lib=/usr/lib \
		--dir=lib32=/usr/lib32:maybe --dir=lib64=/usr/lib64:maybe \
		--dir=libx32=/usr/libx32:maybe --dir=proc=proc:fs \
		--dir=dev=/dev:dev:norec --dir=etc/ssl/certs=/etc/ssl/certs:maybe \
		--dir=etc/alternatives=/etc/alternatives:maybe \
		--dir=etc/pki=/etc/pki/tls/certs:maybe \
		--dir=root/common="$dir/common" \
		--dir=root/codes/flow="$dir/codes/flow" --dir=box=./box:rw \
		--share-net -- /bin/true
	shift
	"$tool" -c "$dir/common" -C "$dir/codes" -B "$n" \
		"$isolate" --cleanup ';' "$isolate" --init ';' "$isolate" "$@"
}
isolate=${ISOLATE:-$(command -v isolate || true)}
[ "$(id -u)" = 0 ] || isolate=

for round in 1 2 3; do
	bare=$(box -B "$n" /bin/true)
	w0=$(echo "$bare" | awk '{ print $2 }')
	c0=$(echo "$bare" | awk '{ print $4 }')
	printf 'round %s\n' "$round"
	line 'fork and exec' "$bare" "$w0" "$c0"
	line 'box' "$(box -b "$n" /bin/true)" "$w0" "$c0"
	line 'box, limits' "$(box -m 512m -p 64 -b "$n" /bin/true)" \
		"$w0" "$c0"
	[ -z "$isolate" ] || line 'isolate, the same mounts' "$(isolated)" \
		"$w0" "$c0"
	line 'box, its own network' "$(box -n -b "$n" /bin/true)" "$w0" "$c0"
done
box -a "$n" -f flow /bin/sleep 1000
box -K /usr/bin/perl -e 'for (1 .. 199) { fork or do { sleep 1000 } }
	$| = 1; print "up\n"; sleep 1000'
