/* Listeners, and who may be connected; see httpd.h.  Room: http. */
#include "http/httpd_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/apw_log.h"

#define HTTPD_ACCEPT_MS	100	/* pause when accept(2) fails */
#define HTTPD_ACCEPTS	32	/* at a time */

static struct httpd_conn *
oldest(const struct apw_httpd *httpd, bool known)
{
	struct httpd_conn	*c;

	TAILQ_FOREACH(c, &httpd->conns, entry)
		if (c->known == known && (!known || httpd_conn_idle(c)))
			return c;
	return NULL;
}

static bool
is_full(const struct apw_httpd *httpd)
{
	return httpd->nconns >= httpd->limits->conns ||
	    httpd->nconns - httpd->nknown >= httpd->limits->strangers;
}

/* Whoever waits longest without having been vouched for goes, after a last
 * look: his head may have come in this very moment.  False: all are known
 * and busy. */
static bool
make_room(struct apw_httpd *httpd)
{
	struct httpd_conn	*c;

	if (is_full(httpd) && (c = oldest(httpd, false)) != NULL)
		httpd_conn_hear(c);
	while (is_full(httpd)) {
		c = oldest(httpd, false);
		if (c == NULL)
			c = oldest(httpd, true);
		if (c == NULL)
			return false;
		httpd_conn_free(c);
	}
	return true;
}

static void
accepts_enable(struct apw_httpd *httpd, bool on)
{
	size_t	i;

	for (i = 0; i < httpd->naccepts; i++)
		if (on)
			event_add(httpd->accepts[i], NULL);
		else
			event_del(httpd->accepts[i]);
}

/* Out of descriptors, most likely: breathe, do not spin. */
static void
accept_failed(struct apw_httpd *httpd)
{
	const struct timeval	tv = { 0, HTTPD_ACCEPT_MS * 1000 };

	if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED)
		return;
	accepts_enable(httpd, false);
	event_add(httpd->pause, &tv);
}

static void
httpd_on_accept(evutil_socket_t listener, short what, void *arg)
{
	struct apw_httpd	*httpd;
	int			 i, fd;

	(void)what;
	APW_CAST(httpd, arg, HTTPD_MAGIC);
	/* not without end: who connects all the time must not keep the rest
	 * of the process from its turn */
	for (i = 0; i < HTTPD_ACCEPTS && httpd->done == NULL; i++) {
		fd = accept4(listener, NULL, NULL,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1) {
			accept_failed(httpd);
			return;
		}
		if (make_room(httpd))
			httpd_conn_new(httpd, fd);
		else
			close(fd);
	}
}

static void
httpd_on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct apw_httpd	*httpd;

	(void)fd;
	(void)what;
	APW_CAST(httpd, arg, HTTPD_MAGIC);
	if (httpd->done == NULL)
		accepts_enable(httpd, true);
}

struct apw_httpd *
apw_httpd_new(struct event_base *base, const int *fds, size_t nfds,
    const struct apw_httpd_limits *limits, const struct apw_httpd_ops *ops,
    void *arg, struct apw_err *err)
{
	struct apw_httpd	*httpd = calloc(1, sizeof(*httpd));
	size_t			 i;

	if (httpd == NULL ||
	    (httpd->accepts = calloc(nfds + 1, sizeof(void *))) == NULL) {
		free(httpd);
		apw_err_set(err, ENOMEM, "HTTP server");
		return NULL;
	}
	httpd->magic = HTTPD_MAGIC;
	httpd->base = base;
	httpd->limits = limits;
	httpd->ops = ops;
	httpd->arg = arg;
	TAILQ_INIT(&httpd->conns);
	httpd->pause = evtimer_new(base, httpd_on_pause_over, httpd);
	for (i = 0; i < nfds; i++) {
		httpd->accepts[i] = event_new(base, fds[i],
		    EV_READ | EV_PERSIST, httpd_on_accept, httpd);
		if (httpd->accepts[i] == NULL)
			break;
		httpd->naccepts++;
	}
	if (httpd->pause == NULL || i < nfds) {
		apw_err_set(err, ENOMEM, "HTTP server");
		apw_httpd_free(httpd);
		return NULL;
	}
	accepts_enable(httpd, true);
	return httpd;
}

void
apw_httpd_drain(struct apw_httpd *httpd, void (*done)(void *), void *arg)
{
	struct httpd_conn	*c, *next;

	accepts_enable(httpd, false);
	for (c = TAILQ_FIRST(&httpd->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (httpd_conn_idle(c) && c->requests > 0)
			httpd_conn_free(c);
	}
	if (httpd->nconns == 0) {
		done(arg);
		return;
	}
	httpd->done = done;
	httpd->done_arg = arg;
}

void
apw_httpd_forget(struct apw_httpd *httpd)
{
	struct httpd_conn	*c, *next;

	for (c = TAILQ_FIRST(&httpd->conns); c != NULL; c = next) {
		next = TAILQ_NEXT(c, entry);
		if (c->upload != NULL) {
			httpd_conn_free(c);
		} else {
			httpd->nknown -= c->known;
			c->known = false;
		}
	}
}

void
apw_httpd_free(struct apw_httpd *httpd)
{
	size_t	i;

	if (httpd == NULL)
		return;
	httpd->done = NULL;
	while (!TAILQ_EMPTY(&httpd->conns))
		httpd_conn_free(TAILQ_FIRST(&httpd->conns));
	for (i = 0; i < httpd->naccepts; i++)
		event_free(httpd->accepts[i]);
	free(httpd->accepts);
	if (httpd->pause != NULL)
		event_free(httpd->pause);
	httpd->magic = 0;
	free(httpd);
}
