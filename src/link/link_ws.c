/*
 * A WebSocket on a bufferevent; see link_ws.h.  Room: link.
 *
 * Incoming frames go through wslay's event layer (masking, UTF-8,
 * fragments, control frames), with its message buffer switched off: that one
 * allocates what a header promises and copies every message twice.  Outgoing
 * messages are written with wslay's frame layer straight into the output
 * buffer; control frames that the event layer answers land between them.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

#include "core/apw_buf.h"
#include "core/apw_log.h"
#include "link/link_ws.h"

#define LINK_WS_MAGIC	0x4c575331	/* LWS1 */

/* how long a peer may take to answer our close frame */
#define LINGER_MS	1000
/* a message buffer larger than this is given back after each message */
#define KEEP_BYTES	4096
/* unread input beyond this stays in the kernel */
#define INPUT_BYTES	65536
#define READ_BYTES	65536
/* what may wait for a peer that does not read, beside two messages */
#define OUTPUT_BYTES	1048576

struct apw_link_ws {
	uint32_t		 magic;
	TAILQ_ENTRY(apw_link_ws) link;
	struct apw_link_ws_list	*list;		/* borrowed; NULL: owned */
	struct bufferevent	*bev;		/* owned */
	wslay_event_context_ptr	 in;		/* owned */
	wslay_frame_context_ptr	 out;		/* owned */
	struct event		*timer;		/* owned; lingering only */
	struct apw_link_ws_events ev;
	void			*arg;		/* borrowed */
	size_t			 max_message_bytes;
	bool			 server;
	bool			 closing;	/* nothing is sent any more */
	bool			 failed;	/* on_closed is due */
	bool			 told;		/* on_closed was called */
	bool			 dead;		/* free when depth is 0 */
	unsigned		 depth;		/* callbacks under way */
	const char		*reason;	/* static text */
	/* the message under way */
	uint8_t			 opcode;	/* of its first frame */
	bool			 control;	/* current frame is */
	size_t			 frame_bytes;
	bool			 frame_last;
	struct apw_buf		 msg;
	struct apw_str		 whole;		/* all of it in one chunk */
};

static void
ws_destroy(struct apw_link_ws *ws)
{
	struct apw_link_ws_list	*list = ws->list;

	if (list != NULL)
		TAILQ_REMOVE(&list->all, ws, link);
	if (ws->timer != NULL)
		event_free(ws->timer);
	if (ws->in != NULL)
		wslay_event_context_free(ws->in);
	if (ws->out != NULL)
		wslay_frame_context_free(ws->out);
	apw_buf_free(&ws->msg);
	bufferevent_free(ws->bev);
	ws->magic = 0;
	free(ws);
	if (list != NULL && list->on_empty != NULL && TAILQ_EMPTY(&list->all))
		list->on_empty(list->arg);
}

static void
ws_fail(struct apw_link_ws *ws, const char *reason)
{
	if (ws->failed)
		return;
	ws->failed = true;
	ws->closing = true;
	ws->reason = reason;
}

static void
ws_enter(struct apw_link_ws *ws)
{
	ws->depth++;
}

/* Last line of every callback: tell of the end, free what is dead. */
static void
ws_leave(struct apw_link_ws *ws)
{
	if (ws->failed && !ws->told && !ws->dead) {
		ws->told = true;
		if (ws->list != NULL)
			ws->dead = true;
		else {
			bufferevent_disable(ws->bev, EV_READ);
			ws->ev.on_closed(ws->arg, ws->reason);
		}
	}
	if (--ws->depth == 0 && ws->dead)
		ws_destroy(ws);
}

/* --- wslay's side --- */

static ssize_t
ws_recv(wslay_event_context_ptr ctx, uint8_t *to, size_t n, int flags,
    void *arg)
{
	struct apw_link_ws	*ws = arg;
	int			 r;

	(void)flags;
	if (ws->dead || ws->failed)
		r = 0;
	else
		r = evbuffer_remove(bufferevent_get_input(ws->bev), to, n);
	if (r <= 0) {
		wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
		return -1;
	}
	return r;
}

