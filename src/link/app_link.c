/*
 * App link: life of the link and the end of its connections; see
 * app_link.h.  Room: link.
 *
 * Nothing of the link is freed while one of its callbacks is on the stack.
 */
#include <errno.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_log.h"
#include "dial/tls.h"
#include "link/app_link_priv.h"

static void
link_destroy(struct apw_app_link *l)
{
	struct apw_link_ws	*ws;

	app_emit_forget_all(l);
	app_ping_cancel(l);
	l->leaving.on_empty = NULL;
	while ((ws = TAILQ_FIRST(&l->leaving.all)) != NULL)
		apw_link_ws_free(ws);
	if (l->open_timer != NULL)
		event_free(l->open_timer);
	if (l->ping_timer != NULL)
		event_free(l->ping_timer);
	if (l->reply_timer != NULL)
		event_free(l->reply_timer);
	if (l->left != NULL)
		event_free(l->left);
	if (l->tls != NULL)
		SSL_CTX_free(l->tls);
	apw_sio_attach_free(&l->attach);
	apw_buf_free(&l->scratch);
	app_target_free(&l->target);
	apw_resolver_free(l->resolver);
	if (l->proxy != NULL)
		explicit_bzero(l->proxy, sizeof(*l->proxy));
	free(l->proxy);
	free(l->ca_file);
	if (l->auth != NULL)
		explicit_bzero(l->auth, strlen(l->auth));
	free(l->auth);
	l->magic = 0;
	free(l);
}

void
app_link_enter(struct apw_app_link *l)
{
	l->depth++;
}

void
app_link_leave(struct apw_app_link *l)
{
	if (--l->depth == 0 && l->dead)
		link_destroy(l);
}

/* Let go of whatever the connection consists of; code as in a close frame. */
static void
link_drop(struct apw_app_link *l)
{
	event_del(l->open_timer);
	event_del(l->ping_timer);
	apw_dial_cancel(l->dial);
	l->dial = NULL;
	apw_stream_cancel(l->stream);
	l->stream = NULL;
	if (l->bev != NULL)
		bufferevent_free(l->bev);
	l->bev = NULL;
	if (l->ws != NULL)
		apw_link_ws_close(l->ws, 0, &l->leaving);
	l->ws = NULL;
	apw_sio_attach_free(&l->attach);
	l->open = (struct apw_eio_open){ .max_payload_bytes = 0 };
}

void
app_link_end(struct apw_app_link *l, const char *reason, bool rejected)
{
	char	text[512];

	if (l->state == APP_IDLE || l->state == APP_CLOSING)
		return;
	app_link_enter(l);
	/* the reason may live in what is dropped here */
	snprintf(text, sizeof(text), "%s", reason);
	l->state = APP_CLOSING;
	link_drop(l);
	app_emit_fail_all(l);
	if (!l->dead && l->state == APP_CLOSING) {
		l->state = APP_IDLE;
		l->ev.on_closed(l->arg, text, rejected);
	}
	app_link_leave(l);
}

static void
link_on_open_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	(void)fd;
	(void)what;
	app_link_end(l, "transport error: timeout", false);
}

static void
link_on_ping_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	(void)fd;
	(void)what;
	app_link_end(l, "ping timeout", false);
}

static void
link_on_left(evutil_socket_t fd, short what, void *arg)
{
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	(void)fd;
	(void)what;
	app_link_enter(l);
	if (l->ev.on_left != NULL)
		l->ev.on_left(l->arg);
	app_link_leave(l);
}

/* The last socket has said its good-bye. */
static void
link_on_empty(void *arg)
{
	struct timeval		 now = { 0, 0 };
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	l->leaving.on_empty = NULL;
	event_add(l->left, &now);
}

static int
link_events(struct apw_app_link *l)
{
	l->open_timer = event_new(l->base, -1, 0, link_on_open_timer, l);
	l->ping_timer = event_new(l->base, -1, 0, link_on_ping_timer, l);
	l->reply_timer = event_new(l->base, -1, 0, app_emit_on_timer, l);
	l->left = event_new(l->base, -1, 0, link_on_left, l);
	return l->open_timer == NULL || l->ping_timer == NULL ||
	    l->reply_timer == NULL || l->left == NULL ? -1 : 0;
}

