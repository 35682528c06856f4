/* Piece warm-up: what the group's flows have used is installed before a job
 * asks for it, up to 0.85.  Once a daemon's start, by its first slot, at low
 * priority, in small chunks, and only while this slot has no job; an install
 * that a job of any slot waits for takes its place. */
#ifndef APW_SLOT_WARM_H
#define APW_SLOT_WARM_H

#include <event2/event.h>
#include <stdbool.h>

#include "modules/source/source.h"
#include "slot/settings.h"
#include "stock/stock.h"

struct apw_warmer;

/* All borrowed for its life.  NULL: out of memory. */
struct apw_warmer *apw_warmer_new(struct event_base *, struct apw_stock *,
	    const struct apw_source_ops *, struct apw_source *);
void	apw_warmer_free(struct apw_warmer *);

/* The slot has nothing to do: begin, or go on, in a while.  per_platform: as
 * of an order. */
void	apw_warmer_go(struct apw_warmer *, const struct apw_settings *,
	    bool per_platform);
/* It has a job: whatever is under way is given up, and done again later. */
void	apw_warmer_pause(struct apw_warmer *);

#endif
