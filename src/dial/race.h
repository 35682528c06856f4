/* Connecting to one of several addresses, happy-eyeballs style (RFC 8305):
 * families take turns, the next address is tried when one fails or has not
 * answered for a moment, the first connection wins.  Room: dial.  Nobody
 * checks the addresses here: that was done. */
#ifndef APW_DIAL_RACE_H
#define APW_DIAL_RACE_H

#include <event2/event.h>

#include "dial/addr.h"

#define APW_DIAL_ATTEMPTS	8	/* addresses that are tried */
#define APW_DIAL_STAGGER_MS	250

struct apw_race;

/* Once, from the loop: a connected descriptor (non-blocking, the caller's
 * now) and its address; or -1 and an errno value. */
typedef void apw_race_fn(void *arg, int fd, const struct apw_addr *,
	    int error);

/* n > 0 addresses, copied.  NULL: out of memory.  No overall deadline: that
 * is the caller's. */
struct apw_race *
	apw_race_new(struct event_base *, const struct apw_addr *,
	    size_t n, uint16_t port, apw_race_fn *, void *arg);
/* Give up; no callback.  NULL is fine. */
void	apw_race_cancel(struct apw_race *);

#endif
