/* The commands of apworkerctl.  argv[0] is the command's own name; the value
 * is the exit status: 0 done, 1 not what was asked for, 2 usage, 71 the
 * system said no, 75 nobody there or not in time.  Room: ctl. */
#ifndef APW_CTL_COMMANDS_H
#define APW_CTL_COMMANDS_H

#include <stdio.h>

#include "core/apw_cycle.h"
#include "core/apw_err.h"

#define CTL_EXIT_NO	1
#define CTL_EXIT_USAGE	2

int	apw_ctl_status(int argc, char **argv, const struct apw_cycle *);
int	apw_ctl_reload(int argc, char **argv, const struct apw_cycle *);
int	apw_ctl_stop(int argc, char **argv, const struct apw_cycle *);

/* options.c: words that a command takes. */
struct ctl_flag {
	const char	*word;		/* "--json"; NULL ends the list */
	bool		*on;		/* a flag, or */
	int64_t		*seconds_ms;	/* a number of seconds, kept in ms */
};
/* 0, or the exit status after a complaint. */
int	ctl_flags(int argc, char **argv, const struct ctl_flag *);
int	ctl_fail(int status, const struct apw_err *);

#endif
