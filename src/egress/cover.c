/* TLS around a connection to an upstream proxy; see cover.h.  Room: egress.
 *
 * Bytes are handed on whole heads first: who asks for a tunnel peeks at the
 * answer and waits for more by a low mark, which local sockets have not. */
#include "egress/cover.h"

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
#include "link/link_dial.h"
#include "proto/apw_http.h"

#define COVER_MAGIC	0x434f5652
#define COVER_HELD	((size_t)262144)	/* of one direction, then the
						 * sender is not read */
#define COVER_LAST_S	120	/* for the rest, when the client has said all */

struct apw_egress_covers {
	struct event_base	*base;		/* borrowed */
	SSL_CTX			*tls;		/* owned; made when needed */
	TAILQ_HEAD(, apw_egress_cover) all;	/* owned */
};

struct apw_egress_cover {
	uint32_t		 magic;
	struct apw_egress_covers *covers;	/* borrowed */
	TAILQ_ENTRY(apw_egress_cover) link;
	struct apw_link_dial	*dial;		/* owned: the handshake */
	struct bufferevent	*tls, *plain;	/* owned */
	bool			 headed;	/* a whole head has come */
	bool			 last;		/* the proxy has said all */
	bool			 asked;		/* the client has */
	apw_egress_cover_fn	*fn;
	void			*arg;		/* borrowed */
	char			 host[APW_EGRESS_HOST_SIZE];
};

static void
cover_free(struct apw_egress_cover *c)
{
	apw_link_dial_free(c->dial);
	if (c->tls != NULL)
		bufferevent_free(c->tls);
	if (c->plain != NULL)
		bufferevent_free(c->plain);
	TAILQ_REMOVE(&c->covers->all, c, link);
	c->magic = 0;
	free(c);
}

void
apw_egress_cover_cancel(struct apw_egress_cover *c)
{
	if (c != NULL)
		cover_free(c);
}

/* --- bytes --- */

static void
cover_move(struct bufferevent *from, struct bufferevent *to)
{
	struct evbuffer	*out = bufferevent_get_output(to);

	evbuffer_add_buffer(out, bufferevent_get_input(from));
	if (evbuffer_get_length(out) >= COVER_HELD)
		bufferevent_disable(from, EV_READ);
}

static void
cover_on_read(struct bufferevent *bev, void *arg)
{
	struct apw_egress_cover	*c;

	APW_CAST(c, arg, COVER_MAGIC);
	if (bev == c->tls && !c->headed) {
		c->headed = apw_http_head_length(apw_link_head(
		    bufferevent_get_input(bev))) != 0;
		if (!c->headed)
			return;
	}
	cover_move(bev, bev == c->tls ? c->plain : c->tls);
}

/* Most clients that have asked for all are gone, which looks the same from
 * here; a proxy that is told ends the whole, or never does. */
static void
cover_shut(struct apw_egress_cover *c)
{
	static const struct timeval	tv = { COVER_LAST_S, 0 };

	bufferevent_set_timeouts(c->tls, &tv, NULL);
	SSL_shutdown(bufferevent_openssl_get_ssl(c->tls));
}

/* What was held back has gone. */
static void
cover_on_written(struct bufferevent *bev, void *arg)
{
	struct apw_egress_cover	*c;

	APW_CAST(c, arg, COVER_MAGIC);
	if (bev == c->plain && c->last)
		cover_free(c);
	else if (bev == c->tls && c->asked)
		cover_shut(c);
	else if (bev == c->tls || !c->last)
		bufferevent_enable(bev == c->tls ? c->plain : c->tls, EV_READ);
}

/* One that is closed, and not only done with sending, hears nothing more. */
static bool
cover_hung_up(struct bufferevent *bev)
{
	struct pollfd	p = { .fd = bufferevent_getfd(bev) };

	return poll(&p, 1, 0) == 1 && (p.revents & (POLLHUP | POLLERR)) != 0;
}

