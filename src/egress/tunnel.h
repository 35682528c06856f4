/* A tunnel through an upstream proxy: CONNECT on a connection to it.  Room:
 * egress. */
#ifndef APW_EGRESS_TUNNEL_H
#define APW_EGRESS_TUNNEL_H

#include <event2/event.h>

#include "egress/rules.h"

struct apw_egress_tunnel;

/* Once, from the loop.  NULL: the tunnel stands, its end is the descriptor
 * that was given; else what went wrong. */
typedef void apw_egress_tunnel_fn(void *arg, const char *error);

/* fd is borrowed; host and port are where to.  NULL: out of memory. */
struct apw_egress_tunnel *
	apw_egress_tunnel_new(struct event_base *, int fd,
	    const struct apw_egress_upstream *, const char *host,
	    uint16_t port, apw_egress_tunnel_fn *, void *arg);
void	apw_egress_tunnel_cancel(struct apw_egress_tunnel *);

#endif
