/* RFC 6455 frames as they come in; see apw_ws_frame.h.  Room: proto. */
#include "proto/apw_ws_frame.h"

#include "proto/apw_raw.h"

static enum apw_ws_got
broken(struct apw_ws_piece *out, unsigned code)
{
	out->code = code;
	return APW_WS_BROKEN;
}

/* Two of the widest registers that every processor has, at a time. */
typedef uint64_t wide __attribute__((vector_size(16)));

void
apw_ws_mask(uint8_t *to, const char *from, size_t n,
    uint8_t key[APW_WS_MASK_BYTES])
{
	uint8_t		turned[APW_WS_MASK_BYTES];
	uint32_t	word;
	uint64_t	twice, few;
	wide		mask, a, b;
	size_t		i;

	memcpy(&word, key, sizeof(word));
	twice = (uint64_t)word << 32 | word;
	mask = (wide){ twice, twice };
	for (i = 0; n - i >= 2 * sizeof(wide); i += 2 * sizeof(wide)) {
		memcpy(&a, from + i, sizeof(a));
		memcpy(&b, from + i + sizeof(a), sizeof(b));
		a ^= mask;
		b ^= mask;
		memcpy(to + i, &a, sizeof(a));
		memcpy(to + i + sizeof(a), &b, sizeof(b));
	}
	for (; n - i >= sizeof(twice); i += sizeof(twice)) {
		memcpy(&few, from + i, sizeof(few));
		few ^= twice;
		memcpy(to + i, &few, sizeof(few));
	}
	for (; i < n; i++)
		to[i] = (uint8_t)from[i] ^ key[i % APW_WS_MASK_BYTES];
	if (n % APW_WS_MASK_BYTES == 0)
		return;
	for (i = 0; i < APW_WS_MASK_BYTES; i++)
		turned[i] = key[(n + i) % APW_WS_MASK_BYTES];
	memcpy(key, turned, APW_WS_MASK_BYTES);
}

/* How long is the head, as far as it can be told from what is here? */
static unsigned
head_bytes(const struct apw_ws_reader *r)
{
	unsigned	length = r->nhead > 1 ? r->head[1] & 0x7f : 0;

	return 2 + (length == 126 ? 2 : length == 127 ? 8 : 0) +
	    (r->nhead > 1 && (r->head[1] & 0x80) != 0 ? APW_WS_MASK_BYTES : 0);
}

/* Put the head of a frame, its mask taken off, at "to".  0: more to come. */
static size_t
get_head(struct apw_ws_reader *r, uint8_t *to)
{
	unsigned	bytes, now, i;

	/* twice: the second byte tells how many there are */
	while (r->nhead < (bytes = head_bytes(r))) {
		if (r->n == 0)
			return 0;
		now = bytes - r->nhead;
		if (now > r->n)
			now = (unsigned)r->n;
		memcpy(r->head + r->nhead, r->p, now);
		r->nhead += now;
		r->p += now;
		r->n -= now;
	}
	r->nhead = 0;
	r->masked = (r->head[1] & 0x80) != 0;
	if (r->masked) {
		bytes -= APW_WS_MASK_BYTES;
		memcpy(r->key, r->head + bytes, APW_WS_MASK_BYTES);
		r->head[1] &= 0x7f;
	}
	r->payload = bytes == 2 ? r->head[1] : 0;
	for (i = 2; i < bytes; i++)
		r->payload = r->payload << 8 | r->head[i];
	memcpy(to, r->head, bytes);
	return bytes;
}

ssize_t
apw_ws_get(struct apw_ws_reader *r, uint8_t *to, size_t n)
{
	size_t	put = 0;

	/* wslay empties its buffer, larger than any head, before it asks */
	if (n < APW_WS_HEAD_MAX)
		return -1;
	if (r->payload == 0 && (put = get_head(r, to)) == 0)
		return -1;		/* wslay: want read */
	n -= put;
	if (n > r->n)
		n = r->n;
	if (n > r->payload)
		n = (size_t)r->payload;
	if (r->masked)
		apw_ws_mask(to + put, r->p, n, r->key);
	else if (n > 0)
		memcpy(to + put, r->p, n);
	r->p += n;
	r->n -= n;
	r->payload -= n;
	return put + n == 0 ? -1 : (ssize_t)(put + n);
}

/* A frame begins: is it allowed here?  A close code, or 0. */
static unsigned
check_header(struct apw_ws_reader *r, const struct wslay_frame_iocb *io)
{
	if (io->rsv != 0 || r->masked != r->server)
		return APW_WS_CODE_PROTOCOL;
	r->in_frame = true;
	r->fin = io->fin != 0;
	r->opcode = io->opcode;
	r->left = io->payload_length;
	switch (r->opcode) {
	case APW_WS_CLOSE:
	case APW_WS_PING:
	case APW_WS_PONG:
		r->ncontrol = 0;	/* wslay has bounded it */
		return 0;
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

static enum apw_ws_got
take_control(struct apw_ws_reader *r, struct apw_ws_piece *out)
{
	out->opcode = r->opcode;
	out->data = (struct apw_str){ r->control, r->ncontrol };
	return APW_WS_CONTROL;
}

static enum apw_ws_got
take_piece(struct apw_ws_reader *r, struct apw_str data,
    struct apw_ws_piece *out)
{
	out->opcode = r->message;
	out->first = !r->started;
	out->last = r->fin && r->left == 0;
	out->data = data;
	r->started = true;
	if (out->last)
		r->message = 0;
	return APW_WS_PIECE;
}

static enum apw_ws_got
read_piece(struct apw_ws_reader *r, struct apw_ws_piece *out)
{
	struct wslay_frame_iocb	io = { .fin = 0 };
	struct apw_str		data;
	unsigned		code;
	ssize_t			got;

	for (;;) {
		got = wslay_frame_recv(r->frames, &io);
		if (got == WSLAY_ERR_WANT_READ)
			return APW_WS_MORE;
		if (got < 0)
			return broken(out, APW_WS_CODE_PROTOCOL);
		if (!r->in_frame && (code = check_header(r, &io)) != 0)
			return broken(out, code);
		data = (struct apw_str){ (const char *)io.data,
		    io.data_length };
		r->left -= data.n;
		r->in_frame = r->left > 0;
		if (r->opcode < APW_WS_CLOSE)
			return take_piece(r, data, out);
		if (data.n > sizeof(r->control) - r->ncontrol)
			return broken(out, APW_WS_CODE_PROTOCOL);
		if (data.n != 0)
			memcpy(r->control + r->ncontrol, data.p, data.n);
		r->ncontrol += (unsigned)data.n;
		if (!r->in_frame)
			return take_control(r, out);
	}
}

enum apw_ws_got
apw_ws_read(struct apw_ws_reader *r, const char **p, size_t *n,
    struct apw_ws_piece *out)
{
	enum apw_ws_got	got;

	r->p = *p;
	r->n = *n;
	got = read_piece(r, out);
	*p = r->p;
	*n = r->n;
	r->p = NULL;
	r->n = 0;
	return got;
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
