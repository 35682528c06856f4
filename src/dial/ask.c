/* HTTP requests of the daemon's own; see ask.h.  Room: dial. */
#include "dial/ask.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "config.h"
#include "core/apw_buf.h"
#include "core/apw_log.h"
#include "dial/proxy_env.h"
#include "dial/stream.h"
#include "dial/tls.h"
#include "proto/apw_base64.h"
#include "proto/apw_chunk.h"
#include "proto/apw_http.h"

#define ASK_MAGIC	0x41534b31	/* ASK1 */
#define ASK_URL_MAX	16384

struct apw_asker {
	struct event_base	*base;		/* borrowed */
	struct apw_resolver	*resolver;	/* borrowed */
	struct apw_dial_rules	 rules;
	bool			 ruled;
	int64_t			 connect_ms;	/* 0: a request's own time */
	SSL_CTX			*tls;		/* owned; made when needed */
	LIST_HEAD(, apw_ask)	 all;		/* owned */
};

struct apw_ask {
	uint32_t		 magic;
	LIST_ENTRY(apw_ask)	 link;
	struct apw_asker	*asker;		/* borrowed */
	struct apw_ask_order	 order;		/* url and body: see below */
	char			*url;		/* owned */
	struct apw_url		 to;		/* borrows from url */
	const char		*unfit;		/* why that is no good; or NULL */
	struct apw_buf		 body;		/* owned: what is sent */
	struct event		*kick, *deadline;	/* owned */
	struct apw_dial		*dial;		/* owned, one of these at a time */
	struct apw_stream	*stream;
	struct bufferevent	*bev;		/* owned */
	bool			 whole;		/* asked of a proxy, */
	char			 auth[256];	/* with this; a secret */
	bool			 headed;	/* the head has come */
	int			 status;
	int64_t			 length;	/* of the body; -1: not told */
	bool			 chunked;
	struct apw_chunk	 chunk;
	struct apw_buf		 got;		/* owned: the answer's body */
	struct apw_buf		 location;	/* owned */
};

static void
ask_free(struct apw_ask *a)
{
	LIST_REMOVE(a, link);
	apw_dial_cancel(a->dial);
	apw_stream_cancel(a->stream);
	if (a->bev != NULL)
		bufferevent_free(a->bev);
	if (a->kick != NULL)
		event_free(a->kick);
	if (a->deadline != NULL)
		event_free(a->deadline);
	if (a->url != NULL)
		explicit_bzero(a->url, strlen(a->url));
	explicit_bzero(a->auth, sizeof(a->auth));
	free(a->url);
	apw_buf_free(&a->body);
	apw_buf_free(&a->got);
	apw_buf_free(&a->location);
	a->magic = 0;
	free(a);
}

void
apw_ask_cancel(struct apw_ask *a)
{
	if (a != NULL)
		ask_free(a);
}

/* The callback may do anything but with this request. */
static void
ask_done(struct apw_ask *a, const char *error)
{
	struct apw_answer	 answer = { .status = a->status };
	struct apw_buf		 got = a->got, location = a->location;
	apw_ask_fn		*done = a->order.done;
	void			*arg = a->order.arg;
	char			 why[512];

	if (error != NULL) {
		snprintf(why, sizeof(why), "%s", error);
		answer.error = why;
		answer.status = -1;
	} else
		answer.body = apw_buf_view(&got);
	if (location.len > 0)
		answer.location = apw_buf_view(&location);
	a->got = a->location = (struct apw_buf){ .max = 0 };
	ask_free(a);
	done(arg, &answer);
	apw_buf_free(&got);
	apw_buf_free(&location);
}

/* --- the answer --- */

/* 1: the body is whole; 0: there is more to come; -1: done, for worse. */
static int
ask_take(struct apw_ask *a, const char *p, size_t n)
{
	struct apw_str	data = { p, n };
	int		end = 0;

	while (a->chunked && n > 0 && end == 0) {
		switch (apw_chunk_read(&a->chunk, &p, &n, &data)) {
		case APW_CHUNK_BROKEN:
			ask_done(a, "the answer's chunks are broken");
			return -1;
		case APW_CHUNK_END:
			end = 1;
			break;
		case APW_CHUNK_DATA:
			apw_buf_str(&a->got, data);
			break;
		case APW_CHUNK_MORE:
			break;
		}
	}
	if (!a->chunked)
		apw_buf_str(&a->got, data);
	if (a->got.failed) {
		ask_done(a, "the answer is too large");
		return -1;
	}
	if (a->length == -1 || a->got.len < (uint64_t)a->length)
		return end;
	if (a->got.len == (uint64_t)a->length)
		return 1;
	ask_done(a, "the answer is longer than it said");
	return -1;
}

