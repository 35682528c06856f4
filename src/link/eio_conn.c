/*
 * Engine.IO server: one HTTP connection, bytes in and answers out.
 * Room: link.  What requests mean is eio_request.c's.
 *
 * Must never read a request before the one in front of it was answered, nor
 * keep more of a body than was announced and allowed.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "core/apw_log.h"
#include "link/eio_server_priv.h"
#include "dial/stream.h"

/* how long the peer may take to read the last answer and hang up */
#define LAST_MS		2000
/* unread input beyond this stays in the kernel; of who is not trusted, more
 * than a head and what may follow it */
#define INPUT_BYTES	65536
#define EARLY_BYTES	(2 * APW_HTTP_HEAD_MAX)

static void
conn_timer(struct eio_conn *c, unsigned ms)
{
	struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(c->timer, &tv);
}

void
eio_conn_destroy(struct eio_conn *c)
{
	if (c->bev != NULL)
		bufferevent_free(c->bev);
	if (c->timer != NULL)
		event_free(c->timer);
	apw_buf_free(&c->body);
	c->magic = 0;
	free(c);
}

void
eio_conn_bury(struct eio_conn *c)
{
	if (c->state == EIO_CONN_DEAD)
		return;
	c->state = EIO_CONN_DEAD;
	if (c->session != NULL) {
		if (c->session->poll == c)
			c->session->poll = NULL;
		if (c->session->post == c)
			c->session->post = NULL;
		c->session = NULL;
	}
	if (c->bev != NULL)
		bufferevent_disable(c->bev, EV_READ | EV_WRITE);
	event_del(c->timer);
	TAILQ_REMOVE(&c->server->conns, c, link);
	TAILQ_INSERT_TAIL(&c->server->conn_grave, c, link);
	c->server->nconns--;
}

void
eio_conn_begin_body(struct eio_conn *c, struct apw_eio_session *s,
    bool chunked, size_t n)
{
	c->state = EIO_CONN_BODY;
	c->chunked = chunked;
	c->chunks = (struct apw_chunk){ 0 };
	c->body_left = chunked ? 0 : n;
	c->body.max = eio_session_max_bytes(s) + 1;
	if (s->trusted)
		bufferevent_setwatermark(c->bev, EV_READ, 0, INPUT_BYTES);
	conn_timer(c, c->server->conf.body_timeout_ms);
}

struct bufferevent *
eio_conn_take(struct eio_conn *c)
{
	struct bufferevent	*bev = c->bev;

	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	c->bev = NULL;
	eio_conn_bury(c);
	return bev;
}

void
eio_conn_move(struct eio_conn *c, struct apw_eio_server *to)
{
	apw_eio_server_enter(to);
	TAILQ_REMOVE(&c->server->conns, c, link);
	c->server->nconns--;
	c->server = to;
	TAILQ_INSERT_TAIL(&to->conns, c, link);
	to->nconns++;
}

/* --- answers --- */

struct evbuffer *
eio_conn_answer_begin(struct eio_conn *c, const char *status,
    const char *type, size_t n)
{
	struct evbuffer	*out = bufferevent_get_output(c->bev);
	bool		 ok = strncmp(status, "200", 3) == 0;

	evbuffer_add_printf(out, "HTTP/1.1 %s\r\n", status);
	if (type != NULL)
		evbuffer_add_printf(out, "Content-Type: %s\r\n", type);
	evbuffer_add_printf(out, "Content-Length: %zu\r\n%s"
	    "Access-Control-Allow-Origin: *\r\nConnection: %s\r\n\r\n", n,
	    ok ? "cache-control: no-store\r\n" : "",
	    c->keep_alive ? "keep-alive" : "close");
	return out;
}

void
eio_conn_answer_end(struct eio_conn *c)
{
	if (c->state == EIO_CONN_DEAD)
		return;
	if (c->session != NULL) {
		if (c->session->poll == c)
			c->session->poll = NULL;
		if (c->session->post == c)
			c->session->post = NULL;
		c->session = NULL;
	}
	apw_buf_free(&c->body);
	c->body_left = 0;
	if (c->keep_alive) {
		c->state = EIO_CONN_HEAD;
		conn_timer(c, c->server->conf.head_timeout_ms);
		if (evbuffer_get_length(bufferevent_get_input(c->bev)) > 0)
			bufferevent_trigger(c->bev, EV_READ,
			    BEV_TRIG_DEFER_CALLBACKS);
	} else {
		c->state = EIO_CONN_LAST;
		conn_timer(c, LAST_MS);
	}
}

