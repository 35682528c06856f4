/* A connection made ready for its protocol; see stream.h.  Room: dial. */
#include "dial/stream.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/apw_log.h"
#include "dial/tls.h"
#include "proto/apw_http.h"

#define STREAM_MAGIC	0x5354524d	/* STRM */

struct apw_stream {
	uint32_t		 magic;
	struct event		*start;		/* owned; plain ones' */
	struct bufferevent	*bev;		/* owned */
	bool			 insecure;
	apw_stream_fn		*fn;
	void			*arg;		/* borrowed */
};

void
apw_stream_cancel(struct apw_stream *s)
{
	if (s == NULL)
		return;
	if (s->bev != NULL)
		bufferevent_free(s->bev);
	if (s->start != NULL)
		event_free(s->start);
	s->magic = 0;
	free(s);
}

static void
stream_done(struct apw_stream *s)
{
	struct bufferevent	*bev = s->bev;
	apw_stream_fn		*fn = s->fn;
	void			*arg = s->arg;

	s->bev = NULL;
	bufferevent_setcb(bev, NULL, NULL, NULL, NULL);
	apw_stream_cancel(s);
	fn(arg, bev, NULL);
}

static void
stream_on_start(evutil_socket_t fd, short what, void *arg)
{
	struct apw_stream	*s;

	(void)fd;
	(void)what;
	APW_CAST(s, arg, STREAM_MAGIC);
	stream_done(s);
}

static void
stream_on_tls(struct bufferevent *bev, short what, void *arg)
{
	struct apw_stream	*s;
	apw_stream_fn		*fn;
	char			 text[256];

	APW_CAST(s, arg, STREAM_MAGIC);
	if ((what & BEV_EVENT_CONNECTED) != 0) {
		stream_done(s);
		return;
	}
	apw_tls_why(bufferevent_openssl_get_ssl(bev),
	    bufferevent_get_openssl_error(bev), s->insecure, text,
	    sizeof(text));
	fn = s->fn;
	arg = s->arg;
	apw_stream_cancel(s);
	fn(arg, NULL, text);
}

static struct bufferevent *
stream_tls(struct apw_stream *s, struct event_base *base, int fd,
    const char *host, SSL_CTX *tls, struct apw_err *err)
{
	SSL			*ssl = apw_tls_session(tls, host, s->insecure);
	struct bufferevent	*bev;

	if (ssl == NULL) {
		apw_err_set(err, 0, "TLS: no host name that can be proved");
		return NULL;
	}
	bev = bufferevent_openssl_socket_new(base, fd, ssl,
	    BUFFEREVENT_SSL_CONNECTING,
	    BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	if (bev == NULL) {
		SSL_free(ssl);
		apw_err_set(err, ENOMEM, "TLS");
		return NULL;
	}
	bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	bufferevent_setcb(bev, NULL, NULL, stream_on_tls, s);
	bufferevent_enable(bev, EV_READ | EV_WRITE);
	return bev;
}

struct apw_stream *
apw_stream_new(struct event_base *base, int fd, const char *host,
    SSL_CTX *tls, bool insecure, apw_stream_fn *fn, void *arg,
    struct apw_err *err)
{
	struct apw_stream	*s = calloc(1, sizeof(*s));

	if (s == NULL) {
		close(fd);
		apw_err_set(err, ENOMEM, "connection");
		return NULL;
	}
	s->magic = STREAM_MAGIC;
	s->insecure = insecure;
	s->fn = fn;
	s->arg = arg;
	if (tls != NULL) {
		s->bev = stream_tls(s, base, fd, host, tls, err);
	} else {
		s->start = event_new(base, -1, 0, stream_on_start, s);
		s->bev = s->start == NULL ? NULL : bufferevent_socket_new(base,
		    fd, BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
		if (s->bev == NULL)
			apw_err_set(err, ENOMEM, "connection");
		else
			event_active(s->start, EV_TIMEOUT, 0);
	}
	if (s->bev != NULL)
		return s;
	close(fd);
	apw_stream_cancel(s);
	return NULL;
}

struct apw_str
apw_stream_head(struct evbuffer *in)
{
	size_t		 n = evbuffer_get_length(in);
	const char	*p;

	if (n > APW_HTTP_HEAD_MAX)
		n = APW_HTTP_HEAD_MAX;
	p = (const char *)evbuffer_pullup(in, (ev_ssize_t)n);
	return p == NULL ? APW_STR("") : (struct apw_str){ p, n };
}
