/* The broker's inside: shared by the files of the room only. */
#ifndef APW_BROKER_PRIV_H
#define APW_BROKER_PRIV_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include "broker/broker.h"
#include "broker/landlock.h"
#include "broker/message.h"
#include "core/apw_err.h"

#define BOX_UID		1000	/* inner; not 0: exec must drop everything */
#define BOX_GID		1000

struct cgroup;

/* What leads a box outside; -1 and 0 where there is nothing. */
struct outside {
	pid_t	keeper;
	int	life_fd;		/* pasta ends when this closes */
	int	text_fd;		/* what it writes; open while it lives */
	int	net_fd, user_fd;	/* of the box */
};
#define OUTSIDE_NONE	((struct outside){ 0, -1, -1, -1, -1 })

/* counts.c */
#define BROKER_COUNTS		8
#define BROKER_COUNT_BYTES	24

struct broker {
	const struct apw_broker_conf *conf;	/* borrowed */
	int	sock;
	bool	root;			/* else in a user namespace of our own */
	uid_t	outer_uid;		/* what the inner uid is outside of the box */
	gid_t	outer_gid;
	int	home_fd;		/* our mount namespace */
	int	host_fd;		/* as the host's: nothing of ours in it */
	bool	host_proc;		/* engines there get a /proc of their own */
	bool	host_walls;		/* hardened ones a read-only host, too */
	int	template_fd;		/* the boxes'; -1: not made yet */
	int	common_fd, codes_fd;	/* the stock's folders, O_PATH */
	int	custom_fd;		/* or -1 */
	int	lane_fd;		/* root of what is admitted, O_PATH */
	int	staging_fd, cache_fd;	/* builders', O_PATH */
	int	idmap_fd;		/* whose files are whose in there; or -1 */
	int	oom_fd;			/* our own score of /proc; or -1 */
	char	oom_score[8];		/* what is in there between boxes */
	int	canary_fd;		/* see attest.c; -1: not needed yet */
	unsigned canary_port;
	bool	lean;			/* our copies are as small as can be */
	char	flow[BROKER_ID_BYTES];	/* admitted; "": none */
	bool	custom;			/* a platform's pieces are admitted */
	struct cgroup *cgroup;		/* NULL: none to be had */
	bool	cgroup_tried;
	int	scope_fd;		/* Landlock's rules for boxes; -1: no
					 * such kernel */
	struct sock_fprog filter;	/* what boxes add to ours */
	struct sock_fprog host_filter;	/* of hardened engines; compiled once */

	/* What boxes write into /proc/sys, as texts; "": not on this kernel. */
	char	counts[BROKER_COUNTS][BROKER_COUNT_BYTES];
	unsigned files_most;		/* descriptors of who has our uid */
	uint64_t socket_bytes;		/* what one socket may have sent */

	struct outside outside;		/* of the box */

	/* the box */
	pid_t	pid;			/* 0: none */
	int	pidfd;
	int	life_fd;		/* its init ends when this closes */
};

/* What the first process of a box is told; it is a copy of the broker. */
struct box_plan {
	const struct broker	*b;
	unsigned		 flags;
	bool			 trial;		/* nothing is executed */
	uint64_t		 memory_bytes;
	const struct apw_box_limits *limits;
	int			 talk_fd;	/* to the broker, until exec */
	int			 life_fd;
	int			 command_fd, out_fd, err_fd, status_fd;
	int			 rules_fd;	/* -1: none */
	int			 codes_fd;	/* what is admitted; -1: no walls */
	int			 build_fd, cache_fd;	/* a builder's; or -1 */
	char			 tmp_options[80];	/* of its /tmp */
};

/* The first words on talk_fd are the broker's (go, one byte); then the box's:
 * one when it wants to be led outside (answered by one byte), one with the
 * listeners when it has a network, one by which the engine shows its pid, and
 * one more only when a step failed.  It closes with exec. */
#define BOX_WORD_LISTENERS	-1
#define BOX_WORD_ENGINE		-2	/* only with the host's files */
#define BOX_WORD_OUTSIDE	-3

struct box_word {
	int	step;		/* or one of the above */
	int	error;
};

