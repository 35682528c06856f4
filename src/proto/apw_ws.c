/* RFC 6455 opening handshake; see apw_ws.h.  Room: proto. */
#include "proto/apw_ws.h"

#include <openssl/evp.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "proto/apw_base64.h"

#define KEY_LENGTH	24

static bool
is_word(struct apw_str a, const char *b)
{
	return a.p != NULL && a.n == strlen(b) &&
	    strncasecmp(a.p, b, a.n) == 0;
}

bool
apw_ws_wanted(const struct apw_http_head *h)
{
	struct apw_str	connection = apw_http_header(h, "connection");
	struct apw_str	upgrade = apw_http_header(h, "upgrade");

	return connection.p != NULL && upgrade.p != NULL &&
	    apw_http_has_token(connection, "upgrade");
}

/* 16 bytes in base64: 22 digits, the last of them one of four, and "==". */
static bool
is_key(struct apw_str key)
{
	char		room[24];
	struct apw_buf	out = { .data = room, .cap = sizeof(room),
	    .max = sizeof(room) - 1 };

	return key.p != NULL && key.n == KEY_LENGTH &&
	    apw_base64_plain(key) == 16 &&
	    apw_base64_decode(&out, key) == 0;
}

int
apw_ws_request_check(const struct apw_http_head *h, struct apw_str *key,
    struct apw_err *err)
{
	if (!apw_str_is(h->method, "GET") || h->minor != 1)
		return apw_err_set(err, 0, "upgrade with a wrong method");
	if (!apw_ws_wanted(h) || !apw_http_has_token(
	    apw_http_header(h, "upgrade"), "websocket"))
		return apw_err_set(err, 0, "upgrade to something else");
	if (!is_word(apw_http_header(h, "sec-websocket-version"), "13"))
		return apw_err_set(err, 0, "unknown WebSocket version");
	*key = apw_http_header(h, "sec-websocket-key");
	if (!is_key(*key))
		return apw_err_set(err, 0, "broken Sec-WebSocket-Key");
	return 0;
}

int
apw_ws_accept(struct apw_str key, char out[APW_WS_ACCEPT_BYTES])
{
	static const char	guid[] =
	    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char			text[KEY_LENGTH + sizeof(guid)];
	unsigned char		digest[EVP_MAX_MD_SIZE];
	unsigned		n;

	if (key.n != KEY_LENGTH)
		return -1;
	memcpy(text, key.p, KEY_LENGTH);
	memcpy(text + KEY_LENGTH, guid, sizeof(guid));
	if (EVP_Digest(text, sizeof(text) - 1, digest, &n, EVP_sha1(),
	    NULL) != 1 || n != 20)
		return -1;
	apw_base64_encode(out, digest, n);
	out[APW_WS_ACCEPT_BYTES - 1] = '\0';
	return 0;
}

int
apw_ws_key(char out[APW_WS_KEY_BYTES])
{
	unsigned char	bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -1;
	apw_base64_encode(out, bytes, sizeof(bytes));
	out[APW_WS_KEY_BYTES - 1] = '\0';
	return 0;
}

int
apw_ws_response_check(const struct apw_http_head *h, const char *key,
    struct apw_err *err)
{
	char	accept[APW_WS_ACCEPT_BYTES];

	if (h->status != 101)
		return apw_err_set(err, 0, "HTTP status %d instead of 101",
		    h->status);
	if (!apw_ws_wanted(h) || !is_word(apw_http_header(h, "upgrade"),
	    "websocket"))
		return apw_err_set(err, 0, "101 without an upgrade");
	if (apw_ws_accept(apw_str_c(key), accept) == -1 || !apw_str_is(
	    apw_http_header(h, "sec-websocket-accept"), accept))
		return apw_err_set(err, 0, "wrong Sec-WebSocket-Accept");
	if (apw_http_header(h, "sec-websocket-extensions").p != NULL ||
	    apw_http_header(h, "sec-websocket-protocol").p != NULL)
		return apw_err_set(err, 0,
		    "101 with an extension nobody asked for");
	return 0;
}
