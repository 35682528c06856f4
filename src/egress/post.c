/* One HTTP POST of our own; see post.h.  Room: egress, in a slot.
 *
 *	kick ─ dial (look-up, check, connect) ─ TLS ─ send ─ head of the answer
 *	  └──────────────────── redirect ────────────────────┘
 *
 * One deadline over all of it.  URLs are never logged: they may hold keys. */
#include "egress/post.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "core/apw_buf.h"
#include "core/apw_clock.h"
#include "core/apw_err.h"
#include "core/apw_log.h"
#include "egress/dial.h"
#include "egress/url.h"
#include "link/link_dial.h"
#include "proto/apw_http.h"

#define POST_MAGIC	0x504f5354
#define POST_URL_MAX	8192

struct apw_poster {
	struct event_base	*base;		/* borrowed */
	struct apw_egress_rules	*rules;		/* a reference */
	struct apw_egress_resolver *resolver;	/* borrowed */
	struct apw_score_slot	*score;		/* borrowed; or NULL */
	SSL_CTX			*tls;		/* owned; made when needed */
	struct apw_post		*posts;		/* list, owned */
};

struct apw_post {
	uint32_t		 magic;
	struct apw_poster	*poster;	/* borrowed */
	struct apw_post		*next;
	struct apw_egress_url	 to;		/* owned; of this hop */
	struct apw_buf		 url;		/* owned; text of the same */
	struct apw_buf		 body;		/* owned */
	bool			 get;		/* a redirect made it one */
	unsigned		 hops;
	const char		*what;
	struct event		*kick, *deadline;	/* owned */
	struct apw_egress_dial	*dial;		/* owned while it runs */
	int64_t			 dialled_us;	/* it began */
	struct apw_link_dial	*stream;	/* owned while it runs: TLS */
	struct bufferevent	*bev;		/* owned */
	apw_post_fn		*done;
	void			*arg;		/* borrowed */
};

static void
post_free(struct apw_post *p)
{
	struct apw_post	**at;

	for (at = &p->poster->posts; *at != NULL; at = &(*at)->next)
		if (*at == p) {
			*at = p->next;
			break;
		}
	apw_egress_dial_cancel(p->dial);
	apw_link_dial_free(p->stream);
	if (p->bev != NULL)
		bufferevent_free(p->bev);
	if (p->kick != NULL)
		event_free(p->kick);
	if (p->deadline != NULL)
		event_free(p->deadline);
	apw_egress_url_free(&p->to);
	apw_buf_free(&p->url);
	apw_buf_free(&p->body);
	p->magic = 0;
	free(p);
}

static void
post_done(struct apw_post *p, int status, const char *error)
{
	if (status == -1)
		apw_warn("a request of ours was not answered",
		    APW_S("what", p->what), APW_S("host", p->to.host),
		    APW_S("error", error));
	else
		apw_info("a request of ours was answered",
		    APW_S("what", p->what), APW_S("host", p->to.host),
		    APW_I("status", status));
	if (p->done != NULL)
		p->done(p->arg, status, error);
	post_free(p);
}

/* NULL: the URL is fit; else why not. */
static const char *
post_target(struct apw_post *p)
{
	bool	text = !p->url.failed && p->url.len != 0 &&
		    memchr(p->url.data, '\0', p->url.len) == NULL;

	return apw_egress_url_read(&p->to, text ? p->url.data : NULL);
}

/* --- redirects --- */

/* The URL of a Location, made absolute. */
static void
post_resolve(struct apw_post *p, struct apw_str to, struct apw_buf *out)
{
	const char	*path = evhttp_uri_get_path(p->to.uri), *slash;
	bool		 v6 = strchr(p->to.host, ':') != NULL;

	if (to.n > 7 && (strncasecmp(to.p, "http://", 7) == 0 ||
	    strncasecmp(to.p, "https://", 8) == 0)) {
		apw_buf_str(out, to);
		return;
	}
	apw_buf_puts(out, p->to.secure ? "https:" : "http:");
	if (to.n < 2 || to.p[0] != '/' || to.p[1] != '/') {
		apw_buf_printf(out, v6 ? "//[%s]:%u" : "//%s:%u", p->to.host,
		    p->to.port);
		if (to.p[0] != '/') {
			slash = path == NULL ? NULL : strrchr(path, '/');
			if (slash != NULL)
				apw_buf_put(out, path, (size_t)(slash - path));
			apw_buf_puts(out, "/");
		}
	}
	apw_buf_str(out, to);
}

