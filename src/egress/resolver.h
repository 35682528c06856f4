/* The slot's resolver: names to addresses by c-ares, in the event loop.
 * Room: egress.  One look-up asks for A and AAAA together; the answer is
 * what is checked and what is connected to.  Only when it is not whole in a
 * moment, A is asked for alone: some name servers never say anything to
 * AAAA. */
#ifndef APW_EGRESS_RESOLVER_H
#define APW_EGRESS_RESOLVER_H

#include <event2/event.h>
#include <stdbool.h>

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

/* Called from the event loop, once or twice: n addresses, or n 0 and why.
 * more: a name server keeps us waiting for the other family; these are what
 * there is (n > 0), the look-up goes on, and what else it finds, if anything,
 * comes with a second call (without an error). */
typedef void apw_egress_lookup_fn(void *arg, const struct apw_addr *,
	    size_t n, const char *error, bool more);

/* name is no address.  NULL: out of memory. */
struct apw_egress_lookup *
	apw_egress_lookup_new(struct apw_egress_resolver *, const char *name,
	    apw_egress_lookup_fn *, void *arg);
/* Give up; no callback.  Before the last call; NULL is fine. */
void	apw_egress_lookup_cancel(struct apw_egress_lookup *);

#endif
