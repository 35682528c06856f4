/* The job's inside, for src/job only.  The walk through the files:
 *
 *	job.c ─ fields.c ─ lease.c ─ flow_version.c (walk.c, recipe.c) ─
 *	resolve.c ─ archive.c ─ payload.c ─ provision.c ─ run.c (relay.c) ─ verdict.c ─
 *	outcome.c ─ report.c ─ complete.c
 *
 * Beside the way: keep.c and journal.h, what survives the slot.
 * What the families may use of it is in hooks.c.
 */
#ifndef APW_JOB_PRIV_H
#define APW_JOB_PRIV_H

#include "core/apw_buf.h"
#include "core/apw_log.h"
#include "job/job.h"
#include "job/journal.h"
#include "job/outcome.h"
#include "job/publish.h"
#include "job/recipe.h"

#define JOB_MAGIC		0x4a4f4221
#define JOB_RPC_MS		60000		/* the app's own limit for a call */
#define JOB_LOCK_MS		120000		/* a lock lasts from its extension */
#define JOB_ERROR_MAX		(64 * 1024)	/* of errorMessage */

/* A place on the way; no wait without its deadline. */
struct job_step {
	const char	*name;			/* phase on the scoreboard */
	void		(*enter)(struct apw_job *);
	void		(*on_timeout)(struct apw_job *);
	int64_t		(*limit_ms)(const struct apw_job *);
};

/* A call to the app that may be asked again when its fate is unknown. */
struct job_call;
typedef void job_reply_fn(struct apw_job *, void *arg,
	    const struct apw_reply *);

struct job_lease {
	struct apw_str	 key;			/* "jobId":…,"token":…,"queueName":… */
	struct event	*timer;			/* owned */
	struct job_call	*call;			/* extension under way, or NULL */
	int64_t		 lock_ms;		/* how long the app's lock lasts */
	int64_t		 asked_ms;		/* by apw_boot_ms(), as the next */
	int64_t		 ours_until_ms;		/* proven so far */
	bool		 doubted;		/* has been logged */
};

/* What another worker has published of the flow version; see bundle.c. */
struct job_bundle {
	struct apw_buf	 text;		/* owned; raw; the others point into it */
	struct apw_str	 pieces, codes;	/* raw arrays; empty: none */
};

struct apw_job {
	uint32_t			 magic;
	struct apw_job_env		 env;
	struct apw_arena		*arena;		/* owned */
	const struct apw_job_ops	*ops;		/* NULL: unknown type */
	const struct job_step		*step;
	struct event			*timer;		/* the step's; owned */
	struct event			*end_event;	/* owned */
	int64_t				 started_ms;

	/* the job object, raw */
	struct apw_str	 text, data;
	struct apw_str	 engine_token;
	const char	*id, *type;
	void		*fields;			/* the family's slices */
	struct apw_job_ids ids;

	struct job_lease lease;
	struct job_call	*calls;				/* list, owned */

	/* what it needs */
	struct apw_recipe *recipe;			/* ours until given back */
	size_t		 next_piece, open_pieces, next_archive;
	struct apw_buf	 payload_file;			/* fetched; owned */
	struct apw_str	 payload;			/* its value; empty: as in
							   the job */
	struct apw_stock_order order;
	struct apw_stock_ticket *ticket;		/* NULL: none under way */
	bool		 provisioned;			/* all of it is there */
	struct job_bundle bundle;
	struct apw_fetch *fetch;		/* owned; NULL: none under way */
	bool		 by_own_url;		/* not by the public one */
	char		 no_package[384];	/* why it did not come; or "" */
	bool		 publish;			/* the app has no bundle of it */
	bool		 yielded;			/* the stock's order did */

	/* the engine */
	bool		 has_engine, has_run;			/* acquired, not released */
	bool		 operation_sent;		/* the one in hand */
	bool		 marked;			/* pieces told as used */
	int64_t		 boot_ms;			/* monotonic; 0: not begun */
	unsigned	 engine_tries;
	unsigned	 proven;			/* the slot could, this
							   job could not */
	int64_t		 kept_until_ms;			/* monotonic; 0: never
							   kept so far */
	int64_t		 run_ms;			/* monotonic, at the first execute */
	size_t		 relayed;			/* calls of the engine passed on */
	size_t		 refused;			/* and not passed on */

	/* how it ended */
	bool		 concluded, reported, ended, abandoned;
	enum apw_ending	 ending;
	const struct apw_outcome *outcome;
	struct apw_buf	 message;			/* errorMessage; owned */
	const char	*failed_step;			/* what it speaks of; the
							   recipe's, or NULL */
	const char	*failed_step_title;		/* the same, or NULL */
	bool		 log_named;			/* by the engine: the file is
							   there */
	struct apw_buf	 logs;				/* owned */
	struct apw_buf	 response;			/* raw EngineResponse; owned */
	struct apw_str	 answer;			/* its `response` member */
	struct apw_buf	 report, complete;		/* payloads as composed; owned */
	unsigned	 complete_drops;		/* parts left out as too large */
};

