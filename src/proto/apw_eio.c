/* Engine.IO v4 packets; see apw_eio.h.  Room: proto. */
#include "proto/apw_eio.h"

#include <limits.h>
#include <string.h>
#include <sys/random.h>

#include "proto/apw_base64.h"
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
	apw_base64_encode(sid, bytes, sizeof(bytes));
	for (i = 0; i < APW_EIO_SID_BYTES - 1; i++) {
		if (sid[i] == '+')
			sid[i] = '-';
		else if (sid[i] == '/')
			sid[i] = '_';
	}
	sid[APW_EIO_SID_BYTES - 1] = '\0';
	return 0;
}
