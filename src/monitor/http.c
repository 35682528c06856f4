/* The monitor's HTTP server; see http_priv.h.  Room: monitor.  Written on
 * bufferevents, not on evhttp: evhttp has no bound on connections and lets a
 * head arrive one byte a minute.  Here a connection has one deadline for
 * each request, and when there are too many the oldest goes. */
#include "monitor/http_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>

#include "core/apw_log.h"
#include "proto/apw_http.h"

#define HTTP_CONNS	64
#define HTTP_HEAD_BYTES	4096
#define HTTP_REQUEST_S	10	/* from one answer to the next whole head */
#define HTTP_REQUESTS	1000	/* on one connection */
#define HTTP_ACCEPT_MS	100	/* pause when accept(2) fails */

#define CONN_MAGIC	0x6d636f6e
struct mon_conn {
	uint32_t		 magic;
	TAILQ_ENTRY(mon_conn)	 entry;
	struct mon_http		*http;		/* borrowed */
	struct bufferevent	*bev;		/* owned, with its fd */
	struct event		*deadline;	/* owned */
	unsigned		 requests;
	bool			 last;		/* close when it is written */
};

#define HTTP_MAGIC	0x6d687470
struct mon_http {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	struct evconnlistener	**listeners;	/* owned; their fds are not */
	size_t			 nlisteners;
	struct event		*pause;		/* owned */
	TAILQ_HEAD(, mon_conn)	 conns;		/* oldest first */
	size_t			 nconns;
	mon_page_fn		*page;
	void			*page_arg;
	void			(*done)(void *);
	void			*done_arg;
};

static void
conn_free(struct mon_conn *c)
{
	struct mon_http	*http = c->http;

	TAILQ_REMOVE(&http->conns, c, entry);
	http->nconns--;
	c->magic = 0;
	event_free(c->deadline);
	bufferevent_free(c->bev);
	free(c);
	if (http->nconns == 0 && http->done != NULL)
		http->done(http->done_arg);
}

static void
conn_wait(struct mon_conn *c)
{
	const struct timeval	tv = { HTTP_REQUEST_S, 0 };

	event_add(c->deadline, &tv);
}

static const char *
status_text(int status)
{
	switch (status) {
	case 200: return "OK";
	case 400: return "Bad Request";
	case 404: return "Not Found";
	case 405: return "Method Not Allowed";
	case 413: return "Content Too Large";
	case 503: return "Service Unavailable";
	default:  return "Internal Server Error";
	}
}

static void
conn_reply(struct mon_conn *c, struct mon_reply *r)
{
	struct evbuffer	*out = bufferevent_get_output(c->bev);
	struct apw_str	 body = apw_buf_view(&r->body);

	if (r->body.failed) {
		r->status = 500;
		body.n = 0;
	}
	evbuffer_add_printf(out, "HTTP/1.1 %d %s\r\n", r->status,
	    status_text(r->status));
	if (r->type != NULL)
		evbuffer_add_printf(out, "Content-Type: %s\r\n", r->type);
	if (r->status == 405)
		evbuffer_add_printf(out, "Allow: GET\r\n");
	evbuffer_add_printf(out, "Content-Length: %zu\r\n"
	    "Cache-Control: no-store\r\nConnection: %s\r\n\r\n", body.n,
	    c->last ? "close" : "keep-alive");
	evbuffer_add(out, body.p, body.n);
	apw_buf_free(&r->body);
}

static void
conn_refuse(struct mon_conn *c, int status)
{
	struct mon_reply	r = { .status = status };

	c->last = true;
	conn_reply(c, &r);
	bufferevent_disable(c->bev, EV_READ);
}

/* At most one request; true when there was a whole one. */
static bool
conn_request(struct mon_conn *c)
{
	struct evbuffer		*in = bufferevent_get_input(c->bev);
	struct mon_reply	 r = { .status = 404 };
	struct apw_http_head	 head;
	struct apw_str		 text, target;
	ssize_t			 n;

	text.n = evbuffer_get_length(in);
	text.p = (const char *)evbuffer_pullup(in, -1);
	if (text.n == 0)
		return false;
	n = apw_http_head_length(text);
	if (n == 0 && text.n < HTTP_HEAD_BYTES)
		return false;
	if (n > 0)
		text.n = n;
	if (n <= 0 || apw_http_request(text, &head, NULL) == -1) {
		conn_refuse(c, 400);
		return false;
	}
	if (head.chunked || head.content_length > 0) {
		conn_refuse(c, 413);
		return false;
	}
	c->last = !head.keep_alive || ++c->requests >= HTTP_REQUESTS ||
	    c->http->done != NULL;
	/* path and query as they were sent */
	target.p = head.path.p;
	target.n = head.path.n + (head.query.n > 0 ? 1 + head.query.n : 0);
	c->http->page(c->http->page_arg, head.method, target, &r);
	evbuffer_drain(in, n);
	conn_reply(c, &r);
	conn_wait(c);
	return true;
}

static void
conn_on_read(struct bufferevent *bev, void *arg)
{
	struct mon_conn	*c;

	(void)bev;
	APW_CAST(c, arg, CONN_MAGIC);
	/* the next one only when this answer is on its way */
	if (!c->last &&
	    evbuffer_get_length(bufferevent_get_output(c->bev)) == 0)
		conn_request(c);
}

