/* Listening sockets by name: "ADDR:PORT", "[V6]:PORT", "unix:PATH".  Bound by
 * the master before it forks; a reload keeps those whose name stays.  The
 * control socket, by which apworkerctl finds the daemon, is always one of
 * them: below the state directory, for nobody but the master's own user. */
#ifndef APW_LISTEN_H
#define APW_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "core/apw_cycle.h"
#include "core/apw_err.h"

#define APW_LISTEN_MAX	33	/* the control socket included */

struct apw_listeners {
	int	 *fds;		/* owned; in the order of names */
	char	**names;	/* owned */
	size_t	  n;
};

/* Bind all of names, and the control socket, into *next; what `now` (may be NULL) has already is
 * shared, not bound again.  On failure nothing has changed. */
int	apw_listeners_open(struct apw_listeners *next,
	    const struct apw_listeners *now, const struct apw_strlist *names,
	    const struct apw_main_conf *, struct apw_err *);
/* Could "ADDR:PORT" be listened on?  It is tried, and given up again. */
int	apw_listen_try(const char *name, struct apw_err *);
/* Close those that `keep` (may be NULL) does not share.  unlink_paths: remove
 * the socket files of those too. */
void	apw_listeners_close(struct apw_listeners *,
	    const struct apw_listeners *keep, bool unlink_paths);

#endif
