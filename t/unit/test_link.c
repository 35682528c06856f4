/* Frames as they come in, however they are cut; which dialect a bundle has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "link/app_dialect.h"
#include "link/app_link.h"
#include "link/engine_link.h"
#include "proto/apw_ws_frame.h"

/* Append a frame as a client (masked) or server sends it. */
static void
frame(struct apw_buf *out, bool masked, unsigned head, const char *data,
    size_t n, size_t announced)
{
	static const char	mask[4] = { 1, 2, 3, 4 };
	unsigned		bit = masked ? 0x80 : 0;
	size_t			i;
	int			shift;
	char			c;

	apw_buf_printf(out, "%c", 'x');
	out->data[out->len - 1] = (char)head;
	if (announced < 126) {
		c = (char)(bit | announced);
		apw_buf_put(out, &c, 1);
	} else {
		c = (char)(bit | (announced < 65536 ? 126 : 127));
		apw_buf_put(out, &c, 1);
		for (shift = announced < 65536 ? 8 : 56; shift >= 0;
		    shift -= 8) {
			c = (char)((uint64_t)announced >> shift);
			apw_buf_put(out, &c, 1);
		}
	}
	if (masked)
		apw_buf_put(out, mask, 4);
	for (i = 0; i < n; i++) {
		c = (char)(masked ? data[i] ^ mask[i & 3] : data[i]);
		apw_buf_put(out, &c, 1);
	}
}

static ssize_t
get(uint8_t *to, size_t n, int flags, void *arg)
{
	(void)flags;
	return apw_ws_get(arg, to, n);
}

/* All of the stream in steps; what came out as one text. */
static void
read_all(struct apw_buf *stream, bool server, size_t max, size_t step,
    struct apw_buf *said)
{
	struct apw_ws_reader	r = { .server = server,
	    .max_message_bytes = max };
	struct apw_ws_piece	piece;
	size_t			at = 0, now, n;
	char			*copy;
	const char		*p;
	enum apw_ws_got		got = APW_WS_MORE;
	const struct wslay_frame_callbacks callbacks = {
		.recv_callback = get,
	};

	assert_int_equal(wslay_frame_context_init(&r.frames, &callbacks, &r),
	    0);

	for (; at < stream->len && got != APW_WS_BROKEN; at += now) {
		now = stream->len - at < step ? stream->len - at : step;
		copy = malloc(now);
		memcpy(copy, stream->data + at, now);
		p = copy;
		n = now;
		do {
			got = apw_ws_read(&r, &p, &n, &piece);
			if (got == APW_WS_PIECE) {
				if (piece.first)
					apw_buf_printf(said, "<%u ",
					    piece.opcode);
				apw_buf_str(said, piece.data);
				if (piece.last)
					apw_buf_puts(said, ">");
			} else if (got == APW_WS_CONTROL) {
				apw_buf_printf(said, "(%u %.*s)",
				    piece.opcode, (int)piece.data.n,
				    piece.data.p);
			} else if (got == APW_WS_BROKEN)
				apw_buf_printf(said, "!%u", piece.code);
		} while (got != APW_WS_BROKEN && (n > 0 ||
		    got != APW_WS_MORE));
		free(copy);
	}
	wslay_frame_context_free(r.frames);
}

static void
check(struct apw_buf *stream, bool server, size_t max, const char *want)
{
	static const size_t	steps[] = { 1, 2, 3, 7, 1 << 20 };
	struct apw_buf		said = APW_BUF_INIT(0);
	size_t			i;

	for (i = 0; i < APW_COUNT(steps); i++) {
		apw_buf_reset(&said);
		read_all(stream, server, max, steps[i], &said);
		assert_string_equal(said.data == NULL ? "" : said.data, want);
	}
	apw_buf_free(&said);
	apw_buf_reset(stream);
}

static void
test_frames(void **state)
{
	struct apw_buf	s = APW_BUF_INIT(0), want = APW_BUF_INIT(0);
	char		*large = malloc(70000);
	int		 masked;

	(void)state;
	memset(large, 'z', 70000);
	for (masked = 0; masked <= 1; masked++) {
		frame(&s, masked, 0x81, "hello", 5, 5);
		frame(&s, masked, 0x82, "", 0, 0);
		frame(&s, masked, 0x01, "one", 3, 3);
		frame(&s, masked, 0x89, "ping", 4, 4);
		frame(&s, masked, 0x00, "", 0, 0);
		frame(&s, masked, 0x80, "two", 3, 3);
		frame(&s, masked, 0x8a, "", 0, 0);
		frame(&s, masked, 0x88, "", 0, 0);
		check(&s, masked, 100,
		    "<1 hello><2 ><1 one(9 ping)two>(10 )(8 )");
		apw_buf_puts(&want, "<1 ");
		apw_buf_put(&want, large, 70000);
		apw_buf_puts(&want, "><2 ");
		apw_buf_put(&want, large, 200);
		apw_buf_puts(&want, ">");
		frame(&s, masked, 0x81, large, 70000, 70000);
		frame(&s, masked, 0x82, large, 200, 200);
		check(&s, masked, 70000, want.data);
		apw_buf_free(&want);
	}
	free(large);
	apw_buf_free(&s);
}

