/*
 * App link: how far the app is.  Room: link.
 *
 * One GET of its health page on a connection of its own, made the way the link
 * itself is: the same name, proxy and authorities.  Any answer is one; what
 * it says does not matter, and is not read.
 */
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include "core/apw_clock.h"
#include "link/app_link_priv.h"
#include "proto/apw_http.h"

#define PING_PATH	"/api/v1/health"

void
app_ping_cancel(struct apw_app_link *l)
{
	struct app_ping	*p = &l->ping;

	apw_dial_cancel(p->dial);
	p->dial = NULL;
	apw_stream_cancel(p->stream);
	p->stream = NULL;
	if (p->bev != NULL)
		bufferevent_free(p->bev);
	p->bev = NULL;
	if (p->timer != NULL)
		event_free(p->timer);
	p->timer = NULL;
	p->done = NULL;
}

static void
ping_end(struct apw_app_link *l, int64_t ms)
{
	apw_app_link_ping_fn	*done = l->ping.done;

	app_link_enter(l);
	app_ping_cancel(l);
	if (done != NULL && !l->dead)
		done(l->arg, ms);
	app_link_leave(l);
}

static void
ping_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	(void)fd;
	(void)what;
	ping_end(l, -1);
}

static void
ping_on_read(struct bufferevent *bev, void *arg)
{
	struct apw_http_head	 head;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_app_link	*l;
	ssize_t			 n;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	n = apw_http_answer(apw_stream_head(bufferevent_get_input(bev)), &head,
	    &err);
	if (n != 0)
		ping_end(l, n == -1 ? -1 : apw_now_ms() - l->ping.began_ms);
}

static void
ping_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	(void)bev;
	(void)what;
	ping_end(l, -1);
}

static void
ping_on_stream(void *arg, struct bufferevent *bev, const char *error)
{
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	(void)error;
	l->ping.stream = NULL;
	if (bev == NULL) {
		ping_end(l, -1);
		return;
	}
	l->ping.bev = bev;
	evbuffer_add_printf(bufferevent_get_output(bev),
	    "GET %.*s" PING_PATH " HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n"
	    "User-Agent: apworkerd\r\nConnection: close\r\n\r\n",
	    (int)l->target.prefix, l->target.request_path,
	    l->target.host_header);
	bufferevent_setcb(bev, ping_on_read, NULL, ping_on_event, l);
	bufferevent_setwatermark(bev, EV_READ, 0, 2 * APW_HTTP_HEAD_MAX);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
}

static void
ping_on_dial(void *arg, const struct apw_dialled *end)
{
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_app_link	*l;

	APW_CAST(l, arg, APP_LINK_MAGIC);
	l->ping.dial = NULL;
	if (end->end == APW_DIAL_DONE)
		l->ping.stream = apw_stream_new(l->base, end->fd,
		    l->target.host, l->tls, l->insecure, ping_on_stream, l,
		    &err);
	if (l->ping.stream == NULL)
		ping_end(l, -1);
}

int
apw_app_link_ping(struct apw_app_link *l, unsigned timeout_ms,
    apw_app_link_ping_fn *done, struct apw_err *err)
{
	struct timeval	 tv = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	struct app_ping	*p = &l->ping;

	if (l->dead || p->timer != NULL)
		return apw_err_set(err, EALREADY, "app link");
	p->timer = event_new(l->base, -1, 0, ping_on_timer, l);
	if (p->timer == NULL)
		return apw_err_set(err, ENOMEM, "app link");
	event_add(p->timer, &tv);
	p->began_ms = apw_now_ms();
	p->done = done;
	p->dial = app_conn_dial_to(l, ping_on_dial, err);
	if (p->dial != NULL)
		return 0;
	app_ping_cancel(l);
	return -1;
}