void
eio_conn_answer(struct eio_conn *c, const char *status, const char *type,
    const void *body, size_t n)
{
	struct evbuffer	*out;

	if (c->state == EIO_CONN_DEAD)
		return;
	out = eio_conn_answer_begin(c, status, type, n);
	if (n > 0 && !c->head_only)
		evbuffer_add(out, body, n);
	eio_conn_answer_end(c);
}

void
eio_conn_error(struct eio_conn *c, enum eio_error code)
{
	static const char *const	bodies[] = {
		"{\"code\":0,\"message\":\"Transport unknown\"}",
		"{\"code\":1,\"message\":\"Session ID unknown\"}",
		"{\"code\":2,\"message\":\"Bad handshake method\"}",
		"{\"code\":3,\"message\":\"Bad request\"}",
		"{\"code\":4,\"message\":\"Forbidden\"}",
		"{\"code\":5,\"message\":\"Unsupported protocol version\"}"
	};

	eio_conn_answer(c, code == EIO_ERROR_FORBIDDEN ? "403 Forbidden" :
	    "400 Bad Request", "application/json", bodies[code],
	    strlen(bodies[code]));
}

/* --- reading --- */

/* 1: a request was handled; 0: more bytes are needed. */
static int
conn_head(struct eio_conn *c)
{
	struct evbuffer		*in = bufferevent_get_input(c->bev);
	struct apw_http_head	 head;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_str		 text = apw_stream_head(in);
	char			 copy[APW_HTTP_HEAD_MAX];
	ssize_t			 n;

	if (text.n == 0)
		return 0;
	n = apw_http_head_length(text);
	if (n == 0)
		return 0;
	/* what follows the head goes to others, with the buffer */
	if (n > 0)
		text = (struct apw_str){ memcpy(copy, text.p, (size_t)n),
		    (size_t)n };
	if (n == -1 || apw_http_request(text, &head, &err) == -1) {
		apw_debug("broken HTTP request", APW_S("reason",
		    n == -1 ? "not a request head" : err.text));
		c->keep_alive = false;
		eio_conn_error(c, EIO_ERROR_REQUEST);
		return 0;
	}
	evbuffer_drain(in, (size_t)n);
	event_del(c->timer);
	c->head_only = apw_str_is(head.method, "HEAD");
	c->keep_alive = head.keep_alive;
	eio_request(c, &head);
	return 1;
}

static void
conn_body_ends(struct eio_conn *c)
{
	event_del(c->timer);
	c->state = EIO_CONN_TAKE;
	eio_request_body(c);
}

/* The same of a body that comes in chunks. */
static int
conn_chunks(struct eio_conn *c)
{
	struct evbuffer		*in = bufferevent_get_input(c->bev);
	size_t			 have, n;
	const char		*p;
	struct apw_str		 data;
	enum apw_chunk_got	 got = APW_CHUNK_MORE;
	bool			 full = false;

	while (got == APW_CHUNK_MORE && (have =
	    evbuffer_get_contiguous_space(in)) > 0) {
		p = (const char *)evbuffer_pullup(in, (ev_ssize_t)have);
		n = have;
		while (!full && (got = apw_chunk_read(&c->chunks, &p, &n,
		    &data)) == APW_CHUNK_DATA)
			full = c->body.len + data.n > c->body.max - 1 ||
			    apw_buf_put(&c->body, data.p, data.n) == -1;
		evbuffer_drain(in, have - n);
		conn_timer(c, c->server->conf.body_timeout_ms);
	}
	if (full || got == APW_CHUNK_BROKEN) {
		eio_request_broken(c, full);
		return 0;
	}
	if (got != APW_CHUNK_END)
		return 0;
	conn_body_ends(c);
	return 1;
}

