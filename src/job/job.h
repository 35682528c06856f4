/* A job: taken from the source, walked through its steps, completed. */
#ifndef APW_JOB_H
#define APW_JOB_H

#include <event2/event.h>
#include <stdbool.h>

#include "core/apw_arena.h"
#include "core/apw_buf.h"
#include "core/apw_cycle.h"
#include "core/apw_score.h"
#include "core/apw_str.h"
#include "modules/source/source.h"
#include "slot/engine.h"
#include "slot/settings.h"
#include "stock/stock.h"

struct apw_job;
struct apw_journal;
struct apw_job_parts;
struct apw_fetcher;
struct apw_poster;
struct apw_publisher;
struct apw_recipes;

/* What a slot lends to its job, for the job's life. */
struct apw_job_env {
	struct event_base		*base;
	const struct apw_cycle		*cycle;
	const struct apw_source_ops	*source;
	struct apw_source		*source_of;	/* this slot's instance */
	struct apw_stock		*stock;
	struct apw_engine		*engine;
	struct apw_recipes		*recipes;
	const struct apw_settings	*settings;	/* may change between jobs */
	const struct apw_sandbox_ops	*sandbox;
	struct apw_score_slot		*score;
	struct apw_poster		*poster;	/* our own HTTP requests */
	struct apw_journal		*journal;	/* NULL: none is kept */
	bool				 again;		/* its record is in there */
	int64_t				 ours_until_ms;	/* of the lease, by
						   apw_boot_ms(); 0: it is new */
	struct apw_fetcher		*fetcher;	/* those the app names */
	struct apw_publisher		*publisher;	/* of flow bundles */
	bool				 prewarm;	/* no job: see below */
	/* the job is over and its lease closed: free it, take the next */
	void				(*on_end)(void *arg);
	/* This host, or the slot itself, cannot give it what it needs before
	 * it has begun: it is kept, its lease is extended, and it waits for
	 * apw_job_resume().  over: it has been kept for as long as it might
	 * run, and is to be given back. */
	void				(*on_kept)(void *arg, const char *why,
					    bool over);
	void				*arg;
};

/* Of the raw job object that the source gave; the text is copied.  NULL: out
 * of memory. */
struct apw_job *apw_job_new(const struct apw_job_env *, struct apw_str text);
/* The job has ended before, and this is still to be told (raw payloads of
 * uploadRunLog, which may be empty, and completeJob). */
void	apw_job_restore(struct apw_job *, struct apw_str report,
	    struct apw_str complete);
/* Hash of a source's scope, as the journal has it. */
void	apw_job_scope(const char *scope, uint8_t out[16]);
/* Start the walk.  on_end comes later, exactly once, from the loop. */
void	apw_job_begin(struct apw_job *);
/* The job is not ours any more: kill its engine and report nothing; on_end
 * follows. */
void	apw_job_abandon(struct apw_job *, const char *why);
/* A kept job goes on, with this engine.  proven: the slot has just shown that
 * it can boot one; a job that meets the same again and again is to blame
 * itself. */
void	apw_job_resume(struct apw_job *, struct apw_engine *, bool proven);
/* Has nothing of it been given to an engine yet?  Then another slot may do it
 * as well. */
bool	apw_job_untouched(const struct apw_job *);
/* Forget it at once (end of the slot): no callback. */
void	apw_job_free(struct apw_job *);

/* A flow that is made ready before a job needs it (env.prewarm) has the text of
 * a job, with jobData {flowId, flowVersionId, projectId, platformId}.  It goes
 * the way of one as far as the stock, in the background: without lease, engine
 * and journal (NULL), with a record of its own for a score; the app is asked, but
 * told nothing, except a bundle.  on_end comes as for a job.  yielded: it gave
 * way to somebody who waited. */
bool	apw_job_yielded(const struct apw_job *);

/*
 * Job families.  One module a family; the walk is the same for all, the
 * family says what to provision, what to send to the engine, and what follows
 * from an answer.  What the app is told in the end is a row of the outcome
 * table.
 */

