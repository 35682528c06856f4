/*
 * Engine.IO server: life of a session, its heartbeat, what it sends and
 * takes.  Room: link.
 *
 * Must never wait longer than ping interval plus ping timeout for a sign of
 * life, measured from absolute deadlines: late timers do not add up.
 */
#include <stdlib.h>
#include <string.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "link/eio_server_priv.h"

/* how long a closed session waits for its client to fetch the last packets */
#define CLOSING_MS	2000
/* how long a session its client closed still answers a GET that was under way */
#define FAREWELL_MS	100

static void
arm(struct event *ev, int64_t ms)
{
	struct timeval	tv = { 0, 0 };

	if (ms > 0) {
		tv.tv_sec = ms / 1000;
		tv.tv_usec = ms % 1000 * 1000;
	}
	event_add(ev, &tv);
}

bool
eio_session_expired(const struct apw_eio_session *s)
{
	return apw_now_ms() >= s->beat_ms +
	    (s->pinged ? 0 : (int64_t)s->server->conf.ping_timeout_ms);
}

/* Send a packet of this type on whatever transport there is. */
static int
session_put(struct apw_eio_session *s, char type, const struct apw_str *parts,
    size_t nparts)
{
	if (s->ws != NULL)
		return apw_link_ws_send(s->ws, type == APW_EIO_BINARY,
		    type == APW_EIO_BINARY ? 0 : type, parts, nparts);
	if (eio_polling_queue(s, type, parts, nparts) == -1)
		return -1;
	if (s->poll != NULL)
		eio_polling_flush(s);
	return 0;
}

static void
session_on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct apw_eio_server	*server;
	struct apw_eio_session	*s;

	APW_CAST(s, arg, EIO_SESSION_MAGIC);
	server = s->server;
	(void)fd;
	(void)what;
	apw_eio_server_enter(server);
	if (s->pinged)
		eio_session_end(s, "ping timeout");
	else {
		s->pinged = true;
		s->beat_ms += server->conf.ping_timeout_ms;
		arm(s->beat, s->beat_ms - apw_now_ms());
		session_put(s, APW_EIO_PING, NULL, 0);
	}
	apw_eio_server_leave(server);
}

static void
session_on_fail(evutil_socket_t fd, short what, void *arg)
{
	struct apw_eio_server	*server;
	struct apw_eio_session	*s;

	APW_CAST(s, arg, EIO_SESSION_MAGIC);
	server = s->server;
	(void)fd;
	(void)what;
	apw_eio_server_enter(server);
	eio_session_end(s, s->fail_reason != NULL ? s->fail_reason :
	    "closed");
	apw_eio_server_leave(server);
}

static int
session_hello(struct apw_eio_session *s)
{
	const struct apw_eio_server_conf *conf = &s->server->conf;
	struct apw_eio_open	 open = { .upgrade = s->ws == NULL,
	    .ping_interval_ms = conf->ping_interval_ms,
	    .ping_timeout_ms = conf->ping_timeout_ms,
	    .max_payload_bytes = conf->max_payload_bytes };
	struct apw_buf		 text = APW_BUF_INIT(1024);
	struct apw_str		 part;
	int			 r = -1;

	memcpy(open.sid, s->sid, sizeof(s->sid));
	if (apw_eio_open_put(&text, &open) == 0) {
		part = apw_buf_view(&text);
		r = session_put(s, APW_EIO_OPEN, &part, 1);
	}
	apw_buf_free(&text);
	return r;
}

struct apw_eio_session *
eio_session_new(struct apw_eio_server *server, bool websocket, bool own)
{
	struct apw_eio_session	*s;

	if (server->dead || !eio_server_session_room(server) || server->dead)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->magic = EIO_SESSION_MAGIC;
	s->server = server;
	s->own = own;
	s->trusted = server->conf.max_early_bytes == 0;
	STAILQ_INIT(&s->out);
	s->beat = event_new(server->base, -1, 0, session_on_beat, s);
	s->fail_timer = event_new(server->base, -1, 0, session_on_fail, s);
	if (s->beat == NULL || s->fail_timer == NULL ||
	    apw_eio_sid(s->sid) == -1) {
		eio_session_destroy(s);
		return NULL;
	}
	s->beat_ms = apw_now_ms() + server->conf.ping_interval_ms;
	arm(s->beat, server->conf.ping_interval_ms);
	eio_server_add(server, s);
	if (!websocket && session_hello(s) == -1) {
		s->orphan = true;
		eio_session_end(s, "out of memory");
		return NULL;
	}
	return s;
}

void
eio_session_open(struct apw_eio_session *s)
{
	if (s->closed)
		return;
	if (s->ws != NULL && session_hello(s) == -1)
		return;
	s->data = s->server->ev.on_open(s->server->arg, s);
}

void
eio_session_destroy(struct apw_eio_session *s)
{
	eio_polling_drop(s);
	if (s->beat != NULL)
		event_free(s->beat);
	if (s->fail_timer != NULL)
		event_free(s->fail_timer);
	if (s->probe_timer != NULL)
		event_free(s->probe_timer);
	s->magic = 0;
	free(s);
}

/* A body that is still on its way would be for nobody. */
static void
session_drop_post(struct apw_eio_session *s)
{
	struct eio_conn	*c = s->post;

	s->post = NULL;
	c->session = NULL;
	if (c->state != EIO_CONN_BODY)
		return;
	c->keep_alive = false;
	eio_conn_error(c, EIO_ERROR_SID);
}

