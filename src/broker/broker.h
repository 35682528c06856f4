/* Brokers: who makes the boxes that engines run in.
 *
 * A broker is a small single-threaded process beside its slot.  It holds the
 * privileges that making a box takes (the root's, or those of a user
 * namespace of its own), one template mount namespace, one control group,
 * and makes one box at a time.  It reads fixed-size requests from its slot
 * and nothing else; what an engine writes never reaches it.
 *
 *	slot ── broker            asks, is answered; each dies with the other
 *	  └──── init ── engine    the box: init is the slot's child, so the slot
 *	                          waits for it as for any child of its own
 *
 * All calls below are made by the slot; they block for the few milliseconds
 * a box takes, bounded by APW_BROKER_WAIT_MS. */
#ifndef APW_BROKER_H
#define APW_BROKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/apw_err.h"

#define APW_BROKER_WAIT_MS	10000

/* As root: of the first box's uid; the slot's number is added. */
#define APW_BROKER_FIRST_UID	60000

/* Where things are inside of a box. */
#define APW_BOX_COMMON		"/root/common"
#define APW_BOX_CODES		"/root/codes"
#define APW_BOX_CUSTOM_PIECES	"/root/custom_pieces"
#define APW_BOX_NODE		"/box/node"
#define APW_BOX_NODE_MODULES	"/box/node_modules"
#define APW_BOX_CA_FILE		"/box/ca.pem"
#define APW_BOX_DENO		"/box/deno"
#define APW_BOX_BUILD		"/build"
#define APW_BOX_CACHE_DIR	"/cache"

/* Is this path of the host the same inside?  Otherwise node and its modules
 * are at the places above. */
bool	apw_box_in_usr(const char *path);

/* The listeners in a box that has a network of its own. */
#define APW_BOX_LINK_PORT	52001
#define APW_BOX_PROXY_PORT	52000

struct apw_box_limits {			/* 0: not limited */
	uint64_t	tmp_bytes;	/* size of /tmp; also in memory */
	uint64_t	file_bytes;	/* largest file */
	unsigned	tmp_files;	/* inodes of /tmp */
	unsigned	pids;		/* processes and threads */
	unsigned	open_files;	/* of each process */
	unsigned	cpu_percent;	/* of one core: 150 is one and a half */
	unsigned	cpu_weight;	/* 1..10000, 100 is everybody's */
	unsigned	cpu_seconds;	/* of each process */
};

struct apw_broker_conf {		/* borrowed until start returns */
	unsigned	 slot;
	const char	*node;		/* absolute, of the host */
	const char	*node_modules;	/* directory of the host, or NULL */
	const char	*ca_file;	/* of the host, or NULL */
	const char	*deno;		/* absolute, of the host, or NULL */
	const char	*common;	/* the stock's folders: engine, pieces;
					 * NULL: no box will be asked for */
	const char	*codes;
	const char	*custom_pieces;	/* or NULL */
	const char	*host_tmp;	/* where hardened engines that keep the
					 * host's files may write; or NULL */
	const char	*pasta;		/* its program, or NULL */
	uid_t		 uid;		/* boxes' own, when we are root */
	gid_t		 gid;
	/* Of engines with the host's files; gid and groups count as root. */
	uid_t		 host_uid;
	gid_t		 host_gid;
	const gid_t	*host_groups;
	size_t		 host_ngroups;
	/* How many boxes of this daemon there may be at a time: as an ordinary
	 * user they share what the kernel counts for it; 0: one. */
	unsigned	 boxes;
	struct apw_box_limits limits;
	/* Nothing but boxes without the host's files and without a way
	 * outside will be asked for: the broker gives up what those need. */
	bool		 only_boxes;
	/* Of builders; then nothing of the above is in their boxes but what
	 * every box has: */
	bool		 builds;
	const char	*staging;	/* whose folders they write */
	const char	*cache;		/* which they write when told to */
	const char *const *reads;	/* what they see, at the same place;
					 * NULL ends; not there: left out */
	/* Process 1 of each box: its title, and the memory of this program
	 * that ps shows; 0 bytes: none. */
	char		*title_at;
	size_t		 title_bytes;
	const char	*box_title;
	/* In the broker: wipe what its memory need not know; or NULL. */
	void		(*forget)(void *);
	void		*forget_arg;
};

struct apw_broker;			/* the slot's side */

/* Fork a broker.  Call it while the process is small, still has the
 * privileges that boxes need, and before secrets are read: the copy keeps
 * what memory holds.  The template is made with the first box. */
struct apw_broker *apw_broker_start(const struct apw_broker_conf *,
	    struct apw_err *);
/* conf.builds: one that only makes others, each with boxes of its own; its
 * way to it is inherited, and may be used by several processes at a time.
 * The new one ends with whoever asked for it. */
struct apw_broker *apw_broker_open(const struct apw_broker *,
	    struct apw_err *);
/* The way to it: what a process that was forked has to keep open. */
int	apw_broker_fd(const struct apw_broker *);
/* Its process: the slot's child, reaped by apw_broker_stop(). */
pid_t	apw_broker_pid(const struct apw_broker *);
/* It is to end, and its box with it; the broker is still to be stopped.
 * Several are told first, and end at the same time. */