/* A member of jobData: its type is checked before anything else happens. */
enum apw_field_type { APW_FIELD_STRING, APW_FIELD_NUMBER, APW_FIELD_BOOL,
	APW_FIELD_OBJECT, APW_FIELD_ANY };

struct apw_job_field {
	const char		*key;		/* NULL ends the table */
	enum apw_field_type	 type;
	bool			 required;	/* else it may be absent or null */
	size_t			 offset;	/* of a struct apw_str: its raw text,
						   empty when absent or null */
};

/* What every family has, decoded; NULL when the family has no such field. */
struct apw_job_ids {
	const char	*platform_id, *project_id;
	const char	*flow_id, *flow_version_id;
	const char	*run_id;
	const char	*logs_file_id;
	const char	*worker_handler_id, *http_request_id;
	struct apw_str	 stream_step_progress;	/* raw; for reports */
	struct apw_str	 piece;			/* raw PiecePackage that the job
						   brings; empty: none */
	struct apw_str	 step;			/* raw step that is run for
						   itself; empty: none */
	const char	*code_folder;		/* of its code, below codes */
	int64_t		 expires_ms;		/* wall clock: nobody waits any
						   more; 0: never */
};

/* Blocks of the outcome table. */
enum apw_family { APW_FAMILY_FLOW, APW_FAMILY_WEBHOOK, APW_FAMILY_POLLING,
	APW_FAMILY_RENEW, APW_FAMILY_TRIGGER_HOOK, APW_FAMILY_PROPERTY,
	APW_FAMILY_VALIDATION, APW_FAMILY_EXTRACT, APW_FAMILY_TOKEN_REFRESH,
	APW_FAMILY_IDENTIFIER, APW_FAMILY_ACTION, APW_FAMILY_EVENT,
	APW_FAMILY_CHAT, APW_FAMILY_AGENT, APW_FAMILY_AI, APW_NFAMILIES };

/* What follows the answer of an engine. */
enum apw_then {
	APW_THEN_END,		/* the job ends with this answer */
	APW_THEN_AGAIN,		/* another operation */
	APW_THEN_WAIT,		/* a call to the app: its answer ends the job */
};

struct apw_job_ops {
	const char *const		*types;		/* jobType values, NULL-terminated */
	enum apw_family			 family;
	const struct apw_job_field	*fields;
	size_t				 fields_size;	/* of the struct they fill */

	/* What to provision: the ids (flow_version_id NULL: no flow).  -1 and
	 * err: the job cannot be done, and is completed so.  May be NULL:
	 * nothing, and no id. */
	int	(*provision)(struct apw_job *, struct apw_job_ids *,
		    struct apw_err *);
	/* Why the job's own data forbids to run it, once it is provisioned;
	 * NULL: nothing does.  May be NULL itself. */
	const char *(*forbids)(struct apw_job *);
	/* All is provisioned and there is nothing to run: the job ends DONE
	 * without an engine.  May be NULL. */
	bool	(*nothing)(struct apw_job *);
	/* The raw JobPayload of the operation, for an engine that takes the
	 * value alone; apw_job_payload() then has that.  May be NULL. */
	struct apw_str (*payload)(struct apw_job *);
	/* What to send to the engine: append the operation object.  Returns
	 * its type. */
	const char *(*operation)(struct apw_job *, struct apw_job_parts *);
	/* The engine has answered (good: with status OK); response is raw, or
	 * empty.  May be NULL: the job ends with it. */
	enum apw_then (*answered)(struct apw_job *, bool good,
		    struct apw_str response);
	/* It has ended (enum apw_ending): what else the app is told, before
	 * the job is completed.  May be NULL. */
	void	(*ended)(struct apw_job *, int ending);
	/* Instead of all that, for a family that needs no engine: do it, and
	 * end the job with apw_job_conclude(), now or later. */
	void	(*work)(struct apw_job *);
	/* The time limit of an operation, or of the work; ids.expires_ms may
	 * make it shorter. */
	int64_t	(*limit_ms)(const struct apw_settings *);
};

