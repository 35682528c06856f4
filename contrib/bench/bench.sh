#!/bin/sh
# What the daemon costs, as JSON lines: start to first poll, a warm job with an
# engine that does nothing, memory.  Everything in one run on one machine, with
# the floor of the peers measured beside it: look at the ratios, the absolute
# figures drift with the machine.
#
#	sh contrib/bench/bench.sh [JOBS]
#
# Needs a built tree (without sanitizers: ./configure && make) and the packages
# of the tests (npm ci in t/).
set -e

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)

if [ ! -x "${APWORKERD:-$top/apworkerd}" ]; then
	echo "bench: no apworkerd in $top: run make first" >&2
	exit 1
fi
if [ ! -d "$top/t/node_modules/socket.io" ]; then
	echo "bench: no packages in t/node_modules: run npm ci in $top/t" >&2
	exit 1
fi
exec perl -I"$top/t/lib" "$here/bench.pl" "$@"