static void
cover_on_event(struct bufferevent *bev, short what, void *arg)
{
	struct apw_egress_cover	*c;

	APW_CAST(c, arg, COVER_MAGIC);
	if (bev == c->tls && (what & BEV_EVENT_TIMEOUT) == 0) {
		c->last = c->headed = true;
		cover_move(c->tls, c->plain);
		if (evbuffer_get_length(bufferevent_get_output(c->plain)) == 0)
			cover_free(c);
		return;
	}
	if (bev == c->tls || (what & BEV_EVENT_EOF) == 0 ||
	    cover_hung_up(bev)) {
		cover_free(c);
		return;
	}
	c->asked = true;
	cover_move(c->plain, c->tls);
	if (evbuffer_get_length(bufferevent_get_output(c->tls)) == 0)
		cover_shut(c);
}

/* --- making --- */

static void
cover_fail(struct apw_egress_cover *c, const char *error)
{
	apw_egress_cover_fn	*fn = c->fn;
	void			*arg = c->arg;
	char			 text[192];

	snprintf(text, sizeof(text), "%s", error);
	cover_free(c);
	fn(arg, -1, text);
}

static void
cover_on_tls(void *arg, struct bufferevent *bev, const char *error)
{
	struct apw_egress_cover	*c;
	int			 fds[2];

	APW_CAST(c, arg, COVER_MAGIC);
	c->dial = NULL;
	c->tls = bev;
	if (bev == NULL) {
		cover_fail(c, error);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    fds) == -1) {
		cover_fail(c, strerror(errno));
		return;
	}
	c->plain = bufferevent_socket_new(c->covers->base, fds[0],
	    BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (c->plain == NULL) {
		close(fds[0]);
		close(fds[1]);
		cover_fail(c, "out of memory");
		return;
	}
	bufferevent_setwatermark(c->tls, EV_READ, 0, COVER_HELD);
	bufferevent_setwatermark(c->plain, EV_READ, 0, COVER_HELD);
	bufferevent_setcb(c->tls, cover_on_read, cover_on_written,
	    cover_on_event, c);
	bufferevent_setcb(c->plain, cover_on_read, cover_on_written,
	    cover_on_event, c);
	bufferevent_enable(c->tls, EV_READ | EV_WRITE);
	bufferevent_enable(c->plain, EV_READ | EV_WRITE);
	c->fn(c->arg, fds[1], NULL);
}

static int
covers_tls(struct apw_egress_covers *all, const char *ca_file,
    struct apw_err *err)
{
	if (all->tls != NULL)
		return 0;
	all->tls = apw_link_tls_new(NULL, false, err);
	if (all->tls == NULL)
		return -1;
	if (ca_file == NULL ||
	    SSL_CTX_load_verify_locations(all->tls, ca_file, NULL) == 1)
		return 0;
	SSL_CTX_free(all->tls);
	all->tls = NULL;
	return apw_err_set(err, 0, "no certificates in %s", ca_file);
}

struct apw_egress_cover *
apw_egress_cover_new(struct apw_egress_covers *all, int fd,
    const struct apw_egress_upstream *up, apw_egress_cover_fn *fn, void *arg,
    struct apw_err *err)
{
	struct apw_link_dial_conf	 conf = { .port = up->port,
					    .connected = true, .fd = fd };
	struct apw_egress_cover		*c = NULL;

	if (covers_tls(all, up->ca_file, err) == -1 ||
	    (c = calloc(1, sizeof(*c))) == NULL) {
		if (all->tls != NULL)
			apw_err_set(err, ENOMEM, "TLS");
		close(fd);
		return NULL;
	}
	c->magic = COVER_MAGIC;
	c->covers = all;
	c->fn = fn;
	c->arg = arg;
	memcpy(c->host, up->host, sizeof(c->host));
	TAILQ_INSERT_TAIL(&all->all, c, link);
	conf.host = c->host;
	conf.tls = all->tls;
	c->dial = apw_link_dial_new(all->base, NULL, &conf, cover_on_tls, c,
	    err);
	if (c->dial != NULL)
		return c;
	cover_free(c);
	return NULL;
}

struct apw_egress_covers *
apw_egress_covers_new(struct event_base *base)
{
	struct apw_egress_covers	*all = calloc(1, sizeof(*all));

	if (all == NULL)
		return NULL;
	all->base = base;
	TAILQ_INIT(&all->all);
	return all;
}

void
apw_egress_covers_free(struct apw_egress_covers *all)
{
	struct apw_egress_cover	*c;

	if (all == NULL)
		return;
	while ((c = TAILQ_FIRST(&all->all)) != NULL)
		cover_free(c);
	SSL_CTX_free(all->tls);
	free(all);
}
