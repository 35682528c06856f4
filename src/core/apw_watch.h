/* Watching folders: inotify, and words for the limits of it.  The number of
 * instances is the host's, a user's: all processes and containers of one uid
 * share it. */
#ifndef APW_WATCH_H
#define APW_WATCH_H

#include <stddef.h>
#include <stdint.h>

#include "core/apw_err.h"

/* A new instance, close-on-exec and not blocking; the caller closes it.  -1:
 * err names the limit that is used up, and what raises it. */
int	apw_watch_open(struct apw_err *);
/* As inotify_add_watch(2): the watch's number, or -1 and err. */
int	apw_watch_add(int fd, const char *path, uint32_t mask,
	    struct apw_err *);

/* How many instances our uid may have, and which sysctl says so; -1: it
 * cannot be known. */
long	apw_watch_limit(const char **sysctl);
/* How many of them can be seen to be in use: those of processes that we may
 * look into. */
unsigned long apw_watch_used(void);

#endif
