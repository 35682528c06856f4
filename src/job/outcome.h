/* How a job ended, and what the app is told for it: one table. */
#ifndef APW_JOB_OUTCOME_H
#define APW_JOB_OUTCOME_H

#include <stdbool.h>

#include "job/job.h"
#include "job/verdict.h"

/* Every way a job can end. */
#define APW_ENDINGS(X)							\
	X(BAD_JOB)		/* not a job we can read */		\
	X(UNSUPPORTED)		/* a type this build does not know */	\
	X(FLOW_VERSION_MISSING)						\
	X(PIECE_MISSING)	/* the flow has been disabled */	\
	X(PROVISION_FAILED)						\
	X(NOT_RUNNABLE)		/* its own data forbids it */		\
	X(DONE)			/* without (another) operation */	\
	X(ENGINE_OK)							\
	X(ENGINE_USER_FAILURE)						\
	X(ENGINE_LOG_SIZE)						\
	X(ENGINE_INTERNAL_ERROR)					\
	X(CALL_REFUSED)		/* what followed the answer failed */	\
	X(CALL_UNKNOWN)		/* and may have happened or not */	\
	X(TIME_LIMIT)							\
	X(NEVER_STARTED)	/* its time was over before */		\
	X(MEMORY)							\
	X(LOG_SIZE)							\
	X(BROKEN)		/* engine exited, did not connect, … */
#define APW_ENDING_ENUM(name)	APW_ENDING_##name,

enum apw_ending { APW_ENDINGS(APW_ENDING_ENUM) APW_NENDINGS };

/* What goes along with completeJob. */
#define APW_SENDS_ERROR		1u	/* errorMessage */
#define APW_SENDS_LOGS		2u
#define APW_SENDS_RESPONSE	4u

struct apw_outcome {
	const char	*run_status;	/* uploadRunLog by us; NULL: none */
	const char	*source;	/* internalError.source; NULL: none */
	const char	*status;	/* of completeJob; NULL: no such row */
	unsigned	 sends;
	const char	*response;	/* raw; NULL: the engine's */
};

/* The row of a family for an app of this release; never NULL. */
const struct apw_outcome *apw_outcome(enum apw_family, enum apw_ending,
	    unsigned release);

enum apw_ending apw_ending_of_verdict(enum apw_verdict);
/* Of the status in an EngineResponse; one that is not listed counts as OK. */
enum apw_ending apw_ending_of_status(struct apw_str literal);
const char *apw_ending_name(enum apw_ending);

#endif