#define BOX_STEPS(X)							\
	X(GO, "cannot hear from its broker")				\
	X(DEATHSIG, "cannot tie its life to the slot's")		\
	X(USER, "cannot take its uid")					\
	X(LOOPBACK, "cannot bring its loopback up")			\
	X(LISTEN, "cannot listen on its loopback")			\
	X(OUTSIDE, "was not led outside")				\
	X(LINKS, "has other network interfaces than its loopback")	\
	X(ROUTES, "has routes that lead out of it")			\
	X(CANARY, "can reach the host's loopback")			\
	X(HEARD, "cannot reach its own listeners")			\
	X(PROC, "cannot mount its /proc")				\
	X(TMP, "cannot mount its /tmp")					\
	X(WALLS, "cannot make the host's files read-only")		\
	X(PLACES, "cannot mount what it builds in")			\
	X(HOSTNAME, "cannot set its host name")				\
	X(KEYRING, "cannot take a keyring of its own")			\
	X(COMMAND, "cannot read its command")				\
	X(FORK, "cannot fork the engine")				\
	X(STDIO, "cannot set up standard streams")			\
	X(FDS, "cannot keep the descriptors of its first process")	\
	X(CLOSE, "cannot close what is not its own")			\
	X(LIMITS, "cannot set limits")					\
	X(CWD, "cannot enter its directory")				\
	X(CAPS, "cannot drop capabilities")				\
	X(NOPRIVS, "cannot set no_new_privs")				\
	X(LANDLOCK, "cannot close abstract sockets off")		\
	X(FILTER, "cannot install the syscall filter")			\
	X(EXEC, "cannot execute its command")
#define BOX_STEP_ENUM(name, text)	BOX_##name,

enum box_step { BOX_STEPS(BOX_STEP_ENUM) BOX_NSTEPS };

/* broker.c */
_Noreturn void broker_main(const struct apw_broker_conf *, int sock,
	    pid_t parent);
/* In a process that is about to be an engine: no signal is ignored. */
void	broker_signals_back(void);

/* Serve whoever is at the other end until it is gone, and end. */
_Noreturn void broker_serve(struct broker *);
/* Say it once, as the answer to whatever is asked first. */
void	broker_decline(struct broker *, const struct apw_err *);
/* Until there is a request or the slot is gone; false: we are to end. */
bool	broker_wait(const struct broker *);
/* Whatever boxes of these flags are cloned from. */
int	broker_ready(struct broker *, unsigned flags, struct apw_err *);

/* lean.c: before the first clone, when all that boxes share is there */
void	broker_lean(struct broker *);

/* nursery.c: a broker that makes others */
/* why: nothing can be made here; NULL: that is still to be seen.  It stays,
 * to say so. */
_Noreturn void nursery_main(struct broker *, const struct apw_err *why);

/* builder.c: boxes of builders */
/* The nursery: folders, and whose files are whose. */
int	builder_open(struct broker *, struct apw_err *);
/* Before a clone: what the box writes; name NULL: nothing, a trial. */
int	builder_place(struct broker *, struct box_plan *, const char *name,
	    struct apw_err *);
void	builder_place_close(struct box_plan *);
/* In the box: a /tmp of its own, and these. */
void	builder_enter(const struct box_plan *, const char *tmp_options);

/* user.c: who we are, and who a box is */
/* A user namespace in which the slot's user is a box's. */
int	user_idmap(const struct broker *, struct apw_err *);
int	user_enter(struct broker *, struct apw_err *);
int	user_map(const struct broker *, unsigned flags, pid_t,
	    struct apw_err *);
/* Around a clone: when the host runs out of memory engines go first. */
void	user_oom_open(struct broker *);
void	user_oom(const struct broker *, bool first);
/* Around a clone: as root, by the box's own uid, with our capabilities. */
void	user_clone_as(const struct broker *, bool);
/* CLONE_NEWTIME where the kernel was built with it: it hides how long the host
 * has been up, and is no wall. */
uint64_t user_time(void);
/* Does a box of these flags have a user namespace of its own? */
bool	user_own(const struct broker *, unsigned flags);

/* lane.c: what is admitted */
bool	lane_is_name(uint32_t what, const char *id);
int	lane_open(struct broker *, struct apw_err *);
int	lane_admit(struct broker *, enum apw_admit, const char *id,
	    struct apw_err *);
void	lane_clear(struct broker *);

/* template.c */
int	template_make(struct broker *, struct apw_err *);

/* mounts.c: the mount API; all return -1 with errno */
int	mounts_clone(int dir_fd, const char *path, bool recursive);
int	mounts_protect(int fd, bool recursive, uint64_t attrs);
int	mounts_propagate(int fd, uint64_t kind);
int	mounts_attach(int fd, int dir_fd, const char *path);
int	mounts_tmpfs(const char *size, const char *files, const char *mode);
int	mounts_idmap(int fd, int user_fd);
/* The folders on the way to a path, and the place itself. */
int	mounts_place(int root_fd, const char *path, bool folder);

