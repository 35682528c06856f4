/* HTTP heads, queries, and the WebSocket opening handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "proto/apw_chunk.h"
#include "proto/apw_http.h"
#include "proto/apw_ws.h"

#define KEY	"dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE	"GET /s/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\n" \
	"Upgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n" \
	"Sec-WebSocket-Key: " KEY "\r\nSec-WebSocket-Version: 13\r\n\r\n"

static void
test_request(void **state)
{
	struct apw_http_head	h;
	struct apw_err		err = APW_ERR_NONE;
	const char		*text = "POST /s/?a=1&b=%2Fx+y HTTP/1.1\r\n"
	    "Host: a\r\nContent-Length:  12 \r\nX-Empty:\r\n"
	    "connection: close\r\n\r\n";
	char			out[16], small[3];

	(void)state;
	assert_int_equal(apw_http_request(apw_str_c(text), &h, &err), 0);
	assert_true(apw_str_is(h.method, "POST"));
	assert_true(apw_str_is(h.path, "/s/"));
	assert_int_equal(h.content_length, 12);
	assert_false(h.keep_alive);
	assert_int_equal(apw_http_header(&h, "X-EMPTY").n, 0);
	assert_non_null(apw_http_header(&h, "x-empty").p);
	assert_null(apw_http_header(&h, "none").p);
	assert_int_equal(apw_http_query(h.query, "b", out, sizeof(out)), 1);
	assert_string_equal(out, "/x y");
	assert_int_equal(apw_http_query(h.query, "c", out, sizeof(out)), 0);
	assert_int_equal(apw_http_query(h.query, "b", small, sizeof(small)),
	    -1);
	assert_int_equal(apw_http_query(APW_STR("a=1&a=2"), "a", out,
	    sizeof(out)), -1);
	assert_int_equal(apw_http_query(APW_STR("a=%0"), "a", out,
	    sizeof(out)), -1);
	assert_int_equal(apw_http_query(APW_STR("a=%00"), "a", out,
	    sizeof(out)), -1);
	assert_int_equal(apw_http_query(APW_STR("&&=x&a"), "a", out,
	    sizeof(out)), 1);
	assert_string_equal(out, "");
}

static void
test_request_bad(void **state)
{
	static const char *const	bad[] = {
		"GET / HTTP/1.1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET / HTTP/1.1\nHost: a\n\n",
		"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
		"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost\r\n\r\n",
		"GET / HTTP/1.1\r\n: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\x01\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nOrigin: \x7f\r\n\r\n",
		"GET / HTTP/2.0\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
		"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET a HTTP/1.1\r\nHost: a\r\n\r\n",
		"G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1x\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		"Content-Length: 1\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		"Transfer-Encoding: chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\n"
		"Transfer-Encoding: gzip, chunked\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\n"
		"Content-Length: 99999999999999999999\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nx",
	};
	struct apw_http_head		h;
	struct apw_err			err;
	size_t				i;

	(void)state;
	for (i = 0; i < APW_COUNT(bad); i++)
		if (apw_http_request(apw_str_c(bad[i]), &h, &err) == 0)
			fail_msg("taken: %s", bad[i]);
}

static void
test_length(void **state)
{
	struct apw_str	text = APW_STR(UPGRADE "GET /next");
	char		*big = malloc(APW_HTTP_HEAD_MAX + 1);
	size_t		 i, n = sizeof(UPGRADE) - 1;

	(void)state;
	for (i = 0; i <= text.n; i++)
		assert_int_equal(apw_http_head_length((struct apw_str){
		    text.p, i }), i < n ? 0 : n);
	memset(big, 'a', APW_HTTP_HEAD_MAX + 1);
	assert_int_equal(apw_http_head_length((struct apw_str){ big,
	    APW_HTTP_HEAD_MAX - 1 }), 0);
	assert_int_equal(apw_http_head_length((struct apw_str){ big,
	    APW_HTTP_HEAD_MAX }), -1);
	assert_int_equal(apw_http_head_length(APW_STR("\x16\x03\x01")), -1);
	assert_int_equal(apw_http_head_length(APW_STR("\r\n\r\n")), -1);
	free(big);
}

static void
test_many_headers(void **state)
{
	struct apw_buf		text = APW_BUF_INIT(0);
	struct apw_http_head	h;
	struct apw_err		err;
	unsigned		n, i;

	(void)state;
	for (n = APW_HTTP_HEADERS_MAX; n <= APW_HTTP_HEADERS_MAX + 1; n++) {
		apw_buf_reset(&text);
		apw_buf_puts(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
		for (i = 1; i < n; i++)
			apw_buf_printf(&text, "X-%u: y\r\n", i);
		apw_buf_puts(&text, "\r\n");
		assert_int_equal(apw_http_request(apw_buf_view(&text), &h,
		    &err), n == APW_HTTP_HEADERS_MAX ? 0 : -1);
	}
	apw_buf_free(&text);
}

static void
test_ws_server(void **state)
{
	static const struct { const char *from, *to; } rows[] = {
		{ "GET", "PUT" }, { "HTTP/1.1", "HTTP/1.0" },
		{ "WebSocket", "h2c______" }, { "Version: 13",
		    "Version: 12" }, { KEY, "dGhlIHNhbXBsZSBub25jZQ=A" },
		{ KEY, "dGhlIHNhbXBsZSBub25jZR==" }, { ", Upgrade",
		    ", Upgrad_" }, { "-Key", "-Kei" },
	};
	struct apw_http_head	h;
	struct apw_err		err = APW_ERR_NONE;
	struct apw_str		key;
	char			out[APW_WS_ACCEPT_BYTES], *text, *at;
	size_t			i;

	(void)state;
	assert_int_equal(apw_http_request(APW_STR(UPGRADE), &h, &err), 0);
	assert_true(apw_ws_wanted(&h));
	assert_int_equal(apw_ws_request_check(&h, &key, &err), 0);
	assert_int_equal(apw_ws_accept(key, out), 0);
	assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
	for (i = 0; i < APW_COUNT(rows); i++) {
		text = strdup(UPGRADE);
		at = strstr(text, rows[i].from);
		memcpy(at, rows[i].to, strlen(rows[i].to));
		if (apw_http_request(apw_str_c(text), &h, &err) == 0 &&
		    apw_ws_request_check(&h, &key, &err) == 0)
			fail_msg("taken with %s", rows[i].to);
		free(text);
	}
}

static void
test_ws_client(void **state)
{
	static const char *const	bad[] = {
		"HTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 101 x\r\n\r\n",
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n"
		"Connection: Upgrade\r\n\r\n",
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade"
		"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOp=\r\n"
		"\r\n",
		"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade"
		"\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
		"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
		"HTTP/1.1 101x\r\n\r\n", "ICY 200 OK\r\n\r\n",
	};
	struct apw_http_head		h;
	struct apw_err			err = APW_ERR_NONE;
	char				key[APW_WS_KEY_BYTES];
	size_t				i;

	(void)state;
	assert_int_equal(apw_http_response(APW_STR("HTTP/1.1 101 Switching "
	    "Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
	    "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"),
	    &h, &err), 0);
	assert_int_equal(apw_ws_response_check(&h, KEY, &err), 0);
	for (i = 0; i < APW_COUNT(bad); i++)
		if (apw_http_response(apw_str_c(bad[i]), &h, &err) == 0 &&
		    apw_ws_response_check(&h, KEY, &err) == 0)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(apw_ws_key(key), 0);
	assert_int_equal(strlen(key), 24);
}

/* A body read in steps: its text, then "." or "!". */
static void
read_chunks(const char *text, size_t step, char *out)
{
	struct apw_chunk	k = { 0 };
	struct apw_str		data;
	const char		*p;
	char			*copy;
	size_t			at, now, n, total = strlen(text);
	enum apw_chunk_got	got = APW_CHUNK_MORE;

	for (at = 0; at < total && (got == APW_CHUNK_MORE); at += now - n) {
		now = total - at < step ? total - at : step;
		copy = malloc(now);
		memcpy(copy, text + at, now);
		p = copy;
		n = now;
		while ((got = apw_chunk_read(&k, &p, &n, &data)) ==
		    APW_CHUNK_DATA) {
			memcpy(out, data.p, data.n);
			out += data.n;
		}
		free(copy);
	}
	*out++ = got == APW_CHUNK_END ? '.' : got == APW_CHUNK_MORE ? '?' :
	    '!';
	strcpy(out, text + at);
}

