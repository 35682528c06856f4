/* The pidfile: who runs, told by a lock and not by a number in a file. */
#ifndef APW_PIDFILE_H
#define APW_PIDFILE_H

#include <sys/types.h>

#include "core/apw_err.h"

/* Make the file ours and write our pid; *fd holds the lock until it is
 * closed.  A file that another process has locked is refused with its pid; a
 * stale one is taken over.  The lock does not survive fork(2): call it in the
 * process that stays. */
int	apw_pidfile_take(const char *path, int *fd, struct apw_err *);
/* Remove the file, if it is still ours, and give the lock back. */
void	apw_pidfile_drop(const char *path, int fd);
/* The pid of the daemon that holds the file.  -1 when nobody does, or it
 * cannot be told; err says which.  Not for the process that took the file:
 * reading it here would give its lock away. */
int	apw_pidfile_owner(const char *path, pid_t *, struct apw_err *);

#endif
