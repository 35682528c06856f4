/* `apworkerctl run`. */
#ifndef APW_CTL_RUN_H
#define APW_CTL_RUN_H

#include "core/apw_cycle.h"

/* argv[0] is "run".  The value is the exit status: 0 the flow succeeded (or
 * paused), 1 it failed, 2 usage, 70 it could not be run, 75 no daemon or no
 * result in time. */
int	apw_ctl_run(int argc, char **argv, const struct apw_cycle *);

#endif
