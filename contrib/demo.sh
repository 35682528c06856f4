#!/bin/sh
# From a clean clone to three flows that have run: installs what is needed,
# builds, starts apworkerd on conf/apworker.conf, runs the example flows, shows
# what came of them, stops.  The status is 0 if the two good flows succeeded
# and the third one failed, as it should.
#
#	sh contrib/demo.sh		run and stop
#	sh contrib/demo.sh --keep	leave apworkerd running
set -eu

cd "$(dirname "$0")/.."
case ${1-} in
'') keep=no ;;
--keep) keep=yes ;;
*)
	echo 'usage: sh contrib/demo.sh [--keep]' >&2
	exit 64
	;;
esac

sh contrib/install-deps.sh
PATH=$PWD/contrib/tools/node_modules/.bin:$PATH
export PATH
sh contrib/build.sh

conf=conf/apworker.conf
ctl="./apworkerctl -p $PWD -c $conf"

stop() {
	printf '== stop\n'
	$ctl stop || wrong="$wrong, apworkerd did not stop"
}

# flow FILE STATUS: runs it, and says if it did not end as it should
flow() {
	printf '\n== %s\n' "$1"
	got=0
	$ctl run "contrib/examples/$1" || got=$?
	[ "$got" -eq "$2" ] || wrong="$wrong, $1 ended with status $got"
}

wrong=
mkdir -p var
if $ctl stop >/dev/null 2>&1; then
	printf '== stopped the apworkerd that an earlier --keep left\n'
fi
printf '== start apworkerd -p %s -c %s\n' "$PWD" "$conf"
./apworkerd -p "$PWD" -c "$conf"
trap 'trap - EXIT; stop' EXIT

flow hello-code.json 0
flow piece.json 0
flow fails.json 1

printf '\n'
trap - EXIT
if [ "$keep" = yes ]; then
	printf '== apworkerd is still running; run another flow or stop it:\n'
	printf '   %s run FLOW.json\n   %s stop\n' "$ctl" "$ctl"
else
	stop
fi

if [ -n "$wrong" ]; then
	printf '== not as it should be: %s\n' "${wrong#, }" >&2
	exit 1
fi
printf '== two flows succeeded, the third failed on purpose\n'