/* For the hooks. */
struct apw_arena *apw_job_arena(struct apw_job *);
const struct apw_settings *apw_job_settings(const struct apw_job *);
void	*apw_job_fields(const struct apw_job *);	/* the family's struct */
struct apw_str apw_job_flow_version(const struct apw_job *);	/* raw, or empty */
/* The text of a raw string, in the job's arena; NULL: absent or unfit. */
const char *apw_job_text(struct apw_job *, struct apw_str literal);
struct apw_str apw_job_package(const struct apw_job *);	/* of ids.piece, raw */
const struct apw_job_env *apw_job_env(const struct apw_job *);
const struct apw_job_ids *apw_job_ids(const struct apw_job *);
/* How the engine and the app want it. */
const struct apw_engine_form *apw_job_form(const struct apw_job *);
const struct apw_app_dialect *apw_job_dialect(const struct apw_job *);
/* The value of the family's payload if the engine takes that, else raw. */
struct apw_str apw_job_payload(const struct apw_job *, struct apw_str raw);
/* Append the base members of every operation that are not fields of the job:
 * limit, URLs, engine token; each preceded by a comma. */
void	apw_job_base(struct apw_job *, struct apw_job_parts *);
/* The limit alone; all but the limit. */
void	apw_job_limit(struct apw_job *, struct apw_job_parts *);
void	apw_job_places(struct apw_job *, struct apw_job_parts *);

/* Call the app; the payload is copied.  reply comes from the loop, unless the
 * job ends before.  once: what must not happen twice; it is repeated only
 * while it was certainly not sent. */
typedef void apw_job_reply_fn(struct apw_job *, const struct apw_reply *);
void	apw_job_call(struct apw_job *, const char *method,
	    const struct apw_job_parts *, bool once, apw_job_reply_fn *);
/* The same for one that may be refused so often before it is done: 0.5, 1, 2,
 * 4, 5 s after each other, for 30 s. */
void	apw_job_insist(struct apw_job *, const char *method,
	    const struct apw_job_parts *, unsigned refusals,
	    apw_job_reply_fn *);
/* The same, and nobody waits for the answer; it outlives the job.  The method
 * is a literal. */
void	apw_job_post(struct apw_job *, const char *method,
	    const struct apw_job_parts *);
/* Is all known that it needs, so that it got as far as the stock? */
bool	apw_job_prepared(const struct apw_job *);
/* The answer of a family without an engine: a raw literal that lives as long
 * as the job. */
void	apw_job_respond(struct apw_job *, struct apw_str raw);
/* How it ended (enum apw_ending of outcome.h); text: the error message, or
 * "".  Only the first one counts. */
void	apw_job_conclude(struct apw_job *, int ending, const char *text);

/* Splicing an object out of raw slices: small ones are gathered in a text,
 * large ones are named, not copied. */
#define APW_JOB_PARTS_MAX	24
struct apw_job_parts {
	struct apw_buf	text;			/* owned */
	struct {
		struct apw_str	raw;		/* borrowed; p NULL: of the text, */
		size_t		from;		/* from here */
	} v[APW_JOB_PARTS_MAX];
	size_t		n;
	bool		failed;			/* a bug, or out of memory */
};
void	apw_parts_free(struct apw_job_parts *);
/* As slices, in out[APW_JOB_PARTS_MAX]; valid until the parts change. */
size_t	apw_parts_slices(const struct apw_job_parts *, struct apw_str *out);
void	apw_parts_lit(struct apw_job_parts *, const char *text);
void	apw_parts_raw(struct apw_job_parts *, struct apw_str raw);
/* `,"key":raw`; nothing when raw is empty. */
void	apw_parts_member(struct apw_job_parts *, const char *key_with_quotes,
	    struct apw_str raw);
/* The same with a value for when raw is empty ("null", "false"). */
void	apw_parts_member_or(struct apw_job_parts *, const char *key_with_quotes,
	    struct apw_str raw, const char *otherwise);

#endif
