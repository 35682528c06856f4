/* One GET or PUT; see fetch.h.  Room: egress, in a slot.
 *
 *	kick ─ dial (look-up, connect, TLS) ─ send ─ head ─ body
 *
 * One deadline over all of it.  HTTP/1.0, so that the answer is whole or
 * ends with the connection.  URLs are never logged: they may hold keys. */
#include "egress/fetch.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_buf.h"
#include "core/apw_err.h"
#include "core/apw_log.h"
#include "egress/url.h"
#include "link/link_dial.h"
#include "proto/apw_http.h"

#define FETCH_MAGIC	0x46455443
#define FETCH_URL_MAX	16384

struct apw_fetcher {
	struct event_base	*base;		/* borrowed */
	SSL_CTX			*tls;		/* owned; made when needed */
	struct apw_fetch	*fetches;	/* list, owned */
};

struct apw_fetch {
	uint32_t		 magic;
	struct apw_fetcher	*fetcher;	/* borrowed */
	struct apw_fetch	*next;
	struct apw_egress_url	 to;		/* owned */
	const char		*unfit;		/* why that is no good; or NULL */
	struct apw_buf		 body;		/* owned; what is put, then the
						   answer's */
	bool			 put;
	bool			 has_head;
	int64_t			 length;	/* of the body; -1: until the end */
	size_t			 max_bytes;
	struct event		*kick, *deadline;	/* owned */
	struct apw_link_dial	*dial;		/* owned while it runs */
	struct bufferevent	*bev;		/* owned */
	apw_fetch_fn		*done;
	void			*arg;		/* borrowed */
};

static void
fetch_free(struct apw_fetch *f)
{
	struct apw_fetch	**at;

	for (at = &f->fetcher->fetches; *at != NULL; at = &(*at)->next)
		if (*at == f) {
			*at = f->next;
			break;
		}
	apw_link_dial_free(f->dial);
	if (f->bev != NULL)
		bufferevent_free(f->bev);
	if (f->kick != NULL)
		event_free(f->kick);
	if (f->deadline != NULL)
		event_free(f->deadline);
	apw_egress_url_free(&f->to);
	apw_buf_free(&f->body);
	f->magic = 0;
	free(f);
}

/* The callback may do anything but with this fetch. */
static void
fetch_done(struct apw_fetch *f, const char *error)
{
	apw_fetch_fn	*done = f->done;
	void		*arg = f->arg;
	struct apw_buf	 body = f->body;
	char		 why[256];

	f->body = (struct apw_buf){ .max = 0 };
	snprintf(why, sizeof(why), "%s", error == NULL ? "" : error);
	fetch_free(f);
	done(arg, error == NULL ? apw_buf_view(&body) : APW_STR(""),
	    error == NULL ? NULL : why);
	apw_buf_free(&body);
}

/* 1: the head is there, and good; 0: not yet; -1: done, for worse. */
static int
fetch_head(struct apw_fetch *f, struct evbuffer *in)
{
	struct apw_http_head	head;
	struct apw_err		err = APW_ERR_NONE;
	char			why[64];
	ssize_t			n;

	n = apw_http_answer(apw_link_head(in), &head, &err);
	if (n == 0)
		return 0;
	if (n == -1 || head.chunked) {
		fetch_done(f, "the answer is not HTTP/1.0");
		return -1;
	}
	if (head.status / 100 != 2) {
		snprintf(why, sizeof(why), "status %d", head.status);
		fetch_done(f, why);
		return -1;
	}
	f->length = head.content_length;
	evbuffer_drain(in, (size_t)n);
	apw_buf_free(&f->body);
	f->body.max = f->max_bytes;
	f->has_head = true;
	return 1;
}

static void
fetch_on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer		*in = bufferevent_get_input(bev);
	struct apw_fetch	*f;
	struct apw_str		 piece;

	APW_CAST(f, arg, FETCH_MAGIC);
	if (!f->has_head && fetch_head(f, in) != 1)
		return;
	while ((piece.n = evbuffer_get_contiguous_space(in)) > 0) {
		piece.p = (const char *)evbuffer_pullup(in,
		    (ev_ssize_t)piece.n);
		if (apw_buf_str(&f->body, piece) == -1) {
			fetch_done(f, "the answer is too large");
			return;
		}
		evbuffer_drain(in, piece.n);
	}
	if (f->length != -1 && f->body.len >= (uint64_t)f->length)
		fetch_done(f, f->body.len == (uint64_t)f->length ? NULL :
		    "the answer is longer than it said");
}

