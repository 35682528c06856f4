/* The monitor process: health, readiness and status from the scoreboard. */
#ifndef APW_MONITOR_H
#define APW_MONITOR_H

#include "core/apw_cycle.h"
#include "core/apw_score.h"

/* Runs in the freshly forked child; listeners were bound by the master
 * (fds in the order of cycle->monitor.listen, owned by the caller).
 * The value is the exit status. */
int	apw_monitor_main(struct apw_cycle *, struct apw_score *,
	    const int *listen_fds, size_t nfds);

#endif
