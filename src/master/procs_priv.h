/* The processes a master keeps: slots, and the monitor.  What happens to
 * each of them is one table, [state][event]; room master only. */
#ifndef APW_PROCS_PRIV_H
#define APW_PROCS_PRIV_H

#include <sys/queue.h>
#include <sys/types.h>

#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>

#include "core/apw_cycle.h"
#include "core/apw_score.h"

struct master;
struct mcycle;

/* A process as its master sees it.  What a slot does while it is READY is
 * its own business and stands in the scoreboard. */
#define MPROC_STATES(X)							\
	X(DOWN)		/* no process; just made, or about to be freed */ \
	X(BOOTING)	/* forked, not yet past its own start */	\
	X(READY)	/* past its start */				\
	X(DRAINING)	/* told to finish what it has and leave */	\
	X(STUCK)	/* killed for lack of progress; comes back */	\
	X(KILLED)	/* killed on our way out; does not come back */	\
	X(RESTING)	/* died; waits for its next start */		\
	X(FAILED)	/* needs another configuration */

#define MPROC_EVENTS(X)							\
	X(START)	/* have a process */				\
	X(UP)		/* it is past its start */			\
	X(DRAIN)	/* finish and leave */				\
	X(KILL)		/* leave now */					\
	X(STALLED)	/* its event loop has not turned for too long */ \
	X(TIMEOUT)	/* the timer set by the last action */		\
	X(EXITED)	/* the process ended */				\
	X(NOCONF)	/* it ended and wants another configuration */

#define MPROC_STATE_ENUM(name) MPROC_##name,
#define MPROC_EVENT_ENUM(name) MPROC_EV_##name,
enum mproc_state { MPROC_STATES(MPROC_STATE_ENUM) MPROC_NSTATES };
enum mproc_event { MPROC_EVENTS(MPROC_EVENT_ENUM) MPROC_NEVENTS };

#define MPROC_MAGIC	0x6d70726f
#define MPROC_DEATHS	64	/* remembered for the pace of restarts */

struct mproc {
	uint32_t		 magic;
	TAILQ_ENTRY(mproc)	 entry;
	struct master		*master;	/* borrowed */
	struct mcycle		*cycle;		/* borrowed; counts us */
	unsigned		 number;	/* slot 1..N; 0: the monitor;
						 * APW_SCORE_ERRAND */
	struct apw_score_slot	*score;		/* borrowed; NULL: the monitor */
	enum mproc_state	 state;
	pid_t			 pid;		/* 0: no process */
	int			 status;	/* of the last end, as wait(2) has it */
	bool			 stalled;	/* we killed it for that */
	int64_t			 started_ms;
	int64_t			 bye_since_ms;	/* leaving, with nothing in
						 * hand, since; 0: not */
	struct event		*timer;		/* owned */
	int64_t			 death_ms[MPROC_DEATHS]; /* ring */
	unsigned		 deaths;	/* ever; index of the next */
};

TAILQ_HEAD(mprocs, mproc);

/* A process record in state DOWN under this cycle; it is in the master's
 * list until it settles.  NULL: no memory or no scoreboard record left. */
struct mproc *master_proc_new(struct master *, struct mcycle *, unsigned number,
	    struct apw_err *);
void	master_proc_feed(struct mproc *, enum mproc_event);
/* Feed to all slots (of one cycle, or of all: NULL); not to the monitor. */
void	master_slots_feed(struct master *, const struct mcycle *,
	    enum mproc_event);
struct mproc *master_proc_by_pid(struct master *, pid_t);
unsigned master_slots_count(const struct master *);
const char *master_proc_name(const struct mproc *, char *buf, size_t);
/* One that takes any job: not the monitor, not the errand. */
bool	master_is_slot(const struct mproc *);
const char *master_state_name(enum mproc_state);
const char *master_event_name(enum mproc_event);
/* Does this cell of the table hold an action? */
bool	master_cell_acts(enum mproc_state, enum mproc_event);

/* pace.c: remember a death; how long to wait before the next start.
 * *rests: the burst is used up. */
int64_t	master_pace(struct mproc *, const struct apw_main_conf *,
	    int64_t now_ms, bool *rests);

/* obituary.c: the line about an end that nobody asked for. */
void	master_obituary(const struct mproc *, const char *next,
	    int64_t rest_ms);

/* look.c: what the kernel says of a process that is about to be killed. */
void	master_look(const struct mproc *, const char *why);

/* watch.c */
void	master_watch_progress(struct master *, int64_t now, bool late);
bool	master_watch_boots(struct master *);
void	master_say_progress(struct master *, int64_t now);

/* child.c */
int	master_proc_fork(struct mproc *, struct apw_err *);
void	master_proc_signal(const struct mproc *, int signo);

/* trial.c: was it the canary of a reload that ended?  Then the reload has
 * been refused and the process record is gone. */
bool	master_trial_lost(struct mproc *);

/* leave.c: the last word on a process that settled. */
void	master_on_settled(struct master *);

#endif
