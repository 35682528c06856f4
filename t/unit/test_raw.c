/* Raw JSON text: what is valid, what a walk finds, what literals mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/apw_auto.h"
#include "proto/apw_raw.h"
#include "proto/apw_raw_priv.h"

static void
test_valid(void **state)
{
	static const char *const	good[] = { "null", " true ", "false",
	    "0", "-0", "0.5", "-1.25e+10", "1E400", "12345678901234567890",
	    "\"\"", "\"\\u0000\\ud800\\\"\"", "[]", "[ ]", "{}", "{ }",
	    "[1,2,[3]]", "{\"a\":{\"b\":[{}]},\"a\":1}", "\t\r\n[1 , 2]\n" };
	static const char *const	bad[] = { "", " ", "nul", "nulll",
	    "True", "01", "-", "+1", "1.", ".5", "1e", "1e+", "\"", "\"\\x\"",
	    "\"\\u12\"", "\"\n\"", "[", "]", "[1", "[1,]", "[,1]", "[1 2]",
	    "{", "{1:2}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{\"a\" 1}",
	    "[}", "{]", "1 2", "'a'", "NaN", "[1]x" };
	size_t				i;

	(void)state;
	for (i = 0; i < APW_COUNT(good); i++)
		if (apw_raw_check(apw_str_c(good[i]), APW_RAW_UTF8) != 0)
			fail_msg("refused: %s", good[i]);
	for (i = 0; i < APW_COUNT(bad); i++)
		if (apw_raw_check(apw_str_c(bad[i]), 0) == 0)
			fail_msg("taken: %s", bad[i]);
}

static void
test_prefixes(void **state)
{
	const char	*text = "{\"a\":[1,\"x\\u00e9\",{\"b\":null}],\"c\":-1.5e3}";
	size_t		 n = strlen(text), i;
	char		*part;

	(void)state;
	for (i = 0; i < n; i++) {
		/* a copy that ends where the text does */
		part = malloc(i + 1);
		memcpy(part, text, i);
		assert_int_equal(apw_raw_check((struct apw_str){ part, i }, 0),
		    -1);
		free(part);
	}
	assert_int_equal(apw_raw_scan((struct apw_str){ text, n }, 0), n);
}

static void
test_depth(void **state)
{
	char	*text = malloc(2 * (APW_RAW_DEPTH_MAX + 1));
	size_t	 n;

	(void)state;
	for (n = APW_RAW_DEPTH_MAX; n <= APW_RAW_DEPTH_MAX + 1; n++) {
		memset(text, '[', n);
		memset(text + n, ']', n);
		assert_int_equal(apw_raw_check((struct apw_str){ text,
		    2 * n }, 0), n == APW_RAW_DEPTH_MAX ? 0 : -1);
	}
	free(text);
}

static void
test_utf8(void **state)
{
	static const char *const	bad[] = { "\xc0\x80", "\xc1\xbf",
	    "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
	    "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\x80", "\xff", "\xc3",
	    "\xe2\x82", "abcdefgh\xff" };
	size_t				i;

	(void)state;
	assert_true(apw_raw_utf8(apw_str_c(
	    "abcdefghijk \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80 z")));
	for (i = 0; i < APW_COUNT(bad); i++)
		assert_false(apw_raw_utf8(apw_str_c(bad[i])));
}

/* One letter in a text of any length, wherever it is, whole or not. */
static void
test_utf8_anywhere(void **state)
{
	static const char *const	letters[] = { "\xc3\xa9",
	    "\xe2\x82\xac", "\xf0\x9f\x98\x80" };
	char				text[160];
	size_t				i, bytes, at, n;

	(void)state;
	for (i = 0; i < APW_COUNT(letters); i++) {
		bytes = strlen(letters[i]);
		for (at = 0; at + bytes <= sizeof(text); at++) {
			memset(text, 'x', sizeof(text));
			memcpy(text + at, letters[i], bytes);
			for (n = at; n <= sizeof(text); n++)
				assert_int_equal(apw_raw_utf8((struct apw_str){
				    text, n }), n == at || n >= at + bytes);
			text[at + bytes - 1] = 'x';
			assert_false(apw_raw_utf8((struct apw_str){ text,
			    sizeof(text) }));
		}
	}
}