static void
test_frames_bad(void **state)
{
	static const struct { unsigned head; size_t n; const char *want; }
	rows[] = {
		{ 0xc1, 1, "!1002" }, { 0x91, 1, "!1002" },
		{ 0x83, 1, "!1002" }, { 0x8b, 1, "!1002" },
		{ 0x80, 1, "!1002" }, { 0x09, 1, "!1002" },
		{ 0x89, 126, "!1002" }, { 0x88, 126, "!1002" },
		{ 0x81, 101, "!1009" }, { 0x81, SIZE_MAX / 2, "!1009" },
		{ 0x81, SIZE_MAX, "!1002" },
	};
	struct apw_buf	s = APW_BUF_INIT(0);
	size_t		i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++) {
		frame(&s, true, rows[i].head, "x", 1, rows[i].n);
		check(&s, true, 100, rows[i].want);
	}
	frame(&s, false, 0x81, "x", 1, 1);
	check(&s, true, 100, "!1002");
	frame(&s, true, 0x81, "x", 1, 1);
	check(&s, false, 100, "!1002");
	frame(&s, true, 0x01, "x", 1, 1);
	frame(&s, true, 0x81, "x", 1, 1);
	check(&s, true, 100, "<1 x!1002");
	/* the sum of fragments */
	frame(&s, true, 0x01, "xxxxx", 5, 5);
	frame(&s, true, 0x80, "x", 1, 6);
	check(&s, true, 10, "<1 xxxxx!1009");
	/* lengths in a longer form than needed */
	apw_buf_put(&s, "\x81\xfe\x00\x7d\0\0\0\0", 8);
	check(&s, true, 100, "!1002");
	apw_buf_put(&s, "\x81\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", 14);
	check(&s, true, 1000000, "!1002");
	apw_buf_free(&s);
}

static void
test_close(void **state)
{
	(void)state;
	assert_true(apw_ws_close_ok(APW_STR("")));
	assert_true(apw_ws_close_ok(APW_STR("\x03\xe8")));
	assert_true(apw_ws_close_ok(APW_STR("\x0f\xa0why \xc3\xa9")));
	assert_false(apw_ws_close_ok(APW_STR("\x03")));
	assert_false(apw_ws_close_ok(APW_STR("\x03\xe7")));
	assert_false(apw_ws_close_ok(APW_STR("\x03\xed")));
	assert_false(apw_ws_close_ok(APW_STR("\x13\x88")));
	assert_false(apw_ws_close_ok(APW_STR("\x03\xe8\xff")));
}

static int
scan(const char *text, size_t pad, enum apw_engine_dialect *d)
{
	char		 path[] = "/tmp/apw-scan-XXXXXX";
	int		 fd = mkstemp(path), r;
	FILE		*f = fdopen(fd, "w");
	struct apw_err	 err;

	while (pad-- > 0)
		putc('x', f);
	fputs(text, f);
	fclose(f);
	r = apw_engine_dialect_scan(path, d, &err);
	unlink(path);
	return r;
}

static void
test_scan(void **state)
{
	enum apw_engine_dialect	d;
	struct apw_err		err;
	size_t			pad;

	(void)state;
	/* wherever a chunk ends */
	for (pad = 262144 - 24; pad < 262144 + 24; pad++) {
		assert_int_equal(scan("AP_SANDBOX_WS_TOKEN", pad, &d), 0);
		assert_int_equal(d, APW_ENGINE_DIALECT_B1);
	}
	assert_int_equal(scan("engine-operation rpc-notify", 9, &d), 0);
	assert_int_equal(d, APW_ENGINE_DIALECT_B0);
	assert_int_equal(scan("engine-operation", 262130, &d), 0);
	assert_int_equal(d, APW_ENGINE_DIALECT_A);
	assert_int_equal(scan("AP_SANDBOX_WS_TOKEN rpc-notify step-progress",
	    9, &d), 0);
	assert_int_equal(d, APW_ENGINE_DIALECT_B2);
	assert_int_equal(scan("step-progress piece-child.js", 262130, &d), 0);
	assert_int_equal(d, APW_ENGINE_DIALECT_B3);
	assert_true(apw_engine_dialect_knows_proxy(APW_ENGINE_DIALECT_B1));
	assert_false(apw_engine_dialect_knows_proxy(APW_ENGINE_DIALECT_B2));
	assert_false(apw_engine_dialect_knows_proxy(APW_ENGINE_DIALECT_B3));
	assert_int_equal(scan("nothing", 3, &d), -1);
	assert_int_equal(scan("", 0, &d), -1);
	assert_int_equal(apw_engine_dialect_scan("/nonexistent", &d, &err),
	    -1);
	assert_int_equal(apw_engine_dialect_parse("B0", &d), 0);
	assert_int_equal(d, APW_ENGINE_DIALECT_B0);
	assert_int_equal(apw_engine_dialect_parse("C", &d), -1);
}

