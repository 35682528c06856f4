/* The egress proxy: HTTP forward (absolute-form) and CONNECT for one box,
 * on a listener that somebody else made (in the box, or on loopback).  Room:
 * egress, in a slot's event loop.
 *
 * Every connection is for one request.  Its host is looked up once, every
 * address that comes out is checked, and one of them is connected to.
 * doc/network.md has the statuses that clients see. */
#ifndef APW_EGRESS_PROXY_H
#define APW_EGRESS_PROXY_H

#include <event2/event.h>

#include "core/apw_err.h"
#include "core/apw_peer.h"
#include "core/apw_score.h"
#include "egress/account.h"
#include "egress/rules.h"

struct apw_resolver;	/* dial/resolver.h: one a slot */
struct apw_egress_proxy;

/* A decision, when its connection ends; the record is borrowed. */
typedef void apw_egress_told_fn(void *arg, const struct apw_egress_record *);

struct apw_egress_proxy_conf {
	int			 listen_fd;	/* the proxy's from now on */
	struct apw_egress_rules	*rules;		/* a reference is taken */
	struct apw_resolver *resolver;	/* borrowed */
	struct apw_score_slot	*score;		/* borrowed; NULL: no counters */
	apw_egress_told_fn	*told;		/* NULL: nobody wants to know */
	void			*arg;		/* borrowed */
};

/* NULL and err set: listen_fd is closed then, too. */
struct apw_egress_proxy *
	apw_egress_proxy_new(struct event_base *,
	    const struct apw_egress_proxy_conf *, struct apw_err *);
/* Closes everything, callbacks and connections under way included.  NULL is
 * fine. */
void	apw_egress_proxy_free(struct apw_egress_proxy *);

/* It listens where others than its clients can connect: who is known not to be
 * among these is turned away as it comes. */
void	apw_egress_proxy_guard(struct apw_egress_proxy *,
	    const struct apw_peer_who *);

/* A run begins: its id is in the lines from now on (copied), its sums and
 * its byte limit start at zero.  What a run before left open is closed. */
void	apw_egress_proxy_begin(struct apw_egress_proxy *, const char *run);
/* A run ends: what it left open is closed; *sum gets its account (NULL: not
 * wanted). */
void	apw_egress_proxy_end(struct apw_egress_proxy *,
	    struct apw_egress_account *sum);

/* Connections that are open now. */
unsigned apw_egress_proxy_connections(const struct apw_egress_proxy *);

#endif
