/* Is this host fit for the configuration?  Complaints go to `out`, each with
 * the place of its directive; -1: one of them was an error. */
#ifndef APW_MASTER_FIT_H
#define APW_MASTER_FIT_H

#include <stdio.h>

#include "core/apw_cycle.h"

/* What slots and engines would refuse. */
int	master_fit(const struct apw_cycle *, FILE *out);
/* What the start would: folders, pidfile, log, addresses.  What a daemon of
 * this configuration that runs already has is its own. */
int	master_fit_start(const struct apw_cycle *, FILE *out);

#endif
