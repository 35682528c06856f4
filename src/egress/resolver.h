/* The slot's resolver: names to addresses by c-ares, in the event loop.
 * Room: egress.  One look-up asks for A and AAAA together; the answer is
 * what is checked and what is connected to, never asked for twice. */
#ifndef APW_EGRESS_RESOLVER_H
#define APW_EGRESS_RESOLVER_H

#include <event2/event.h>

#include "core/apw_cycle.h"
#include "core/apw_err.h"
#include "egress/addr.h"

#define APW_EGRESS_ADDRESSES	64	/* of one name; more are not looked at
					 * and not connected to */

struct apw_egress_resolver;
struct apw_egress_lookup;
struct apw_egress_covers;	/* egress/cover.h */

/* servers: "ADDR", "ADDR:PORT", "[V6]:PORT"; an empty list means the
 * system's resolv.conf (read again when it changes) and hosts file. */
struct apw_egress_resolver *
	apw_egress_resolver_new(struct event_base *,
	    const struct apw_strlist *servers, struct apw_err *);
/* Look-ups under way must have been cancelled. */
void	apw_egress_resolver_free(struct apw_egress_resolver *);

/* What else the dials of a slot share: their TLS to an upstream proxy.  NULL:
 * out of memory. */
struct apw_egress_covers *
	apw_egress_resolver_covers(struct apw_egress_resolver *);

/* Called once, from the event loop: n addresses, or n 0 and why. */
typedef void apw_egress_lookup_fn(void *arg, const struct apw_addr *,
	    size_t n, const char *error);

/* name is no address.  NULL: out of memory. */
struct apw_egress_lookup *
	apw_egress_lookup_new(struct apw_egress_resolver *, const char *name,
	    apw_egress_lookup_fn *, void *arg);
/* Give up; no callback.  NULL is fine. */
void	apw_egress_lookup_cancel(struct apw_egress_lookup *);

#endif
