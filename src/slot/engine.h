/* An engine of a slot: booted when a job needs it or ahead of that, kept warm
 * where the rules allow, watched all its life, ended with everything below
 * it. */
#ifndef APW_SLOT_ENGINE_H
#define APW_SLOT_ENGINE_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/apw_cycle.h"
#include "core/apw_score.h"
#include "egress/account.h"
#include "egress/rules.h"
#include "job/verdict.h"
#include "link/engine_link.h"
#include "modules/sandbox/sandbox.h"
#include "slot/reuse.h"
#include "slot/settings.h"
#include "stock/stock.h"

struct apw_capture;

struct apw_engine;

struct apw_engine_net {			/* borrowed */
	enum apw_fence		 fence;	/* what keeps engines to it */
	struct apw_egress_rules	*rules;	/* of their proxy; NULL: no proxy */
};

struct apw_engine_env {			/* borrowed for the engine's life */
	struct event_base	*base;
	const struct apw_cycle	*cycle;
	struct apw_stock	*stock;
	struct apw_score_slot	*score;
	unsigned		 slot;
	unsigned		 seat;		/* 0: the slot's first */
	struct apw_resolver *resolver;	/* of the slot */
	/* An operation has been sent: an engine can be booted ahead. */
	void			(*on_execute)(void *arg);
	/* One that nobody waited for came up (NULL), or did not. */
	void			(*on_ahead)(void *arg, const char *why_not);
	/* One that was killed does not end (told with true), and has ended
	 * after all (false).  Until then nothing can be booted here. */
	void			(*on_late)(void *arg, bool);
	void			*arg;
};

/* What the user of the engine (the job in hand) is told, from the event loop
 * only, never from inside a call.  Borrowed texts end with the callback. */
struct apw_engine_events {
	/* acquire() has led to an engine that waits for an operation */
	void	(*on_ready)(void *arg);
	/* the EngineResponse of the operation, raw */
	void	(*on_result)(void *arg, struct apw_str response);
	/* it calls the app: answer with apw_engine_answer() */
	void	(*on_call)(void *arg, uint32_t call, struct apw_str method,
		    struct apw_str payload);
	/* there is no engine: it did not come up, or it ended.  err: why it
	 * could not even be started (and whose failure that is), else NULL
	 * and evidence is set */
	void	(*on_gone)(void *arg, const struct apw_evidence *,
		    const struct apw_err *err);
};

struct apw_engine *apw_engine_new(const struct apw_engine_env *,
	    struct apw_err *);
/* What engines are started from; borrowed until the next call.  When it
 * makes another command line or environment, a warm engine is stale.
 * net is how the network that the settings ask for is made.  A link on the
 * host's loopback is bound once and keeps its port; one in the
 * engine's own network is made with each engine. */
int	apw_engine_settings(struct apw_engine *, const struct apw_settings *,
	    const struct apw_sandbox_ops *, const void *sandbox_conf,
	    const struct apw_engine_net *, struct apw_err *);

/* Has the last start failed in a way that may be the network's?  The next
 * settings call clears it. */
bool	apw_engine_unfit(const struct apw_engine *);

/* Nothing fits any more: end an engine that is there, forget the settings.
 * Only while no job has it. */
void	apw_engine_retire(struct apw_engine *);

/* What follows is this job's, in the log of its proxy and in its account. */
void	apw_engine_run(struct apw_engine *, const char *job_id);
/* The account of that job so far; what it left open is closed.  false: it
 * has no proxy. */
bool	apw_engine_account(struct apw_engine *, struct apw_egress_account *);

/* Nobody has it and nothing is there: boot it for the job to come, on what
 * others leave of the processor if it yields.  One that is there for that and
 * has gone stale is ended first. */
void	apw_engine_prepare(struct apw_engine *, bool yield);
/* There is nobody any more whom one that is there or boots could yield to. */
void	apw_engine_hurry(struct apw_engine *);
enum apw_engine_stand {
	APW_ENGINE_LATE,		/* it was killed and does not end */
	APW_ENGINE_BUSY,		/* somebody has it, or it ends */
	APW_ENGINE_COLD,
	APW_ENGINE_BOOTING,		/* ahead */
	APW_ENGINE_STANDBY,		/* booted, nobody's */
};
enum apw_engine_stand apw_engine_stand(const struct apw_engine *);
/* Of one that does not end: its process, and the state that the kernel names
 * for it; for people. */
const char *apw_engine_late_text(const struct apw_engine *, char *, size_t);

/* Take the engine for a job: 1 it is warm and ready now (on_ready does not
 * come), 0 on_ready or on_gone will come. */
int	apw_engine_acquire(struct apw_engine *, const struct apw_tenant *,
	    const struct apw_engine_events *, void *arg);
/* Send one operation.  Its output is captured from here to the result. */
int	apw_engine_execute(struct apw_engine *, const char *operation_type,
	    const struct apw_str *parts, size_t nparts, struct apw_err *);
void	apw_engine_answer(struct apw_engine *, uint32_t call,
	    const struct apw_str *result, const char *error);
/* Kill it because of the time limit (timer) or for this reason (which goes on
 * after "the engine was stopped: "); on_gone follows. */
void	apw_engine_kill(struct apw_engine *, bool timer, const char *why);
/* The job is done with it: no event comes any more.  Kept warm if whole and
 * the rules allow; otherwise ended in the background. */
void	apw_engine_release(struct apw_engine *);

/* What the last operation (or start) wrote; valid until the next begins. */
const struct apw_capture *apw_engine_capture(const struct apw_engine *);

/* How its operations are written; known since the settings are. */
const struct apw_engine_form *apw_engine_form(const struct apw_engine *);

/* For the machine information: false when there is no process. */
bool	apw_engine_info(const struct apw_engine *, const char **sandbox_id,
	    pid_t *pid, bool *busy);

/* End the engine and what is below it; done(arg) when nothing is left, or
 * 5 s have passed, or when it was known before not to end.  Also when there
 * was none. */
void	apw_engine_shutdown(struct apw_engine *, void (*done)(void *),
	    void *arg);
void	apw_engine_free(struct apw_engine *);

#endif
