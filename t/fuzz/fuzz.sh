#!/bin/sh
# Fuzz one target with clang's libFuzzer:  sh t/fuzz/fuzz.sh NAME [SECONDS]
# Run from the top of a configured tree.  New inputs go to var/fuzz/NAME, which
# is not kept; what is worth keeping is copied to t/fuzz/corpus/NAME by hand.
set -e
name=${1:?name of a target: raw eio sio rpc http ws frame conf stock journal egress}
seconds=${2:-20}
out=var/fuzz
mkdir -p "$out/$name"
more=
if [ "$name" = conf ]; then
	more="-It -DAPW_SYSCONFDIR=\"/etc\" -DAPW_LOCALSTATEDIR=\"/var\"
		-DAPW_RUNSTATEDIR=\"/run\" -DAPW_LIBDIR=\"/usr/lib\"
		src/core/apw_arena.c src/core/apw_module.c
		src/core/apw_directive_set.c
		$(ls src/core/apw_conf_*.c | grep -v _tool)"
fi
if [ "$name" = stock ]; then
	more="$(ls src/stock/*.c) src/core/apw_child.c -lcap-ng"
fi
if [ "$name" = journal ]; then
	more="src/job/journal_code.c"
fi
if [ "$name" = egress ]; then
	more="src/core/apw_arena.c src/egress/addr.c src/egress/frame.c
		src/egress/request.c"
fi
clang -std=gnu17 -g -O1 -D_GNU_SOURCE -DAPW_LIBFUZZER -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=undefined -fno-omit-frame-pointer -Isrc -I. \
	-o "$out/fuzz_$name" "t/fuzz/fuzz_$name.c" $more \
	src/core/apw_err.c src/core/apw_str.c src/core/apw_buf.c \
	src/core/apw_log.c src/core/apw_clock.c src/proto/*.c src/link/*.c \
	-lwslay -ljansson -levent_openssl -levent -lssl -lcrypto
dict=
if [ -f "t/fuzz/dict/$name" ]; then
	dict="-dict=t/fuzz/dict/$name"
fi
exec "$out/fuzz_$name" $dict -max_total_time="$seconds" -max_len=8192 -timeout=10 \
	-print_final_stats=0 -artifact_prefix="$out/$name-" \
	"$out/$name" "t/fuzz/corpus/$name"
