/* The state directory belongs to one daemon at a time. */
#ifndef APW_STATE_H
#define APW_STATE_H

#include <stdbool.h>

#include "core/apw_err.h"

/* Lock the directory for this master's life: *fd holds the lock, and closing
 * it gives it up.  -1 and err: another daemon has it (*taken), or it cannot be
 * opened.  The lock is on the open file: a master that starts another program
 * in its place hands it over by leaving the descriptor open and naming its
 * number in APW_STATE_FD_ENV; both hold it then. */
#define APW_STATE_FD_ENV	"APWORKERD_STATE_FD"
int	apw_state_lock(const char *path, int *fd, bool *taken, struct apw_err *);

#endif
