/* The scoreboard: shared memory, one fixed record a slot.  Made by the
 * master; each field has one writer (named below), everybody may read.
 * Readers may see a record in the middle of a change: numbers are atomic,
 * texts are guarded by `seq` (odd while being written).
 *
 * Head, monitor and each slot have pages of their own: a process can write
 * its own and no other (apw_score_narrow).  What the slots of a machine have
 * to know of each other is copied by the master to pages that all can read. */
#ifndef APW_SCORE_H
#define APW_SCORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/apw_err.h"

#define APW_SCORE_SLOTS	2048	/* records: running plus draining slots */
#define APW_SCORE_PAGE	4096	/* what a record has to itself */
#define APW_SCORE_NUMBERS 1024	/* slots of one configuration */
#define APW_SCORE_ERRAND (APW_SCORE_NUMBERS + 1) /* one that is not counted
				 * among them: see master/errand.c */

/* What is counted, of a slot and of all; none of them ever goes back. */
#define APW_SCORE_COUNTS(X)						\
	X(starts) X(deaths) X(jobs_started) X(jobs_ok) X(jobs_failed)	\
	X(jobs_unknown)							\
	X(engine_starts) X(engine_deaths) X(reconnects) X(busy_ms)	\
	X(egress_allowed) X(egress_blocked) X(egress_failed)		\
	X(egress_sent_bytes) X(egress_received_bytes) X(log_dropped)

/* Life of a slot as its master sees it, then what it does while ready. */
#define APW_SLOT_STATES(X)						\
	X(FREE, "free")		/* no process has this record */	\
	X(BOOTING, "booting")	/* forked, settings not known */	\
	X(CONNECTING, "connecting") /* no app connection */		\
	X(BLOCKED, "blocked")	/* will not take jobs; `why` says it */	\
	X(IDLE, "idle")		/* polling */				\
	X(BUSY, "busy")		/* has a job */				\
	X(DRAINING, "draining")	/* finishes, then leaves */		\
	X(RESTING, "resting")	/* died too often; waits */		\
	X(DEAD, "dead")
#define APW_SLOT_STATE_ENUM(name, text) APW_SLOT_##name,
enum apw_slot_state { APW_SLOT_STATES(APW_SLOT_STATE_ENUM) APW_SLOT_NSTATES };

/* What a canary has to say: can its configuration run jobs here? */
enum apw_slot_proof { APW_PROOF_NONE, APW_PROOF_PASSED, APW_PROOF_FAILED };

struct apw_score_slot {
    union {
	char	 page[APW_SCORE_PAGE];
	struct {
	/* written by the master */
	_Atomic uint32_t number;	/* slot number 1..N, or APW_SCORE_ERRAND;
					 * 0: free record */
	_Atomic uint32_t lane;		/* as no other living slot's, draining
					 * ones and an upgrade's included: for
					 * what a slot has to itself on a host */
	_Atomic uint32_t trial;		/* bool: a canary, prove before polling */
	_Atomic uint32_t watched;	/* bool: the master tells it (SIGURG) when
					 * something moves in the folders that it
					 * waits on; else it looks each second */
	_Atomic uint32_t cycle;
	_Atomic int32_t	 pid;
	_Atomic uint32_t starts;	/* processes this slot has had */
	_Atomic uint32_t deaths;	/* of which died unasked */
	_Atomic int64_t	 started_wall_ms;
	_Atomic int64_t	 rest_until_ms;	/* monotonic; 0: not resting */

	/* written by the slot (state also by the master: RESTING, DEAD, FREE) */
	_Atomic uint32_t state;		/* enum apw_slot_state */
	_Atomic int64_t	 state_since_ms;
	_Atomic int64_t	 tick_ms;	/* monotonic; event loop was alive then */
	_Atomic int64_t	 last_poll_ms;	/* a poll was answered then */
	_Atomic uint64_t jobs_started, jobs_ok, jobs_failed;
	_Atomic uint64_t jobs_unknown;	/* of a type that nothing here does */
	_Atomic uint64_t engine_starts, engine_deaths;
	_Atomic uint64_t reconnects;
	_Atomic uint64_t log_dropped;	/* lines that could not be written */
	_Atomic int64_t	 poll_until_ms;	/* monotonic; the poll that is parked
					 * at the app is over then; 0: none */
	_Atomic int64_t	 poll_round_ms;	/* monotonic; a slot that polls did so,
					 * or was answered, last then; 0: it
					 * does not poll */
	_Atomic int32_t	 engine_pid;
	_Atomic uint64_t engine_bytes;	/* in memory, of it and its children */
	_Atomic int64_t	 pinged_ms;	/* monotonic; the app was asked how far
					 * it is; 0: never */
	_Atomic int32_t	 ping_ms;	/* it is so far; -1: no answer */
	_Atomic int64_t	 job_since_ms;	/* monotonic; 0: no job */
	_Atomic uint64_t busy_ms;
	_Atomic uint64_t egress_allowed, egress_blocked, egress_failed;
	_Atomic uint64_t egress_sent_bytes, egress_received_bytes;
	_Atomic uint32_t proof;		/* enum apw_slot_proof */
	_Atomic int64_t	 step_until_ms;	/* monotonic; the job's step is over
					 * then, one way or the other; 0: no
					 * job */
	_Atomic uint32_t declines;	/* bool: its source takes back a job that
					 * somebody does not want */

	/* texts: written by the slot under seq */
	_Atomic uint32_t seq;
	char	 phase[32];		/* step of the job: "stock", "boot", "run" */
	char	 job_id[64];
	char	 job_type[40];
	char	 mode[32];
	char	 why[256];		/* reason of CONNECTING or BLOCKED */
	char	 app_version[32];
	char	 notice[256];		/* what is odd about the app; "" */
	char	 network[16];		/* "strict" */
	char	 network_from[32];	/* who said so */
	char	 fence[16];		/* what holds it: "namespace" */
	char	 network_rules[1024];	/* of its proxy; "" without one */
	};
    };
};