static void
fetch_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct apw_fetch	*f;

	(void)bev;
	APW_CAST(f, arg, FETCH_MAGIC);
	fetch_done(f, what & BEV_EVENT_EOF && f->has_head &&
	    f->length == -1 ? NULL :
	    "the connection ended before the answer");
}

static void
fetch_send(struct apw_fetch *f)
{
	struct evbuffer	*out = bufferevent_get_output(f->bev);

	apw_egress_url_ask(&f->to, f->put ? "PUT" : "GET", 0, out);
	evbuffer_add_printf(out, "Accept: */*\r\n");
	if (f->put) {
		evbuffer_add_printf(out,
		    "Content-Type: application/octet-stream\r\n"
		    "Content-Length: %zu\r\n\r\n", f->body.len);
		evbuffer_add(out, f->body.data, f->body.len);
	} else
		evbuffer_add_printf(out, "\r\n");
}

static void
fetch_on_dial(void *arg, struct bufferevent *bev, const char *error)
{
	struct apw_fetch	*f;

	APW_CAST(f, arg, FETCH_MAGIC);
	f->dial = NULL;
	if (bev == NULL) {
		fetch_done(f, error);
		return;
	}
	f->bev = bev;
	bufferevent_setcb(bev, fetch_on_read, NULL, fetch_on_event, f);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	fetch_send(f);
}

static void
fetch_on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct apw_link_dial_conf	 conf = { .host = NULL };
	struct apw_err			 err = APW_ERR_NONE;
	struct apw_fetch		*f;

	(void)fd;
	(void)what;
	APW_CAST(f, arg, FETCH_MAGIC);
	if (f->unfit != NULL) {
		fetch_done(f, f->unfit);
		return;
	}
	if (f->to.secure && f->fetcher->tls == NULL)
		f->fetcher->tls = apw_link_tls_new(NULL, false, &err);
	if (!f->to.secure || f->fetcher->tls != NULL) {
		conf.host = f->to.host;
		conf.port = f->to.port;
		conf.tls = f->to.secure ? f->fetcher->tls : NULL;
		f->dial = apw_link_dial_new(f->fetcher->base, NULL, &conf,
		    fetch_on_dial, f, &err);
	}
	if (f->dial == NULL)
		fetch_done(f, err.text);
}

static void
fetch_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct apw_fetch	*f;

	(void)fd;
	(void)what;
	APW_CAST(f, arg, FETCH_MAGIC);
	fetch_done(f, "no answer in time");
}

struct apw_fetch *
apw_fetch(struct apw_fetcher *fetcher, const struct apw_fetch_order *o,
    apw_fetch_fn *done, void *arg)
{
	struct timeval	 tv = { o->timeout_ms / 1000,
	    o->timeout_ms % 1000 * 1000 };
	struct apw_fetch *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->magic = FETCH_MAGIC;
	f->fetcher = fetcher;
	f->next = fetcher->fetches;
	fetcher->fetches = f;
	f->unfit = apw_egress_url_read(&f->to,
	    strlen(o->url) > FETCH_URL_MAX ? NULL : o->url);
	f->put = o->put;
	f->max_bytes = o->max_bytes;
	f->length = -1;
	apw_buf_str(&f->body, o->body);
	f->done = done;
	f->arg = arg;
	f->kick = event_new(fetcher->base, -1, 0, fetch_on_kick, f);
	f->deadline = event_new(fetcher->base, -1, 0, fetch_on_deadline, f);
	if (f->kick == NULL || f->deadline == NULL || f->body.failed ||
	    event_add(f->deadline, &tv) == -1) {
		fetch_free(f);
		return NULL;
	}
	event_active(f->kick, EV_TIMEOUT, 0);
	return f;
}

void
apw_fetch_cancel(struct apw_fetch *f)
{
	if (f != NULL)
		fetch_free(f);
}

struct apw_fetcher *
apw_fetcher_new(struct event_base *base)
{
	struct apw_fetcher	*fetcher = calloc(1, sizeof(*fetcher));

	if (fetcher != NULL)
		fetcher->base = base;
	return fetcher;
}

void
apw_fetcher_free(struct apw_fetcher *fetcher)
{
	if (fetcher == NULL)
		return;
	while (fetcher->fetches != NULL)
		fetch_free(fetcher->fetches);
	SSL_CTX_free(fetcher->tls);
	free(fetcher);
}