void
eio_session_end(struct apw_eio_session *s, const char *reason)
{
	struct apw_eio_server	*server = s->server;

	if (s->closed)
		return;
	apw_eio_server_enter(server);
	s->closed = true;
	event_del(s->beat);
	event_del(s->fail_timer);
	eio_server_bury(server, s);
	eio_polling_noop(s, APW_EIO_CLOSE);
	if (s->post != NULL)
		session_drop_post(s);
	if (s->probe != NULL)
		apw_link_ws_close(s->probe, 0, &server->leaving);
	if (s->ws != NULL)
		apw_link_ws_close(s->ws, 0, &server->leaving);
	s->probe = NULL;
	s->ws = NULL;
	if (!s->orphan) {
		s->orphan = true;
		server->ev.on_closed(s->data, reason);
	}
	apw_eio_server_leave(server);
}

static void
session_pong(struct apw_eio_session *s)
{
	s->pinged = false;
	s->beat_ms = apw_now_ms() + s->server->conf.ping_interval_ms;
	arm(s->beat, s->server->conf.ping_interval_ms);
}

/*
 * The client closes, and its GET is not here yet: the two travel on different
 * connections.  One that comes now is released, later ones are refused.
 */
static void
session_farewell(struct apw_eio_session *s)
{
	s->orphan = true;
	s->server->ev.on_closed(s->data, "transport close");
	if (s->closed)
		return;
	eio_polling_drop(s);
	if (eio_polling_queue(s, APW_EIO_NOOP, NULL, 0) == -1)
		eio_session_end(s, "closed");
	else {
		s->closing = true;
		arm(s->fail_timer, FAREWELL_MS);
	}
}

int
eio_session_packet(struct apw_eio_session *s,
    const struct apw_eio_packet *pkt)
{
	if (s->closed || s->fail_reason != NULL)
		return -1;
	if (s->orphan && pkt->type != APW_EIO_PONG)
		return -1;		/* its owner is done with it */
	switch (pkt->type) {
	case APW_EIO_PONG:
		session_pong(s);
		break;
	case APW_EIO_MESSAGE:
		if (!s->orphan)
			s->server->ev.on_message(s->data, false, pkt->data);
		break;
	case APW_EIO_CLOSE:
		if (s->ws == NULL && s->poll == NULL && !s->orphan) {
			session_farewell(s);
			break;
		}
		eio_polling_noop(s, APW_EIO_NOOP);
		eio_session_end(s, "transport close");
		break;
	case APW_EIO_PING:
		/* only a server sends heartbeats */
		eio_session_end(s, "parse error");
		break;
	default:
		break;		/* means nothing here, harms nothing */
	}
	return s->closed || s->closing ? -1 : 0;
}

int
eio_session_binary(struct apw_eio_session *s, struct apw_str data)
{
	if (s->closed || s->fail_reason != NULL)
		return -1;
	if (!s->orphan)
		s->server->ev.on_message(s->data, true, data);
	return s->closed ? -1 : 0;
}

int
apw_eio_session_send(struct apw_eio_session *s, bool binary,
    const struct apw_str *parts, size_t nparts)
{
	struct apw_eio_server	*server = s->server;
	size_t			 n, i;
	int			 r;

	if (s->closed || s->closing || s->fail_reason != NULL)
		return -1;
	n = s->ws != NULL ? apw_link_ws_unsent(s->ws) : s->out_bytes;
	for (i = 0; i < nparts; i++)
		n += parts[i].n;
	if (n > server->conf.max_output_bytes) {
		apw_eio_session_fail(s,
		    "transport error: peer does not read");
		return -1;
	}
	apw_eio_server_enter(server);
	r = session_put(s, binary ? APW_EIO_BINARY : APW_EIO_MESSAGE, parts,
	    nparts);
	if (r == -1)
		apw_eio_session_fail(s, "transport error");
	apw_eio_server_leave(server);
	return r;
}

size_t
eio_session_max_bytes(const struct apw_eio_session *s)
{
	return s->trusted ? s->server->conf.max_payload_bytes :
	    s->server->conf.max_early_bytes;
}

void
apw_eio_session_trust(struct apw_eio_session *s)
{
	s->trusted = true;
	if (s->ws != NULL)
		apw_link_ws_allow(s->ws, eio_session_max_bytes(s));
}

bool
apw_eio_session_own(const struct apw_eio_session *s)
{
	return s->own;
}

bool
apw_eio_session_websocket(const struct apw_eio_session *s)
{
	return s != NULL && s->ws != NULL;
}

bool
apw_eio_session_hung_up(const struct apw_eio_session *s)
{
	return s != NULL && s->ws != NULL && apw_link_ws_hung_up(s->ws);
}

void
apw_eio_session_fail(struct apw_eio_session *s, const char *reason)
{
	if (s->closed || s->fail_reason != NULL)
		return;
	s->fail_reason = reason;
	arm(s->fail_timer, 0);
}

void
apw_eio_session_close(struct apw_eio_session *s)
{
	struct apw_eio_server	*server = s->server;

	if (s->closed)
		return;
	apw_eio_server_enter(server);
	s->orphan = true;
	s->data = NULL;
	if (s->ws != NULL || s->fail_reason != NULL ||
	    eio_polling_queue(s, APW_EIO_CLOSE, NULL, 0) == -1)
		eio_session_end(s, "closed");
	else {
		s->closing = true;
		arm(s->fail_timer, CLOSING_MS);
		if (s->poll != NULL)
			eio_polling_flush(s);
	}
	apw_eio_server_leave(server);
}
