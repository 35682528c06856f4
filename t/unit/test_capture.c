/* Captured output: bounded, head and tail kept, cut between characters,
 * nothing outside an operation, echoes said once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "slot/capture.h"

static void
add(struct apw_stream *s, const char *text)
{
	apw_stream_add(s, apw_str_c(text));
}

static void
expect(const struct apw_stream *s, const char *want)
{
	struct apw_buf	b = APW_BUF_INIT(0);

	apw_stream_text(s, &b);
	assert_string_equal(b.data == NULL ? "" : b.data, want);
	apw_buf_free(&b);
}

static void
test_small(void **state)
{
	struct apw_stream	s;

	(void)state;
	apw_stream_init(&s, 64);
	expect(&s, "");
	add(&s, "");
	add(&s, "one\n");
	add(&s, "two\n");
	expect(&s, "one\ntwo\n");
	apw_stream_reset(&s);
	expect(&s, "");
	apw_stream_free(&s);
}

/* Filled to the brim in pieces of every size: nothing is lost. */
static void
test_full(void **state)
{
	char	text[65] = "";
	size_t	step, at;

	(void)state;
	memset(text, 'x', 64);
	for (step = 1; step <= 64; step++) {
		struct apw_stream	s;

		apw_stream_init(&s, 64);
		for (at = 0; at < 64; at += step)
			apw_stream_add(&s, (struct apw_str){ text + at,
			    64 - at < step ? 64 - at : step });
		expect(&s, text);
		apw_stream_free(&s);
	}
}

static void
test_flood(void **state)
{
	struct apw_stream	s;
	int			i;

	(void)state;
	apw_stream_init(&s, 20);
	add(&s, "0123456789");
	for (i = 0; i < 1000; i++)
		add(&s, "abcdefg");
	add(&s, "the end");
	expect(&s, "0123456789\n[... 6997 bytes left out ...]\nefgthe end");
	apw_stream_free(&s);

	apw_stream_init(&s, 20);		/* one piece, larger than all */
	add(&s, "0123456789abcdefghijklmnopqrstuvwxyz");
	expect(&s, "0123456789\n[... 16 bytes left out ...]\nqrstuvwxyz");
	apw_stream_free(&s);
}

static void
test_characters(void **state)
{
	struct apw_stream	s;
	struct apw_buf		b = APW_BUF_INIT(0);

	(void)state;
	apw_stream_init(&s, 20);
	add(&s, "12345678\xe2\x82\xac");	/* cut in the head's euro */
	add(&s, "----------");
	add(&s, "\xe2\x82\xac" "abcdefgh");	/* and in the tail's */
	apw_stream_text(&s, &b);
	assert_int_equal(memcmp(b.data, "12345678\n[", 10), 0);
	assert_non_null(strstr(b.data, "...]\nabcdefgh"));
	apw_buf_free(&b);
	apw_stream_free(&s);
}

static void
logs(const struct apw_capture *c, bool real, const char *want)
{
	struct apw_buf	b = APW_BUF_INIT(0);

	apw_capture_logs(c, real, &b);
	assert_string_equal(b.data == NULL ? "" : b.data, want);
	apw_buf_free(&b);
}

static void
test_operations(void **state)
{
	struct apw_capture	c;

	(void)state;
	apw_capture_init(&c, 1024);
	apw_capture_add(&c, 1, false, APW_STR("before\n"));
	logs(&c, true, "");
	apw_capture_begin(&c);
	apw_capture_add(&c, 2, false, APW_STR("bad\n"));
	logs(&c, false, "stderr:\nbad\n");
	apw_capture_add(&c, 1, false, APW_STR("good\n"));
	apw_capture_end(&c);
	apw_capture_add(&c, 1, false, APW_STR("late\n"));
	logs(&c, false, "stdout:\ngood\n\nstderr:\nbad\n");
	apw_capture_begin(&c);
	logs(&c, false, "");
	apw_capture_free(&c);
}

/* An engine writes on its descriptors what it tells over the link; what it
 * cries when it dies is only there. */
static void
test_echo(void **state)
{
	struct apw_capture	c;

	(void)state;
	apw_capture_init(&c, 1024);
	apw_capture_begin(&c);
	apw_capture_add(&c, 1, false, APW_STR("hello\n"));
	apw_capture_add(&c, 1, true, APW_STR("hello\n"));
	apw_capture_add(&c, 2, false, APW_STR("a warning\n"));
	apw_capture_add(&c, 2, true, APW_STR("a warning\nFATAL ERROR\n"));
	logs(&c, false, "stdout:\nhello\n\nstderr:\na warning\n");
	logs(&c, true, "stdout:\nhello\n\nstderr:\na warning\nFATAL ERROR\n");
	assert_true(apw_stream_has(&c.fd_err, "FATAL"));
	assert_false(apw_stream_has(&c.err, "FATAL"));
	apw_capture_begin(&c);
	apw_capture_add(&c, 2, true, APW_STR("only here"));
	logs(&c, false, "");
	logs(&c, true, "stderr:\nonly here");
	apw_capture_free(&c);
}

/* Any bytes in any pieces stay within the bound. */
static void
test_bound(void **state)
{
	unsigned	seed = 1;
	int		round, i;

	(void)state;
	for (round = 0; round < 50; round++) {
		struct apw_stream	s;
		struct apw_buf		b = APW_BUF_INIT(0);
		char			piece[300];

		apw_stream_init(&s, 2 + (size_t)rand_r(&seed) % 500);
		for (i = 0; i < 40; i++) {
			size_t	n = (size_t)rand_r(&seed) % sizeof(piece), j;

			for (j = 0; j < n; j++)
				piece[j] = (char)rand_r(&seed);
			apw_stream_add(&s, (struct apw_str){ piece, n });
		}
		assert_true(s.head_len + s.tail_len <= s.cap);
		apw_stream_text(&s, &b);
		assert_true(b.len <= s.cap + 64);
		apw_buf_free(&b);
		apw_stream_free(&s);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_small),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_characters),
		cmocka_unit_test(test_operations),
		cmocka_unit_test(test_echo),
		cmocka_unit_test(test_bound),
	};

	return cmocka_run_group_tests_name("capture", tests, NULL, NULL);
}