static void
conn_on_write(struct bufferevent *bev, void *arg)
{
	struct mon_conn	*c;

	(void)bev;
	APW_CAST(c, arg, CONN_MAGIC);
	if (c->last)
		conn_free(c);
	else
		conn_request(c);
}

static void
conn_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct mon_conn	*c;

	(void)bev;
	(void)what;
	APW_CAST(c, arg, CONN_MAGIC);
	conn_free(c);		/* end of file, error */
}

static void
conn_on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct mon_conn	*c;

	(void)fd;
	(void)what;
	APW_CAST(c, arg, CONN_MAGIC);
	conn_free(c);
}

static void
http_on_accept(struct evconnlistener *l, evutil_socket_t fd,
    struct sockaddr *sa, int salen, void *arg)
{
	struct mon_http	*http;
	struct mon_conn	*c;

	(void)l;
	(void)sa;
	(void)salen;
	APW_CAST(http, arg, HTTP_MAGIC);
	if (http->nconns >= HTTP_CONNS)
		conn_free(TAILQ_FIRST(&http->conns));
	if ((c = calloc(1, sizeof(*c))) == NULL ||
	    (c->bev = bufferevent_socket_new(http->base, fd,
	    BEV_OPT_CLOSE_ON_FREE)) == NULL) {
		free(c);
		evutil_closesocket(fd);
		return;
	}
	c->magic = CONN_MAGIC;
	c->http = http;
	c->deadline = evtimer_new(http->base, conn_on_deadline, c);
	APW_ASSERT(c->deadline != NULL);
	TAILQ_INSERT_TAIL(&http->conns, c, entry);
	http->nconns++;
	bufferevent_setcb(c->bev, conn_on_read, conn_on_write, conn_on_event,
	    c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, HTTP_HEAD_BYTES);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	conn_wait(c);
}

static void
listeners_enable(struct mon_http *http, bool on)
{
	size_t	i;

	for (i = 0; i < http->nlisteners; i++)
		if (on)
			evconnlistener_enable(http->listeners[i]);
		else
			evconnlistener_disable(http->listeners[i]);
}

/* Out of descriptors, most likely: breathe, do not spin. */
static void
http_on_accept_error(struct evconnlistener *l, void *arg)
{
	const struct timeval	 tv = { 0, HTTP_ACCEPT_MS * 1000 };
	struct mon_http		*http;

	(void)l;
	APW_CAST(http, arg, HTTP_MAGIC);
	listeners_enable(http, false);
	event_add(http->pause, &tv);
}

static void
http_on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct mon_http	*http;

	(void)fd;
	(void)what;
	APW_CAST(http, arg, HTTP_MAGIC);
	if (http->done == NULL)
		listeners_enable(http, true);
}

struct mon_http *
mon_http_new(struct event_base *base, const int *fds, size_t nfds,
    mon_page_fn *page, void *arg, struct apw_err *err)
{
	struct mon_http	*http = calloc(1, sizeof(*http));
	size_t		 i;

	if (http == NULL ||
	    (http->listeners = calloc(nfds + 1, sizeof(void *))) == NULL ||
	    (http->pause = evtimer_new(base, http_on_pause_over, http)) ==
	    NULL) {
		apw_err_set(err, 0, "out of memory");
		if (http != NULL)
			free(http->listeners);
		free(http);
		return NULL;
	}
	http->magic = HTTP_MAGIC;
	http->base = base;
	http->page = page;
	http->page_arg = arg;
	TAILQ_INIT(&http->conns);
	for (i = 0; i < nfds; i++) {
		http->listeners[i] = evconnlistener_new(base, http_on_accept,
		    http, LEV_OPT_CLOSE_ON_EXEC, 0, fds[i]);
		if (http->listeners[i] == NULL) {
			apw_err_set(err, 0, "cannot listen");
			mon_http_free(http);
			return NULL;
		}
		http->nlisteners++;
		evconnlistener_set_error_cb(http->listeners[i],
		    http_on_accept_error);
	}
	return http;
}

void
mon_http_drain(struct mon_http *http, void (*done)(void *), void *arg)
{
	struct mon_conn	*c, *next;

	listeners_enable(http, false);
	if (http->nconns == 0) {
		done(arg);
		return;
	}
	http->done = done;
	http->done_arg = arg;
	for (c = TAILQ_FIRST(&http->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->requests > 0 &&
		    evbuffer_get_length(bufferevent_get_output(c->bev)) == 0 &&
		    evbuffer_get_length(bufferevent_get_input(c->bev)) == 0)
			conn_free(c);
	}
}

void
mon_http_free(struct mon_http *http)
{
	size_t	i;

	http->done = NULL;
	while (!TAILQ_EMPTY(&http->conns))
		conn_free(TAILQ_FIRST(&http->conns));
	for (i = 0; i < http->nlisteners; i++)
		evconnlistener_free(http->listeners[i]);
	free(http->listeners);
	event_free(http->pause);
	http->magic = 0;
	free(http);
}
