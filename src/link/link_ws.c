/*
 * A WebSocket: messages, the closing handshake, life; see link_ws.h.
 * Room: link.  Bytes in and out are link_ws_io.c's.
 *
 * Must never free itself while one of its callbacks is on the stack.
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "core/apw_log.h"
#include "link/link_ws_priv.h"
#include "proto/apw_raw.h"

/* how long a peer may take to answer our close frame */
#define LINGER_MS	1000
/* a message buffer larger than this is given back after each message */
#define KEEP_BYTES	4096
/* a message is given this much room before it is there */
#define RESERVE_BYTES	65536
/* what may wait for a peer that does not read, beside two messages: as much as
 * so many more, and no more than this */
#define OUTPUT_MESSAGES	16
#define OUTPUT_BYTES	1048576

/*
 * While one socket is read, what others have to say is collected and sent
 * when it has been: many small messages cost one call then.
 */
static TAILQ_HEAD(, apw_link_ws) unsaid = TAILQ_HEAD_INITIALIZER(unsaid);
static unsigned	reading;		/* callbacks under way, of any */
#define UNSAID_BYTES	65536
/* parts of a message that go out as one piece */
#define TOGETHER_BYTES	2048

static void
ws_destroy(struct apw_link_ws *ws)
{
	struct apw_link_ws_list	*list = ws->list;

	if (ws->unsaid)
		TAILQ_REMOVE(&unsaid, ws, unsaid_link);
	if (list != NULL) {
		TAILQ_REMOVE(&list->all, ws, link);
		list->n--;
	}
	if (ws->timer != NULL)
		event_free(ws->timer);
	if (ws->frames != NULL)
		wslay_frame_context_free(ws->frames);
	apw_buf_free(&ws->msg);
	link_ws_io_free(ws);
	ws->magic = 0;
	free(ws);
	if (list != NULL && list->on_empty != NULL && TAILQ_EMPTY(&list->all))
		list->on_empty(list->arg);
}

void
link_ws_fail(struct apw_link_ws *ws, const char *reason)
{
	if (ws->failed)
		return;
	ws->failed = true;
	ws->closing = true;
	ws->reason = reason;
}

void
link_ws_enter(struct apw_link_ws *ws)
{
	ws->depth++;
	reading++;
}

/* Flushing calls nobody back: the list does not change under our feet. */
static void
say(void)
{
	struct apw_link_ws	*ws;

	while ((ws = TAILQ_FIRST(&unsaid)) != NULL) {
		TAILQ_REMOVE(&unsaid, ws, unsaid_link);
		ws->unsaid = false;
		if (!ws->dead)
			link_ws_io_flush(ws);
	}
}

void
link_ws_leave(struct apw_link_ws *ws)
{
	if (ws->depth == 1 && !ws->dead)
		link_ws_io_flush(ws);
	if (ws->failed && !ws->told && !ws->dead) {
		ws->told = true;
		if (ws->list != NULL)
			ws->dead = true;
		else {
			link_ws_io_pause(ws);
			ws->ev.on_closed(ws->arg, ws->reason);
		}
	}
	if (--ws->depth == 0 && ws->dead)
		ws_destroy(ws);
	if (--reading == 0)
		say();
}

/* --- frames out --- */

/* A fresh key; the kernel is asked for many at a time. */
static int
ws_new_key(uint8_t key[APW_WS_MASK_BYTES])
{
	static uint8_t	pool[64 * APW_WS_MASK_BYTES];
	static size_t	left;

	if (left == 0) {
		if (getrandom(pool, sizeof(pool), 0) != sizeof(pool))
			return -1;
		left = sizeof(pool);
	}
	left -= APW_WS_MASK_BYTES;
	memcpy(key, pool + left, APW_WS_MASK_BYTES);
	return 0;
}

/* The head of a frame; the mask is put on here, see apw_ws_frame.h. */
static int
ws_put_head(struct apw_link_ws *ws, const uint8_t *from, size_t n)
{
	uint8_t	head[APW_WS_HEAD_MAX];

	if (n + APW_WS_MASK_BYTES > sizeof(head) ||
	    ws_new_key(ws->out_key) == -1)
		return -1;
	memcpy(head, from, n);
	head[1] |= 0x80;
	memcpy(head + n, ws->out_key, APW_WS_MASK_BYTES);
	return link_ws_io_put(ws, head, n + APW_WS_MASK_BYTES, NULL);
}

static ssize_t
ws_put(const uint8_t *from, size_t n, int flags, void *arg)
{
	struct apw_link_ws	*ws = arg;
	bool			 head = ws->out_head;
	int			 r;

	(void)flags;
	ws->out_head = false;
	if (n == 0)
		return 0;
	if (ws->server)
		r = link_ws_io_put(ws, from, n, NULL);
	else if (head)
		r = ws_put_head(ws, from, n);
	else
		r = link_ws_io_put(ws, from, n, ws->out_key);
	return r == -1 ? -1 : (ssize_t)n;
}

