/* What lives below a slot: its engine, and whatever the engine left behind. */
#ifndef APW_SLOT_TREE_H
#define APW_SLOT_TREE_H

#include <stdbool.h>

#include "core/apw_err.h"

/* Orphans below this process become its children (child subreaper). */
int	apw_tree_init(struct apw_err *);

/* One pass over the children that this process did not make itself: the dead
 * are reaped, with `kill` the living get SIGKILL.  Returns how many may
 * still be there: call again until it is 0. */
unsigned apw_tree_sweep(bool kill);

#endif
