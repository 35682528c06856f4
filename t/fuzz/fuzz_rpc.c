/* RPC envelopes: method and payload are slices of the input; error texts
 * can be sent on, and are read as they were.  Whole, and cut at every byte. */
#include "fuzz_main.h"

#include "proto/apw_raw.h"
#include "proto/apw_rpc.h"

static void
error_again(const struct apw_buf *text)
{
	struct apw_buf	error = APW_BUF_INIT(0), again = APW_BUF_INIT(0);

	apw_rpc_error_put(&error, apw_buf_view(text).p);
	FUZZ_CHECK(apw_raw_check(apw_buf_view(&error), APW_RAW_UTF8) == 0);
	FUZZ_CHECK(apw_rpc_error(apw_buf_view(&error), &again) == 1);
	if (apw_raw_utf8(apw_buf_view(text)))
		FUZZ_CHECK(apw_str_eq(apw_buf_view(text),
		    apw_buf_view(&again)));
	apw_buf_free(&error);
	apw_buf_free(&again);
}

static void
one(const uint8_t *data, size_t n)
{
	struct apw_str	text = { (const char *)data, n }, method, payload;
	struct apw_str	first, same, rest;
	struct apw_buf	out = APW_BUF_INIT(0);

	if (apw_rpc_parse(text, "method", &method, &payload) == 0) {
		FUZZ_CHECK(method.p > text.p &&
		    method.p + method.n < text.p + n);
		FUZZ_CHECK(method.n > 0 && method.n <= 64);
		apw_rpc_message(payload, &out);
		if (apw_raw_check(text, 0) == 0)
			FUZZ_CHECK(apw_raw_check(payload, 0) == 0);
	}
	/* of several arguments it is the first that counts */
	first = apw_rpc_first(text);
	if (apw_rpc_parse(text, "method", &method, &payload) == 0 &&
	    apw_raw_type(first) == APW_RAW_OBJECT) {
		FUZZ_CHECK(apw_rpc_parse(first, "method", &same, &rest) == 0);
		FUZZ_CHECK(apw_str_eq(method, same));
		FUZZ_CHECK(apw_str_eq(payload, rest));
	}
	apw_buf_reset(&out);
	if (apw_rpc_error(text, &out) == 1 && !out.failed &&
	    memchr(apw_buf_view(&out).p, '\0', out.len) == NULL)
		error_again(&out);
	apw_buf_free(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	fuzz_steps(one, data, n);
	return 0;
}
