/* TLS around a connection to an upstream proxy; see tls_wrap.h.  Room: dial.
 *
 * Bytes are handed on whole heads first: who asks for a tunnel peeks at the
 * answer and waits for more by a low mark, which local sockets have not. */
#include "dial/tls_wrap.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_log.h"
#include "dial/stream.h"
#include "dial/tls.h"
#include "proto/apw_http.h"

#define WRAP_MAGIC	0x57524150
#define WRAP_HELD	((size_t)262144)	/* of one direction, then the
						 * sender is not read */
#define WRAP_LAST_S	120	/* for the rest, when the client has said all */

struct apw_tls_wraps {
	struct event_base	*base;		/* borrowed */
	SSL_CTX			*tls;		/* owned; made when needed */
	TAILQ_HEAD(, apw_tls_wrap) all;	/* owned */
};

struct apw_tls_wrap {
	uint32_t		 magic;
	struct apw_tls_wraps *wraps;	/* borrowed */
	TAILQ_ENTRY(apw_tls_wrap) link;
	struct apw_stream	*stream;	/* owned: the handshake */
	struct bufferevent	*tls, *plain;	/* owned */
	bool			 headed;	/* a whole head has come */
	bool			 last;		/* the proxy has said all */
	bool			 asked;		/* the client has */
	apw_tls_wrap_fn	*fn;
	void			*arg;		/* borrowed */
};

static void
wrap_free(struct apw_tls_wrap *c)
{
	apw_stream_cancel(c->stream);
	if (c->tls != NULL)
		bufferevent_free(c->tls);
	if (c->plain != NULL)
		bufferevent_free(c->plain);
	TAILQ_REMOVE(&c->wraps->all, c, link);
	c->magic = 0;
	free(c);
}

void
apw_tls_wrap_cancel(struct apw_tls_wrap *c)
{
	if (c != NULL)
		wrap_free(c);
}

/* --- bytes --- */

static void
wrap_move(struct bufferevent *from, struct bufferevent *to)
{
	struct evbuffer	*out = bufferevent_get_output(to);

	evbuffer_add_buffer(out, bufferevent_get_input(from));
	if (evbuffer_get_length(out) >= WRAP_HELD)
		bufferevent_disable(from, EV_READ);
}

static void
wrap_on_read(struct bufferevent *bev, void *arg)
{
	struct apw_tls_wrap	*c;

	APW_CAST(c, arg, WRAP_MAGIC);
	if (bev == c->tls && !c->headed) {
		c->headed = apw_http_heads_length(apw_stream_head(
		    bufferevent_get_input(bev))) != 0;
		if (!c->headed)
			return;
	}
	wrap_move(bev, bev == c->tls ? c->plain : c->tls);
}

/* Most clients that have asked for all are gone, which looks the same from
 * here; a proxy that is told ends the whole, or never does. */
static void
wrap_shut(struct apw_tls_wrap *c)
{
	static const struct timeval	tv = { WRAP_LAST_S, 0 };

	bufferevent_set_timeouts(c->tls, &tv, NULL);
	SSL_shutdown(bufferevent_openssl_get_ssl(c->tls));
}

/* What was held back has gone. */
static void
wrap_on_written(struct bufferevent *bev, void *arg)
{
	struct apw_tls_wrap	*c;

	APW_CAST(c, arg, WRAP_MAGIC);
	if (bev == c->plain && c->last)
		wrap_free(c);
	else if (bev == c->tls && c->asked)
		wrap_shut(c);
	else if (bev == c->tls || !c->last)
		bufferevent_enable(bev == c->tls ? c->plain : c->tls, EV_READ);
}

/* One that is closed, and not only done with sending, hears nothing more. */
static bool
wrap_hung_up(struct bufferevent *bev)
{
	struct pollfd	p = { .fd = bufferevent_getfd(bev) };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void
wrap_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct apw_tls_wrap	*c;

	APW_CAST(c, arg, WRAP_MAGIC);
	if (bev == c->tls && (what & BEV_EVENT_TIMEOUT) == 0) {
		c->last = c->headed = true;
		wrap_move(c->tls, c->plain);
		if (evbuffer_get_length(bufferevent_get_output(c->plain)) == 0)
			wrap_free(c);
		return;
	}
	if (bev == c->tls || (what & BEV_EVENT_EOF) == 0 ||
	    wrap_hung_up(bev)) {
		wrap_free(c);
		return;
	}
	c->asked = true;
	wrap_move(c->plain, c->tls);
	if (evbuffer_get_length(bufferevent_get_output(c->tls)) == 0)
		wrap_shut(c);
}

