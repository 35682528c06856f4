/* What a program of ours begins with, whoever started it and however: signal
 * dispositions, descriptors, limits, the mask of new files.  Room: any, first
 * thing in main(). */
#ifndef APW_START_H
#define APW_START_H

#include <stdio.h>

/* Descriptors 0 to 2 are open (/dev/null where they were not).  All others
 * that were inherited are closed when another program is executed, so that
 * only what is handed over by name gets any further; a file in the command
 * line may be one of them (/dev/fd/3), and a lock that is held by one goes on
 * as long as we live.  Every signal does what it does by default and none is
 * blocked, but for those that nohup(1) and shells turn off: SIGHUP, SIGINT,
 * SIGQUIT, and SIGPIPE stay ignored when they are.  SIGXFSZ is ignored: a
 * file that may not grow is an error, not a death.  New files are not
 * writable for others. */
void	apw_start(void);
/* For who will be a daemon.  SIGPIPE is ignored, too; limits that kill (CPU
 * time) or cripple (the size of files) are raised as far as may be: what is
 * left of them is told to `out`. */
void	apw_start_daemon(FILE *out);
/* Signals that mean something to a daemon only once it is up (SIGHUP, SIGUSR1,
 * SIGUSR2) wait until apw_start_listen(). */
void	apw_start_defer(void);
void	apw_start_listen(void);

#endif
