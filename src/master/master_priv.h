/* The master: what its files share.  Room master only. */
#ifndef APW_MASTER_PRIV_H
#define APW_MASTER_PRIV_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <event2/event.h>

#include "core/apw_conf.h"
#include "core/apw_cycle.h"
#include "core/apw_log.h"
#include "core/apw_score.h"
#include "master/listen.h"
#include "master/procs_priv.h"

#define MASTER_MONITOR_PATIENCE_MS	3000
#define MASTER_INNOCENTS		256

/* A cycle and the processes that run under it.  Freed when it is not the
 * current one and its last process has gone. */
struct mcycle {
	struct apw_cycle	*conf;		/* owned */
	unsigned		 procs;
	bool			 current;
	bool			 first;
};

/* A configuration that is to take over. */
struct mtrial {
	struct mcycle		*next;		/* owned; NULL: none */
	unsigned		 changes;	/* APW_CHANGES_* */
	struct apw_listeners	 listeners;	/* of next */
	struct mproc		*monitor;	/* of next; NULL: none made */
	bool			 keep_monitor;
	struct mproc		*canary;	/* first new slot; NULL: none */
	int64_t			 began_ms, until_ms;
	char			*notes;		/* owned: what needs a restart */
	char			*warnings;	/* owned: of the reader */
};

/* Of the errands so far, for when the next may start. */
struct merrand {
	bool			 there;		/* at the last tick */
	bool			 useful;	/* it had a job */
	int64_t			 left_ms;	/* the last one did, then */
	int64_t			 pause_ms;	/* to keep since; 0: none */
};

/* Old slots that still have to be told to leave. */
struct mroll {
	struct mcycle		*old;		/* counted; NULL: none */
	unsigned		 drained;
	int64_t			 until_ms;
};

/* Two masters beside each other: we are the old one (pid) or the new one
 * (old_pid). */
struct mupgrade {
	pid_t			 pid;		/* of the new one; 0: none */
	pid_t			 old_pid;	/* 0: none */
	struct event		*ready_event;	/* owned, with its descriptor */
	char			*pid_path;	/* owned: ours before; NULL */
	bool			 up;		/* the new one serves */
	bool			 again;		/* when the reload is through */
};

struct mnotify {
	int			 fd;		/* -1: nobody to tell */
	char			 path[108];
	char			 status[160];	/* as told last */
	int64_t			 watchdog_ms;	/* 0: none wanted */
	int64_t			 fed_ms, told_ms;
};

/* How we are leaving; a later one outdoes an earlier one. */
enum mleave { LEAVE_NOT, LEAVE_DRAIN, LEAVE_STOP, LEAVE_NOW };

/* A folder that slots wait on. */
struct mfolder {
	char			*path;		/* owned */
	dev_t			 dev;
	ino_t			 ino;		/* 0: it is not there */
	int			 wd;		/* -1: not watched */
	bool			 said;		/* that it cannot be made */
};

#define MASTER_FOLDERS	4
struct mfolders {
	int			 fd;		/* inotify; 0: none */
	struct event		*event;		/* owned */
	struct mfolder		 v[MASTER_FOLDERS];
	size_t			 n;
	bool			 watched;	/* all of them */
	bool			 said;		/* that they are not */
	int64_t			 look_ms, retry_ms;
};

/* `apworkerctl stop --now` */
#define APW_SIGNAL_NOW	SIGRTMIN

#define MASTER_SIGNALS 9

#define MASTER_MAGIC	0x6d617374
struct master {
	uint32_t		 magic;
	const struct apw_conf_options *options;	/* borrowed */
	pid_t			 pid;		/* ours */
	struct event_base	*base;		/* owned */
	struct event		*signals[MASTER_SIGNALS]; /* owned */
	struct event		*tick;		/* owned */
	struct event		*sweeper;	/* owned */
	struct event		*deadline;	/* owned; leave.c */
	struct apw_score	*score;		/* shared memory */
	struct mcycle		*cycle;		/* the current one */
	struct apw_listeners	 listeners;	/* the monitor's, of `cycle` */
	struct mproc		*monitor;	/* of `cycle`; NULL: none */
	struct mprocs		 procs;
	struct mtrial		 trial;
	struct mroll		 roll;
	struct mupgrade		 upgrade;
	struct mnotify		 notify;
	struct mfolders		 folders;
	struct merrand		 errand;
	bool			 reload_again;	/* asked for meanwhile */
	bool			 inherited;	/* the listeners: others serve
						 * on them, too */
	uint32_t		 lanes;		/* number of our first one */
	enum mleave		 leave;
	bool			 hurry;		/* the monitor too, at once */
	bool			 slots_drained;	/* SIGWINCH: none wanted */
	bool			 on_terminal;
	bool			 daemon;
	char			*pid_path;	/* owned; as at the start */
	int			 pid_fd;
	int			 state_fd;	/* the lock on `state` */
	int64_t			 tick_ms;	/* of the last tick */
	int64_t			 grace_until_ms;
	int64_t			 stop_ms;	/* told to leave, last, then */
	int64_t			 progress_ms;	/* last line about draining */
	int64_t			 sweep_until_ms;
	bool			 sweep_told;	/* of this end */
	pid_t			 innocent[MASTER_INNOCENTS];
	size_t			 ninnocent;
	int			 exit_code;
};

