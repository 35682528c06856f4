#!/bin/sh
# What a box costs: around /bin/true beside a bare fork and exec, and with a
# network of its own; admission; kill.  Medians of N (default 200) in one run;
# absolute times are the machine's, the ratios are ours.  "Kernel's floor" is
# the least that a box can be here: the same namespaces and mounts, and exec,
# by a program that does nothing else (t/bin/box-floor.c).  CPU is that of all
# processes that take part; the kernel's own threads (which end namespaces,
# networks above all) are in no line.
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
# Of "SERIES wall_us W cpu_us C" lines, the first of them the floor of all:
# those named, with a name for each
lines() {
	awk -v names="$1" '
		NR == 1 { w0 = $3; c0 = $5 }
		{ w[$1] = $3; c[$1] = $5 }
		END { n = split(names, name, /[=;]/)
			for (i = 1; i < n; i += 2) printf "%-34s %8d us wall " \
			    " %5.2fx  %8d us CPU  %5.2fx\n", name[i + 1],
			    w[name[i]], w[name[i]] / w0,
			    c[name[i]], c[name[i]] / c0 }'
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
	printf 'round %s\n' "$round"
	box -b "$n" /bin/true |
	    lines "bare=fork and exec;floor=kernel's floor of a box;box=box"
	box -m 512m -p 64 -b "$n" /bin/true | lines 'box=box, limits'
	[ -z "$isolate" ] || isolated | lines 'box=isolate, the same mounts'
	box -n -b "$n" /bin/true | lines \
	    "floor=kernel's floor, own network;box=box, its own network"
done
box -a "$n" -f flow /bin/sleep 1000
box -K /usr/bin/perl -e 'for (1 .. 199) { fork or do { sleep 1000 } }
	$| = 1; print "up\n"; sleep 1000'
