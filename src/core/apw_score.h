/* The scoreboard: shared memory, one fixed record a slot.  Made by the
 * master; each field has one writer (named below), everybody may read.
 * Readers may see a record in the middle of a change: numbers are atomic,
 * texts are guarded by `seq` (odd while being written). */
#ifndef APW_SCORE_H
#define APW_SCORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/apw_err.h"

#define APW_SCORE_SLOTS	2048	/* records: running plus draining slots */

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

struct apw_score_slot {
	/* written by the master */
	_Atomic uint32_t number;	/* slot number 1..N; 0: free record */
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
	_Atomic uint64_t engine_starts, engine_deaths;
	_Atomic uint64_t reconnects;
	_Atomic int32_t	 engine_pid;
	_Atomic int64_t	 job_since_ms;	/* monotonic; 0: no job */
	_Atomic uint32_t busy_ms_total;
	_Atomic uint64_t egress_allowed, egress_blocked, egress_failed;
	_Atomic uint64_t egress_sent_bytes, egress_received_bytes;

	/* texts: written by the slot under seq */
	_Atomic uint32_t seq;
	char	 phase[32];		/* step of the job: "stock", "boot", "run" */
	char	 job_id[64];
	char	 job_type[40];
	char	 mode[32];
	char	 why[256];		/* reason of CONNECTING or BLOCKED */
	char	 app_version[32];
	char	 network[16];		/* "strict" */
	char	 network_from[32];	/* who said so */
	char	 fence[16];		/* what holds it: "namespace" */
	char	 network_rules[1024];	/* of its proxy; "" without one */
};

/* What the records that were freed had counted. */
struct apw_score_past {
	_Atomic uint64_t starts, deaths;
	_Atomic uint64_t jobs_started, jobs_ok, jobs_failed;
	_Atomic uint64_t engine_starts, engine_deaths;
	_Atomic uint64_t reconnects, busy_ms;
	_Atomic uint64_t egress_allowed, egress_blocked, egress_failed;
	_Atomic uint64_t egress_sent_bytes, egress_received_bytes;
};

struct apw_score {
	uint32_t	 magic;
	_Atomic int32_t	 master_pid;
	_Atomic int64_t	 tick_ms;	/* monotonic; the master's loop turned then */
	_Atomic uint32_t cycle;		/* current configuration */
	_Atomic uint32_t slots;		/* wanted by the current configuration */
	_Atomic int64_t	 started_wall_ms;
	_Atomic int64_t	 reloaded_wall_ms;
	_Atomic uint32_t reloads_ok, reloads_failed;
	_Atomic uint32_t records;	/* of slot[], that were ever used: look no further */
	_Atomic uint32_t draining;	/* bool: the daemon is leaving */
	struct apw_score_past past;	/* written by the master */
	_Atomic uint32_t seq;		/* guards the text below; master writes */
	char		 reload_error[512];
	struct apw_score_slot slot[APW_SCORE_SLOTS];
};

/* Shared anonymous memory; only touched pages cost anything. */
struct apw_score *apw_score_new(struct apw_err *);

/* The writer's side of a text: begin, change, end. */
void	apw_score_begin(_Atomic uint32_t *seq);
void	apw_score_end(_Atomic uint32_t *seq);
/* Copy a text consistently; always NUL-terminated. */
void	apw_score_text(const _Atomic uint32_t *seq, char *dst, size_t dst_size,
	    const char *src, size_t src_size);

void	apw_score_state(struct apw_score_slot *, enum apw_slot_state);
const char *apw_slot_state_name(enum apw_slot_state);

#endif
