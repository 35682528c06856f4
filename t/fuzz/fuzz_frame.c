/*
 * WebSocket frames of either role: whole and byte by byte they say the same,
 * and no more than they may.  First byte: 1: we are the server; the rest of it
 * is the bound of a message, in steps of 16 bytes.
 */
#include "config.h"

#include "fuzz_main.h"

#include "core/apw_buf.h"
#include "proto/apw_ws_frame.h"

static ssize_t
get(uint8_t *to, size_t n, int flags, void *arg)
{
	(void)flags;
	return apw_ws_get(arg, to, n);
}

/* What one piece says, in a form that does not depend on how it was cut. */
static void
note(struct apw_buf *said, enum apw_ws_got got,
    const struct apw_ws_piece *piece)
{
	switch (got) {
	case APW_WS_PIECE:
		FUZZ_CHECK(piece->opcode == APW_WS_TEXT ||
		    piece->opcode == APW_WS_BINARY);
		if (piece->first)
			apw_buf_printf(said, "<%u ", piece->opcode);
		apw_buf_str(said, piece->data);
		if (piece->last)
			apw_buf_puts(said, ">");
		break;
	case APW_WS_CONTROL:
		FUZZ_CHECK(piece->opcode >= APW_WS_CLOSE &&
		    piece->data.n <= APW_WS_CONTROL_MAX);
		apw_buf_printf(said, "(%u ", piece->opcode);
		apw_buf_str(said, piece->data);
		apw_buf_puts(said, ")");
		if (piece->opcode == APW_WS_CLOSE)
			apw_ws_close_ok(piece->data);
		break;
	case APW_WS_BROKEN:
		apw_buf_printf(said, "!%u", piece->code);
		break;
	case APW_WS_MORE:
		break;
	}
}

static void
read_all(const uint8_t *data, size_t n, bool server, size_t max, size_t step,
    struct apw_buf *said)
{
	static const struct wslay_frame_callbacks	io = {
		.recv_callback = get,
	};
	struct apw_ws_reader	r = { .server = server,
	    .max_message_bytes = max };
	struct apw_ws_piece	piece;
	enum apw_ws_got		got = APW_WS_MORE;
	size_t			at, now, left, message = 0;
	const char		*p;
	char			*copy;

	FUZZ_CHECK(wslay_frame_context_init(&r.frames, &io, &r) == 0);
	for (at = 0; at < n && got != APW_WS_BROKEN; at += now) {
		now = n - at < step ? n - at : step;
		copy = malloc(now);
		memcpy(copy, data + at, now);
		p = copy;
		left = now;
		do {
			got = apw_ws_read(&r, &p, &left, &piece);
			note(said, got, &piece);
			if (got == APW_WS_PIECE) {
				message = piece.first ? piece.data.n :
				    message + piece.data.n;
				FUZZ_CHECK(message <= max);
			}
		} while (got == APW_WS_PIECE || got == APW_WS_CONTROL);
		FUZZ_CHECK(got == APW_WS_BROKEN || left == 0);
		free(copy);
	}
	wslay_frame_context_free(r.frames);
}

/* A mask on and off again, at every turn of the key. */
static void
mask(const uint8_t *data, size_t n)
{
	uint8_t	key[APW_WS_MASK_BYTES] = { 1, 0x80, 0xff, 7 }, again[4];
	uint8_t	*to = malloc(n + 1);
	size_t	 half = n / 3;

	memcpy(again, key, sizeof(key));
	apw_ws_mask(to, (const char *)data, n, key);
	apw_ws_mask(to, (const char *)to, half, again);
	apw_ws_mask(to + half, (const char *)to + half, n - half, again);
	FUZZ_CHECK(memcmp(to, data, n) == 0);
	FUZZ_CHECK(memcmp(key, again, sizeof(key)) == 0);
	free(to);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct apw_buf	whole = APW_BUF_INIT(1 << 20);
	struct apw_buf	part = APW_BUF_INIT(1 << 20);
	bool		server;
	size_t		max;

	if (n < 1)
		return 0;
	server = (data[0] & 1) != 0;
	max = (size_t)(data[0] >> 1) * 16;
	read_all(data + 1, n - 1, server, max, n, &whole);
	read_all(data + 1, n - 1, server, max, 1, &part);
	FUZZ_CHECK(apw_str_eq(apw_buf_view(&whole), apw_buf_view(&part)));
	mask(data, n);
	apw_buf_free(&whole);
	apw_buf_free(&part);
	return 0;
}
