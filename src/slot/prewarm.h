/* Flows that are made ready before a job needs them, from 0.86.2 on: one that
 * was published (the app tells it to every worker, and the first slot of a
 * daemon does it), and, when the configuration wants it, all that are enabled,
 * once after the start.  At low priority, one after the other, and only while
 * this slot has no job; a job of it ends what is under way, an install that a
 * job of any slot waits for takes its place.  Failures are a line of level info
 * and nothing else. */
#ifndef APW_SLOT_PREWARM_H
#define APW_SLOT_PREWARM_H

#include <stdbool.h>

#include "job/job.h"

struct apw_prewarmer;

/* env: what a job gets; engine, journal, score and callbacks are not used, all
 * else is borrowed for its life (settings and sandbox: from go to pause).
 * all: the enabled ones, too.  NULL: out of memory. */
struct apw_prewarmer *apw_prewarmer_new(const struct apw_job_env *, bool all);
void	apw_prewarmer_free(struct apw_prewarmer *);

/* {flowId, flowVersionId, projectId}, raw, of the app's flowPublished. */
void	apw_prewarmer_published(struct apw_prewarmer *, struct apw_str flow);
/* The slot has nothing to do: begin, or go on, in a while. */
void	apw_prewarmer_go(struct apw_prewarmer *, const struct apw_settings *,
	    const struct apw_sandbox_ops *);
/* It has a job, or other settings, or leaves: what is under way is given up,
 * and done again later. */
void	apw_prewarmer_pause(struct apw_prewarmer *);

#endif
