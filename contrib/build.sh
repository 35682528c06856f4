#!/bin/sh
# Builds apworkerd and apworkerctl in the top of this clone.
#
#	sh contrib/build.sh			for use
#	sh contrib/build.sh --enable-developer	-Werror, sanitizers, for tests
#
# A tree that is configured the other way is configured anew and made clean.
set -eu

cd "$(dirname "$0")/.."
jobs=$(nproc 2>/dev/null || echo 1)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Quiet unless it fails.
run() {
	if ! "$@" >"$log" 2>&1; then
		tail -n 60 "$log" >&2
		printf 'build: %s failed\n' "$1" >&2
		exit 1
	fi
}

if [ ! -x configure ] || [ configure.ac -nt configure ] ||
	[ -n "$(find src t m4 Makefile.am \( -name Makefile.inc -o \
		-name Makefile.am -o -name '*.m4' \) -newer configure)" ]
then
	printf '== autoreconf\n'
	run autoreconf -fi
fi
arguments="$*"
if [ -e Makefile ] && [ "$(cat .configured 2>/dev/null)" != "$arguments" ]; then
	run make -s clean
	rm -f Makefile
fi
if [ ! -e Makefile ] || [ configure -nt config.status ]; then
	printf '== configure %s\n' "$arguments"
	run ./configure -q "$@"
	printf '%s\n' "$arguments" >.configured
fi
printf '== make\n'
run make -s -j"$jobs"