static void
test_chunks(void **state)
{
	static const struct { const char *text, *want; } rows[] = {
		{ "3\r\nabc\r\n0\r\n\r\n", "abc." },
		{ "3\r\nabc\r\n00002\r\nde\r\n0\r\n\r\nGET", "abcde.GET" },
		{ "A;x=1\r\n0123456789\r\n0;y\r\nT: v\r\nU: \r\n\r\n!",
		    "0123456789.!" },
		{ "0\r\n\r\n", "." }, { "0\r\n", "?" }, { "5\r\nab", "ab?" },
		{ "5", "?" },
	};
	static const char *const	bad[] = { "\r\n", "g\r\n", " 1\r\n",
		"1 \r\n", "1\n", "1\r1", "-1\r\n", "0x1\r\n", "1\r\nab",
		"1\r\na\n", "1000000000000000\r\n", "1;\001\r\n",
		"0\r\nT\n", "0\r\n\rx", "1\r\na\r\n\r\n" };
	static const size_t	steps[] = { 1, 2, 3, 1000 };
	char			out[64];
	size_t			i, s;

	(void)state;
	for (s = 0; s < APW_COUNT(steps); s++) {
		for (i = 0; i < APW_COUNT(rows); i++) {
			read_chunks(rows[i].text, steps[s], out);
			assert_string_equal(out, rows[i].want);
		}
		for (i = 0; i < APW_COUNT(bad); i++) {
			read_chunks(bad[i], steps[s], out);
			assert_non_null(strchr(out, '!'));
		}
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_request_bad),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_many_headers),
		cmocka_unit_test(test_ws_server),
		cmocka_unit_test(test_ws_client),
		cmocka_unit_test(test_chunks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
