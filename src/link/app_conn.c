/*
 * App link: one connection, from the dial to packets.  Room: link.
 *
 * Everything the server sends is checked: a peer that breaks a protocol is
 * left, whoever it is.
 */
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "link/app_link_priv.h"
#include "proto/apw_raw.h"

int
app_conn_send(struct apw_app_link *l, const struct apw_str *parts,
    size_t nparts)
{
	if (l->ws == NULL)
		return -1;
	return apw_link_ws_send(l->ws, false, APW_EIO_MESSAGE, parts, nparts);
}

/* --- Socket.IO --- */

/* CONNECT_ERROR: {"message":"…"} or a string. */
static void
take_connect_error(struct apw_app_link *l, const struct apw_sio_packet *pkt)
{
	struct apw_buf	text = APW_BUF_INIT(400);
	struct apw_str	v;

	apw_buf_puts(&text, "connect error: ");
	if (apw_raw_type(pkt->data) == APW_RAW_STRING)
		apw_raw_decode(&text, pkt->data);
	else if (apw_raw_member(pkt->data, "message", &v) == 1)
		apw_raw_decode(&text, v);
	app_link_end(l, text.data, true);
	apw_buf_free(&text);
}

static void
take_joined(struct apw_app_link *l)
{
	l->state = APP_OPEN;
	event_del(l->open_timer);
	l->ev.on_open(l->arg);
}

static void
take_event(struct apw_app_link *l, const struct apw_sio_packet *pkt)
{
	struct apw_str	name = pkt->name;

	if (l->ev.on_event == NULL || name.n < 2 || name.p[0] != '"')
		return;
	name.p++;
	name.n -= 2;
	l->ev.on_event(l->arg, name, pkt->args);
}

static void
take_packet(struct apw_app_link *l, const struct apw_sio_packet *pkt,
    const struct apw_str *binary, size_t nbinary)
{
	if (!apw_str_is(pkt->nsp, "/")) {
		app_link_end(l, "parse error: unknown namespace", false);
		return;
	}
	if (l->state == APP_JOINING) {
		if (pkt->type == APW_SIO_CONNECT)
			take_joined(l);
		else if (pkt->type == APW_SIO_CONNECT_ERROR)
			take_connect_error(l, pkt);
		else
			app_link_end(l, "parse error: not yet connected",
			    false);
		return;
	}
	switch (pkt->type) {
	case APW_SIO_DISCONNECT:
		app_link_end(l, "io server disconnect", true);
		break;
	case APW_SIO_EVENT:
	case APW_SIO_BINARY_EVENT:
		take_event(l, pkt);
		break;
	case APW_SIO_ACK:
	case APW_SIO_BINARY_ACK:
		app_emit_ack(l, pkt, binary, nbinary);
		break;
	default:
		app_link_end(l, "parse error: connected twice", false);
		break;
	}
}

static void
take_message(struct apw_app_link *l, bool binary, struct apw_str text)
{
	struct apw_str		parts[APW_SIO_ATTACHMENTS_MAX];
	struct apw_sio_packet	pkt;
	struct apw_err		err;	/* large, and set on failure */
	char			reason[256];
	size_t			nparts;

	switch (apw_sio_attach_take(&l->attach, binary, text, &pkt, parts,
	    &nparts, &err)) {
	case -1:
		snprintf(reason, sizeof(reason), "parse error: %.200s",
		    err.text);
		app_link_end(l, reason, false);
		break;
	case 1:
		if (nparts == 0) {
			take_packet(l, &pkt, parts, nparts);
			break;
		}
		{
			/* the connection may end while this is in use */
			struct apw_sio_attach held = l->attach;

			apw_sio_attach_init(&l->attach, l->max_message_bytes);
			take_packet(l, &pkt, parts, nparts);
			apw_sio_attach_free(&held);
		}
		break;
	default:
		break;
	}
}

/* --- Engine.IO --- */

static void
arm_ping(struct apw_app_link *l)
{
	unsigned	ms = l->open.ping_interval_ms +
	    l->open.ping_timeout_ms;
	struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(l->ping_timer, &tv);
}

static void
take_open(struct apw_app_link *l, const struct apw_eio_packet *pkt)
{
	struct apw_err	err = APW_ERR_NONE;
	struct apw_str	parts[2];
	char		reason[256];

	if (pkt->type != APW_EIO_OPEN ||
	    apw_eio_open_parse(pkt->data, &l->open, &err) == -1) {
		snprintf(reason, sizeof(reason), "parse error: %.200s",
		    err.text[0] != '\0' ? err.text : "no open packet");
		app_link_end(l, reason, false);
		return;
	}
	arm_ping(l);
	l->state = APP_JOINING;
	parts[0] = APW_STR("0");
	parts[1] = apw_str_c(l->auth != NULL ? l->auth : "");
	app_conn_send(l, parts, 2);
}

static void
conn_on_message(void *arg, bool binary, struct apw_str text)
{
	struct apw_eio_packet	 pkt;
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	app_link_enter(l);
	if (binary && l->state >= APP_JOINING)
		take_message(l, true, text);
	else if (binary || apw_eio_parse(text, false, &pkt) == -1)
		app_link_end(l, "parse error: unknown packet", false);
	else if (l->state == APP_OPENING)
		take_open(l, &pkt);
	else {
		switch (pkt.type) {
		case APW_EIO_PING:
			apw_link_ws_send(l->ws, false, APW_EIO_PONG, NULL, 0);
			arm_ping(l);
			break;
		case APW_EIO_MESSAGE:
			take_message(l, false, pkt.data);
			break;
		case APW_EIO_CLOSE:
			app_link_end(l, "transport close", false);
			break;
		default:
			break;
		}
	}
	app_link_leave(l);
}

