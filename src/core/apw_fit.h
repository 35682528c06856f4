/* Is this host fit for the configuration?  What the start, a slot or an engine
 * would refuse is looked for before: files, folders, addresses.  Complaints
 * go to `out`, as the reader's do, with the place of the directive.
 *
 * The checks look with the privileges of the calling process: who asks for
 * `user` has become that before.  They change nothing. */
#ifndef APW_FIT_H
#define APW_FIT_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "core/apw_cycle.h"
#include "core/apw_err.h"

#define APW_FIT_GIVEN	16

struct apw_fit {
	const struct apw_cycle	*cycle;		/* borrowed */
	FILE			*out;		/* borrowed */
	const char		*block;		/* "engine", "source", ...; NULL:
						 * outside of the blocks */
	unsigned		 errors, warnings;
	/* Folders that root has made and that are empty are given to `user`
	 * at the start: noted by root, before the checks are made in earnest,
	 * while nothing is said. */
	bool			 noting;
	struct { dev_t dev; ino_t ino; } given[APW_FIT_GIVEN];
	size_t			 ngiven;
};

/* About a directive of the block; NULL: about the block itself. */
void	apw_fit_error(struct apw_fit *, const char *directive,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void	apw_fit_warn(struct apw_fit *, const char *directive,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Each says what is wrong, and what was expected; true: nothing is. */

/* A file that can be read, with something in it. */
bool	apw_fit_file(struct apw_fit *, const char *directive,
	    const char *path, const char *expected);
/* A folder that can be used; mode: R_OK, W_OK and X_OK of access(2). */
bool	apw_fit_folder(struct apw_fit *, const char *directive,
	    const char *path, int mode);
/* It is there as a folder, or can be made by this process. */
bool	apw_fit_makable(struct apw_fit *, const char *directive,
	    const char *path);
/* The same of the folder that a file is in. */
bool	apw_fit_parent(struct apw_fit *, const char *directive,
	    const char *path);
/* A program that this host can start. */
bool	apw_fit_program(struct apw_fit *, const char *directive,
	    const char *path, const char *expected);
/* Warns when nothing more can be written there; exec: or nothing loaded. */
void	apw_fit_room(struct apw_fit *, const char *directive,
	    const char *path, bool exec);

/* "FILE:LINE:COLUMN" of a directive (or of its block, or the variable that
 * gave it). */
void	apw_conf_where(const struct apw_cycle *, const char *block,
	    const char *directive, char *buf, size_t size);

#endif
