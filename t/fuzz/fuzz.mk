# Fuzz targets for clang's libFuzzer, below var/fuzz; fuzz.sh calls this from
# the top of a configured tree.  All of the library is built for it: a target
# links whatever its code has come to need.
OUT = var/fuzz
FLAGS = -std=gnu17 -g -O1 -D_GNU_SOURCE -DAPW_LIBFUZZER \
	-fno-omit-frame-pointer -fno-sanitize-recover=undefined -Isrc -I. -It \
	-DAPW_SYSCONFDIR='"/etc"' -DAPW_LOCALSTATEDIR='"/var"' \
	-DAPW_RUNSTATEDIR='"/run"' -DAPW_LIBDIR='"/usr/lib"'
LIBS = -lwslay -ljansson -levent_openssl -levent -lcares -lcap-ng -lseccomp \
	-lssl -lcrypto

sources := $(filter-out src/master/main.c src/ctl/main.c, \
	$(shell find src -name '*.c'))
objects := $(sources:%.c=$(OUT)/%.o)
targets := $(patsubst t/fuzz/%.c,$(OUT)/%,$(wildcard t/fuzz/fuzz_*.c))

all: $(targets)

$(OUT)/%.o: %.c config.h
	@mkdir -p $(@D)
	clang $(FLAGS) -fsanitize=fuzzer-no-link,address,undefined -MMD -c \
		-o $@ $<

$(OUT)/libapw.a: $(objects)
	rm -f $@
	ar rcs $@ $^

$(OUT)/fuzz_%: t/fuzz/fuzz_%.c t/fuzz/fuzz_main.h $(OUT)/libapw.a
	clang $(FLAGS) -fsanitize=fuzzer,address,undefined -MMD -o $@ $< \
		$(OUT)/libapw.a $(LIBS)

-include $(objects:.o=.d) $(targets:=.d)
