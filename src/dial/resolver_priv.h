/* The resolver's inside: resolver.c (servers, c-ares in the event loop),
 * lookup.c (one name). */
#ifndef APW_DIAL_RESOLVER_PRIV_H
#define APW_DIAL_RESOLVER_PRIV_H

#include <ares.h>
#include <sys/queue.h>
#include <time.h>

#include "dial/resolver.h"
#include "dial/tls_wrap.h"

#define RESOLVER_ASKED	1024	/* then one that asks is turned away */

struct resolver_watch;

struct apw_resolver {
	uint32_t		 magic;
	struct event_base	*base;		/* borrowed */
	ares_channel		 dns;		/* owned */
	struct event		*timer;		/* owned: of dns */
	TAILQ_HEAD(, resolver_watch) watches;	/* owned: sockets of dns */
	char			*servers;	/* owned: "A,B:53"; NULL: the
						 * system's */
	unsigned		 busy;		/* look-ups under way */
	unsigned		 asked;		/* of c-ares, with those that
						 * nobody waits for any more */
	struct apw_tls_wraps	*wraps;		/* owned; made when needed */
	int64_t			 looked_ms;
	struct timespec		 changed;	/* of resolv.conf */
};

/* Read the system's servers again if they have changed. */
void	resolver_renew(struct apw_resolver *);
/* Something was asked: wait for what comes of it. */
void	resolver_wait(struct apw_resolver *);

#endif
