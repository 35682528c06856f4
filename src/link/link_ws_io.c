/*
 * A WebSocket: bytes in and out.  Room: link.
 *
 * A socket is read into one large buffer that all of them share, and written
 * at once when there is something to write: a bufferevent costs four more
 * system calls a message and reads 4 KiB at a time.  With TLS it is no other.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_log.h"
#include "link/link_ws_priv.h"

#define READ_BYTES	65536
/* reads in a row before others get their turn */
#define READS		4
#define STAGE_BYTES	65536

/* Processes are single-threaded and input is used up before the next read. */
static char	input[READ_BYTES];

/*
 * What a socket has to say in this turn of the loop, sent by one call without
 * a piece of memory of its own.  What the kernel does not take at once waits
 * in its evbuffer.  Two: who passes messages on answers while it asks.
 */
static struct stage {
	const struct apw_link_ws *ws;		/* NULL: free */
	size_t			 n;
	uint8_t			 bytes[STAGE_BYTES];
} stages[2];

static struct stage *
stage_of(const struct apw_link_ws *ws)
{
	size_t	i;

	for (i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		if (stages[i].ws == ws)
			return &stages[i];
	return NULL;
}

/* One to put bytes on, or NULL: they must go behind others. */
static struct stage *
stage_take(const struct apw_link_ws *ws)
{
	struct stage	*s = stage_of(ws);

	if (s != NULL || evbuffer_get_length(ws->out) > 0 ||
	    (s = stage_of(NULL)) == NULL)
		return s;
	s->ws = ws;
	s->n = 0;
	return s;
}

static void
copy(uint8_t *to, const uint8_t *from, size_t n, uint8_t *key)
{
	if (key != NULL)
		apw_ws_mask(to, (const char *)from, n, key);
	else
		memcpy(to, from, n);
}

/* An attempt with what is on the stage; the rest is for the evbuffer. */
static int
stage_flush(struct apw_link_ws *ws, struct stage *s)
{
	size_t	at = 0;
	ssize_t	n;

	s->ws = NULL;
	do {
		n = ws->ssl != NULL ? link_ws_tls_write(ws, s->bytes + at,
		    s->n - at) : send(ws->fd, s->bytes, s->n, MSG_NOSIGNAL);
		if (n > 0)
			at += (size_t)n;
	} while (ws->ssl != NULL && n > 0 && at < s->n);
	/* an error will come again, and be taken for what it is there */
	return at == s->n ? 0 : evbuffer_add(ws->out, s->bytes + at,
	    s->n - at);
}

/* Masked bytes in the evbuffer, a little at a time. */
static int
io_put_masked(struct apw_link_ws *ws, const uint8_t *from, size_t n,
    uint8_t *key)
{
	struct evbuffer_iovec	 room;
	size_t			 now;

	for (; n > 0; from += now, n -= now) {
		now = n < READ_BYTES ? n : READ_BYTES;
		if (evbuffer_reserve_space(ws->out, (ev_ssize_t)now, &room,
		    1) < 1)
			return -1;
		apw_ws_mask(room.iov_base, (const char *)from, now, key);
		room.iov_len = now;
		if (evbuffer_commit_space(ws->out, &room, 1) == -1)
			return -1;
	}
	return 0;
}

int
link_ws_io_put(struct apw_link_ws *ws, const uint8_t *from, size_t n,
    uint8_t *key)
{
	struct stage	*s;
	size_t		 now;

	while (n > 0 && (s = stage_take(ws)) != NULL) {
		now = STAGE_BYTES - s->n < n ? STAGE_BYTES - s->n : n;
		copy(s->bytes + s->n, from, now, key);
		s->n += now;
		from += now;
		n -= now;
		if (s->n == STAGE_BYTES && stage_flush(ws, s) == -1)
			return -1;
	}
	if (n == 0)
		return 0;
	return key != NULL ? io_put_masked(ws, from, n, key) :
	    evbuffer_add(ws->out, from, n);
}

size_t
apw_link_ws_unsent(const struct apw_link_ws *ws)
{
	const struct stage	*s = stage_of(ws);

	return evbuffer_get_length(ws->out) + (s != NULL ? s->n : 0);
}

bool
apw_link_ws_hung_up(const struct apw_link_ws *ws)
{
	struct pollfd	p = { .fd = ws->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) == 1;
}

/* All is written and nothing will follow: the peer shall see the end. */
static void
io_end(struct apw_link_ws *ws)
{
	if (ws->lingering && ws->server && ws->fd != -1)
		shutdown(ws->fd, SHUT_WR);
	ws->lingering = false;
}

void
link_ws_io_flush(struct apw_link_ws *ws)
{
	struct stage	*s;

	if ((s = stage_of(ws)) != NULL && stage_flush(ws, s) == -1) {
		ws->closing = true;
		link_ws_io_fail(ws);
	}
	while (evbuffer_get_length(ws->out) > 0) {
		if ((ws->ssl != NULL ? link_ws_tls_write_out(ws) :
		    evbuffer_write(ws->out, ws->fd)) > 0)
			continue;
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN || errno == EWOULDBLOCK)
			event_add(ws->wr, NULL);
		else {
			/* what was read before still counts */
			evbuffer_drain(ws->out, SIZE_MAX);
			ws->closing = true;
			link_ws_io_fail(ws);
		}
		return;
	}
	io_end(ws);
}

