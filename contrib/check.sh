#!/bin/sh
# Installs what the tests need, builds with sanitizers, runs all tests: units,
# fuzz corpora, the daemon's own; then fuzzes for a little while.  The last
# line tells the totals; the status is 0 only if everything passed.
set -eu

cd "$(dirname "$0")/.."

sh contrib/install-deps.sh tests
PATH=$PWD/contrib/tools/node_modules/.bin:$PATH
export PATH
sh contrib/build.sh --enable-developer

printf '== make check\n'
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
{
	status=0
	make -s -k check 2>&1 || status=$?
	echo "$status" >"$out/status"
} | tee "$out/log"
status=$(cat "$out/status")

# sum PATTERN: adds up the numbers that sed takes out of the lines
sum() {
	sed -n "s/$1/\\1/p" "$out/log" | awk '{ n += $1 } END { print n + 0 }'
}

units=$(sum '^.*\[  PASSED  \] \([0-9]*\) test(s).*')
units_failed=$(sum '^\[  FAILED  \] \([0-9]*\) test(s).*')
daemon=$(sum '^Files=.* Tests=\([0-9]*\),.*')
daemon_failed=$(sum '^.*Failed \([0-9]*\)\/[0-9]* subtests.*')
files_skipped=$(grep -c ' skipped: ' "$out/log" || :)

printf '\n== fuzz\n'
fuzz_failed=0
sh t/fuzz/all.sh "${APW_FUZZ_SECONDS:-20}" >"$out/fuzz" 2>&1 || fuzz_failed=1
cat "$out/fuzz"

passed=$((units + daemon - daemon_failed))
failed=$((units_failed + daemon_failed + fuzz_failed))
# something broke outside of a test that counts itself
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1

if [ "$failed" -gt 0 ]; then
	printf '\n== what failed\n'
	grep -hE -A 12 '^#   Failed test|: failed$|^\[  FAILED  \] [a-z]|ERROR: .*Sanitizer|runtime error|^\[  ERROR' \
		"$out/log" "$out/fuzz" | head -300 || :
	sed -n '/^Test Summary Report/,$p' "$out/log" | head -100
fi
printf '\n== units %d, daemon tests %d' "$units" "$daemon"
printf ', test files skipped %d\n' "$files_skipped"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