static void
test_app_dialect(void **state)
{
	static const struct { const char *settings, *want; } rows[] = {
		{ "{}", "L3" },
		{ "{\"APP_VERSION\":\"0.85.4\"}", "L3" },
		{ "{\"APP_VERSION\":\"0.86.0\"}", "L4" },
		{ "{\"APP_VERSION\":\"0.86.1\"}", "L5" },
		{ "{\"APP_VERSION\":\"0.88.3\"}", "L5" },
		{ "{\"APP_VERSION\":\"1.0.0\"}", "L5" },
		{ "{\"APP_VERSION\":\"0.83.0\"}", "L2" },
		{ "{\"APP_VERSION\":\"0.81.2\"}", "L1" },
		{ "{\"APP_VERSION\":\"new\",\"OTEL_ENABLED\":true}", "L2" },
		{ "{\"APP_VERSION\":86,\"SSRF_PROTECTION_ENABLED\":false}",
		    "L1" },
		{ "{\"PLATFORM_ID_FOR_DEDICATED_WORKER\":\"x\","
		    "\"OTEL_ENABLED\":true}", "L1" },
		{ "[]", "L3" }, { "", "L3" },
	};
	size_t	i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++)
		assert_string_equal(apw_app_dialect_choose(apw_str_c(
		    rows[i].settings))->name, rows[i].want);
	assert_null(apw_app_dialect_named("L6"));
	assert_ptr_equal(apw_app_dialect_of(84000),
	    apw_app_dialect_named("L3"));
	assert_ptr_equal(apw_app_dialect_of(0), apw_app_dialect_named("L3"));
}

static void
test_app_features(void **state)
{
	static const struct {
		unsigned		release;
		enum apw_app_feature	f;
		bool			can;
	} rows[] = {
		{ 0, APW_APP_MARK_USED, true },
		{ 0, APW_APP_BUNDLES, false },
		{ 85004, APW_APP_RELAYS, true },
		{ 86000, APW_APP_RELAYS, false },
		{ 86000, APW_APP_BUNDLES, true },
		{ 86000, APW_APP_SERVER_PING, false },
		{ 86001, APW_APP_SERVER_PING, true },
		{ 86001, APW_APP_TRIGGER_RUN, false },
		{ 86002, APW_APP_TRIGGER_RUN, true },
		{ 86003, APW_APP_FAILED_STEP, false },
		{ 87000, APW_APP_FAILED_STEP, true },
		{ 87000, APW_APP_CHAT_AGENT, false },
		{ 87000, APW_APP_ACTION, false },
		{ 88000, APW_APP_ACTION, true },
		{ 88003, APW_APP_GROUP_MODES, true },
		{ 88003, APW_APP_AI, false },
		{ 92002, APW_APP_GROUP_MODES, false },
		{ 92002, APW_APP_AI, true },
		{ 1000000, APW_APP_ACTION, true },
	};
	size_t	i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++)
		assert_int_equal(apw_app_can(rows[i].release, rows[i].f),
		    rows[i].can);
	/* each feature has its words */
	for (i = 0; i < APW_APP_NFEATURES; i++)
		assert_non_null(apw_app_since((enum apw_app_feature)i));
	assert_string_equal(apw_app_since(APW_APP_TRIGGER_RUN), "0.86.2");
	assert_string_equal(apw_app_job_since(APW_STR("EXECUTE_ACTION")),
	    "0.88.0");
	assert_string_equal(apw_app_job_since(APW_STR("EXECUTE_AI")),
	    "a release after 0.88.3");
	assert_null(apw_app_job_since(APW_STR("EXECUTE_ACT")));
	assert_null(apw_app_job_since(APW_STR("")));
	/* the newest that was seen is the last before the unknown ones */
	assert_int_equal(apw_app_release(APW_STR("\""
	    APW_APP_RELEASE_NEWEST "\"")) + 1, APW_APP_RELEASE_UNKNOWN);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_frames_bad),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_app_dialect),
		cmocka_unit_test(test_app_features),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