/* job.c */
void	job_go(struct apw_job *, const struct job_step *);
void	job_next(struct apw_job *);		/* this step is done */
/* The ending is known: on to the report, from wherever we are. */
void	job_conclude(struct apw_job *, enum apw_ending, const char *fmt, ...)
	    __attribute__((format(printf, 3, 4)));
void	job_conclude_text(struct apw_job *, enum apw_ending, struct apw_str);
void	job_end(struct apw_job *);
void	job_go_first(struct apw_job *);
void	job_fetch_forget(struct apw_job *);
void	job_run_again(struct apw_job *);		/* one more operation */
void	job_go_report(struct apw_job *);
extern const struct job_step job_step_stop, job_step_boot_again,
    job_step_follow, job_step_kept;
void	job_provision_again(struct apw_job *);

/* fields.c */
int	job_read(struct apw_job *, struct apw_err *);
const char *job_text(struct apw_arena *, struct apw_str literal);

/* call.c: the payload is copied only when it may be repeated.  reply is
 * called from the loop, unless the job ends or cancels before. */
struct job_repeat {
	int64_t		 ms;		/* for so long when its fate is unknown */
	unsigned	 refusals;	/* and so often when it was refused */
	bool		 unsent_only;	/* only while it certainly did not happen */
	bool		 leased;	/* not ms: for as long as the lease lasts */
};
struct job_call *job_call(struct apw_job *, const char *method,
	    const struct apw_str *parts, size_t nparts,
	    const struct job_repeat *, job_reply_fn *, void *arg);
void	job_call_cancel(struct apw_job *, struct job_call *);
void	job_calls_free(struct apw_job *);
/* Nobody waits for the answer; it outlives the job. */
void	job_post(struct apw_job *, const char *method,
	    const struct apw_str *parts, size_t nparts);

/* lease.c */
int	job_lease_start(struct apw_job *, struct apw_err *);
void	job_lease_stop(struct apw_job *);
int64_t	job_lease_left_ms(const struct apw_job *);

/* unsupported.c: concludes a job of a type that nothing here does */
void	job_unsupported(struct apw_job *);

/* keep.c; true: the job is on its way to its end.  The second when its fields
 * are known. */
bool	job_keep_begin(struct apw_job *);
bool	job_keep_forbids(struct apw_job *);
void	job_keep_result(struct apw_job *);

/* wait.c: the host's failures, or the slot's own.  true: the job is kept; the
 * text is why.  false: it is the job that fails. */
bool	job_wait(struct apw_job *, const char *why);
int64_t	job_wait_limit(const struct apw_job *);
void	job_wait_over(struct apw_job *);

/* flow_version.c, resolve.c, archive.c, provision.c, run.c */
void	job_flow_version_enter(struct apw_job *);
void	job_flow_version_ask(struct apw_job *);	/* the app */
void	job_flow_version_given(struct apw_job *, struct apw_str text);
void	job_pieces_enter(struct apw_job *);
void	job_archives_enter(struct apw_job *);
void	job_payload_enter(struct apw_job *);
void	job_stock_enter(struct apw_job *);
void	job_stock_forget(struct apw_job *);
void	job_mark_pieces(struct apw_job *);
void	job_boot_enter(struct apw_job *);
void	job_run_enter(struct apw_job *);
void	job_run_timeout(struct apw_job *);
void	job_stop_timeout(struct apw_job *);
int64_t	job_run_limit(const struct apw_job *);
bool	job_expired(struct apw_job *);	/* then it is on its way to its end */
void	job_engine_release(struct apw_job *);

/* prewarm.c: bad, why: what reading it came to */
extern const struct apw_job_ops job_prewarm_ops;
void	job_prewarm_begin(struct apw_job *, int bad, const struct apw_err *why);
void	job_prewarm_give_up(struct apw_job *, struct apw_str why);
void	job_prewarm_done(struct apw_job *);

/* bundle.c */
void	job_bundle_ask(struct apw_job *);
void	job_bundle_free(struct apw_job *);
bool	job_bundle_piece(struct apw_job *, const char *name,
	    const char *version, struct apw_str *package);
const struct apw_stock_code *job_bundle_codes(struct apw_job *);
void	job_bundle_publish(struct apw_job *);

/* relay.c: NULL: the engine may make this call; else what is wrong with it. */
const char *apw_relay_refused(const struct apw_job_ids *, struct apw_str method,
	    struct apw_str payload);
void	job_relay(struct apw_job *, uint32_t call, struct apw_str method,
	    struct apw_str payload);

/* report.c, complete.c */
void	job_report_compose(struct apw_job *);
void	job_report_enter(struct apw_job *);
void	job_report_timings(struct apw_job *);
void	job_complete_compose(struct apw_job *);
void	job_complete_enter(struct apw_job *);

#endif