static ssize_t
ws_put(struct apw_link_ws *ws, const uint8_t *from, size_t n)
{
	if (n == 0)
		return 0;
	if (evbuffer_add(bufferevent_get_output(ws->bev), from, n) == -1)
		return -1;
	return (ssize_t)n;
}

static ssize_t
ws_send_control(wslay_event_context_ptr ctx, const uint8_t *from, size_t n,
    int flags, void *arg)
{
	(void)ctx;
	(void)flags;
	return ws_put(arg, from, n);
}

static ssize_t
ws_send_data(const uint8_t *from, size_t n, int flags, void *arg)
{
	(void)flags;
	return ws_put(arg, from, n);
}

static int
ws_mask(uint8_t *to, size_t n, void *arg)
{
	(void)arg;
	return getrandom(to, n, 0) == (ssize_t)n ? 0 : -1;
}

static int
ws_mask_control(wslay_event_context_ptr ctx, uint8_t *to, size_t n,
    void *arg)
{
	(void)ctx;
	return ws_mask(to, n, arg);
}

static void
ws_on_frame(wslay_event_context_ptr ctx,
    const struct wslay_event_on_frame_recv_start_arg *frame, void *arg)
{
	struct apw_link_ws	*ws = arg;

	ws->control = wslay_is_ctrl_frame(frame->opcode);
	if (ws->control || ws->failed)
		return;
	if (frame->opcode != WSLAY_CONTINUATION_FRAME) {
		ws->opcode = frame->opcode;
		apw_buf_reset(&ws->msg);
	}
	ws->whole.p = NULL;
	ws->frame_bytes = frame->payload_length;
	ws->frame_last = frame->fin;
	/* wslay bounds a frame; the sum of the fragments is ours to bound */
	if (frame->payload_length > ws->max_message_bytes - ws->msg.len) {
		wslay_event_queue_close(ctx, WSLAY_CODE_MESSAGE_TOO_BIG, NULL,
		    0);
		wslay_event_shutdown_read(ctx);
		ws_fail(ws, "transport error: message too large");
	}
}

static void
ws_on_chunk(wslay_event_context_ptr ctx,
    const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *arg)
{
	struct apw_link_ws	*ws = arg;

	if (ws->control || ws->failed || ws->dead)
		return;
	if (ws->frame_last && ws->msg.len == 0 &&
	    chunk->data_length == ws->frame_bytes) {
		/* all of it is here: no copy */
		ws->whole = (struct apw_str){ (const char *)chunk->data,
		    chunk->data_length };
		return;
	}
	if (apw_buf_put(&ws->msg, chunk->data, chunk->data_length) == -1) {
		wslay_event_shutdown_read(ctx);
		ws_fail(ws, "transport error: out of memory");
	}
}

static void
ws_on_msg(wslay_event_context_ptr ctx,
    const struct wslay_event_on_msg_recv_arg *msg, void *arg)
{
	struct apw_link_ws	*ws = arg;
	struct apw_str		 text;

	if (ws->failed || ws->dead || ws->list != NULL)
		return;
	if (msg->opcode == WSLAY_CONNECTION_CLOSE) {
		ws_fail(ws, "transport close");
		return;
	}
	if (wslay_is_ctrl_frame(msg->opcode))
		return;
	text = ws->whole.p != NULL ? ws->whole : apw_buf_view(&ws->msg);
	ws->ev.on_message(ws->arg, ws->opcode == WSLAY_BINARY_FRAME, text);
	if (ws->dead || ws->list != NULL)
		wslay_event_shutdown_read(ctx);
	ws->whole.p = NULL;
	if (ws->msg.cap > KEEP_BYTES)
		apw_buf_free(&ws->msg);
	else
		apw_buf_reset(&ws->msg);
}

