/* The configuration reader: file (or nothing), command-line directives and
 * environment become a checked cycle.  Room: master, before it forks. */
#ifndef APW_CONF_H
#define APW_CONF_H

#include <stdbool.h>
#include <stdio.h>

#include "core/apw_cycle.h"

struct apw_conf_options {
	const char	*file;		/* NULL: no file, the environment alone */
	const char	*prefix;	/* relative paths start here; NULL: the file's directory */
	const char	*globals;	/* -g "directive; directive;" or NULL */
	unsigned	 cycle;		/* number of the cycle to be */
	bool		 trust_host;	/* what it can is asked by the caller */
};

/* Read and check everything.  Every complaint is printed to `complaints` as
 *	FILE:LINE:COLUMN: error: found ...; expected ...; did you mean ...?
 * all of them in one go.  NULL when there was any.  The returned cycle is
 * freed with apw_cycle_free(). */
struct apw_cycle *apw_conf_read(const struct apw_conf_options *, FILE *complaints);
/* The same for whoever talks to a daemon that runs: errors go to stderr, but
 * what is only a warning was said to whoever started it. */
struct apw_cycle *apw_conf_read_again(const struct apw_conf_options *);
void	apw_cycle_free(struct apw_cycle *);

/* For a module's check(): one more complaint, at the place where the named
 * directive of its block was given (or the block, or the file). */
void	apw_conf_complain(struct apw_cycle *, const char *directive,
	    const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Does the daemon itself say what engines see of this variable?  Nobody can
 * have it passed to them then. */
bool	apw_conf_engine_owns(const char *name);

/* -T: the effective configuration, each value with its origin in a comment;
 * what is printed can be read again.  Secrets print as "***". */
void	apw_conf_dump(const struct apw_cycle *, FILE *);

/* The directive reference in mdoc, made from the tables. */
void	apw_conf_manual(FILE *);

/* apworker.conf.full: every directive with its help and default. */
void	apw_conf_full(FILE *);

/* What needs a restart when `next` replaces `now`: prints one line each to
 * out, returns how many. */
unsigned apw_conf_restart_only(const struct apw_cycle *now,
	    const struct apw_cycle *next, FILE *out);

/* Who has to start anew when `next` replaces `now`; 0: nothing has changed.
 * What needs a restart does not count. */
#define APW_CHANGES_MASTER	1	/* nobody: the master alone reads it */
#define APW_CHANGES_MONITOR	2
#define APW_CHANGES_SLOTS	4
unsigned apw_conf_changes(const struct apw_cycle *now,
	    const struct apw_cycle *next);

/* Overwrite every secret of the cycle in this process's memory (monitor). */
void	apw_secrets_wipe(struct apw_cycle *);

#endif
