/* Engine.IO and Socket.IO packets, attachments, RPC envelopes: what the
 * grammars allow, and every violation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/apw_auto.h"
#include "link/sio_attach.h"
#include "proto/apw_base64.h"
#include "proto/apw_eio.h"
#include "proto/apw_raw.h"
#include "proto/apw_rpc.h"
#include "proto/apw_sio.h"

static void
test_eio_payload(void **state)
{
	struct apw_str		payload = APW_STR("4hello\x1e" "2\x1e"
	    "bAQIDBA==");
	struct apw_eio_packet	pkt;
	struct apw_buf		out = APW_BUF_INIT(0);

	(void)state;
	assert_int_equal(apw_eio_next(&payload, &pkt), 1);
	assert_int_equal(pkt.type, APW_EIO_MESSAGE);
	assert_true(apw_str_is(pkt.data, "hello"));
	assert_int_equal(apw_eio_next(&payload, &pkt), 1);
	assert_int_equal(pkt.type, APW_EIO_PING);
	assert_int_equal(pkt.data.n, 0);
	assert_int_equal(apw_eio_next(&payload, &pkt), 1);
	assert_int_equal(pkt.type, APW_EIO_BINARY);
	assert_int_equal(apw_base64_decode(&out, pkt.data), 0);
	assert_true(apw_str_eq(apw_buf_view(&out), APW_STR("\1\2\3\4")));
	assert_int_equal(apw_eio_next(&payload, &pkt), 0);
	payload = APW_STR("4a\x1e");
	assert_int_equal(apw_eio_next(&payload, &pkt), 1);
	assert_int_equal(apw_eio_next(&payload, &pkt), -1);
	assert_int_equal(apw_eio_parse(APW_STR("bAQ=="), false, &pkt), -1);
	assert_int_equal(apw_eio_parse(APW_STR("7"), true, &pkt), -1);
	assert_int_equal(apw_eio_parse(APW_STR(""), true, &pkt), -1);
	apw_buf_free(&out);
}

static void
test_base64(void **state)
{
	static const char *const	bad[] = { "A", "AA", "AAA", "A===",
	    "AA=A", "AB==", "AAB=", "AA==AA==", "AA A", "AA-_", "====" };
	struct apw_buf			out = APW_BUF_INIT(0);
	unsigned char			bytes[64];
	char				text[96];
	size_t				n, i;

	(void)state;
	for (n = 0; n < sizeof(bytes); n++) {
		for (i = 0; i < n; i++)
			bytes[i] = (unsigned char)(i * 37 + n);
		apw_base64_encode(text, bytes, n);
		apw_buf_reset(&out);
		assert_int_equal(apw_base64_decode(&out, (struct apw_str){
		    text, apw_base64_bytes(n) }), 0);
		assert_true(apw_str_eq(apw_buf_view(&out),
		    (struct apw_str){ (char *)bytes, n }));
	}
	for (i = 0; i < APW_COUNT(bad); i++)
		if (apw_base64_decode(&out, apw_str_c(bad[i])) == 0)
			fail_msg("taken: %s", bad[i]);
	apw_buf_free(&out);
}

static void
test_eio_open(void **state)
{
	static const char *const	bad[] = { "", "[]", "{}", "{\"sid\":1}",
	    "{\"sid\":\"a\"}", "{\"sid\":\"a\",\"pingInterval\":1}",
	    "{\"sid\":\"a\",\"pingInterval\":0,\"pingTimeout\":1}",
	    "{\"sid\":\"a\",\"pingInterval\":1,\"pingTimeout\":-1}",
	    "{\"sid\":\"\",\"pingInterval\":1,\"pingTimeout\":1}",
	    "{\"sid\":\"a\\n\",\"pingInterval\":1,\"pingTimeout\":1}",
	    ("{\"sid\":\"a\",\"pingInterval\":1,\"pingTimeout\":1,"
	    "\"maxPayload\":\"x\"}"),
	    "{\"sid\":\"a\",\"pingInterval\":99999999999,\"pingTimeout\":1}" };
	struct apw_eio_open		open = { .sid = "abc", .upgrade = true,
	    .ping_interval_ms = 300, .ping_timeout_ms = 200,
	    .max_payload_bytes = 1000000 }, again;
	struct apw_buf			text = APW_BUF_INIT(0);
	struct apw_err			err;
	char				sid[APW_EIO_SID_BYTES], sid2[21];
	size_t				i;

	(void)state;
	assert_int_equal(apw_eio_open_put(&text, &open), 0);
	assert_string_equal(text.data, "{\"sid\":\"abc\",\"upgrades\":"
	    "[\"websocket\"],\"pingInterval\":300,\"pingTimeout\":200,"
	    "\"maxPayload\":1000000}");
	assert_int_equal(apw_eio_open_parse(apw_buf_view(&text), &again,
	    &err), 0);
	assert_string_equal(again.sid, "abc");
	assert_true(again.upgrade);
	assert_int_equal(again.ping_interval_ms, 300);
	assert_int_equal(again.max_payload_bytes, 1000000);
	apw_buf_free(&text);
	for (i = 0; i < APW_COUNT(bad); i++)
		if (apw_eio_open_parse(apw_str_c(bad[i]), &again, &err) == 0)
			fail_msg("taken: %s", bad[i]);
	assert_int_equal(apw_eio_sid(sid), 0);
	assert_int_equal(apw_eio_sid(sid2), 0);
	assert_int_equal(strlen(sid), 20);
	assert_string_not_equal(sid, sid2);
	assert_int_equal(strspn(sid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghij"
	    "klmnopqrstuvwxyz0123456789-_"), 20);
}

static void
test_sio_good(void **state)
{
	static const struct {
		const char		*text;
		enum apw_sio_type	 type;
		const char		*nsp, *name, *args;
		int64_t			 id;
		unsigned		 attachments;
	} rows[] = {
		{ "0", APW_SIO_CONNECT, "/", "", "", -1, 0 },
		{ "0{\"token\":\"1\"}", APW_SIO_CONNECT, "/", "", "", -1, 0 },
		{ "0/custom", APW_SIO_CONNECT, "/custom", "", "", -1, 0 },
		{ "0/custom,", APW_SIO_CONNECT, "/custom", "", "", -1, 0 },
		{ "0/c?q=1,{}", APW_SIO_CONNECT, "/c", "", "", -1, 0 },
		{ "1", APW_SIO_DISCONNECT, "/", "", "", -1, 0 },
		{ "1/custom", APW_SIO_DISCONNECT, "/custom", "", "", -1, 0 },
		{ "2[\"m\"]", APW_SIO_EVENT, "/", "\"m\"", "", -1, 0 },
		{ "2[ \"m\" , 1 , {} ]", APW_SIO_EVENT, "/", "\"m\"",
		    "1 , {}", -1, 0 },
		{ "2[7,1]", APW_SIO_EVENT, "/", "7", "1", -1, 0 },
		{ "20[\"m\",[]]", APW_SIO_EVENT, "/", "\"m\"", "[]", 0, 0 },
		{ "2/a,12[\"m\"]", APW_SIO_EVENT, "/a", "\"m\"", "", 12, 0 },
		{ "29007199254740991[\"m\"]", APW_SIO_EVENT, "/", "\"m\"", "",
		    INT64_C(9007199254740991), 0 },
		{ "30[]", APW_SIO_ACK, "/", "", "", 0, 0 },
		{ "3456[1,\"2\"]", APW_SIO_ACK, "/", "", "1,\"2\"", 456, 0 },
		{ "4{\"message\":\"x\"}", APW_SIO_CONNECT_ERROR, "/", "", "",
		    -1, 0 },
		{ "4\"x\"", APW_SIO_CONNECT_ERROR, "/", "", "", -1, 0 },
		{ "51-[\"m\",{\"_placeholder\":true,\"num\":0}]",
		    APW_SIO_BINARY_EVENT, "/", "\"m\"",
		    "{\"_placeholder\":true,\"num\":0}", -1, 1 },
		{ "610-/a,3[]", APW_SIO_BINARY_ACK, "/a", "", "", 3, 10 },
	};
	struct apw_sio_packet	pkt;
	struct apw_err		err = APW_ERR_NONE;
	struct apw_buf		out = APW_BUF_INIT(0);
	size_t			i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++) {
		if (apw_sio_parse(apw_str_c(rows[i].text), &pkt, &err) == -1)
			fail_msg("%s: %s", rows[i].text, err.text);
		assert_int_equal(pkt.type, rows[i].type);
		assert_true(apw_str_is(pkt.nsp, rows[i].nsp));
		assert_true(apw_str_is(pkt.name, rows[i].name));
		assert_true(apw_str_is(pkt.args, rows[i].args));
		assert_int_equal(pkt.has_id, rows[i].id != -1);
		if (pkt.has_id)
			assert_true((int64_t)pkt.id == rows[i].id);
		assert_int_equal(pkt.attachments, rows[i].attachments);
	}
	pkt = (struct apw_sio_packet){ .type = APW_SIO_BINARY_ACK,
	    .nsp = APW_STR("/a"), .attachments = 2, .has_id = true,
	    .id = 789 };
	apw_sio_head(&out, &pkt);
	assert_string_equal(out.data, "62-/a,789");
	apw_buf_free(&out);
}

static void
test_sio_bad(void **state)
{
	static const char *const	bad[] = { "", "7", "abc", "00", "0[]",
	    "0\"x\"", "0null", "0{", "1{}", "1[]", "11", "2", "2{}", "2[]",
	    "2[null]", "2[{}]", "2\"m\"", "2abc[\"m\"]", "2[\"m\"",
	    "2[\"connect\"]", "2[\"connect_error\"]", "2[\"disconnect\"]",
	    "2[\"disconnecting\"]", "2[\"newListener\"]",
	    "2[\"removeListener\"]", "2[\"\\u0063onnect\"]", "3[]", "3",
	    "30", "30{}", "4", "4[]", "41{}", "5[\"m\"]", "5-[\"m\"]",
	    "50-[\"m\"]", "511-[\"m\"]", "51[\"m\"]", "5a-[\"m\"]", "51-",
	    "61-[]", "51-[\"m\",{\"_placeholder\":true,\"num\":1}]",
	    "51-[\"m\",{\"_placeholder\":true,\"num\":-1}]",
	    "51-[\"m\",{\"_placeholder\":true,\"num\":\"0\"}]",
	    "299999999999999999[\"m\"]", "29007199254740992[\"m\"]",
	    "599999999999999999999-[\"m\"]", "2[\"m\"]x", "2[\"m\"] [1]" };
	struct apw_sio_packet		pkt;
	struct apw_err			err;
	size_t				i;

	(void)state;
	for (i = 0; i < APW_COUNT(bad); i++) {
		err.text[0] = '\0';
		if (apw_sio_parse(apw_str_c(bad[i]), &pkt, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_true(err.text[0] != '\0');
	}
}

static int
take(struct apw_sio_attach *a, bool binary, struct apw_str text,
    struct apw_str *parts, size_t *n)
{
	struct apw_sio_packet	pkt;
	struct apw_err		err;

	return apw_sio_attach_take(a, binary, text, &pkt, parts, n, &err);
}

static void
test_attach(void **state)
{
	struct apw_sio_attach	a;
	struct apw_str		parts[APW_SIO_ATTACHMENTS_MAX];
	struct apw_str		text = apw_str_c("52-[\"m\"]");
	size_t			n;

	(void)state;
	apw_sio_attach_init(&a, 64);
	assert_int_equal(take(&a, true, APW_STR("x"), parts, &n), -1);
	assert_int_equal(take(&a, false, text, parts, &n), 0);
	assert_int_equal(take(&a, true, APW_STR("one"), parts, &n), 0);
	assert_int_equal(take(&a, true, APW_STR(""), parts, &n), 1);
	assert_int_equal(n, 2);
	assert_true(apw_str_is(parts[0], "one"));
	assert_int_equal(parts[1].n, 0);
	apw_sio_attach_done(&a);
	assert_int_equal(take(&a, false, APW_STR("2[\"m\"]"), parts, &n), 1);
	apw_sio_attach_done(&a);
	/* text between attachments */
	assert_int_equal(take(&a, false, text, parts, &n), 0);
	assert_int_equal(take(&a, false, APW_STR("2[\"m\"]"), parts, &n), -1);
	apw_sio_attach_free(&a);
	/* more than may be */
	assert_int_equal(take(&a, false, text, parts, &n), 0);
	assert_int_equal(take(&a, true, (struct apw_str){
	    "0123456789012345678901234567890123456789", 40 }, parts, &n), 0);
	assert_int_equal(take(&a, true, (struct apw_str){
	    "0123456789012345678901234567890123456789", 40 }, parts, &n), -1);
	apw_sio_attach_free(&a);
	assert_int_equal(apw_sio_placeholder(
	    APW_STR("{\"num\":3,\"_placeholder\":true}")), 3);
	assert_int_equal(apw_sio_placeholder(APW_STR("{\"num\":3}")), -1);
}

