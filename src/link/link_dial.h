/*
 * Reaching a server: name, TCP, proxy, TLS.  Room: link.
 * Names are resolved by evdns, addresses tried one after the other; nothing
 * here blocks.
 */
#ifndef APW_LINK_DIAL_H
#define APW_LINK_DIAL_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/apw_err.h"
#include "core/apw_str.h"

struct bufferevent;
struct evbuffer;
struct event_base;
struct evdns_base;
struct apw_link_dial;

/* Where to; strings are borrowed until the dial is over. */
struct apw_link_dial_conf {
	const char	*host;		/* name or address, no brackets */
	uint16_t	 port;
	SSL_CTX		*tls;		/* borrowed; NULL: plain */
	bool		 insecure;	/* the peer's name is not checked */
	const char	*proxy_host;	/* NULL: none */
	uint16_t	 proxy_port;
	const char	*proxy_auth;	/* "user:password", or NULL */
	/* A stream to it that stands already: only TLS is left to do.  The
	 * dial's from new() on. */
	bool		 connected;
	int		 fd;
};

/*
 * Called once, from the event loop: a connected bufferevent, now the
 * caller's, or NULL and why.  The dial is over and freed.
 */
typedef void apw_link_dial_fn(void *arg, struct bufferevent *,
	    const char *error);

/* NULL and err set: not even started. */
struct apw_link_dial *
	apw_link_dial_new(struct event_base *, struct evdns_base *,
	    const struct apw_link_dial_conf *, apw_link_dial_fn *, void *arg,
	    struct apw_err *);
/* Give up without a callback. */
void	 apw_link_dial_free(struct apw_link_dial *);

/* What has come in, as far as it may be the head of a message; borrowed from
 * the buffer until that is changed. */
struct apw_str
	 apw_link_head(struct evbuffer *);

/* A client context: TLS 1.2 or later, peers verified against ca_file or the
 * system's store.  NULL and err set when the file is of no use. */
SSL_CTX	*apw_link_tls_new(const char *ca_file, bool insecure,
	    struct apw_err *);

#endif
