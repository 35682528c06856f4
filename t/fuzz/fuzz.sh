#!/bin/sh
# Fuzzes with clang's libFuzzer, SECONDS each, two targets at a time; from the
# top of a configured tree:
#	sh t/fuzz/fuzz.sh SECONDS [TARGET...]
# TARGET is the X of t/fuzz/fuzz_X.c; none: all.  New inputs go to
# var/fuzz/TARGET.new, which is not kept; what is worth keeping is copied to
# t/fuzz/corpus/TARGET by hand.  A crash leaves its input in var/fuzz.
set -eu

seconds=${1:?how many seconds each target is fuzzed}
shift
out=var/fuzz
[ $# -gt 0 ] || set -- $(ls t/fuzz/fuzz_*.c | sed 's,.*/fuzz_,,; s,\.c$,,')
mkdir -p "$out"

echo 'int LLVMFuzzerTestOneInput(const char *p, long n) { return p && n < 0; }' \
	>"$out/probe.c"
if ! clang -fsanitize=fuzzer,address -o "$out/probe" "$out/probe.c" \
	>"$out/build.log" 2>&1
then
	cat "$out/build.log" >&2
	echo 'fuzz: no clang with libFuzzer here (packages clang and' \
		'libclang-rt-14-dev): failed' >&2
	exit 1
fi
if ! make -s -j2 -f t/fuzz/fuzz.mk OUT="$out" \
	$(printf "$out/fuzz_%s " "$@") >"$out/build.log" 2>&1
then
	tail -n 40 "$out/build.log" >&2
	echo 'fuzz: the targets cannot be built: failed' >&2
	exit 1
fi

# The last line says what ran: a target that executed nothing has failed.
printf '%s\n' "$@" | xargs -P 2 -I '{}' sh -c '
	name=$1 out=$2 seconds=$3 dict=
	log=$out/$name.log
	[ ! -f "t/fuzz/dict/$name" ] || dict=-dict=t/fuzz/dict/$name
	mkdir -p "$out/$name.new"
	if "$out/fuzz_$name" $dict -max_total_time="$seconds" -max_len=8192 \
		-timeout=10 -artifact_prefix="$out/$name-" "$out/$name.new" \
		"t/fuzz/corpus/$name" >"$log" 2>&1 &&
	    tail -1 "$log" | grep -q "^Done [1-9]"
	then
		echo "fuzz $name: $(tail -1 "$log")"
	else
		tail -40 "$log"
		echo "fuzz $name: failed"
		exit 255
	fi' - '{}' "$out" "$seconds"
