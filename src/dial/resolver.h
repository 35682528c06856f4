/* The slot's resolver: names to addresses by c-ares, in the event loop.
 * Room: dial.  One look-up asks for A and AAAA together; the answer is
 * what is checked and what is connected to.  Only when it is not whole in a
 * moment, A is asked for alone: some name servers never say anything to
 * AAAA. */
#ifndef APW_DIAL_RESOLVER_H
#define APW_DIAL_RESOLVER_H

#include <event2/event.h>
#include <stdbool.h>

#include "core/apw_cycle.h"
#include "core/apw_err.h"
#include "dial/addr.h"

#define APW_DIAL_ADDRESSES	64	/* of one name; more are not looked at
					 * and not connected to */

struct apw_resolver;
struct apw_lookup;
struct apw_tls_wraps;	/* dial/tls_wrap.h */

/* servers: "ADDR", "ADDR:PORT", "[V6]:PORT"; an empty list means the
 * system's resolv.conf (read again when it changes) and hosts file. */
struct apw_resolver *
	apw_resolver_new(struct event_base *,
	    const struct apw_strlist *servers, struct apw_err *);
/* Look-ups under way must have been cancelled. */
void	apw_resolver_free(struct apw_resolver *);

/* What else the dials of a slot share: their TLS to an upstream proxy.  NULL:
 * out of memory. */
struct apw_tls_wraps *
	apw_resolver_wraps(struct apw_resolver *);

/* Called from the event loop, once or twice: n addresses, or n 0 and why.
 * more: a name server keeps us waiting for the other family; these are what
 * there is (n > 0), the look-up goes on, and what else it finds, if anything,
 * comes with a second call (without an error). */
typedef void apw_lookup_fn(void *arg, const struct apw_addr *,
	    size_t n, const char *error, bool more);

/* name is no address.  NULL: out of memory. */
struct apw_lookup *
	apw_lookup_new(struct apw_resolver *, const char *name,
	    apw_lookup_fn *, void *arg);
/* Give up; no callback.  Before the last call; NULL is fine. */
void	apw_lookup_cancel(struct apw_lookup *);

/* Is it a name of this host's loopback, with or without the root's dot
 * (RFC 6761)? */
bool	apw_is_localhost(const char *name);

#endif
