#!/bin/sh
# Fuzz the grammars of links and proxy, SECONDS each, two at a time:
#	sh t/fuzz/all.sh [SECONDS]
# Run from the top of a configured tree.  Without a clang that has libFuzzer it
# says so and succeeds: the corpora run with "make check" in any case.
set -eu
seconds=${1:-20}
out=var/fuzz/all
targets='raw eio sio rpc http ws frame egress'
flags='-std=gnu17 -g -O1 -D_GNU_SOURCE -DAPW_LIBFUZZER -fno-omit-frame-pointer
	-fno-sanitize-recover=undefined -Isrc -I.'
mkdir -p "$out"

echo 'int LLVMFuzzerTestOneInput(const char *p, long n) { return p && n < 0; }' \
	>"$out/probe.c"
if ! clang -fsanitize=fuzzer,address -o "$out/probe" "$out/probe.c" \
	2>/dev/null; then
	echo 'fuzz: skipped, no clang with libFuzzer'
	exit 0
fi

ls src/core/apw_err.c src/core/apw_str.c src/core/apw_buf.c \
	src/core/apw_log.c src/core/apw_clock.c src/core/apw_arena.c \
	src/proto/*.c src/link/*.c src/egress/addr.c src/egress/frame.c \
	src/egress/request.c |
	xargs -P 2 -I '{}' sh -c 'o=$2/$(echo "$1" | tr / _).o
		clang $3 -fsanitize=fuzzer-no-link,address,undefined \
		-c -o "$o" "$1"' - '{}' "$out" "$(echo $flags)"

echo $targets | tr ' ' '\n' | xargs -P 2 -I '{}' sh -c '
	name=$1 out=$2
	clang $3 -fsanitize=fuzzer,address,undefined -o "$out/fuzz_$name" \
		"t/fuzz/fuzz_$name.c" "$out"/*.o -lwslay -ljansson \
		-levent_openssl -levent -lssl -lcrypto &&
	mkdir -p "$out/$name" &&
	if "$out/fuzz_$name" -dict="t/fuzz/dict/$name" -max_total_time="$4" \
		-max_len=8192 -timeout=10 -artifact_prefix="$out/$name-" "$out/$name" \
		"t/fuzz/corpus/$name" >"$out/$name.log" 2>&1; then
		echo "fuzz $name: $(tail -1 "$out/$name.log")"
	else
		tail -40 "$out/$name.log"
		echo "fuzz $name: failed"
		exit 255
	fi' - '{}' "$out" "$(echo $flags)" "$seconds"
