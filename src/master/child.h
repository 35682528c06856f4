/* Becoming a child process of the master. */
#ifndef APW_MASTER_CHILD_H
#define APW_MASTER_CHILD_H

#include "core/apw_cycle.h"
#include "core/apw_err.h"

/* Give up what a child has no use for: the uid (when root and `user` is
 * set) with every capability, and new privileges for ever. */
int	apw_child_drop(const struct apw_main_conf *, struct apw_err *);
/* Die when the process with this pid dies; false: it has died already.
 * Comes after changes of the uid, which clear the wish. */
bool	apw_child_follow(pid_t parent);

/* title.c.  Moves the environment away, so that titles have its room and
 * /proc/PID/environ shows no secret; call first in main(). */
void	apw_title_init(int argc, char **argv);
/* Where it lies, for who writes one into a copy of this process. */
char	*apw_title_place(size_t *bytes);
void	apw_title_set(const char *fmt, ...)
	    __attribute__((format(printf, 1, 2)));
/* Overwrite this process's environment: it may hold secrets. */
void	apw_title_wipe_environment(void);

#endif
