/* Engine.IO v4 packets; see apw_eio.h.  Room: proto. */
#include "proto/apw_eio.h"

#include <limits.h>
#include <string.h>
#include <sys/random.h>

#include "proto/apw_raw.h"

/* what a peer may ask for as heartbeat: one day */
#define PING_MAX_MS	86400000

int
apw_eio_parse(struct apw_str text, bool polling, struct apw_eio_packet *pkt)
{
	if (text.n == 0)
		return -1;
	if ((text.p[0] < '0' || text.p[0] > '6') &&
	    !(polling && text.p[0] == 'b'))
		return -1;
	pkt->type = (enum apw_eio_type)text.p[0];
	pkt->data = (struct apw_str){ text.p + 1, text.n - 1 };
	return 0;
}

int
apw_eio_next(struct apw_str *payload, struct apw_eio_packet *pkt)
{
	struct apw_str	 one;
	const char	*at;

	if (payload->p == NULL)
		return 0;
	at = memchr(payload->p, APW_EIO_SEPARATOR, payload->n);
	one.p = payload->p;
	if (at == NULL) {
		one.n = payload->n;
		*payload = (struct apw_str){ NULL, 0 };
	} else {
		one.n = at - payload->p;
		payload->n -= one.n + 1;
		payload->p = at + 1;
	}
	return apw_eio_parse(one, true, pkt) == -1 ? -1 : 1;
}

size_t
apw_eio_base64_bytes(size_t n)
{
	return (n + 2) / 3 * 4;
}

void
apw_eio_base64_encode(char *out, const void *data, size_t n)
{
	static const char	 digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char	*p = data;

	for (; n >= 3; n -= 3, p += 3) {
		*out++ = digits[p[0] >> 2];
		*out++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
		*out++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
		*out++ = digits[p[2] & 63];
	}
	if (n == 0)
		return;
	*out++ = digits[p[0] >> 2];
	if (n == 1) {
		*out++ = digits[(p[0] & 3) << 4];
		*out++ = '=';
	} else {
		*out++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
		*out++ = digits[(p[1] & 15) << 2];
	}
	*out = '=';
}

ssize_t
apw_eio_base64_plain(struct apw_str text)
{
	size_t	n = text.n / 4 * 3;

	if (text.n % 4 != 0)
		return -1;
	if (text.n > 0 && text.p[text.n - 1] == '=')
		n--;
	if (text.n > 0 && text.p[text.n - 2] == '=')
		n--;
	return (ssize_t)n;
}

static int
base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int
apw_eio_base64_decode(struct apw_buf *out, struct apw_str text)
{
	ssize_t		 size = apw_eio_base64_plain(text);
	size_t		 digits, i;
	uint32_t	 bits = 0;
	char		*to;
	int		 v;

	if (size == -1 || apw_buf_reserve(out, (size_t)size) == -1)
		return -1;
	digits = text.n - (text.n / 4 * 3 - (size_t)size);
	if (size == 0)
		return digits == 0 ? 0 : -1;
	to = out->data + out->len;
	for (i = 0; i < digits; i++) {
		if ((v = base64_value((unsigned char)text.p[i])) == -1)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		if (i % 4 == 3) {
			*to++ = (char)(bits >> 16);
			*to++ = (char)(bits >> 8);
			*to++ = (char)bits;
			bits = 0;
		}
	}
	if (digits % 4 == 2) {
		if ((bits & 15) != 0)
			return -1;
		*to++ = (char)(bits >> 4);
	} else if (digits % 4 == 3) {
		if ((bits & 3) != 0)
			return -1;
		*to++ = (char)(bits >> 10);
		*to++ = (char)(bits >> 2);
	}
	out->len += (size_t)size;
	out->data[out->len] = '\0';
	return 0;
}

int
apw_eio_open_put(struct apw_buf *out, const struct apw_eio_open *open)
{
	return apw_buf_printf(out, "{\"sid\":\"%s\",\"upgrades\":[%s],"
	    "\"pingInterval\":%u,\"pingTimeout\":%u,\"maxPayload\":%zu}",
	    open->sid, open->upgrade ? "\"websocket\"" : "",
	    open->ping_interval_ms, open->ping_timeout_ms,
	    open->max_payload_bytes);
}

static int
open_number(struct apw_str json, const char *key, int64_t max, int64_t *out,
    struct apw_err *err)
{
	struct apw_str	v;

	if (apw_raw_member(json, key, &v) != 1)
		return 0;
	if (apw_raw_int(v, out) == -1 || *out < 1 || *out > max)
		return apw_err_set(err, 0, "open packet: bad %s", key);
	return 1;
}

static int
open_sid(struct apw_str json, struct apw_eio_open *open, struct apw_err *err)
{
	struct apw_str	v;
	size_t		i;

	if (apw_raw_member(json, "sid", &v) != 1 || v.n < 3 ||
	    v.n - 2 > APW_EIO_SID_MAX || v.p[0] != '"')
		return apw_err_set(err, 0, "open packet: bad sid");
	for (i = 1; i < v.n - 1; i++)
		if (v.p[i] <= ' ' || v.p[i] > '~' || v.p[i] == '\\')
			return apw_err_set(err, 0, "open packet: bad sid");
	memcpy(open->sid, v.p + 1, v.n - 2);
	open->sid[v.n - 2] = '\0';
	return 0;
}

int
apw_eio_open_parse(struct apw_str json, struct apw_eio_open *open,
    struct apw_err *err)
{
	struct apw_raw_iter	it;
	struct apw_str		list, v;
	int64_t			interval, timeout, max = 0;

	memset(open, 0, sizeof(*open));
	if (apw_raw_check(json, 0) == -1 ||
	    apw_raw_type(json) != APW_RAW_OBJECT)
		return apw_err_set(err, 0, "open packet: not an object");
	if (open_sid(json, open, err) == -1)
		return -1;
	switch (open_number(json, "pingInterval", PING_MAX_MS, &interval,
	    err)) {
	case -1:
		return -1;
	case 0:
		return apw_err_set(err, 0, "open packet: no pingInterval");
	}
	switch (open_number(json, "pingTimeout", PING_MAX_MS, &timeout, err)) {
	case -1:
		return -1;
	case 0:
		return apw_err_set(err, 0, "open packet: no pingTimeout");
	}
	if (open_number(json, "maxPayload", INT64_MAX / 2, &max, err) == -1)
		return -1;
	open->ping_interval_ms = (unsigned)interval;
	open->ping_timeout_ms = (unsigned)timeout;
	open->max_payload_bytes = (size_t)max;
	if (apw_raw_member(json, "upgrades", &list) == 1 &&
	    apw_raw_iter(&it, list) == 0) {
		while (apw_raw_next(&it, NULL, &v) == 1)
			if (apw_raw_equals(v, "websocket"))
				open->upgrade = true;
	}
	return 0;
}

int
apw_eio_sid(char sid[APW_EIO_SID_BYTES])
{
	unsigned char	bytes[15];
	size_t		i;

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -1;
	apw_eio_base64_encode(sid, bytes, sizeof(bytes));
	for (i = 0; i < APW_EIO_SID_BYTES - 1; i++) {
		if (sid[i] == '+')
			sid[i] = '-';
		else if (sid[i] == '/')
			sid[i] = '_';
	}
	sid[APW_EIO_SID_BYTES - 1] = '\0';
	return 0;
}