/* master.c: runs until told to leave; the exit status. */
int	apw_master_run(struct master *);
struct apw_handoff;
int	apw_master_start(struct master *, struct apw_cycle *,
	    const struct apw_handoff *, struct apw_err *);
void	apw_master_free(struct master *);
void	master_loop_forget(struct master *);	/* in a fresh child */

/* leave.c */
void	master_on_quit(evutil_socket_t, short, void *);
void	master_on_stop(evutil_socket_t, short, void *);
void	master_on_now(evutil_socket_t, short, void *);
void	master_on_leave_timer(evutil_socket_t, short, void *);
void	master_go_on_leaving(struct master *);

/* watch.c: what draining waits for. */
struct mwaited {
	unsigned		 busy, polls;	/* slots with a job, or a poll
						 * that is parked */
	int64_t			 longest_ms;	/* of the jobs, up to now */
	int64_t			 poll_ms;	/* until the last poll is over */
};
void	master_waited(const struct master *, int64_t now, struct mwaited *);
/* "2 slots busy, longest 41 s; 2 polls parked, 31 s left"; "": nothing. */
void	master_waited_text(const struct master *, int64_t now,
	    const struct mwaited *, char *buf, size_t);

/* errand.c */
void	master_errand_tick(struct master *, int64_t now);

/* cycle.c */
void	master_cycle_release(struct mcycle *);	/* one process less */
/* On success the trial owns the configuration. */
int	master_cycle_prepare(struct master *, struct apw_cycle *,
	    struct mtrial *, struct apw_err *);
void	master_cycle_abandon(struct master *, struct mtrial *);
struct mcycle *master_cycle_commit(struct master *, struct mtrial *,
	    bool rolling);
/* Without a trial: the first one. */
int	master_cycle_adopt(struct master *, struct apw_cycle *,
	    struct apw_err *);

/* reload.c */
void	master_reload(struct master *);
void	master_reload_refused(struct master *, int64_t began_ms, char *text);
void	master_reload_take(struct master *, bool rolling);

/* trial.c */
void	master_trial_begin(struct master *);
void	master_trial_refuse(struct master *, const char *why);
void	master_trial_end(struct master *);
void	master_roll_end(struct master *);	/* all old slots drain now */
/* At each tick; true: look again soon. */
bool	master_trial_watch(struct master *, int64_t now, int64_t late_ms);

/* upgrade.c */
void	master_upgrade_init(void);
void	master_upgrade(struct master *);
bool	master_upgrade_ended(struct master *, pid_t, int status);
void	master_upgrade_tell(struct master *, int ready_fd);
void	master_upgrade_watch(struct master *);
void	master_upgrade_free(struct master *);
/* Does another binary serve on our addresses, too? */
bool	master_upgrade_peer(const struct master *);

/* notify.c */
void	master_notify_init(struct master *);
void	master_notify(struct master *, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
void	master_notify_reloading(struct master *);
void	master_notify_tick(struct master *, int64_t now);

/* check.c: what parsing cannot tell: can this host run the sandbox mode?
 * Complaints go to `out`.  Returns -1 when there was any. */
int	master_check(const struct apw_cycle *, FILE *out);
/* files.c: raise the soft limit of open files to what this configuration
 * needs; -1: the hard one does not allow that. */
int	master_files(const struct apw_cycle *, struct apw_err *);

/* reap.c */
void	master_on_child(evutil_socket_t, short, void *);
void	master_on_sweep(evutil_socket_t, short, void *);
void	master_note_innocents(struct master *);
size_t	master_sweep(struct master *);	/* strangers that are left */
void	master_last_sweep(struct master *);	/* bounded; nothing is left */

#endif