/* As the usual clients have it: 307 and 308 repeat the POST, the others ask
 * with GET. */
static bool
post_redirect(struct apw_post *p, const struct apw_http_head *head)
{
	struct apw_str	to = apw_http_header(head, "location");
	struct apw_buf	url = APW_BUF_INIT(POST_URL_MAX);

	if (head->status / 100 != 3 || head->status == 304 ||
	    to.p == NULL || to.n == 0 || p->hops == APW_POST_HOPS)
		return false;
	if (head->status != 307 && head->status != 308)
		p->get = true;
	p->hops++;
	post_resolve(p, to, &url);
	apw_buf_free(&p->url);
	p->url = url;
	bufferevent_free(p->bev);
	p->bev = NULL;
	event_active(p->kick, EV_TIMEOUT, 0);
	return true;
}

/* --- the exchange --- */

static void
post_on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer		*in = bufferevent_get_input(bev);
	struct apw_http_head	 head;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_post		*p;
	ssize_t			 n;

	APW_CAST(p, arg, POST_MAGIC);
	for (;;) {
		n = apw_http_answer(apw_link_head(in), &head, &err);
		if (n == 0)
			return;
		if (n == -1) {
			post_done(p, -1, "the answer is not HTTP");
			return;
		}
		if (head.status / 100 != 1)	/* "100 Continue" and such */
			break;
		evbuffer_drain(in, (size_t)n);
	}
	if (!post_redirect(p, &head))
		post_done(p, head.status, NULL);
}

static void
post_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct apw_post	*p;

	(void)bev;
	(void)what;
	APW_CAST(p, arg, POST_MAGIC);
	post_done(p, -1, "the connection ended before the answer");
}

static void
post_send(struct apw_post *p)
{
	struct evbuffer	*out = bufferevent_get_output(p->bev);

	apw_egress_url_ask(&p->to, p->get ? "GET" : "POST", 1, out);
	evbuffer_add_printf(out, "Accept: application/json, text/plain, "
	    "*/*\r\n");
	if (!p->get) {
		evbuffer_add_printf(out, "Content-Type: application/json\r\n"
		    "Content-Length: %zu\r\n", p->body.len);
	}
	evbuffer_add_printf(out, "\r\n");
	if (!p->get)
		evbuffer_add(out, p->body.data, p->body.len);
}

static void
post_on_stream(void *arg, struct bufferevent *bev, const char *error)
{
	struct apw_post	*p;

	APW_CAST(p, arg, POST_MAGIC);
	p->stream = NULL;
	if (bev == NULL) {
		post_done(p, -1, error);
		return;
	}
	p->bev = bev;
	bufferevent_setwatermark(bev, EV_READ, 0, 2 * APW_HTTP_HEAD_MAX);
	bufferevent_setcb(bev, post_on_read, NULL, post_on_event, p);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	post_send(p);
}

static int
post_tls(struct apw_post *p, struct apw_err *err)
{
	if (p->to.secure && p->poster->tls == NULL)
		p->poster->tls = apw_link_tls_new(NULL, false, err);
	return p->to.secure && p->poster->tls == NULL ? -1 : 0;
}

/* A line and a count for each hop, as flows have them. */
static void
post_record(const struct apw_post *p, const struct apw_egress_dialled *end)
{
	struct apw_egress_books		books = { .score = p->poster->score };
	struct apw_egress_record	r = {
		.method = p->get ? "GET" : "POST",
		.host = p->to.host,
		.port = p->to.port,
		.address = end->address[0] != '\0' ? end->address : NULL,
		.verdict = end->verdict,
		.why = end->why[0] != '\0' ? end->why : NULL,
		.ms = (apw_now_us() - p->dialled_us) / 1000,
	};

	apw_egress_books_enter(&books, &r);
}