static int
ws_contexts(struct apw_link_ws *ws)
{
	static const struct wslay_event_callbacks in = {
		.recv_callback = ws_recv,
		.send_callback = ws_send_control,
		.genmask_callback = ws_mask_control,
		.on_frame_recv_start_callback = ws_on_frame,
		.on_frame_recv_chunk_callback = ws_on_chunk,
		.on_msg_recv_callback = ws_on_msg,
	};
	static const struct wslay_frame_callbacks out = {
		.send_callback = ws_send_data,
		.genmask_callback = ws_mask,
	};
	int	r;

	if (ws->server)
		r = wslay_event_context_server_init(&ws->in, &in, ws);
	else
		r = wslay_event_context_client_init(&ws->in, &in, ws);
	if (r != 0) {
		ws->in = NULL;
		return -1;
	}
	if (wslay_frame_context_init(&ws->out, &out, ws) != 0) {
		ws->out = NULL;
		return -1;
	}
	wslay_event_config_set_no_buffering(ws->in, 1);
	wslay_event_config_set_max_recv_msg_length(ws->in,
	    ws->max_message_bytes < 125 ? 125 : ws->max_message_bytes);
	return 0;
}

/* --- libevent's side --- */

/* What wslay's own close code says about the peer. */
static const char *
ws_reason(struct apw_link_ws *ws)
{
	switch (wslay_event_get_status_code_sent(ws->in)) {
	case WSLAY_CODE_MESSAGE_TOO_BIG:
		return "transport error: message too large";
	case WSLAY_CODE_PROTOCOL_ERROR:
		return "transport error: WebSocket protocol violated";
	case WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA:
		return "transport error: text is not UTF-8";
	default:
		return "transport error";
	}
}

static void
ws_on_read(struct bufferevent *bev, void *arg)
{
	struct apw_link_ws	*ws;
	int			 r;

	APW_CAST(ws, arg, LINK_WS_MAGIC);
	(void)bev;
	ws_enter(ws);
	if (ws->list != NULL || ws->failed) {
		/* only the peer's end is of interest */
		evbuffer_drain(bufferevent_get_input(ws->bev), SIZE_MAX);
		ws_leave(ws);
		return;
	}
	r = wslay_event_recv(ws->in);
	if (!ws->dead && ws->list == NULL) {
		wslay_event_send(ws->in);
		if (r != 0 || wslay_event_get_close_sent(ws->in) ||
		    !wslay_event_want_read(ws->in))
			ws_fail(ws, ws_reason(ws));
		else if (apw_link_ws_unsent(ws) >
		    2 * ws->max_message_bytes + OUTPUT_BYTES)
			ws_fail(ws, "transport error: peer does not read");
	}
	ws_leave(ws);
}

static void
ws_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct apw_link_ws	*ws;

	APW_CAST(ws, arg, LINK_WS_MAGIC);
	(void)bev;
	ws_enter(ws);
	ws_fail(ws, (what & BEV_EVENT_EOF) != 0 ? "transport close" :
	    "transport error");
	ws_leave(ws);
}