static void
io_on_write(evutil_socket_t fd, short what, void *arg)
{
	struct apw_link_ws	*ws;

	APW_CAST(ws, arg, LINK_WS_MAGIC);
	(void)fd;
	link_ws_enter(ws);
	if ((what & EV_TIMEOUT) != 0)
		link_ws_fail(ws, "transport error");
	else if (ws->tls_answers)
		event_active(ws->rd, EV_READ, 0);
	link_ws_leave(ws);		/* which flushes */
}

/* Something cannot be told from where it is found out: from the loop then. */
void
link_ws_io_fail(struct apw_link_ws *ws)
{
	event_active(ws->wr, EV_TIMEOUT, 0);
}

static void
io_read_early(struct apw_link_ws *ws)
{
	int	n;

	while (ws->early != NULL && !ws->dead &&
	    (n = evbuffer_remove(ws->early, input, sizeof(input))) > 0)
		link_ws_input(ws, input, (size_t)n);
	if (ws->early != NULL && !ws->dead) {
		evbuffer_free(ws->early);
		ws->early = NULL;
	}
}

static void
io_on_read(evutil_socket_t fd, short what, void *arg)
{
	struct apw_link_ws	*ws;
	ssize_t			 n = 0;
	int			 i;

	APW_CAST(ws, arg, LINK_WS_MAGIC);
	link_ws_enter(ws);
	io_read_early(ws);
	for (i = 0; i < READS && (what & EV_READ) != 0 && !ws->dead &&
	    !ws->failed; i++) {
		n = ws->ssl != NULL ? link_ws_tls_read(ws, input,
		    sizeof(input)) : recv(fd, input, sizeof(input), 0);
		if (n <= 0)
			break;
		link_ws_input(ws, input, (size_t)n);
		if (n < (ssize_t)sizeof(input))
			break;
	}
	if (n == 0 && i < READS && (what & EV_READ) != 0 && !ws->dead)
		link_ws_fail(ws, "transport close");
	else if (n == -1 && errno != EAGAIN && errno != EINTR)
		link_ws_fail(ws, "transport error");
	else if (i == READS && ws->ssl != NULL && !ws->dead &&
	    link_ws_tls_pending(ws))
		event_active(ws->rd, EV_READ, 0);	/* no event tells of it */
	link_ws_leave(ws);
}

int
link_ws_io_new(struct apw_link_ws *ws, struct bufferevent *bev)
{
	struct evbuffer	*in = bufferevent_get_input(bev);
	SSL		*ssl = bufferevent_openssl_get_ssl(bev);

	ws->base = bufferevent_get_base(bev);
	/* the bufferevent lets go of its buffers and of the descriptor */
	bufferevent_disable(bev, EV_READ | EV_WRITE);
	if (ssl != NULL && link_ws_tls_take(ws, ssl) == -1) {
		bufferevent_free(bev);
		return -1;
	}
	ws->fd = bufferevent_getfd(bev);
	if (ssl == NULL)
		bufferevent_setfd(bev, -1);
	ws->out = evbuffer_new();
	ws->early = evbuffer_get_length(in) > 0 ? evbuffer_new() : NULL;
	ws->rd = event_new(ws->base, ws->fd, EV_READ | EV_PERSIST, io_on_read,
	    ws);
	ws->wr = event_new(ws->base, ws->fd, EV_WRITE, io_on_write, ws);
	if (ws->out == NULL || ws->rd == NULL || ws->wr == NULL ||
	    (ws->early == NULL && evbuffer_get_length(in) > 0) ||
	    (ws->early != NULL && evbuffer_add_buffer(ws->early, in) == -1) ||
	    evbuffer_add_buffer(ws->out, bufferevent_get_output(bev)) == -1 ||
	    event_add(ws->rd, NULL) == -1) {
		bufferevent_free(bev);
		return -1;
	}
	bufferevent_free(bev);
	return 0;
}

void
apw_link_ws_start(struct apw_link_ws *ws)
{
	if (ws->early != NULL)
		event_active(ws->rd, EV_TIMEOUT, 0);
	if (ws->ssl != NULL)
		event_active(ws->rd, EV_READ, 0);
	if (ws->depth == 0)
		link_ws_io_flush(ws);
}

void
link_ws_io_pause(struct apw_link_ws *ws)
{
	event_del(ws->rd);
}

void
link_ws_io_stop(struct apw_link_ws *ws)
{
	event_del(ws->rd);
	event_del(ws->wr);
}

void
link_ws_io_linger(struct apw_link_ws *ws)
{
	ws->lingering = true;
	event_add(ws->rd, NULL);
}

void
link_ws_io_free(struct apw_link_ws *ws)
{
	struct stage	*s = stage_of(ws);

	if (s != NULL)
		s->ws = NULL;
	if (ws->ssl != NULL)
		link_ws_tls_free(ws);
	if (ws->rd != NULL)
		event_free(ws->rd);
	if (ws->wr != NULL)
		event_free(ws->wr);
	if (ws->early != NULL)
		evbuffer_free(ws->early);
	if (ws->out != NULL)
		evbuffer_free(ws->out);
	if (ws->fd != -1)
		close(ws->fd);
}