static void
post_on_dial(void *arg, const struct apw_egress_dialled *end)
{
	struct apw_link_dial_conf	 conf = { .connected = true };
	struct apw_err			 err = APW_ERR_NONE;
	char				 why[sizeof(end->why) + 128];
	struct apw_post			*p;

	APW_CAST(p, arg, POST_MAGIC);
	p->dial = NULL;
	post_record(p, end);
	if (end->verdict != APW_EGRESS_ALLOWED) {
		snprintf(why, sizeof(why), "%s: %s%s%s",
		    apw_egress_verdict_name(end->verdict), end->address,
		    end->address[0] != '\0' && end->why[0] != '\0' ? " is " :
		    "", end->why);
		post_done(p, -1, why);
		return;
	}
	if (post_tls(p, &err) == -1) {
		close(end->fd);
		post_done(p, -1, err.text);
		return;
	}
	conf.host = p->to.host;
	conf.port = p->to.port;
	conf.fd = end->fd;
	conf.tls = p->to.secure ? p->poster->tls : NULL;
	p->stream = apw_link_dial_new(p->poster->base, NULL, &conf,
	    post_on_stream, p, &err);
	if (p->stream == NULL)
		post_done(p, -1, err.text);
}

static void
post_on_kick(evutil_socket_t fd, short what, void *arg)
{
	const char	*why;
	struct apw_post	*p;

	(void)fd;
	(void)what;
	APW_CAST(p, arg, POST_MAGIC);
	if ((why = post_target(p)) != NULL) {
		post_done(p, -1, why);
		return;
	}
	p->dialled_us = apw_now_us();
	p->dial = apw_egress_dial_new(p->poster->base, p->poster->rules,
	    p->poster->resolver, p->to.host, p->to.port, post_on_dial, p);
	if (p->dial == NULL)
		post_done(p, -1, "out of memory");
}

static void
post_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct apw_post	*p;

	(void)fd;
	(void)what;
	APW_CAST(p, arg, POST_MAGIC);
	post_done(p, -1, "no answer in time");
}

struct apw_post *
apw_post(struct apw_poster *poster, const struct apw_post_order *o,
    apw_post_fn *done, void *arg)
{
	struct timeval	 tv = { o->timeout_ms / 1000,
	    o->timeout_ms % 1000 * 1000 };
	struct apw_post	*p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->magic = POST_MAGIC;
	p->poster = poster;
	p->next = poster->posts;
	poster->posts = p;
	p->url.max = POST_URL_MAX;
	apw_buf_puts(&p->url, o->url);
	apw_buf_str(&p->body, o->body);
	p->what = o->what;
	p->done = done;
	p->arg = arg;
	p->kick = event_new(poster->base, -1, 0, post_on_kick, p);
	p->deadline = event_new(poster->base, -1, 0, post_on_deadline, p);
	if (p->kick == NULL || p->deadline == NULL || p->body.failed ||
	    event_add(p->deadline, &tv) == -1) {
		post_free(p);
		return NULL;
	}
	event_active(p->kick, EV_TIMEOUT, 0);
	return p;
}

void
apw_post_cancel(struct apw_post *p)
{
	if (p != NULL)
		post_free(p);
}

struct apw_poster *
apw_poster_new(struct event_base *base, struct apw_egress_rules *rules,
    struct apw_egress_resolver *resolver, struct apw_score_slot *score)
{
	struct apw_poster	*poster = calloc(1, sizeof(*poster));

	if (poster == NULL)
		return NULL;
	poster->base = base;
	poster->rules = apw_egress_rules_ref(rules);
	poster->resolver = resolver;
	poster->score = score;
	return poster;
}

bool
apw_poster_idle(const struct apw_poster *poster)
{
	return poster->posts == NULL;
}

void
apw_poster_free(struct apw_poster *poster)
{
	if (poster == NULL)
		return;
	while (poster->posts != NULL)
		post_free(poster->posts);
	SSL_CTX_free(poster->tls);
	apw_egress_rules_unref(poster->rules);
	free(poster);
}
