/* What one run in the spool has reported so far.  Room: source. */
#ifndef APW_SPOOL_RUN_H
#define APW_SPOOL_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "core/apw_buf.h"
#include "core/apw_str.h"

struct spool_outcome;
struct spool_step;

struct spool_run {
	json_t		*log;		/* owned; uploadRunLog payloads, merged */
	STAILQ_HEAD(, spool_step) steps; /* owned; in the order they came */
	size_t		 nsteps, steps_bytes;
	struct apw_buf	 response;	/* the first sendFlowResponse, raw */
	struct apw_buf	 missing;	/* what was asked for in vain, in words */
	struct apw_buf	 payloads;	/* submitPayloads, savePayloads: elements of an array,
					   an array once payloads_whole */
	bool		 payloads_whole;
	/* composed by spool_run_outcome() */
	char		 status[40], job_status[40];
	struct apw_buf	 run, output, logs, error;
};

void	spool_run_begin(struct spool_run *);
/* A call of the worker contract that says something about the run. */
void	spool_run_note(struct spool_run *, const char *method,
	    struct apw_str payload);
/* Sum up; the texts of o live in the run until spool_run_end().  -1: the
 * payload of completeJob has no status. */
int	spool_run_outcome(struct spool_run *, struct apw_str complete,
	    struct spool_outcome *o);
void	spool_run_end(struct spool_run *);

#endif