/* 1: the head is there, and its body is to be read; 0: not yet; -1: done. */
static int
ask_head(struct apw_ask *a, struct evbuffer *in)
{
	struct apw_http_head	head;
	struct apw_err		err = APW_ERR_NONE;
	struct apw_str		location;
	ssize_t			n;

	n = apw_http_answer(apw_stream_head(in), &head, &err);
	if (n == 0)
		return 0;
	if (n == -1) {
		ask_done(a, "the answer is not HTTP");
		return -1;
	}
	location = apw_http_header(&head, "location");
	if (location.p != NULL)
		apw_buf_str(&a->location, location);
	a->headed = true;
	a->status = head.status;
	if (!a->order.wanted || head.status / 100 != 2 ||
	    head.status == 204 || head.content_length == 0) {
		ask_done(a, NULL);
		return -1;
	}
	a->length = head.content_length;
	a->chunked = head.chunked;
	evbuffer_drain(in, (size_t)n);
	return 1;
}

static void
ask_on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer	*in = bufferevent_get_input(bev);
	struct apw_ask	*a;
	const char	*p;
	size_t		 n;
	int		 rc;

	APW_CAST(a, arg, ASK_MAGIC);
	if (!a->headed && ask_head(a, in) != 1)
		return;
	while ((n = evbuffer_get_contiguous_space(in)) > 0) {
		p = (const char *)evbuffer_pullup(in, (ev_ssize_t)n);
		if ((rc = ask_take(a, p, n)) == -1)
			return;
		if (rc == 1) {
			ask_done(a, NULL);
			return;
		}
		evbuffer_drain(in, n);
	}
}

static void
ask_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct apw_ask	*a;

	(void)bev;
	APW_CAST(a, arg, ASK_MAGIC);
	ask_done(a, (what & BEV_EVENT_EOF) != 0 && a->headed &&
	    a->length == -1 && !a->chunked ? NULL :
	    "the connection ended before the answer");
}

/* --- the request --- */

static void
put_proxy_auth(struct evbuffer *out, const char *auth)
{
	char	text[512] = "";

	if (auth[0] == '\0')
		return;
	apw_base64_encode(text, auth, strlen(auth));
	evbuffer_add_printf(out, "Proxy-Authorization: Basic %.*s\r\n",
	    (int)apw_base64_bytes(strlen(auth)), text);
	explicit_bzero(text, sizeof(text));
}

static void
ask_send(struct apw_ask *a)
{
	struct evbuffer	*out = bufferevent_get_output(a->bev);
	char		 host[APW_AUTHORITY_SIZE];

	apw_url_authority(&a->to, host);
	evbuffer_add_printf(out, "%s %s%s%s%.*s%.*s HTTP/1.1\r\n"
	    "Host: %s\r\nUser-Agent: " PACKAGE_NAME "/" PACKAGE_VERSION "\r\n"
	    "Connection: close\r\n", a->order.method,
	    a->whole ? "http://" : "", a->whole ? host : "",
	    a->to.path.n == 0 ? "/" : "", (int)a->to.path.n, a->to.path.p,
	    (int)a->to.query.n, a->to.query.p, host);
	if (a->whole)
		put_proxy_auth(out, a->auth);
	if (a->order.head != NULL)
		evbuffer_add_printf(out, "%s", a->order.head);
	if (a->order.body.p != NULL)
		evbuffer_add_printf(out, "Content-Length: %zu\r\n",
		    a->body.len);
	evbuffer_add_printf(out, "\r\n");
	if (a->body.len > 0)
		evbuffer_add(out, a->body.data, a->body.len);
}

static void
ask_on_stream(void *arg, struct bufferevent *bev, const char *error)
{
	struct apw_ask	*a;

	APW_CAST(a, arg, ASK_MAGIC);
	a->stream = NULL;
	if (bev == NULL) {
		ask_done(a, error);
		return;
	}
	a->bev = bev;
	if (!a->order.wanted)
		bufferevent_setwatermark(bev, EV_READ, 0,
		    2 * APW_HTTP_HEAD_MAX);
	bufferevent_setcb(bev, ask_on_read, NULL, ask_on_event, a);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	ask_send(a);
}