static void
test_walk(void **state)
{
	struct apw_str	text = apw_str_c(" { \"a\" : [ 1 , {\"x\":2} ], "
	    "\"p\\u0061yload\":\"first\" , \"payload\" : { \"}\" : \"]\" } } ");
	struct apw_str	v;
	int64_t		n;

	(void)state;
	assert_int_equal(apw_raw_member(text, "payload", &v), 1);
	assert_true(apw_str_is(v, "{ \"}\" : \"]\" }"));
	assert_int_equal(apw_raw_member(text, "none", &v), 0);
	assert_int_equal(apw_raw_member(APW_STR("[1]"), "a", &v), -1);
	assert_int_equal(apw_raw_member(text, "a", &v), 1);
	assert_int_equal(apw_raw_element(v, 1, &v), 1);
	assert_true(apw_str_is(v, "{\"x\":2}"));
	assert_int_equal(apw_raw_element(APW_STR("[1]"), 1, &v), 0);
	assert_int_equal(apw_raw_int(APW_STR(" -9223372036854775808 "), &n),
	    0);
	assert_true(n == INT64_MIN);
	assert_int_equal(apw_raw_int(APW_STR("9223372036854775808"), &n), -1);
	assert_int_equal(apw_raw_int(APW_STR("1.0"), &n), -1);
	assert_int_equal(apw_raw_int(APW_STR("01"), &n), -1);
}

static void
test_literals(void **state)
{
	static const struct { const char *in, *out; } rows[] = {
		{ "\"plain\"", "plain" },
		{ "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t" },
		{ "\"\\u00e9\\u20ac\\ud83d\\ude00\"",
		    "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80" },
		{ "\"\\ud800x\"", "\xef\xbf\xbdx" },
		{ "\"\\udc00\"", "\xef\xbf\xbd" },
		{ "\"\\ud800\\ud83d\\ude00\"",
		    "\xef\xbf\xbd\xf0\x9f\x98\x80" },
	};
	struct apw_buf	out = APW_BUF_INIT(0);
	size_t		i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++) {
		apw_buf_reset(&out);
		assert_int_equal(apw_raw_decode(&out, apw_str_c(rows[i].in)),
		    0);
		assert_string_equal(out.data, rows[i].out);
		assert_true(apw_raw_equals(apw_str_c(rows[i].in),
		    rows[i].out));
	}
	apw_buf_reset(&out);
	assert_int_equal(apw_raw_decode(&out, APW_STR("\"a\\u0000b\"")), 0);
	assert_true(apw_str_eq(apw_buf_view(&out), APW_STR("a\0b")));
	assert_int_equal(apw_raw_decode(&out, APW_STR("12")), -1);
	assert_false(apw_raw_equals(APW_STR("\"abc\""), "ab"));
	assert_false(apw_raw_equals(APW_STR("\"ab\""), "abc"));
	apw_buf_reset(&out);
	apw_raw_quote(&out, APW_STR("a\"\\/\n\x01\xff\xc3\xa9\0z"));
	assert_string_equal(out.data,
	    "\"a\\\"\\\\/\\n\\u0001\xef\xbf\xbd\xc3\xa9\\u0000z\"");
	apw_buf_free(&out);
}

/* What ends the plain part of a string is found wherever it is. */
static void
test_plain(void **arg)
{
	static const unsigned char	bytes[] = { '"', '\\', 0, 0x1f, 0x20,
	    '!', '#', '[', ']', 0x7f, 0x80, 0x9f, 0xff };
	char				text[150];
	size_t				n, at, i;
	bool				ends;

	(void)arg;
	for (n = 0; n <= sizeof(text); n++) {
		memset(text, 'x', sizeof(text));
		assert_ptr_equal(apw_raw_plain(text, text + n), text + n);
		for (at = 0; at < n; at++)
			for (i = 0; i < sizeof(bytes); i++) {
				memset(text, 'x', sizeof(text));
				text[at] = (char)bytes[i];
				/* behind it: the first one counts */
				if (bytes[i] == '"' && at + 9 < n)
					text[at + 9] = '\\';
				ends = bytes[i] < 0x20 || bytes[i] == '"' ||
				    bytes[i] == '\\';
				assert_ptr_equal(apw_raw_plain(text, text + n),
				    text + (ends ? at : n));
			}
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_valid),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_utf8_anywhere),
		cmocka_unit_test(test_walk),
		cmocka_unit_test(test_literals),
		cmocka_unit_test(test_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
