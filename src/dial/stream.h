/* A connection that stands, made ready for its protocol: a bufferevent on it,
 * with TLS where that is wanted.  Room: dial, in an event loop. */
#ifndef APW_DIAL_STREAM_H
#define APW_DIAL_STREAM_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "core/apw_err.h"
#include "core/apw_str.h"

struct bufferevent;
struct evbuffer;
struct event_base;
struct apw_stream;

/* Called once, from the event loop: the bufferevent, now the caller's, or NULL
 * and why.  The stream is over and freed. */
typedef void apw_stream_fn(void *arg, struct bufferevent *,
	    const char *error);

/*
 * fd is connected to host, and the stream's from now on whatever happens.
 * tls (borrowed; NULL: plain): host has to prove its name, but where insecure.
 * The time limit is the caller's.  NULL and err set: not even started.
 */
struct apw_stream *
	apw_stream_new(struct event_base *, int fd, const char *host,
	    SSL_CTX *tls, bool insecure, apw_stream_fn *, void *arg,
	    struct apw_err *);
/* Give up without a callback.  NULL is fine. */
void	apw_stream_cancel(struct apw_stream *);

/* What has come in, as far as it may be the head of a message; borrowed from
 * the buffer until that is changed. */
struct apw_str
	apw_stream_head(struct evbuffer *);

#endif
