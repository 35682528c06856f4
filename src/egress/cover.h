/* TLS around a connection to an upstream proxy: whoever uses the connection
 * has a plain end of it.  Room: egress, in an event loop.
 *
 *	plain end (a local socket) ─ cover ─ TLS ─ the proxy
 *
 * The plain end is a descriptor like that of any connection, so tunnels and
 * relays need not know. */
#ifndef APW_EGRESS_COVER_H
#define APW_EGRESS_COVER_H

#include <event2/event.h>

#include "core/apw_err.h"
#include "egress/upstream.h"

struct apw_egress_covers;	/* one a slot: what covers have in common */
struct apw_egress_cover;

struct apw_egress_covers *apw_egress_covers_new(struct event_base *);
/* Those that stand are ended.  NULL is fine. */
void	apw_egress_covers_free(struct apw_egress_covers *);

/* Once, from the loop: the plain end (non-blocking, the callee's), and the
 * cover lives until that or the proxy closes; or -1 and why. */
typedef void apw_egress_cover_fn(void *arg, int fd, const char *error);

/* fd is connected to the proxy, and the cover's from now on whatever happens.
 * The proxy must prove that it is up->host.  NULL: err says why. */
struct apw_egress_cover *
	apw_egress_cover_new(struct apw_egress_covers *, int fd,
	    const struct apw_egress_upstream *up, apw_egress_cover_fn *,
	    void *arg, struct apw_err *);
/* Before the callback.  NULL is fine. */
void	apw_egress_cover_cancel(struct apw_egress_cover *);

#endif
