/* RFC 6455 frames as they come in; see apw_ws_frame.h.  Room: proto. */
#include "proto/apw_ws_frame.h"

#include "proto/apw_raw.h"

static enum apw_ws_got
broken(struct apw_ws_piece *out, unsigned code)
{
	out->code = code;
	return APW_WS_BROKEN;
}

static bool
is_control(uint8_t opcode)
{
	return opcode >= 8;
}

/* Bytes a header has, as far as its first two tell. */
static unsigned
header_bytes(const struct apw_ws_reader *r)
{
	unsigned	n = 2;

	if (r->have < 2)
		return n;
	if ((r->header[1] & 0x7f) == 126)
		n += 2;
	else if ((r->header[1] & 0x7f) == 127)
		n += 8;
	if ((r->header[1] & 0x80) != 0)
		n += 4;
	return n;
}

static int
read_length(struct apw_ws_reader *r)
{
	const unsigned char	*p = r->header + 2;
	unsigned		 n = r->header[1] & 0x7f, i;

	r->left = n;
	if (n < 126)
		return 0;
	r->left = 0;
	for (i = n == 126 ? 2 : 8; i > 0; i--)
		r->left = r->left << 8 | *p++;
	/* the shortest form, and no sign bit */
	if (n == 126)
		return r->left < 126 ? -1 : 0;
	return r->left < 65536 || r->left >> 63 != 0 ? -1 : 0;
}

/* The header is complete: is it allowed here?  A close code, or 0. */
static unsigned
check_header(struct apw_ws_reader *r, unsigned bytes)
{
	bool	masked = (r->header[1] & 0x80) != 0;

	r->fin = (r->header[0] & 0x80) != 0;
	r->opcode = r->header[0] & 0x0f;
	if ((r->header[0] & 0x70) != 0 || masked != r->server ||
	    read_length(r) == -1)
		return APW_WS_CODE_PROTOCOL;
	r->mask_at = 0;
	if (masked)
		memcpy(r->mask, r->header + bytes - 4, 4);
	switch (r->opcode) {
	case APW_WS_CLOSE:
	case APW_WS_PING:
	case APW_WS_PONG:
		r->ncontrol = 0;
		return !r->fin || r->left > APW_WS_CONTROL_MAX ?
		    APW_WS_CODE_PROTOCOL : 0;
	case APW_WS_CONTINUATION:
		if (r->message == 0)
			return APW_WS_CODE_PROTOCOL;
		break;
	case APW_WS_TEXT:
	case APW_WS_BINARY:
		if (r->message != 0)
			return APW_WS_CODE_PROTOCOL;
		r->message = r->opcode;
		r->message_bytes = 0;
		r->started = false;
		break;
	default:
		return APW_WS_CODE_PROTOCOL;
	}
	if (r->left > r->max_message_bytes - r->message_bytes)
		return APW_WS_CODE_TOO_LARGE;
	r->message_bytes += (size_t)r->left;
	return 0;
}

/* 1: the header is there; 0: not yet. */
static int
take_header(struct apw_ws_reader *r, char **p, size_t *n)
{
	unsigned	need;
	size_t		now;

	while (r->have < (need = header_bytes(r))) {
		if (*n == 0)
			return 0;
		now = need - r->have < *n ? need - r->have : *n;
		memcpy(r->header + r->have, *p, now);
		r->have += (unsigned)now;
		*p += now;
		*n -= now;
	}
	return 1;
}

static void
unmask(struct apw_ws_reader *r, char *p, size_t n)
{
	unsigned char	key[8];
	uint64_t	word, k;
	size_t		i;

	for (i = 0; i < 8; i++)
		key[i] = r->mask[(r->mask_at + i) & 3];
	memcpy(&k, key, 8);
	for (i = 0; n - i >= 8; i += 8) {
		memcpy(&word, p + i, 8);
		word ^= k;
		memcpy(p + i, &word, 8);
	}
	for (; i < n; i++)
		p[i] = (char)((unsigned char)p[i] ^ key[i & 7]);
	r->mask_at = (r->mask_at + (unsigned)(n & 3)) & 3;
}

static enum apw_ws_got
take_control(struct apw_ws_reader *r, struct apw_ws_piece *out,
    const char *data, size_t n)
{
	memcpy(r->control + r->ncontrol, data, n);
	r->ncontrol += (unsigned)n;
	if (r->left > 0)
		return APW_WS_MORE;
	out->opcode = r->opcode;
	out->data = (struct apw_str){ r->control, r->ncontrol };
	return APW_WS_CONTROL;
}

enum apw_ws_got
apw_ws_read(struct apw_ws_reader *r, char **p, size_t *n,
    struct apw_ws_piece *out)
{
	char		*data;
	size_t		 now;
	unsigned	 code;

	if (!r->payload) {
		if (take_header(r, p, n) == 0)
			return APW_WS_MORE;
		if ((code = check_header(r, header_bytes(r))) != 0)
			return broken(out, code);
		r->payload = true;
	}
	if (*n == 0 && r->left > 0)
		return APW_WS_MORE;
	data = *p;
	now = r->left < *n ? (size_t)r->left : *n;
	if (r->server)
		unmask(r, data, now);
	*p += now;
	*n -= now;
	r->left -= now;
	if (r->left == 0) {
		r->payload = false;
		r->have = 0;
	}
	if (is_control(r->opcode))
		return take_control(r, out, data, now);
	out->opcode = r->message;
	out->first = !r->started;
	out->last = r->fin && r->left == 0;
	out->data = (struct apw_str){ data, now };
	r->started = true;
	if (out->last)
		r->message = 0;
	return APW_WS_PIECE;
}

bool
apw_ws_close_ok(struct apw_str data)
{
	unsigned	code;

	if (data.n == 0)
		return true;
	if (data.n == 1)
		return false;
	code = (unsigned)(unsigned char)data.p[0] << 8 |
	    (unsigned char)data.p[1];
	if (!((code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
	    code != 1006) || (code >= 3000 && code <= 4999)))
		return false;
	return apw_raw_utf8((struct apw_str){ data.p + 2, data.n - 2 });
}
