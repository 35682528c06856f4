#!/bin/sh
# Installs what the tests need, builds with sanitizers, runs all tests: units,
# fuzz corpora, the daemon's own; beside these it fuzzes for a little while.  What failed
# stands at the end; the last line tells the totals; the status is 0 only if
# everything passed.
set -eu

cd "$(dirname "$0")/.."

# As root the tests become other users, who must reach what they run: a clone
# below /root is shown to them at another place, where only we see it.
others_reach() {
	[ "$(id -u)" -ne 0 ] || setpriv --reuid=65534 --regid=65534 \
		--clear-groups test -r "$1/contrib/check.sh" -a -x "$1"
}

if ! others_reach "$PWD"; then
	if [ -n "${APW_SHOWN-}" ] || ! unshare -m true 2>/dev/null; then
		printf 'check: other users cannot read %s, as some tests must: %s\n' \
			"$PWD" 'move the clone, or chmod -R go+rX it' >&2
		exit 1
	fi
	place=$(mktemp -d "${TMPDIR:-/tmp}/apworkerd.XXXXXX")
	trap 'rmdir "$place"' EXIT
	chmod 0755 "$place"
	printf '== other users cannot enter %s, as some tests must: %s\n' \
		"$PWD" "tested at $place, the same folder"
	status=0
	unshare -m sh -c 'mount --bind "$1" "$2" && cd "$2" && export APW_SHOWN=y &&
		exec sh contrib/check.sh' sh "$PWD" "$place" || status=$?
	exit "$status"
fi

sh contrib/install-deps.sh tests
PATH=$PWD/contrib/tools/node_modules/.bin:$PATH
export PATH
sh contrib/build.sh --enable-developer

out=$(mktemp -d)
fuzzer=
trap '[ -z "$fuzzer" ] || kill -- "-$fuzzer" 2>/dev/null || :
	rm -rf "$out"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Most files of daemon tests wait more than they work.
cores=$(nproc 2>/dev/null || echo 1)
export APW_TEST_JOBS="${APW_TEST_JOBS:-$((cores + 1))}"

# say NAME COMMAND...: runs it, and keeps what it says in $out/NAME
say() {
	name=$1
	shift
	{
		status=0
		"$@" 2>&1 || status=$?
		echo "$status" >"$out/status"
	} | tee "$out/$name"
	return "$(cat "$out/status")"
}

# sum NAME PATTERN: adds up the numbers that sed takes out of what it said
sum() {
	sed -n "s/$2/\\1/p" "$out/$1" | awk '{ n += $1 } END { print n + 0 }'
}

# A machine that stalls may make a file miss what it waits for: a few get a
# second run, alone, and are named at the end.  What a sanitizer reports is
# no matter of time.
again() {
	files=$(sed -n 's/^\(t\/[a-z0-9_]*\.t\) .*(Wstat: .*/\1/p' "$out/daemon")
	count=$(echo "$files" | wc -w)
	if [ "$count" -eq 0 ] || [ "$count" -gt 3 ] ||
	    grep -qE 'Sanitizer|runtime error' "$out/daemon"; then
		return 1
	fi
	printf '\n== again, alone\n'
	say again env APW_BUILD="$PWD" prove --timer -It/lib $files || return 1
	late=$(echo $files)
}

printf '== make check\n'
broken=0
late=
make -s -k -j"$cores" check_PROGRAMS || broken=1
say units make -s -k check-unit check-fuzz || broken=1
# clang builds the library once more: that takes what the tests leave of the
# processors
setsid nice -n 19 sh t/fuzz/fuzz.sh "${APW_FUZZ_SECONDS:-10}" \
	>"$out/fuzz" 2>&1 &
fuzzer=$!
say daemon make -s check-daemon || again || broken=1
printf '\n== fuzz\n'
wait "$fuzzer" || broken=1
fuzzer=
cat "$out/fuzz"

units=$(sum units '^.*\[  PASSED  \] \([0-9]*\) test(s).*')
failed=$(sum units '^\[  FAILED  \] \([0-9]*\) test(s).*')
daemon=$(sum daemon '^Files=.* Tests=\([0-9]*\),.*')
passed=$((units + daemon))
if [ -z "$late" ]; then
	n=$(sum daemon '^.*Failed \([0-9]*\)\/[0-9]* subtests.*')
	passed=$((passed - n))
	failed=$((failed + n))
fi
# something broke outside of a test that counts itself
[ "$broken" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1

if [ "$failed" -gt 0 ]; then
	printf '\n== what failed\n'
	grep -hE -A 12 '^#   Failed test|: failed$|ERROR: .*Sanitizer|runtime error|^\[  (ERROR|FAILED)' \
		"$out/units" "$out/daemon" "$out/fuzz" | head -300 || :
	sed -n '/^Test Summary Report/,$p' "$out/daemon" | head -100
fi
printf '\n== units %d, daemon tests %d' "$units" "$daemon"
printf ', test files skipped %d' \
	"$(grep -c ' skipped: ' "$out/daemon" || :)"
printf '%s\n' "${late:+, passed at their second run: $late}"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
