/* Directories and files that the master makes for those who may not. */
#ifndef APW_DIRS_H
#define APW_DIRS_H

#include "core/apw_cycle.h"
#include "core/apw_err.h"

/* Make the directory, and what is missing above it (0755).  One that was
 * made is 0750 and belongs to `user` when we are root and `user` is set; one
 * that is there is left alone. */
int	apw_dir_make(const char *path, const struct apw_main_conf *,
	    struct apw_err *);
/* The directory above a file, 0755 and ours: a pidfile or a socket in it
 * cannot be replaced by a slot. */
int	apw_dir_parent(const char *file, struct apw_err *);
/* Give an open file to `user`, so that slots can open it again. */
void	apw_dir_give(int fd, const struct apw_main_conf *);
/* All directories of a cycle: state, stock, log, pidfile, and what its
 * source asks for. */
int	apw_dirs_make(struct apw_cycle *, struct apw_err *);

/* Make again what is missing of the folders that slots wait on: the leases',
 * the source's. */
int	apw_dirs_mend(struct apw_cycle *, struct apw_err *);
/* Where the leases are kept; -1: the path is too long. */
int	apw_dir_leases(const struct apw_main_conf *, char *path, size_t size);

#endif
