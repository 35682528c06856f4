/* The slot's inside, for src/slot only. */
#ifndef APW_SLOT_PRIV_H
#define APW_SLOT_PRIV_H

#include <event2/event.h>

#include "job/job.h"
#include "job/journal.h"
#include "job/recipe.h"
#include "modules/source/source.h"
#include "slot/engine.h"
#include "slot/settings.h"
#include "slot/slot.h"
#include "stock/stock.h"

#define SLOT_MAGIC	0x534c4f54

struct apw_slot;

struct slot_step {
	const char	*name;
	enum apw_slot_state score;		/* what the scoreboard shows */
	void		(*enter)(struct apw_slot *);
	void		(*on_ready)(struct apw_slot *);	/* settings are new */
	void		(*on_lost)(struct apw_slot *);
	void		(*on_job)(struct apw_slot *, struct apw_str);
	void		(*on_idle)(struct apw_slot *);	/* no job will come */
	void		(*on_drain)(struct apw_slot *);	/* finish and leave */
	void		(*on_timeout)(struct apw_slot *);
	int64_t		 timeout_ms;	/* 0: the source bounds this wait */
};

struct apw_slot {
	uint32_t			 magic;
	unsigned			 number;
	bool				 errand;	/* see errand.c */
	int64_t				 pause_ms;	/* of an errand's, before it
							   asks again */
	const struct apw_cycle		*cycle;		/* borrowed */
	struct apw_score_slot		*score;		/* borrowed */
	struct event_base		*base;		/* owned, as all below */
	const struct slot_step		*step;
	struct event			*timer;		/* the step's deadline */
	struct event			*tick;
	struct event			*signals[8];
	struct apw_source		*source;
	const struct apw_source_ops	*ops;		/* its functions */
	struct apw_stock		*stock;
	struct apw_engine		*engine;	/* of the engines, the job's */
	struct apw_engine		*engines[APW_SANDBOX_SEATS];
	unsigned			 nengines, engines_ending;
	struct event			*standby;	/* to boot one ahead */
	struct apw_stock_ticket		*stocking;	/* the engine, for it; or
							   NULL */
	int64_t				 stock_again_ms;	/* not before */
	struct apw_resolver	*resolver;	/* of all that leaves */
	struct apw_poster		*poster;
	struct apw_fetcher		*fetcher;
	struct apw_publisher		*publisher;
	int64_t				 flush_until_ms;	/* at the end; 0: not yet */
	struct apw_warmer		*warmer;	/* of the first slot only, */
	struct apw_prewarmer		*prewarmer;	/* as well; or NULL */
	struct apw_recipes		*recipes;
	struct apw_settings		*settings;	/* NULL before the first */
	struct apw_settings		*next;		/* taken over between jobs */
	const struct apw_sandbox_ops	*sandbox;	/* NULL: none fits */
	struct apw_egress_rules		*rules;		/* of strict, or NULL */
	struct event			*sandbox_gone;	/* NULL: it cannot go */
	struct event			*builders_gone;	/* as well */
	struct apw_job			*job;		/* NULL: none in hand */
	struct apw_journals		*journals;	/* NULL: none are kept */
	struct apw_journal		*journal;	/* of the job; borrowed */
	struct slot_found		*found;		/* a dead slot's job */
	bool				 ready;		/* the source is */
	bool				 draining;
	bool				 refit;		/* see whether it is fit now */
	struct apw_stock_ticket		*proof_ticket;	/* NULL: none */
	bool				 proving;	/* has the engine */
	char				 blocked[256];	/* why no job is wanted; "" */
	unsigned			 faults;	/* the host's or our own, in
							   a row */
	bool				 unwell;	/* no job before an engine was
							   booted for nobody */
	bool				 proven;	/* that has just been shown */
	char				 ill[256];	/* why it could not be; "" */
	char				 doubt[256];	/* what it met last */
	int64_t				 retry_ms, retry_at_ms;	/* of what is
							   blocked */
	int64_t				 tick_ms;	/* by apw_boot_ms() */
	int64_t				 stood_ms, woke_ms;	/* the loop, last */
	pid_t				 weighed;	/* whose memory is shown */
	unsigned			 weigh_ticks;	/* since then */
	int				 exit_code;
};

/* A job that another slot began, while it is looked at. */
struct slot_found {
	struct apw_journal	*journal;	/* borrowed */
	struct apw_buf		 request, report, complete;	/* owned */
	bool			 nursed;	/* it is to wait on, no more */
	uint32_t		 call;		/* extendLock; 0: not under way */
	int64_t			 asked_ms;	/* by apw_boot_ms() */
	int64_t			 ours_until_ms;	/* once it is proven */
	unsigned		 refusals;
};