static void
conn_on_closed(void *arg, const char *reason)
{
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	app_link_end(l, reason, false);
}

/* --- the way there --- */

static void
conn_upgraded(struct apw_app_link *l)
{
	static const struct apw_link_ws_events	ev = {
		.on_message = conn_on_message,
		.on_closed = conn_on_closed,
	};
	struct bufferevent			*bev = l->bev;

	l->bev = NULL;
	l->ws = apw_link_ws_new(bev, false, l->max_message_bytes, &ev, l);
	if (l->ws == NULL) {
		app_link_end(l, "transport error: out of memory", false);
		return;
	}
	l->state = APP_OPENING;
	apw_link_ws_start(l->ws);
}

/* head NULL: it was none. */
static void
conn_refused(struct apw_app_link *l, const struct apw_http_head *head,
    const char *why)
{
	struct apw_str	location = { NULL, 0 };
	char		text[600], reason[640];

	if (head != NULL && head->status / 100 == 3)
		location = apw_http_header(head, "location");
	if (location.n > 0)
		app_target_moved(&l->target, head->status, location, text,
		    sizeof(text));
	else
		snprintf(text, sizeof(text), "%.200s", why);
	snprintf(reason, sizeof(reason), "transport error: %s", text);
	app_link_end(l, reason, false);
}

static void
conn_on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer		*in = bufferevent_get_input(bev);
	struct apw_http_head	 head;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_app_link	*l;
	ssize_t			 n;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	n = apw_http_answer(apw_stream_head(in), &head, &err);
	if (n == 0)
		return;
	if (n == -1 || apw_ws_response_check(&head, l->key, &err) == -1) {
		conn_refused(l, n == -1 ? NULL : &head, err.text);
		return;
	}
	evbuffer_drain(in, (size_t)n);
	l->upgrade_ms = apw_now_ms() - l->upgrade_ms;
	conn_upgraded(l);
}

static void
conn_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	(void)bev;
	app_link_end(l, (what & BEV_EVENT_EOF) != 0 ?
	    "transport error: closed before the upgrade" :
	    "transport error: broken before the upgrade", false);
}

static void
conn_fail(struct apw_app_link *l, const char *error)
{
	char	reason[512];

	snprintf(reason, sizeof(reason), "transport error: %s", error);
	app_link_end(l, reason, false);
}

static void
conn_on_stream(void *arg, struct bufferevent *bev, const char *error)
{
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	l->stream = NULL;
	if (bev == NULL || apw_ws_key(l->key) == -1) {
		if (bev != NULL)
			bufferevent_free(bev);
		conn_fail(l, error != NULL ? error : "no randomness");
		return;
	}
	l->bev = bev;
	l->state = APP_UPGRADING;
	l->upgrade_ms = apw_now_ms();
	evbuffer_add_printf(bufferevent_get_output(bev),
	    "GET %s?EIO=4&transport=websocket HTTP/1.1\r\n"
	    "Host: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
	    "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n"
	    "User-Agent: apworkerd\r\n\r\n", l->target.request_path,
	    l->target.host_header, l->key);
	bufferevent_setcb(bev, conn_on_read, NULL, conn_on_event, l);
	bufferevent_setwatermark(bev, EV_READ, 0, 2 * APW_HTTP_HEAD_MAX);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
conn_on_dial(void *arg, const struct apw_dialled *end)
{
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_app_link	*l;
	char			 why[400];

	APW_CAST(l, arg, APP_LINK_MAGIC);
	l->dial = NULL;
	if (end->end != APW_DIAL_DONE) {
		apw_dial_why(end, l->target.host, why, sizeof(why));
		conn_fail(l, why);
		return;
	}
	l->stream = apw_stream_new(l->base, end->fd, l->target.host, l->tls,
	    l->insecure, conn_on_stream, l, &err);
	if (l->stream == NULL)
		conn_fail(l, err.text);
}

struct apw_dial *
app_conn_dial_to(struct apw_app_link *l, apw_dial_fn *done,
    struct apw_err *err)
{
	static const struct apw_strlist	system = { NULL, 0 };
	const struct apw_dial_conf	conf = {
		.host = l->target.host,
		.port = l->target.port,
		.upstream = l->proxy,
	};
	struct apw_dial			*dial;

	/* The system's own servers, also where flows have others: the app is
	 * a neighbour. */
	if (l->resolver == NULL)
		l->resolver = apw_resolver_new(l->base, &system, err);
	if (l->resolver == NULL)
		return NULL;
	dial = apw_dial_new(l->base, l->resolver, &conf, done, l);
	if (dial == NULL)
		apw_err_set(err, ENOMEM, "dial");
	return dial;
}

int
app_conn_dial(struct apw_app_link *l, struct apw_err *err)
{
	l->dial = app_conn_dial_to(l, conn_on_dial, err);
	return l->dial != NULL ? 0 : -1;
}