static int
conn_body(struct eio_conn *c)
{
	struct evbuffer	*in = bufferevent_get_input(c->bev);
	size_t		 n = evbuffer_get_length(in);
	int		 r;

	if (c->chunked)
		return conn_chunks(c);
	if (n > c->body_left)
		n = c->body_left;
	if (n > 0) {
		if (apw_buf_reserve(&c->body, n) == -1) {
			c->keep_alive = false;
			eio_conn_answer(c, "500 Internal Server Error", NULL,
			    NULL, 0);
			return 0;
		}
		r = evbuffer_remove(in, c->body.data + c->body.len, n);
		if (r > 0) {
			c->body.len += (size_t)r;
			c->body_left -= (size_t)r;
			conn_timer(c, c->server->conf.body_timeout_ms);
		}
	}
	if (c->body_left > 0)
		return 0;
	conn_body_ends(c);
	return 1;
}

static void
conn_on_read(struct bufferevent *bev, void *arg)
{
	struct apw_eio_server	*s;
	struct eio_conn		*c;
	int			 more = 1;

	APW_CAST(c, arg, EIO_CONN_MAGIC);
	s = c->server;
	(void)bev;
	apw_eio_server_enter(s);
	while (more) {
		switch (c->state) {
		case EIO_CONN_HEAD:
			more = conn_head(c);
			break;
		case EIO_CONN_BODY:
			more = conn_body(c);
			break;
		case EIO_CONN_LAST:
			evbuffer_drain(bufferevent_get_input(c->bev),
			    SIZE_MAX);
			more = 0;
			break;
		case EIO_CONN_TAKE:
		case EIO_CONN_POLL:
		case EIO_CONN_DEAD:
			more = 0;
			break;
		}
	}
	if (c->server != s)
		apw_eio_server_leave(c->server);	/* it was moved */
	apw_eio_server_leave(s);
}

/* The peer hung up, or the connection broke, or makes room for another. */
void
eio_conn_lost(struct eio_conn *c)
{
	struct apw_eio_session	*session = c->session;

	eio_conn_bury(c);
	if (session != NULL)
		eio_session_end(session, "transport close");
}

static void
conn_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct apw_eio_server	*s;
	struct eio_conn		*c;

	APW_CAST(c, arg, EIO_CONN_MAGIC);
	s = c->server;
	(void)bev;
	(void)what;
	apw_eio_server_enter(s);
	eio_conn_lost(c);
	apw_eio_server_leave(s);
}

static void
conn_on_write(struct bufferevent *bev, void *arg)
{
	struct eio_conn	*c;

	APW_CAST(c, arg, EIO_CONN_MAGIC);
	if (c->state == EIO_CONN_LAST)
		shutdown(bufferevent_getfd(bev), SHUT_WR);
}

/* A slow head or body, or a peer that does not hang up. */
static void
conn_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_eio_server	*s;
	struct eio_conn		*c;

	APW_CAST(c, arg, EIO_CONN_MAGIC);
	s = c->server;
	(void)fd;
	(void)what;
	apw_eio_server_enter(s);
	if (c->state == EIO_CONN_BODY)
		apw_debug("HTTP body stalled");
	eio_conn_lost(c);
	apw_eio_server_leave(s);
}

void
eio_conn_new(struct apw_eio_server *s, evutil_socket_t fd, bool own)
{
	struct eio_conn	*c;
	int		 on = 1;

	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		evutil_closesocket(fd);
		return;
	}
	c->magic = EIO_CONN_MAGIC;
	c->server = s;
	c->own = own;
	c->state = EIO_CONN_HEAD;
	c->timer = event_new(s->base, -1, 0, conn_on_timer, c);
	c->bev = bufferevent_socket_new(s->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (c->bev == NULL)
		evutil_closesocket(fd);
	if (c->bev == NULL || c->timer == NULL) {
		eio_conn_destroy(c);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	TAILQ_INSERT_TAIL(&s->conns, c, link);
	s->nconns++;
	bufferevent_setcb(c->bev, conn_on_read, conn_on_write, conn_on_event,
	    c);
	bufferevent_setwatermark(c->bev, EV_READ, 0,
	    s->conf.max_early_bytes == 0 ? INPUT_BYTES : EARLY_BYTES);
	bufferevent_set_max_single_read(c->bev, INPUT_BYTES);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	conn_timer(c, s->conf.head_timeout_ms);
}
