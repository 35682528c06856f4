/* TLS around a connection to an upstream proxy: whoever uses the connection
 * has a plain end of it.  Room: dial, in an event loop.
 *
 *	plain end (a local socket) ─ wrap ─ TLS ─ the proxy
 *
 * The plain end is a descriptor like that of any connection, so tunnels and
 * relays need not know. */
#ifndef APW_DIAL_TLS_WRAP_H
#define APW_DIAL_TLS_WRAP_H

#include <event2/event.h>

#include "core/apw_err.h"
#include "dial/upstream.h"

struct apw_tls_wraps;	/* one a slot: what wraps have in common */
struct apw_tls_wrap;

struct apw_tls_wraps *apw_tls_wraps_new(struct event_base *);
/* Those that stand are ended.  NULL is fine. */
void	apw_tls_wraps_free(struct apw_tls_wraps *);

/* Once, from the loop: the plain end (non-blocking, the callee's), and the
 * wrap lives until that or the proxy closes; or -1 and why. */
typedef void apw_tls_wrap_fn(void *arg, int fd, const char *error);

/* fd is connected to the proxy, and the wrap's from now on whatever happens.
 * The proxy must prove that it is up->host.  NULL: err says why. */
struct apw_tls_wrap *
	apw_tls_wrap_new(struct apw_tls_wraps *, int fd,
	    const struct apw_upstream *up, apw_tls_wrap_fn *,
	    void *arg, struct apw_err *);
/* Before the callback.  NULL is fine. */
void	apw_tls_wrap_cancel(struct apw_tls_wrap *);

#endif