static void
ask_on_dial(void *arg, const struct apw_dialled *end)
{
	struct apw_err	 err = APW_ERR_NONE;
	char		 why[512];
	SSL_CTX		*tls = NULL;
	struct apw_ask	*a;

	APW_CAST(a, arg, ASK_MAGIC);
	a->dial = NULL;
	if (a->order.dialled != NULL)
		a->order.dialled(a->order.arg, &a->to, end);
	if (end->end != APW_DIAL_DONE) {
		apw_dial_why(end, a->to.host, why, sizeof(why));
		ask_done(a, why);
		return;
	}
	a->whole = end->whole;
	memcpy(a->auth, end->auth, sizeof(a->auth));
	if (a->to.tls && a->asker->tls == NULL)
		a->asker->tls = apw_tls_new(NULL, false, &err);
	if (a->to.tls && (tls = a->asker->tls) == NULL)
		close(end->fd);
	else
		a->stream = apw_stream_new(a->asker->base, end->fd,
		    a->to.host, tls, false, ask_on_stream, a, &err);
	if (a->stream == NULL)
		ask_done(a, err.text);
}

static int
ask_dial(struct apw_ask *a, struct apw_err *err)
{
	struct apw_dial_conf	 conf = { .host = a->to.host,
	    .port = a->to.port, .timeout_ms = a->asker->connect_ms };
	struct apw_upstream	 up;
	const char		*proxy, *name;

	if (a->asker->ruled)
		conf.rules = &a->asker->rules;
	else if ((proxy = apw_proxy_env(a->to.tls, a->to.host, a->to.port,
	    &name)) != NULL) {
		if (apw_upstream_read(&up, proxy, err) == -1)
			return apw_err_wrap(err, "%s", name);
		conf.upstream = &up;
		/* proxies need not make tunnels to port 80 */
		conf.whole = !a->to.tls;
	}
	a->dial = apw_dial_new(a->asker->base, a->asker->resolver, &conf,
	    ask_on_dial, a);
	if (conf.upstream != NULL)
		explicit_bzero(&up, sizeof(up));
	return a->dial != NULL ? 0 : apw_err_set(err, 0, "out of memory");
}

static void
ask_on_kick(evutil_socket_t fd, short what, void *arg)
{
	struct apw_err	 err = APW_ERR_NONE;
	struct apw_ask	*a;

	(void)fd;
	(void)what;
	APW_CAST(a, arg, ASK_MAGIC);
	if (a->unfit != NULL)
		ask_done(a, a->unfit);
	else if (ask_dial(a, &err) == -1)
		ask_done(a, err.text);
}

static void
ask_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct apw_ask	*a;

	(void)fd;
	(void)what;
	APW_CAST(a, arg, ASK_MAGIC);
	ask_done(a, "no answer in time");
}

struct apw_ask *
apw_ask(struct apw_asker *asker, const struct apw_ask_order *o)
{
	struct timeval	 tv = { o->timeout_ms / 1000,
	    o->timeout_ms % 1000 * 1000 };
	struct apw_ask	*a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->magic = ASK_MAGIC;
	a->asker = asker;
	LIST_INSERT_HEAD(&asker->all, a, link);
	a->order = *o;
	a->length = -1;
	a->got.max = o->max_bytes;
	a->location.max = APW_HTTP_HEAD_MAX;
	a->url = strdup(o->url);
	a->unfit = strlen(o->url) > ASK_URL_MAX ? "its URL is too long" :
	    apw_url_read(&a->to, a->url);
	if (a->unfit == NULL && a->to.user.p != NULL)
		a->unfit = "its URL has a user name in it";
	if (o->body.p != NULL)
		apw_buf_str(&a->body, o->body);
	a->kick = event_new(asker->base, -1, 0, ask_on_kick, a);
	a->deadline = event_new(asker->base, -1, 0, ask_on_deadline, a);
	if (a->url == NULL || a->kick == NULL || a->deadline == NULL ||
	    a->body.failed || event_add(a->deadline, &tv) == -1) {
		ask_free(a);
		return NULL;
	}
	event_active(a->kick, EV_TIMEOUT, 0);
	return a;
}

struct apw_asker *
apw_asker_new(struct event_base *base, struct apw_resolver *resolver,
    const struct apw_dial_rules *rules, int64_t connect_timeout_ms)
{
	struct apw_asker	*asker = calloc(1, sizeof(*asker));

	if (asker == NULL)
		return NULL;
	asker->base = base;
	asker->resolver = resolver;
	asker->connect_ms = connect_timeout_ms;
	LIST_INIT(&asker->all);
	if (rules != NULL) {
		asker->ruled = true;
		asker->rules = *rules;
	}
	return asker;
}

void
apw_asker_free(struct apw_asker *asker)
{
	struct apw_ask	*a;

	if (asker == NULL)
		return;
	while ((a = LIST_FIRST(&asker->all)) != NULL)
		ask_free(a);
	SSL_CTX_free(asker->tls);
	free(asker);
}
