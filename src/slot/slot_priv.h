/* The slot's inside, for src/slot only. */
#ifndef APW_SLOT_PRIV_H
#define APW_SLOT_PRIV_H

#include <event2/event.h>

#include "job/job.h"
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
	struct apw_engine		*engine;
	struct apw_poster		*poster;
	struct apw_recipes		*recipes;
	struct apw_settings		*settings;	/* NULL before the first */
	struct apw_settings		*next;		/* taken over between jobs */
	const struct apw_sandbox_ops	*sandbox;	/* NULL: none fits */
	struct event			*sandbox_gone;	/* NULL: it cannot go */
	struct apw_job			*job;		/* NULL: none in hand */
	bool				 ready;		/* the source is */
	bool				 draining;
	char				 blocked[256];	/* why no job is wanted; "" */
	int				 exit_code;
};

/* steps.c */
void	slot_begin(struct apw_slot *);
void	slot_end_now(struct apw_slot *);
extern const struct apw_source_events slot_source_events;

/* adopt.c: take over the newest settings, if there are any; only between
 * jobs, whose environment they are. */
void	slot_adopt_settings(struct apw_slot *);
void	slot_score_why(struct apw_slot *, const char *);

#endif