/* steps.c */
void	slot_go(struct apw_slot *, const struct slot_step *);
void	slot_rest(struct apw_slot *);
/* An engine could not be kept to its network: the slot looks, at its next rest,
 * whether it is fit. */
void	slot_doubt(struct apw_slot *);
/* found: NULL for a new one. */
void	slot_take(struct apw_slot *, struct apw_str, struct slot_found *found);
void	slot_begin(struct apw_slot *);
void	slot_end_now(struct apw_slot *);
void	slot_note_time(struct apw_slot *);
void	slot_busy_lost(struct apw_slot *);
void	slot_retry_now(struct apw_slot *);
/* The job is not in hand any more; it has been freed. */
void	slot_job_over(struct apw_slot *);
extern const struct slot_step slot_idle, slot_busy, slot_prove, slot_blocked;

/* unwell.c */
bool	slot_usable(const struct apw_slot *);	/* has an engine that could boot */
/* What a proof came to. */
void	slot_unwell_fail(struct apw_slot *, const char *why);
void	slot_unwell_over(struct apw_slot *);
void	slot_unwell_forget(struct apw_slot *);
/* How long to wait before what is blocked is looked at again. */
int64_t	slot_unwell_pause(struct apw_slot *);
/* 1: the slot ends, to begin anew. */
int	slot_look_at_stock(struct apw_slot *, struct apw_err *);
void	slot_watch_stock(struct apw_slot *);
void	slot_on_ahead(void *arg, const char *why_not);
void	slot_on_late(void *arg, bool late);
void	slot_on_kept(void *arg, const char *why, bool over);
void	slot_tend(struct apw_slot *);
void	slot_give_back(struct apw_slot *, const char *why, bool must);
void	slot_unwell_show(struct apw_slot *);

/* What is done while there is no job ends.  steps.c */
void	slot_warm_stop(struct apw_slot *);

/* told.c */
extern const struct apw_source_events slot_source_events;

void	slot_engines_ended(struct apw_slot *);

/* standby.c: the slot's engines, of which the next job gets the best. */
int	slot_engines_open(struct apw_slot *, struct apw_err *);
int	slot_engines_settings(struct apw_slot *, const struct apw_sandbox_ops *,
	    const void *conf, const struct apw_engine_net *, struct apw_err *);
void	slot_engines_retire(struct apw_slot *);
void	slot_engine_pick(struct apw_slot *);
/* Nothing is in hand: one may be booted ahead. */
void	slot_standby_idle(struct apw_slot *);
void	slot_engines_shutdown(struct apw_slot *); /* slot_engines_ended() follows */
void	slot_engines_free(struct apw_slot *);

/* recover.c */
extern const struct slot_step slot_recover, slot_nurse;
/* Nobody is well: a job that waits is kept from running out. */
bool	slot_nurse_wanted(struct apw_slot *);
bool	slot_recover_wanted(struct apw_slot *);
void	slot_recover_forget(struct apw_slot *);
void	slot_recover_free(struct apw_slot *);
int	slot_journals_open(struct apw_slot *);

/* prove.c: a canary's first step, and the way back of a slot that is unwell;
 * slot_proved() is the way on. */
bool	slot_must_prove(const struct apw_slot *);
void	slot_prove_enter(struct apw_slot *);
void	slot_prove_forget(struct apw_slot *);
/* The source says that no job will come: a canary has failed. */
void	slot_prove_refused(struct apw_slot *, const char *why);
void	slot_proved(struct apw_slot *);		/* steps.c */

/* adopt.c: take over the newest settings, if there are any; only between
 * jobs, whose environment they are. */
void	slot_adopt_settings(struct apw_slot *);
int	slot_watch_birth(struct apw_slot *, struct apw_err *);
void	slot_score_why(struct apw_slot *, const char *);

/* errand.c: is this a job that an errand takes?  Else it is given back. */
bool	slot_errand_takes(const struct apw_slot *, struct apw_str job);
int64_t	slot_errand_pause(struct apw_slot *);
void	slot_errand_did(struct apw_slot *);

/* network.c: what the settings' network means for engines of this module.
 * net borrows from the slot until the next call. */
int	slot_fit_network(struct apw_slot *, const struct apw_sandbox_ops *,
	    const void *conf, struct apw_engine_net *, struct apw_err *);

#endif