static void
test_rpc(void **state)
{
	static const char *const	bad[] = { "null", "[]", "{}",
	    "{\"method\":1}", "{\"method\":\"\"}", "{\"method\":\"a b\"}",
	    "{\"method\":\"a\\nb\"}", "{\"payload\":{}}" };
	struct apw_str			method, payload;
	struct apw_buf			out = APW_BUF_INIT(0);
	size_t				i;

	(void)state;
	assert_int_equal(apw_rpc_parse(APW_STR("{ \"payload\" : {\"n\":"
	    "12345678901234567890,\"u\":\"\\ud800\\u0000\"} , \"method\":"
	    "\"uploadRunLog\" }"), "method", &method, &payload), 0);
	assert_true(apw_str_is(method, "uploadRunLog"));
	/* byte for byte */
	assert_true(apw_str_is(payload,
	    "{\"n\":12345678901234567890,\"u\":\"\\ud800\\u0000\"}"));
	assert_int_equal(apw_rpc_parse(APW_STR("{\"method\":\"x\"}"),
	    "method", &method, &payload), 0);
	assert_true(apw_str_is(payload, "null"));
	for (i = 0; i < APW_COUNT(bad); i++)
		assert_int_equal(apw_rpc_parse(apw_str_c(bad[i]), "method",
		    &method, &payload), -1);
	assert_int_equal(apw_rpc_error(APW_STR("{\"a\":1}"), &out), 0);
	assert_int_equal(apw_rpc_error(APW_STR("null"), &out), 0);
	assert_int_equal(apw_rpc_error(
	    APW_STR("{\"__rpcError\":\"a\\nb\"}"), &out), 1);
	assert_string_equal(out.data, "a\nb");
	apw_buf_reset(&out);
	assert_int_equal(apw_rpc_error(APW_STR("{\"__rpcError\":{\"x\":1}}"),
	    &out), 1);
	assert_string_equal(out.data, "{\"x\":1}");
	apw_buf_reset(&out);
	apw_rpc_error_put(&out, "a \"b\"");
	assert_string_equal(out.data, "{\"__rpcError\":\"a \\\"b\\\"\"}");
	apw_buf_reset(&out);
	assert_int_equal(apw_rpc_message(APW_STR("{\"message\":\"hi\\n\"}"),
	    &out), 0);
	assert_string_equal(out.data, "hi\n");
	assert_int_equal(apw_rpc_message(APW_STR("{\"message\":1}"), &out),
	    -1);
	apw_buf_free(&out);
	assert_true(apw_str_is(apw_rpc_first(APW_STR("")), "null"));
	assert_true(apw_str_is(apw_rpc_first(APW_STR("1 ,2")), "1"));
	assert_true(apw_str_is(apw_rpc_first(APW_STR("{\"a\":[1,2]},2")),
	    "{\"a\":[1,2]}"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_eio_payload),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_eio_open),
		cmocka_unit_test(test_sio_good),
		cmocka_unit_test(test_sio_bad),
		cmocka_unit_test(test_attach),
		cmocka_unit_test(test_rpc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