/* What of one frame is at hand; the first part of it brings the head. */
static int
ws_frame(struct apw_link_ws *ws, struct wslay_frame_iocb *io,
    const void *data, size_t n)
{
	io->data = data;
	io->data_length = n;
	return wslay_frame_send(ws->frames, io) == (ssize_t)n ? 0 : -1;
}

static int
ws_control(struct apw_link_ws *ws, uint8_t opcode, struct apw_str data)
{
	struct wslay_frame_iocb	io = { .fin = 1, .opcode = opcode,
	    .payload_length = data.n };

	ws->out_head = true;
	return ws_frame(ws, &io, data.p, data.n);
}

/* A frame of these parts.  Small ones are put together first: each that
 * wslay is given takes its way through three calls. */
static int
ws_parts(struct apw_link_ws *ws, struct wslay_frame_iocb *io, char prefix,
    const struct apw_str *parts, size_t nparts)
{
	char	together[TOGETHER_BYTES];
	size_t	n = 0, i;

	ws->out_head = true;
	if (prefix != 0)
		together[n++] = prefix;
	for (i = 0; i < nparts; i++) {
		if (parts[i].n == 0)
			continue;
		if (parts[i].n <= sizeof(together) - n) {
			memcpy(together + n, parts[i].p, parts[i].n);
			n += parts[i].n;
			continue;
		}
		if (n > 0 && ws_frame(ws, io, together, n) == -1)
			return -1;
		n = 0;
		if (ws_frame(ws, io, parts[i].p, parts[i].n) == -1)
			return -1;
	}
	/* without any data there is still a head */
	if (n > 0 || ws->out_head)
		return ws_frame(ws, io, together, n);
	return 0;
}

static void
ws_send_close(struct apw_link_ws *ws, unsigned code)
{
	char	bytes[2] = { (char)(code >> 8), (char)code };

	if (ws->close_sent)
		return;
	ws->close_sent = true;
	ws->closing = true;
	ws_control(ws, APW_WS_CLOSE, (struct apw_str){ bytes,
	    code != 0 ? 2 : 0 });
}

/* --- frames in --- */

static ssize_t
ws_get(uint8_t *to, size_t n, int flags, void *arg)
{
	struct apw_link_ws	*ws = arg;

	(void)flags;
	return apw_ws_get(&ws->in, to, n);
}

static void
ws_break(struct apw_link_ws *ws, unsigned code)
{
	ws_send_close(ws, code);
	link_ws_fail(ws, code == APW_WS_CODE_TOO_LARGE ?
	    "transport error: message too large" :
	    code == APW_WS_CODE_NOT_UTF8 ?
	    "transport error: text is not UTF-8" :
	    "transport error: WebSocket protocol violated");
}

static void
ws_take_control(struct apw_link_ws *ws, const struct apw_ws_piece *piece)
{
	if (piece->opcode == APW_WS_PING)
		ws_control(ws, APW_WS_PONG, piece->data);
	else if (piece->opcode == APW_WS_CLOSE) {
		if (!apw_ws_close_ok(piece->data)) {
			ws_break(ws, APW_WS_CODE_PROTOCOL);
			return;
		}
		/* the answer repeats the code */
		ws_send_close(ws, piece->data.n < 2 ? 0 :
		    (unsigned)(unsigned char)piece->data.p[0] << 8 |
		    (unsigned char)piece->data.p[1]);
		link_ws_fail(ws, "transport close");
	}
}

static void
ws_take_message(struct apw_link_ws *ws, uint8_t opcode, struct apw_str data)
{
	if (opcode == APW_WS_TEXT && !apw_raw_utf8(data)) {
		ws_break(ws, APW_WS_CODE_NOT_UTF8);
		return;
	}
	ws->ev.on_message(ws->arg, opcode == APW_WS_BINARY, data);
}

static void
ws_take_piece(struct apw_link_ws *ws, const struct apw_ws_piece *piece)
{
	if (piece->first && piece->last) {
		/* all of it is here: it need not be put together */
		ws_take_message(ws, piece->opcode, piece->data);
		return;
	}
	/* what is still to come of the frame is known, but only announced */
	if (piece->first && apw_buf_reserve(&ws->msg,
	    ws->in.message_bytes < RESERVE_BYTES ? ws->in.message_bytes :
	    RESERVE_BYTES) == -1) {
		link_ws_fail(ws, "transport error: out of memory");
		return;
	}
	if (apw_buf_put(&ws->msg, piece->data.p, piece->data.n) == -1) {
		link_ws_fail(ws, "transport error: out of memory");
		return;
	}
	if (!piece->last)
		return;
	ws_take_message(ws, piece->opcode, apw_buf_view(&ws->msg));
	if (ws->msg.cap > KEEP_BYTES)
		apw_buf_free(&ws->msg);
	else
		apw_buf_reset(&ws->msg);
}

static size_t
ws_max_unsent(const struct apw_link_ws *ws)
{
	size_t	max = ws->in.max_message_bytes;

	return 2 * max + (max < OUTPUT_BYTES / OUTPUT_MESSAGES ?
	    OUTPUT_MESSAGES * max : OUTPUT_BYTES);
}