#define APW_SCORE_COUNT_ATOMIC(name) _Atomic uint64_t name;
#define APW_SCORE_COUNT_PLAIN(name) uint64_t name;

/* What records that were freed had counted. */
struct apw_score_past { APW_SCORE_COUNTS(APW_SCORE_COUNT_ATOMIC) };

/* A copy. */
struct apw_score_counts { APW_SCORE_COUNTS(APW_SCORE_COUNT_PLAIN) };

/* What all slots may know of one of them. */
struct apw_score_sandbox {
	_Atomic uint32_t number, cycle;
	_Atomic uint32_t busy;		/* bool */
	_Atomic uint64_t bytes;
};

#define APW_SCORE_SANDBOXES 250		/* more are not told of */

struct apw_score_machine {
	_Atomic uint32_t n;
	_Atomic int64_t	 pinged_ms;	/* the last one of any slot */
	_Atomic int32_t	 ping_ms;
	struct apw_score_sandbox sandbox[APW_SCORE_SANDBOXES];
};

struct apw_score {
    union {
	char	 head_page[APW_SCORE_PAGE];
	struct {
	uint32_t	 magic;
	_Atomic int32_t	 master_pid;
	_Atomic int64_t	 tick_ms;	/* monotonic; the master's loop turned then */
	_Atomic uint32_t cycle;		/* current configuration */
	_Atomic uint32_t slots;		/* wanted by the current configuration */
	_Atomic int64_t	 started_wall_ms;
	_Atomic int64_t	 reloaded_wall_ms;
	_Atomic uint32_t reloads_ok, reloads_failed;
	_Atomic int64_t	 reload_began_ms; /* monotonic; the last one that has a result */
	_Atomic uint32_t reload_refused; /* bool: it has been */
	_Atomic uint32_t reloading;	/* bool: one is under way, or asked for */
	_Atomic uint32_t records;	/* of slot[], that were ever used: look no further */
	_Atomic uint32_t draining;	/* bool: the daemon is leaving */
	_Atomic uint32_t past_seq;	/* odd while counts move to `past` */
	_Atomic uint32_t inherited;	/* bool: `past` has what the binary
					 * before us (SIGUSR2) has counted */
	_Atomic int64_t	 jobs_until_ms;	/* monotonic; leaving: jobs in hand
					 * have so long; 0: no limit */
	struct apw_score_past past;	/* written by the master */
	_Atomic uint32_t seq;		/* guards the text below; master writes */
	char		 reload_error[512];
	};
    };
    union {				/* written by the monitor */
	char	 monitor_page[APW_SCORE_PAGE];
	struct {
	_Atomic int64_t	 monitor_tick_ms;
	_Atomic uint64_t monitor_log_dropped;
	};
    };
    union {				/* written by the master, read by all */
	char	 machine_page[2 * APW_SCORE_PAGE];
	struct apw_score_machine machine;
    };
	/* the part of `past` that slots of this number counted: written by
	 * the master */
	struct apw_score_past was[APW_SCORE_NUMBERS];
	struct apw_score_slot slot[APW_SCORE_SLOTS];
};
_Static_assert(sizeof(struct apw_score_past) * APW_SCORE_NUMBERS %
    APW_SCORE_PAGE == 0, "records have pages of their own");
_Static_assert(sizeof(struct apw_score_machine) <= 2 * APW_SCORE_PAGE &&
    sizeof(struct apw_score_slot) == APW_SCORE_PAGE, "all fit their pages");

/* Shared memory without a name; only touched pages cost anything. */
struct apw_score *apw_score_new(struct apw_err *);
/* In a child of the master, before it closes descriptors and becomes anybody
 * else: from now on it can write the page of its record only, for good.
 * own NULL: the monitor, which reads all and writes its own page; a slot does
 * not even see the others, but for what the machine's pages say of them. */
void	apw_score_narrow(struct apw_score *, struct apw_score_slot *own);

/* The writer's side of a text: begin, change, end. */
void	apw_score_begin(_Atomic uint32_t *seq);
void	apw_score_end(_Atomic uint32_t *seq);
/* Copy a text consistently; always NUL-terminated. */
void	apw_score_text(const _Atomic uint32_t *seq, char *dst, size_t dst_size,
	    const char *src, size_t src_size);

/* In the master, now and then: what the slots' records say goes to the
 * machine's pages. */
void	apw_score_machine_update(struct apw_score *);
/* For slots; NULL: there is no scoreboard. */
const struct apw_score_machine *apw_score_machine(void);

/* The record is free from now on; what it has counted stays. */
void	apw_score_release(struct apw_score *, struct apw_score_slot *);
/* All that was counted since the start, by the binary before us, too. */
void	apw_score_count(const struct apw_score *, struct apw_score_counts *);
/* Of one slot: what its predecessors of that number had counted is added. */
void	apw_score_count_slot(const struct apw_score *,
	    const struct apw_score_slot *, bool with_past,
	    struct apw_score_counts *);

/* To be inherited by another binary; -1: there is nothing to inherit. */
int	apw_score_fd(void);
/* What the binary before us counts is ours, too; takes the descriptor.  Its
 * slots may go on counting until inherit_end(). */
int	apw_score_inherit(struct apw_score *, int fd, struct apw_err *);
void	apw_score_inherit_end(struct apw_score *);

void	apw_score_state(struct apw_score_slot *, enum apw_slot_state);
const char *apw_slot_state_name(enum apw_slot_state);

#endif