void	apw_broker_hang_up(struct apw_broker *);
/* End the broker and its box, in three seconds at most; one that the kernel
 * holds for longer is left to end later.  NULL is allowed. */
void	apw_broker_stop(struct apw_broker *);

/* A daemon that has been given a control group of version 2 moves to one
 * below it, and leaves room beside it for its boxes.  Before the first fork.
 * Returns the group that was given, or -1: all stays as it is.  leave() is
 * for who has made no child that lives; it closes it. */
int	apw_broker_home(void);
void	apw_broker_home_leave(int given_fd);

/* Control groups of brokers that were killed, on this host: removed, and what
 * is in them killed.  Those of living ones, of any daemon, stay. */
void	apw_broker_sweep(void);

enum apw_box_flag {
	APW_BOX_OWN_NET	= 1 << 0,	/* empty network, two listeners; the
					 * box proves it before it starts */
	APW_BOX_ISOLATES = 1 << 1,	/* the engine runs V8 isolates */
	APW_BOX_OUTSIDE	= 1 << 2,	/* with OWN_NET: led to the outside */
	/* Not a box's files, users and limits, but the host's as host_uid
	 * sees them: all that is its own is its processes, its /proc (where
	 * that can be mounted), and its network with OWN_NET. */
	APW_BOX_HOST_FILES = 1 << 3,
	/* It has a processor when nobody else wants it, until something is
	 * admitted; where boxes have a weight. */
	APW_BOX_AHEAD	= 1 << 5,
	/* HOST_FILES: the syscall filter, too, and the order's rules. */
	APW_BOX_HARDEN	= 1 << 4,
	APW_BOX_CACHE	= 1 << 6,	/* builders: they write the cache */
};

struct apw_box_order {			/* borrowed */
	unsigned	  flags;
	uint64_t	  memory_bytes;	/* of all processes together; 0: none */
	const char *const *argv;
	const char *const *envp;
	const char	 *cwd;		/* inside; NULL: /root */
	const char	 *staging;	/* builders: the name of their folder */
	int		  out_fd;	/* the engine's stdout and stderr */
	int		  err_fd;
	int		  rules_fd;	/* HARDEN: Landlock rules to enter, to
					 * which its /proc is added; -1: none */
};

struct apw_box {			/* the caller owns what is in it */
	pid_t	pid;			/* its init: a child of the caller */
	pid_t	engine_pid;		/* of the command; 0: not known */
	int	pidfd;
	int	status_fd;		/* for apw_broker_end() */
	int	link_fd, proxy_fd;	/* listeners; -1 without a own network */
};

/* Make a box and start the command in it.  One at a time: the one before
 * must have been ended with apw_broker_end(). */
int	apw_broker_boot(struct apw_broker *, const struct apw_box_order *,
	    struct apw_box *, struct apw_err *);

enum apw_admit { APW_ADMIT_FLOW, APW_ADMIT_PLATFORM };

/* Can boxes of these flags be made here?  Makes one, up to where its command
 * would begin, whether there is a box or not. */
int	apw_broker_try(struct apw_broker *, unsigned flags, struct apw_err *);

/* Let the code of one flow version, or the custom pieces of one platform,
 * appear in the box (before or after its boot): a job begins, as with
 * apw_broker_mark().  id is one path segment.
 * 1: there; 0: the stock has no such folder; -1 error. */
int	apw_broker_admit(struct apw_broker *, enum apw_admit, const char *id,
	    struct apw_err *);

/* Both, in the time of one; an id may be NULL. */
int	apw_broker_admit_both(struct apw_broker *, const char *flow_version_id,
	    const char *platform_id, struct apw_err *);

/* Booted AHEAD, it has its whole weight from now on. */
void	apw_broker_hurry(struct apw_broker *);

/* Another job begins in the box: memory kills until now are not its. */
void	apw_broker_mark(struct apw_broker *);

/* SIGKILL to everything in the box, now. */
int	apw_broker_kill(struct apw_broker *, struct apw_err *);

struct apw_box_end {			/* evidence */
	bool	 told;			/* the box said how its command ended */
	int	 code;			/* -1 when a signal ended it */
	int	 signal;
	bool	 oom_known;		/* oom_kills was counted */
	uint64_t oom_kills;		/* by the kernel, in this box, since
					 * its last job began */
	uint64_t pids_denied;		/* forks refused by the limit */
	uint64_t memory_peak_bytes;	/* 0: not known */
	uint64_t cpu_ms;
};

/* The box's init has ended (its pidfd is readable): take away what was
 * admitted, collect the evidence.  Closes the descriptors of the box. */
int	apw_broker_end(struct apw_broker *, struct apw_box *,
	    struct apw_box_end *, struct apw_err *);

/* Which limits hold for a whole box here, as words: "cgroup v1: memory,
 * pids, cpu; rlimits".  Asks the broker. */
int	apw_broker_describe(struct apw_broker *, char *text, size_t size,
	    struct apw_err *);

#endif
