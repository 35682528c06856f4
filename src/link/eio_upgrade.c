/*
 * Engine.IO server: WebSockets of sessions, from the start or by upgrade.
 * Room: link.
 *
 * Until the client says "5" on the new socket the session lives on polling,
 * whatever happens there; from then on it lives on the socket alone.
 */
#include <event2/bufferevent.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_log.h"
#include "link/eio_server_priv.h"

/* "2probe" and "5" */
#define PROBE_BYTES	125

static void
probe_drop(struct apw_eio_session *s)
{
	if (s->probe == NULL)
		return;
	event_del(s->probe_timer);
	apw_link_ws_close(s->probe, 0, &s->server->leaving);
	s->probe = NULL;
	s->probed = false;
}

/* "5": the session moves over, with all that was not fetched yet. */
static void
probe_win(struct apw_eio_session *s)
{
	struct eio_out	*o;
	struct apw_str	 part;
	int		 r = 0;

	event_del(s->probe_timer);
	s->ws = s->probe;
	apw_link_ws_allow(s->ws, eio_session_max_bytes(s));
	s->probe = NULL;
	s->probed = false;
	eio_polling_noop(s, APW_EIO_NOOP);
	STAILQ_FOREACH(o, &s->out, link) {
		part = (struct apw_str){ o->data, o->n };
		if (r == 0 && o->type != APW_EIO_CLOSE)
			r = apw_link_ws_send(s->ws, o->type == APW_EIO_BINARY,
			    o->type == APW_EIO_BINARY ? 0 : o->type, &part, 1);
	}
	eio_polling_drop(s);
	if (s->closing)
		eio_session_end(s, "closed");
	else if (!s->orphan && s->server->ev.on_upgraded != NULL)
		s->server->ev.on_upgraded(s->data);
}

static void
probe_message(struct apw_eio_session *s, bool binary, struct apw_str text)
{
	struct apw_str	answer = APW_STR("probe");

	if (!binary && apw_str_is(text, "2probe")) {
		if (apw_link_ws_send(s->probe, false, APW_EIO_PONG, &answer,
		    1) == -1)
			return;
		s->probed = true;
		if (s->poll != NULL)
			eio_polling_noop(s, APW_EIO_NOOP);
	} else if (!binary && apw_str_is(text, "5"))
		probe_win(s);
	else
		probe_drop(s);
}

static void
session_on_message(void *arg, bool binary, struct apw_str text)
{
	struct apw_eio_server	*server;
	struct apw_eio_session	*s;
	struct apw_eio_packet	 pkt;

	APW_CAST(s, arg, EIO_SESSION_MAGIC);
	server = s->server;
	apw_eio_server_enter(server);
	if (s->ws == NULL)
		probe_message(s, binary, text);
	else if (binary)
		eio_session_binary(s, text);
	else if (apw_eio_parse(text, false, &pkt) == -1)
		eio_session_end(s, "parse error");
	else
		eio_session_packet(s, &pkt);
	apw_eio_server_leave(server);
}

static void
session_on_ws_closed(void *arg, const char *reason)
{
	struct apw_eio_server	*server;
	struct apw_eio_session	*s;

	APW_CAST(s, arg, EIO_SESSION_MAGIC);
	server = s->server;
	apw_eio_server_enter(server);
	if (s->ws == NULL)
		probe_drop(s);
	else
		eio_session_end(s, reason);
	apw_eio_server_leave(server);
}

static void
session_on_probe_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_eio_session	*s;

	APW_CAST(s, arg, EIO_SESSION_MAGIC);
	(void)fd;
	(void)what;
	probe_drop(s);
}

static const struct apw_link_ws_events ws_events = {
	.on_message = session_on_message,
	.on_closed = session_on_ws_closed,
};

void
eio_upgrade_direct(struct apw_eio_session *s, struct bufferevent *bev)
{
	s->ws = apw_link_ws_new(bev, true, eio_session_max_bytes(s),
	    &ws_events, s);
	if (s->ws == NULL) {
		s->orphan = true;
		eio_session_end(s, "out of memory");
		return;
	}
	eio_session_open(s);
	if (s->ws != NULL)
		apw_link_ws_start(s->ws);
}

void
eio_upgrade_probe(struct apw_eio_session *s, struct bufferevent *bev)
{
	unsigned	ms = s->server->conf.upgrade_timeout_ms;
	struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	if (s->probe_timer == NULL)
		s->probe_timer = event_new(s->server->base, -1, 0,
		    session_on_probe_timer, s);
	if (s->probe_timer == NULL) {
		bufferevent_free(bev);
		return;
	}
	s->probe = apw_link_ws_new(bev, true, PROBE_BYTES, &ws_events, s);
	if (s->probe == NULL)
		return;
	event_add(s->probe_timer, &tv);
	apw_link_ws_start(s->probe);
}

void
eio_upgrade_refuse(struct apw_eio_server *server, struct bufferevent *bev)
{
	struct apw_link_ws	*ws;

	ws = apw_link_ws_new(bev, true, 125, &ws_events, NULL);
	if (ws != NULL)
		apw_link_ws_close(ws, 0, &server->leaving);
}
