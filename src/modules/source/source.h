/* A source of jobs: whatever answers the app's worker contract.  `source
 * app` passes calls to Activepieces, `source spool` answers them from a
 * directory; the slot cannot tell them apart.  One instance a slot. */
#ifndef APW_SOURCE_H
#define APW_SOURCE_H

#include <event2/event.h>

#include "core/apw_cycle.h"
#include "core/apw_err.h"
#include "core/apw_score.h"
#include "core/apw_str.h"
#include "link/app_dialect.h"

struct apw_source;

/* How a call ended. */
enum apw_reply_kind {
	APW_REPLY_OK,
	APW_REPLY_REFUSED,	/* the other side said no (`__rpcError`) */
	APW_REPLY_UNKNOWN,	/* time-out or lost connection: may or may not have happened */
	APW_REPLY_TOO_LARGE,	/* above the peer's limit: never sent */
	APW_REPLY_UNSENT,	/* no connection for so long: never sent */
};

struct apw_reply {
	enum apw_reply_kind	 kind;
	const char		*error;		/* text when not OK, borrowed */
	struct apw_str		 result;	/* raw JSON, "null" when void, borrowed */
	const struct apw_str	*binary;	/* attachments, borrowed */
	size_t			 nbinary;
};

/* Called exactly once for each call that was accepted, never from inside
 * call() itself; not after cancel(). */
typedef void apw_source_reply_fn(void *arg, const struct apw_reply *);

struct apw_source_events {
	/* Connected and settings known (raw JSON of the app's settings
	 * object; the spool composes one).  Calls are possible from now on.
	 * Comes again after each reconnect. */
	void	(*on_ready)(void *arg, struct apw_str settings);
	/* Not ready any more; the source reconnects by itself.  Calls that
	 * were under way have been answered UNKNOWN. */
	void	(*on_lost)(void *arg, const char *reason);
	/* Ready, but no job will come until this changes (version gate,
	 * token refused): for readiness.  NULL: no longer. */
	void	(*on_blocked)(void *arg, const char *why);
	/* The job that want() asked for: raw JSON job object
	 * {jobId, jobData, engineToken, token, queueName, attempsStarted}. */
	void	(*on_job)(void *arg, struct apw_str job);
	/* Answer to unwant(): no job came, none will. */
	void	(*on_idle)(void *arg);
	/* The other side tells what no call of ours asked for, and awaits no
	 * answer: its name and its payload (raw JSON, "null" when there is
	 * none).  Hostile text, borrowed; only between on_ready and on_lost. */
	void	(*on_notify)(void *arg, struct apw_str method,
		    struct apw_str payload);
};

/* What a lease of this source is. */
struct apw_lease_terms {
	int64_t		 lock_ms;	/* how long it lasts without extension */
	const char	*scope;		/* whose it is: the same text, the same
					   jobs; borrowed until close() */
};

/* What a source is given at birth; borrowed for its whole life. */
struct apw_source_env {
	struct event_base	*base;
	const struct apw_cycle	*cycle;
	const void		*conf;		/* of its module */
	unsigned		 slot;		/* number 1..N */
	struct apw_score_slot	*score;
	/* Machine information's `sandboxes` entry: fill in what the slot
	 * knows of its engine; false: no engine. */
	bool	(*engine_info)(void *arg, const char **sandbox_id, pid_t *pid,
		    bool *busy);
	/* Effective values for workerProps; NULL before settings. */
	const char *(*mode)(void *arg);
	void	*arg;
};

struct apw_source_ops {
	struct apw_source *(*open)(const struct apw_source_env *,
		    const struct apw_source_events *, void *arg,
		    struct apw_err *);

	/* Ask for one job: on_job once, whenever there is one.  The source
	 * owns the polling rules (parked polls, pauses, back-off). */
	void	(*want)(struct apw_source *);
	/* Ask for no job any more.  A poll that is parked on the other side
	 * can still hand one out: then on_job, else on_idle; exactly one. */
	void	(*unwant)(struct apw_source *);

	/* How long after unwant() a poll that is parked can still hand a job
	 * out, with this configuration of the module's.  NULL: not at all. */
	int64_t	(*park_ms)(const void *conf);

	/* Call a method of the worker contract.  The payload is the
	 * concatenation of parts, copied before the function returns.
	 * While not ready the call waits (bounded) and is sent after the
	 * settings exchange.  Returns a handle > 0, or 0 with err. */
	uint32_t (*call)(struct apw_source *, const char *method,
		    const struct apw_str *parts, size_t nparts,
		    unsigned timeout_ms, apw_source_reply_fn *, void *arg,
		    struct apw_err *);
	/* The same with one attachment, which the payload names as
	 * {"_placeholder":true,"num":0}.  NULL: the source takes none. */
	uint32_t (*call_binary)(struct apw_source *, const char *method,
		    const struct apw_str *parts, size_t nparts,
		    struct apw_str binary, unsigned timeout_ms,
		    apw_source_reply_fn *, void *arg, struct apw_err *);
	void	(*cancel)(struct apw_source *, uint32_t call);

	/* Base URL that engines call the app's API with, ending in "/";
	 * borrowed, valid until close(). */
	const char *(*internal_api_url)(struct apw_source *);

	/* The group of workers this one is dedicated to; NULL: none.  The
	 * function itself may be NULL. */
	const char *(*group)(struct apw_source *);

	/* Something may have moved where it looks for jobs; NULL: it is told
	 * by others. */
	void	(*look)(struct apw_source *);

	/* The job that it handed out has not begun and cannot be done here:
	 * somebody else may.  0: it is not ours any more.  The function itself
	 * may be NULL. */
	int	(*put_back)(struct apw_source *, struct apw_err *);

	/* The job that was handed out last is not for us: the source gives it
	 * back unbegun, and is not ready for pause_ms (on_ready tells, on_lost
	 * does not come).  From inside on_job only.  The function itself may
	 * be NULL. */
	void	(*decline)(struct apw_source *, int64_t pause_ms);

	/* NULL: the source itself remembers whose jobs are in hand. */
	void	(*terms)(struct apw_source *, struct apw_lease_terms *);

	/* It keeps what else is known of a job beside its result: completeJob
	 * may have more members than the app's contract knows. */
	bool	receipts;

	/* How the other side speaks, once it is ready; the function itself may
	 * be NULL: as the settings tell. */
	const struct apw_app_dialect *(*dialect)(struct apw_source *);

	/* Say good-bye (DISCONNECT event, 41, close frame), then done(arg).
	 * Bounded by 2 s. */
	void	(*leave)(struct apw_source *, void (*done)(void *), void *arg);
	void	(*close)(struct apw_source *);
};

#endif
