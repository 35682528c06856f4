/* Raw JSON text: what jansson takes we take, slices stay inside, literals
 * survive decoding and quoting.  Whole, and cut at every byte. */
#include "fuzz_main.h"

#include <jansson.h>

#include "proto/apw_raw.h"

static void
inside(struct apw_str whole, struct apw_str part)
{
	FUZZ_CHECK(part.p >= whole.p &&
	    part.p + part.n <= whole.p + whole.n);
}

static void
literal(struct apw_str text)
{
	struct apw_buf	plain = APW_BUF_INIT(0), again = APW_BUF_INIT(0);
	struct apw_buf	quoted = APW_BUF_INIT(0);

	if (apw_raw_decode(&plain, text) == 0) {
		FUZZ_CHECK(apw_raw_quote(&quoted, apw_buf_view(&plain)) == 0);
		FUZZ_CHECK(apw_raw_check(apw_buf_view(&quoted),
		    APW_RAW_UTF8) == 0);
		if (apw_raw_utf8(apw_buf_view(&plain))) {
			FUZZ_CHECK(apw_raw_decode(&again,
			    apw_buf_view(&quoted)) == 0);
			FUZZ_CHECK(apw_str_eq(apw_buf_view(&plain),
			    apw_buf_view(&again)));
		}
	}
	apw_buf_free(&plain);
	apw_buf_free(&quoted);
	apw_buf_free(&again);
}

static void
walk(struct apw_str text, int depth)
{
	struct apw_raw_iter	it;
	struct apw_str		key, value;
	int64_t			n;
	unsigned		count = 0;

	apw_raw_int(text, &n);
	if (apw_raw_type(text) == APW_RAW_STRING)
		literal(text);
	if (depth > 8 || apw_raw_iter(&it, text) == -1)
		return;
	while (count++ < 64 && apw_raw_next(&it, &key, &value) == 1) {
		inside(text, key);
		inside(text, value);
		apw_raw_equals(key, "payload");
		literal(key);
		walk(value, depth + 1);
	}
	apw_raw_member(text, "payload", &value);
	apw_raw_element(text, 3, &value);
}

static void
step(const uint8_t *data, size_t n)
{
	struct apw_str	text = { (const char *)data, n };

	FUZZ_CHECK(apw_raw_scan(text, 0) <= (ssize_t)n);
	/* checked or not: a walk must stay inside */
	walk(text, 0);
}

/* May jansson refuse what is JSON?  It does what it has no value for: numbers
 * out of range, halves of a surrogate pair, and what is nested deeply. */
static bool
beyond_jansson(struct apw_str text)
{
	size_t	i, digits = 0;

	for (i = 0; i < text.n; i++) {
		digits = text.p[i] >= '0' && text.p[i] <= '9' ? digits + 1 : 0;
		if (digits > 18 || text.p[i] == 'e' || text.p[i] == 'E' ||
		    (text.p[i] == 'u' && i > 0 && text.p[i - 1] == '\\'))
			return true;
	}
	return text.n > 2048;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct apw_str	 text = { (const char *)data, n };
	json_error_t	 error;
	json_t		*tree;

	tree = json_loadb(text.p, n, JSON_DECODE_ANY | JSON_ALLOW_NUL,
	    &error);
	/* jansson takes a NUL for the end of the text */
	if (tree != NULL && memchr(text.p, 0, n) == NULL)
		FUZZ_CHECK(apw_raw_check(text, APW_RAW_UTF8) == 0);
	if (tree == NULL && !beyond_jansson(text))
		FUZZ_CHECK(apw_raw_check(text, APW_RAW_UTF8) == -1);
	json_decref(tree);
	fuzz_steps(step, data, n);
	return 0;
}