/* Lingering: all is written.  The peer shall see the end of the stream. */
static void
ws_on_written(struct bufferevent *bev, void *arg)
{
	struct apw_link_ws	*ws;

	APW_CAST(ws, arg, LINK_WS_MAGIC);
	if (ws->server)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void
ws_on_linger(evutil_socket_t fd, short what, void *arg)
{
	struct apw_link_ws	*ws;

	APW_CAST(ws, arg, LINK_WS_MAGIC);
	(void)fd;
	(void)what;
	ws_enter(ws);
	ws_fail(ws, "transport close");
	ws_leave(ws);
}

struct apw_link_ws *
apw_link_ws_new(struct bufferevent *bev, bool server,
    size_t max_message_bytes, const struct apw_link_ws_events *ev, void *arg)
{
	struct apw_link_ws	*ws;

	ws = calloc(1, sizeof(*ws));
	if (ws == NULL) {
		bufferevent_free(bev);
		return NULL;
	}
	ws->magic = LINK_WS_MAGIC;
	ws->bev = bev;
	ws->server = server;
	ws->max_message_bytes = max_message_bytes;
	ws->msg.max = max_message_bytes + 1;
	ws->ev = *ev;
	ws->arg = arg;
	if (ws_contexts(ws) == -1) {
		ws_destroy(ws);
		return NULL;
	}
	bufferevent_setcb(bev, ws_on_read, NULL, ws_on_event, ws);
	bufferevent_setwatermark(bev, EV_READ, 0, INPUT_BYTES);
	bufferevent_setwatermark(bev, EV_WRITE, 0, 0);
	bufferevent_set_max_single_read(bev, READ_BYTES);
	bufferevent_set_timeouts(bev, NULL, NULL);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	return ws;
}

void
apw_link_ws_start(struct apw_link_ws *ws)
{
	if (evbuffer_get_length(bufferevent_get_input(ws->bev)) > 0)
		bufferevent_trigger(ws->bev, EV_READ, BEV_TRIG_DEFER_CALLBACKS);
}

int
apw_link_ws_send(struct apw_link_ws *ws, bool binary, char prefix,
    const struct apw_str *parts, size_t nparts)
{
	struct wslay_frame_iocb	io = { .fin = 1, .mask = !ws->server,
	    .opcode = binary ? WSLAY_BINARY_FRAME : WSLAY_TEXT_FRAME };
	size_t			i;

	if (ws->closing)
		return -1;
	io.payload_length = prefix != 0;
	for (i = 0; i < nparts; i++)
		io.payload_length += parts[i].n;
	/* the first call, with the prefix or without data, writes the header */
	io.data = (const uint8_t *)&prefix;
	io.data_length = prefix != 0;
	if (wslay_frame_send(ws->out, &io) < 0)
		goto broken;
	for (i = 0; i < nparts; i++) {
		if (parts[i].n == 0)
			continue;
		io.data = (const uint8_t *)parts[i].p;
		io.data_length = parts[i].n;
		if (wslay_frame_send(ws->out, &io) != (ssize_t)parts[i].n)
			goto broken;
	}
	return 0;
broken:
	/* half a frame may be out: no way to go on */
	ws->closing = true;
	bufferevent_trigger_event(ws->bev, BEV_EVENT_ERROR,
	    BEV_TRIG_DEFER_CALLBACKS);
	return -1;
}

size_t
apw_link_ws_unsent(const struct apw_link_ws *ws)
{
	return evbuffer_get_length(bufferevent_get_output(ws->bev));
}

void
apw_link_ws_close(struct apw_link_ws *ws, unsigned code,
    struct apw_link_ws_list *list)
{
	struct timeval	tv = { LINGER_MS / 1000, LINGER_MS % 1000 * 1000 };
	bool		over = ws->failed && !wslay_event_get_close_sent(ws->in);

	ws_enter(ws);
	if (!ws->failed) {
		wslay_event_queue_close(ws->in, (uint16_t)code, NULL, 0);
		wslay_event_send(ws->in);
	}
	ws->closing = true;
	ws->failed = false;
	ws->told = false;
	ws->list = list;
	TAILQ_INSERT_TAIL(&list->all, ws, link);
	ws->timer = event_new(bufferevent_get_base(ws->bev), -1, 0,
	    ws_on_linger, ws);
	if (over || ws->timer == NULL || event_add(ws->timer, &tv) == -1)
		ws->dead = true;	/* nobody is left to talk to */
	else {
		bufferevent_setcb(ws->bev, ws_on_read, ws_on_written,
		    ws_on_event, ws);
		bufferevent_enable(ws->bev, EV_READ | EV_WRITE);
		bufferevent_trigger(ws->bev, EV_WRITE,
		    BEV_TRIG_DEFER_CALLBACKS);
	}
	ws_leave(ws);
}

void
apw_link_ws_free(struct apw_link_ws *ws)
{
	if (ws == NULL)
		return;
	ws_enter(ws);
	ws->dead = true;
	if (ws->list != NULL)
		TAILQ_REMOVE(&ws->list->all, ws, link);
	ws->list = NULL;
	bufferevent_disable(ws->bev, EV_READ | EV_WRITE);
	ws_leave(ws);
}