/* lane.c */
/* A folder by name, and not through a link. */
int	lane_folder(int dir_fd, const char *name);

/* etc.c: our own /etc, below the directory */
int	etc_write(int root_fd, struct apw_err *);

/* box.c */
int	box_boot(struct broker *, const struct broker_request *,
	    const int *fds, struct broker_reply *, int out[3], int *nout,
	    struct apw_err *);
int	box_try(struct broker *, unsigned flags, struct apw_err *);
void	box_kill(struct broker *);
int	box_end(struct broker *, struct apw_box_end *, struct apw_err *);

/* host.c: boxes with the host's files */
int	host_prepare(struct broker *, unsigned flags, struct apw_err *);
/* Before a clone: what a hardened engine sees in the place of all code. */
int	host_codes(struct broker *, struct box_plan *, struct apw_err *);
void	host_enter(const struct box_plan *);

/* inside.c: the box's first process */
_Noreturn void inside_main(const struct box_plan *);
_Noreturn void inside_fail(const struct box_plan *, enum box_step);

/* init.c, engine.c: what it becomes */
_Noreturn void init_main(const struct box_plan *, pid_t engine);
_Noreturn void engine_main(const struct box_plan *);
/* In init, when the engine runs: its command is not ours to keep. */
void	engine_forget(void);

/* net.c */
int	net_loopback(void);
int	net_listen(unsigned port);

/* attest.c */
/* A listener on the loopback of who calls, which has been seen to answer;
 * -1 with errno. */
int	attest_canary(unsigned *port);
/* In the box: BOX_NSTEPS when all is as it must be; else which fact is not,
 * with errno. */
enum box_step attest_box(const struct box_plan *, const int fds[2]);

/* The box waits until it has been led outside. */
int	attest_outside(int talk_fd);

/* outside.c: pasta, for a box whose network leads somewhere */
int	outside_hold(const struct broker *, unsigned flags, pid_t box,
	    struct outside *, struct apw_err *);
int	outside_start(const struct broker *, struct outside *,
	    struct apw_err *);
/* Until the box says something; -1: pasta has ended, or time is over. */
int	outside_wait(const struct outside *, int talk_fd, int64_t ms,
	    struct apw_err *);
void	outside_stop(struct outside *);

/* counts.c: what the kernel counts per user, box by box */
/* The broker, once it is who it is. */
void	counts_open(struct broker *);
/* The box's first process, while it sees the host's /proc.  -1 with errno:
 * not all of them could be set. */
int	counts_enter(const struct broker *, unsigned flags);
/* How many descriptors a process in a box may have: what it does not share
 * with us; and so that what sockets hold is bounded where no control group
 * counts it: a half of the memory again. */
unsigned counts_files(const struct broker *, unsigned files,
	    uint64_t memory_bytes);

/* rlimits.c */
int	rlimits_set(const struct box_plan *);

/* caps.c */
bool	caps_have_admin(void);
/* All but the bounding set, which needs a privilege to shrink; own: of a user
 * namespace of our own. */
int	caps_drop(bool own);
void	caps_drop_bounds(void);
int	caps_drop_own_bounds(void);
int	caps_broker(void);
/* What boxes need not find out each. */
void	caps_count(void);

/* filter.c */
/* BROKER and REST are BOX in two parts: see FILTER_BROKER_NEEDS.  ALONE: of
 * hardened engines without namespaces. */
enum filter_kind { FILTER_BOX, FILTER_BOX_NO_MEMORY_GROUP, FILTER_SLOT,
	FILTER_PORTS, FILTER_BROKER, FILTER_BROKER_NO_MEMORY_GROUP,
	FILTER_REST, FILTER_BUILDER, FILTER_ALONE };
int	filter_compile(enum filter_kind, struct sock_fprog *,
	    struct apw_err *);
int	filter_install(const struct sock_fprog *);

/* cgroup.c */
struct cgroup *cgroup_open(const struct broker *);
int	cgroup_limit(struct cgroup *, const struct apw_box_limits *,
	    uint64_t memory_bytes, struct apw_err *);
/* A fraction of its weight, or all of it again. */
void	cgroup_yield(struct cgroup *, bool);
bool	cgroup_holds(const struct cgroup *, const char *controller);
void	cgroup_evidence(struct cgroup *, struct apw_box_end *);
/* What has happened so far is not the next box's. */
void	cgroup_mark(struct cgroup *);
/* What was killed for memory so far is not the next job's. */
void	cgroup_mark_memory(struct cgroup *);
void	cgroup_describe(const struct cgroup *, char *text, size_t);
void	cgroup_close(struct cgroup *);

#endif
