/* Going into the background. */
#ifndef APW_DAEMON_H
#define APW_DAEMON_H

#include <stdbool.h>

#include "core/apw_err.h"

/* Returns in the daemon, detached, with no descriptor of its starter's but 0
 * to 2; its starter waits in here and exits with
 * what apw_daemon_up() says, or with APW_EXIT_OS when the daemon dies before
 * that.  *report is for apw_daemon_up(). */
int	apw_daemon_detach(int *report, struct apw_err *);
/* Let go of the starter's descriptors 0-2, all but `keep` (-1: none; the log
 * may be on 1 or 2): a daemon must not hold
 * the pipe or terminal that it was started from. */
void	apw_daemon_std_null(int keep);
/* Tell the starter how it went; with status 0 let go of its descriptors. */
void	apw_daemon_up(int *report, int status, int keep);

#endif
