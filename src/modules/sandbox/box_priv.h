/* What a slot has of brokers and boxes; shared by box_seat.c (brokers) and
 * box.c (boxes). */
#ifndef APW_SANDBOX_BOX_PRIV_H
#define APW_SANDBOX_BOX_PRIV_H

#include <limits.h>

#include "broker/broker.h"
#include "modules/sandbox/box.h"

/* A broker, and the one box that it may have: for one engine at a time. */
struct box_seat {
	struct apw_broker	*broker;	/* owned; NULL: none yet */
	int			 pidfd;		/* of the broker */
	struct apw_box		 box;
	bool			 open;		/* box is not ended yet */
};

/* One a process. */
struct box_slot {
	const struct apw_cycle	*cycle;		/* borrowed; NULL: no slot */
	unsigned		 slot;
	struct box_seat		 seats[APW_SANDBOX_SEATS];
	unsigned		 nseats;	/* with brokers */
	bool			 yields;	/* boxes have a weight */
	bool			 unborn;	/* no brokers at birth, as root */
	int			 watch_fd;	/* all their pidfds; -1: none */
	enum { HOST_UNKNOWN, HOST_READY, HOST_NOT } host; /* with host's files */
	gid_t			 groups[NGROUPS_MAX];
	char			 node[PATH_MAX], node_modules[PATH_MAX];
	char			 deno[PATH_MAX];	/* "": none */
	char			 common[PATH_MAX], codes[PATH_MAX];
	char			 custom[PATH_MAX];
	char			 tmp[PATH_MAX];	/* of hardened engines */
	char			 title[32];	/* of a box's process 1 */
	char			*pasta;		/* owned; NULL: not there */
};

extern struct box_slot box;

int	box_paths(const struct apw_cycle *, struct apw_err *);
struct apw_box_limits box_limits(const struct apw_box_conf *);
/* Brokers for all seats.  c: NULL for the limits of the module whose
 * count. */
int	box_start(const struct apw_cycle *, unsigned slot,
	    const struct apw_box_conf *c, struct apw_err *);

#endif