void
link_ws_input(struct apw_link_ws *ws, const char *p, size_t n)
{
	struct apw_ws_piece	piece;
	enum apw_ws_got		got;

	/* a lingering socket only waits for the end of the stream */
	while (!ws->dead && !ws->failed && ws->list == NULL) {
		got = apw_ws_read(&ws->in, &p, &n, &piece);
		if (got == APW_WS_PIECE)
			ws_take_piece(ws, &piece);
		else if (got == APW_WS_CONTROL)
			ws_take_control(ws, &piece);
		else if (got == APW_WS_BROKEN)
			ws_break(ws, piece.code);
		else
			break;
	}
	if (!ws->dead && apw_link_ws_unsent(ws) > ws_max_unsent(ws))
		link_ws_fail(ws, "transport error: peer does not read");
}

/* --- life --- */

struct apw_link_ws *
apw_link_ws_new(struct bufferevent *bev, bool server,
    size_t max_message_bytes, const struct apw_link_ws_events *ev, void *arg)
{
	static const struct wslay_frame_callbacks	frames = {
		.send_callback = ws_put,
		.recv_callback = ws_get,
	};
	struct apw_link_ws				*ws;

	ws = calloc(1, sizeof(*ws));
	if (ws == NULL) {
		bufferevent_free(bev);
		return NULL;
	}
	ws->magic = LINK_WS_MAGIC;
	ws->fd = -1;
	ws->server = server;
	ws->in.server = server;
	ws->in.max_message_bytes = max_message_bytes;
	ws->msg.max = max_message_bytes + 1;
	ws->ev = *ev;
	ws->arg = arg;
	if (wslay_frame_context_init(&ws->frames, &frames, ws) != 0)
		ws->frames = NULL;
	ws->in.frames = ws->frames;
	if (link_ws_io_new(ws, bev) == -1 || ws->frames == NULL) {
		ws_destroy(ws);
		return NULL;
	}
	return ws;
}

void
apw_link_ws_allow(struct apw_link_ws *ws, size_t max_message_bytes)
{
	ws->in.max_message_bytes = max_message_bytes;
	ws->msg.max = max_message_bytes + 1;
}

int
apw_link_ws_send(struct apw_link_ws *ws, bool binary, char prefix,
    const struct apw_str *parts, size_t nparts)
{
	struct wslay_frame_iocb	io = { .fin = 1,
	    .opcode = binary ? APW_WS_BINARY : APW_WS_TEXT };
	size_t			i;

	if (ws->closing)
		return -1;
	io.payload_length = prefix != 0;
	for (i = 0; i < nparts; i++)
		io.payload_length += parts[i].n;
	if (ws_parts(ws, &io, prefix, parts, nparts) == -1)
		goto broken;
	/* inside a callback of its own it goes out with what else comes */
	if (ws->depth > 0)
		return 0;
	if (reading == 0 || apw_link_ws_unsent(ws) > UNSAID_BYTES)
		link_ws_io_flush(ws);
	else if (!ws->unsaid) {
		ws->unsaid = true;
		TAILQ_INSERT_TAIL(&unsaid, ws, unsaid_link);
	}
	return 0;
broken:
	/* half a frame may be out: no way to go on */
	ws->closing = true;
	link_ws_io_fail(ws);
	return -1;
}

static void
ws_on_linger(evutil_socket_t fd, short what, void *arg)
{
	struct apw_link_ws	*ws;

	APW_CAST(ws, arg, LINK_WS_MAGIC);
	(void)fd;
	(void)what;
	link_ws_enter(ws);
	link_ws_fail(ws, "transport close");
	link_ws_leave(ws);
}

void
apw_link_ws_close(struct apw_link_ws *ws, unsigned code,
    struct apw_link_ws_list *list)
{
	struct timeval	tv = { LINGER_MS / 1000, LINGER_MS % 1000 * 1000 };
	bool		over = ws->failed && !ws->close_sent;

	link_ws_enter(ws);
	if (!ws->failed)
		ws_send_close(ws, code);
	ws->closing = true;
	ws->failed = false;
	ws->told = false;
	ws->list = list;
	TAILQ_INSERT_TAIL(&list->all, ws, link);
	list->n++;
	ws->timer = event_new(ws->base, -1, 0, ws_on_linger, ws);
	if (over || ws->timer == NULL || event_add(ws->timer, &tv) == -1)
		ws->dead = true;	/* nobody is left to talk to */
	else
		link_ws_io_linger(ws);
	link_ws_leave(ws);
}

void
apw_link_ws_free(struct apw_link_ws *ws)
{
	if (ws == NULL)
		return;
	link_ws_enter(ws);
	ws->dead = true;
	if (ws->list != NULL) {
		TAILQ_REMOVE(&ws->list->all, ws, link);
		ws->list->n--;
	}
	ws->list = NULL;
	link_ws_io_stop(ws);
	link_ws_leave(ws);
}