/* --- making --- */

static void
wrap_fail(struct apw_tls_wrap *c, const char *error)
{
	apw_tls_wrap_fn	*fn = c->fn;
	void		*arg = c->arg;
	char		 text[192];

	snprintf(text, sizeof(text), "%s", error);
	wrap_free(c);
	fn(arg, -1, text);
}

static void
wrap_on_tls(void *arg, struct bufferevent *bev, const char *error)
{
	struct apw_tls_wrap	*c;
	int			 fds[2];

	APW_CAST(c, arg, WRAP_MAGIC);
	c->stream = NULL;
	c->tls = bev;
	if (bev == NULL) {
		wrap_fail(c, error);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    fds) == -1) {
		wrap_fail(c, strerror(errno));
		return;
	}
	c->plain = bufferevent_socket_new(c->wraps->base, fds[0],
	    BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (c->plain == NULL) {
		close(fds[0]);
		close(fds[1]);
		wrap_fail(c, "out of memory");
		return;
	}
	bufferevent_setwatermark(c->tls, EV_READ, 0, WRAP_HELD);
	bufferevent_setwatermark(c->plain, EV_READ, 0, WRAP_HELD);
	bufferevent_setcb(c->tls, wrap_on_read, wrap_on_written,
	    wrap_on_event, c);
	bufferevent_setcb(c->plain, wrap_on_read, wrap_on_written,
	    wrap_on_event, c);
	bufferevent_enable(c->tls, EV_READ | EV_WRITE);
	bufferevent_enable(c->plain, EV_READ | EV_WRITE);
	c->fn(c->arg, fds[1], NULL);
}

static int
wraps_tls(struct apw_tls_wraps *all, const char *ca_file,
    struct apw_err *err)
{
	if (all->tls != NULL)
		return 0;
	all->tls = apw_tls_new(NULL, false, err);
	if (all->tls == NULL)
		return -1;
	if (ca_file == NULL || apw_tls_trust(all->tls, ca_file, err) == 0)
		return 0;
	SSL_CTX_free(all->tls);
	all->tls = NULL;
	return -1;
}

struct apw_tls_wrap *
apw_tls_wrap_new(struct apw_tls_wraps *all, int fd,
    const struct apw_upstream *up, apw_tls_wrap_fn *fn, void *arg,
    struct apw_err *err)
{
	struct apw_tls_wrap	*c = NULL;

	if (wraps_tls(all, up->ca_file, err) == -1 ||
	    (c = calloc(1, sizeof(*c))) == NULL) {
		if (all->tls != NULL)
			apw_err_set(err, ENOMEM, "TLS");
		close(fd);
		return NULL;
	}
	c->magic = WRAP_MAGIC;
	c->wraps = all;
	c->fn = fn;
	c->arg = arg;
	TAILQ_INSERT_TAIL(&all->all, c, link);
	c->stream = apw_stream_new(all->base, fd, up->host, all->tls, false,
	    wrap_on_tls, c, err);
	if (c->stream != NULL)
		return c;
	wrap_free(c);
	return NULL;
}

struct apw_tls_wraps *
apw_tls_wraps_new(struct event_base *base)
{
	struct apw_tls_wraps	*all = calloc(1, sizeof(*all));

	if (all == NULL)
		return NULL;
	all->base = base;
	TAILQ_INIT(&all->all);
	return all;
}

void
apw_tls_wraps_free(struct apw_tls_wraps *all)
{
	struct apw_tls_wrap	*c;

	if (all == NULL)
		return;
	while ((c = TAILQ_FIRST(&all->all)) != NULL)
		wrap_free(c);
	SSL_CTX_free(all->tls);
	free(all);
}