static int
link_proxy(struct apw_app_link *l, const char *url, struct apw_err *err)
{
	l->proxy = calloc(1, sizeof(*l->proxy));
	if (l->proxy == NULL)
		return apw_err_set(err, ENOMEM, "app link");
	if (apw_upstream_read(l->proxy, url, err) == -1)
		return -1;
	l->proxy->ca_file = l->ca_file;
	return 0;
}

static int
link_configure(struct apw_app_link *l, const struct apw_app_link_conf *c,
    struct apw_err *err)
{
	l->insecure = c->insecure;
	l->open_timeout_ms = c->open_timeout_ms != 0 ? c->open_timeout_ms :
	    20000;
	l->max_message_bytes = c->max_message_bytes != 0 ?
	    c->max_message_bytes : 104857600;
	l->max_output_bytes = c->max_output_bytes;
	l->max_pending = c->max_pending != 0 ? c->max_pending : 4096;
	apw_sio_attach_init(&l->attach, l->max_message_bytes);
	if (app_target_parse(c->url, c->path != NULL ? c->path :
	    "/api/socket.io", &l->target, err) == -1)
		return -1;
	if (c->ca_file != NULL && (l->ca_file = strdup(c->ca_file)) == NULL)
		return apw_err_set(err, ENOMEM, "app link");
	if (c->proxy != NULL && link_proxy(l, c->proxy, err) == -1)
		return -1;
	if (c->auth_json != NULL && (l->auth = strdup(c->auth_json)) == NULL)
		return apw_err_set(err, ENOMEM, "app link");
	if (l->target.tls) {
		l->tls = apw_tls_new(c->ca_file, c->insecure, err);
		if (l->tls == NULL)
			return -1;
	}
	return 0;
}

struct apw_app_link *
apw_app_link_new(struct event_base *base, const struct apw_app_link_conf *c,
    const struct apw_app_link_events *ev, void *arg, struct apw_err *err)
{
	struct apw_app_link	*l;

	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		apw_err_set(err, ENOMEM, "app link");
		return NULL;
	}
	l->magic = APP_LINK_MAGIC;
	l->base = base;
	l->ev = *ev;
	l->arg = arg;
	TAILQ_INIT(&l->pending);
	TAILQ_INIT(&l->leaving.all);
	l->leaving.arg = l;
	if (link_events(l) == -1)
		apw_err_set(err, ENOMEM, "app link");
	else if (link_configure(l, c, err) == 0)
		return l;
	link_destroy(l);
	return NULL;
}

void
apw_app_link_open(struct apw_app_link *l)
{
	struct timeval	tv = { l->open_timeout_ms / 1000,
	    l->open_timeout_ms % 1000 * 1000 };
	struct timeval	now = { 0, 0 };
	struct apw_err	err = APW_ERR_NONE;

	if (l->state != APP_IDLE || l->dead)
		return;
	l->leaving.on_empty = NULL;
	event_del(l->left);
	l->state = APP_DIALING;
	/* failing to begin is told as any other failure: from the loop */
	if (app_conn_dial(l, &err) == -1) {
		apw_error_often("cannot connect to the app", APW_E(&err));
		tv = now;
	}
	event_add(l->open_timer, &tv);
}

bool
apw_app_link_connected(const struct apw_app_link *l)
{
	return l->state == APP_OPEN;
}

int64_t
apw_app_link_handshake_ms(const struct apw_app_link *l)
{
	return l->upgrade_ms;
}

size_t
apw_app_link_max_payload(const struct apw_app_link *l)
{
	if (l->state != APP_OPEN)
		return 0;
	return l->open.max_payload_bytes != 0 ? l->open.max_payload_bytes :
	    SIZE_MAX;
}

void
apw_app_link_leave(struct apw_app_link *l)
{
	struct apw_str	 bye = APW_STR("1");

	app_link_enter(l);
	app_emit_forget_all(l);
	app_ping_cancel(l);
	if (l->state == APP_OPEN)
		app_conn_send(l, &bye, 1);
	l->state = APP_IDLE;
	link_drop(l);
	if (TAILQ_EMPTY(&l->leaving.all))
		link_on_empty(l);
	else
		l->leaving.on_empty = link_on_empty;
	app_link_leave(l);
}

void
apw_app_link_free(struct apw_app_link *l)
{
	if (l == NULL || l->dead)
		return;
	app_link_enter(l);
	l->dead = true;
	l->state = APP_IDLE;
	link_drop(l);
	app_link_leave(l);
}
