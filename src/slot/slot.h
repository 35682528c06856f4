/* The slot process: one job at a time from a source, one engine. */
#ifndef APW_SLOT_H
#define APW_SLOT_H

#include "core/apw_cycle.h"
#include "core/apw_score.h"

/* Runs in the freshly forked child and does not return to the master's code:
 * the value is the exit status.  SIGQUIT and SIGTERM drain (finish the job in
 * hand, answer the parked poll), SIGINT ends now, SIGUSR1 reopens the log.
 * Dies when the master dies. */
int	apw_slot_main(const struct apw_cycle *, unsigned number,
	    struct apw_score_slot *);

#endif
