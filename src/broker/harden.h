/* Hardening of processes that are in no box: Landlock for files, signals and
 * abstract sockets, and the boxes' syscall filter.  Prepared by the parent,
 * entered by the child between fork and exec. */
#ifndef APW_BROKER_HARDEN_H
#define APW_BROKER_HARDEN_H

#include <stdbool.h>

#include "core/apw_err.h"

struct apw_harden_conf {		/* all borrowed; NULL ends a list */
	const char *const	*reads;		/* files and folders to read, execute */
	const char *const	*writes;	/* folders to do anything in */
};

struct apw_harden {
	int		 ruleset_fd;	/* -1: the kernel has no Landlock */
	bool		 filter;
};

/* What this kernel can hold of it: 0 nothing, 1 the syscall filter, 2 and
 * files, 3 and signals and abstract sockets. */
int	apw_harden_grade(void);
/* Build the rules: the system's libraries and devices are always in.  Paths
 * that are not there are left out. */
int	apw_harden_prepare(const struct apw_harden_conf *,
	    struct apw_harden *, struct apw_err *);
/* In the child, after no_new_privs; -1 with errno.  Async-signal-safe. */
int	apw_harden_enter(const struct apw_harden *);
void	apw_harden_close(struct apw_harden *);

/* The slot's own syscall filter, which all that it starts from now on has,
 * too: none of them mounts, makes namespaces or traces.  Once, after the
 * broker was forked, which does; needs no_new_privs.  Calling it again does
 * nothing. */
int	apw_harden_slot(struct apw_err *);
bool	apw_harden_slot_is_on(void);

#endif
