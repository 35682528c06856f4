/* A tunnel through an upstream proxy: CONNECT on a connection to it.  Room:
 * dial. */
#ifndef APW_DIAL_TUNNEL_H
#define APW_DIAL_TUNNEL_H

#include <event2/event.h>

#include "dial/upstream.h"

struct apw_tunnel;

/* Once, from the loop.  NULL: the tunnel stands, its end is the descriptor
 * that was given; else what went wrong. */
typedef void apw_tunnel_fn(void *arg, const char *error);

/* fd is borrowed; host and port are where to.  NULL: out of memory. */
struct apw_tunnel *
	apw_tunnel_new(struct event_base *, int fd,
	    const struct apw_upstream *, const char *host,
	    uint16_t port, apw_tunnel_fn *, void *arg);
void	apw_tunnel_cancel(struct apw_tunnel *);

#endif
