/* From a host and a port to a connection that the rules allow: the one way
 * out for flows (the proxy) and for the daemon's own requests (post.c).
 * Room: egress.
 *
 *	port ─ look-up ─ every address checked ─ connect to one of those
 *
 * Through an upstream proxy the last step is a tunnel (CONNECT) to the
 * address that was checked. */
#ifndef APW_EGRESS_DIAL_H
#define APW_EGRESS_DIAL_H

#include <event2/event.h>

#include "egress/account.h"
#include "egress/resolver.h"
#include "egress/rules.h"

struct apw_egress_dial;

struct apw_egress_dialled {
	enum apw_egress_verdict	 verdict;	/* ALLOWED: fd is connected */
	int			 fd;		/* the callee's; or -1 */
	char			 address[APW_ADDR_TEXT_SIZE]; /* connected, or
						 * refused; or "" */
	char			 why[256];	/* for the log; "" when allowed
						 * without a word */
	bool			 whole;		/* fd leads to a proxy that
						 * wants the whole request */
	char			 auth[256];	/* then: "user:password", or
						 * ""; a secret */
};

/* Once, from the loop, never from within new(). */
typedef void apw_egress_dial_fn(void *arg,
	    const struct apw_egress_dialled *);

/* host: a name, or an address as apw_addr_text() writes it (others are read,
 * too).  rules and resolver are borrowed until the end; the deadline is the
 * rules' connect_ms.  NULL: out of memory. */
struct apw_egress_dial *
	apw_egress_dial_new(struct event_base *,
	    const struct apw_egress_rules *, struct apw_egress_resolver *,
	    const char *host, uint16_t port, apw_egress_dial_fn *, void *arg);
/* Before the loop goes on: an upstream proxy may be given this request as it
 * is, by the host's name, in the place of a tunnel. */
void	apw_egress_dial_whole(struct apw_egress_dial *);
/* Give up; no callback.  NULL is fine. */
void	apw_egress_dial_cancel(struct apw_egress_dial *);

#endif
