/* The outcome table; see outcome.h.  Room: job.
 *
 * One row says it all: what the run's status becomes, what the job's, and
 * what is sent along.  Statuses are the app's words. */
#include "job/outcome.h"

#include "core/apw_auto.h"
#include "proto/apw_raw.h"

#define ERROR		APW_SENDS_ERROR
#define LOGS		APW_SENDS_LOGS
#define ROW(ending)	[APW_ENDING_##ending]

/* family, ending -> run status, internal error's source, job status (before
 * 0.86, from 0.86), what is sent */
static const struct apw_outcome outcomes[APW_NFAMILIES][APW_NENDINGS] = {
	[APW_FAMILY_FLOW] = {
ROW(BAD_JOB)		= { NULL, NULL, "INTERNAL_ERROR", NULL, ERROR },
ROW(UNSUPPORTED)	= { NULL, NULL, "INTERNAL_ERROR", NULL, ERROR },
ROW(FLOW_VERSION_MISSING) = { "FAILED", NULL, "INTERNAL_ERROR", NULL, 0 },
ROW(PIECE_MISSING)	= { "FAILED", NULL, "INTERNAL_ERROR", "OK", 0 },
ROW(PROVISION_FAILED)	= { "INTERNAL_ERROR", "WORKER", "INTERNAL_ERROR", NULL,
			    ERROR | LOGS },
ROW(NOT_RUNNABLE)	= { NULL, NULL, "INTERNAL_ERROR", NULL, ERROR },
ROW(ENGINE_OK)		= { NULL, NULL, "OK", NULL, LOGS },
ROW(ENGINE_USER_FAILURE) = { NULL, NULL, "OK", NULL, LOGS },
ROW(ENGINE_LOG_SIZE)	= { "LOG_SIZE_EXCEEDED", NULL, "LOG_SIZE_EXCEEDED",
			    NULL, LOGS },
ROW(ENGINE_INTERNAL_ERROR) = { "INTERNAL_ERROR", "ENGINE", "INTERNAL_ERROR",
			    NULL, LOGS },
ROW(TIME_LIMIT)		= { "TIMEOUT", NULL, "TIMEOUT", NULL, 0 },
ROW(MEMORY)		= { "MEMORY_LIMIT_EXCEEDED", NULL, "MEMORY_ISSUE",
			    NULL, 0 },
ROW(LOG_SIZE)		= { "LOG_SIZE_EXCEEDED", NULL, "LOG_SIZE_EXCEEDED",
			    NULL, 0 },
ROW(BROKEN)		= { "INTERNAL_ERROR", "WORKER", "INTERNAL_ERROR", NULL,
			    ERROR | LOGS },
	},
};

const struct apw_outcome *
apw_outcome(enum apw_family family, enum apw_ending ending)
{
	APW_ASSERT(family < APW_NFAMILIES && ending < APW_NENDINGS);
	APW_ASSERT(outcomes[family][ending].status != NULL);
	return &outcomes[family][ending];
}

const char *
apw_outcome_status(const struct apw_outcome *o, unsigned release)
{
	if (o->status_86 != NULL && release >= APW_RELEASE(0, 86, 0))
		return o->status_86;
	return o->status;
}

enum apw_ending
apw_ending_of_verdict(enum apw_verdict v)
{
	switch (v) {
	case APW_VERDICT_TIME_LIMIT:
		return APW_ENDING_TIME_LIMIT;
	case APW_VERDICT_MEMORY:
		return APW_ENDING_MEMORY;
	case APW_VERDICT_LOG_SIZE:
		return APW_ENDING_LOG_SIZE;
	default:
		return APW_ENDING_BROKEN;
	}
}

enum apw_ending
apw_ending_of_status(struct apw_str literal)
{
	static const struct { const char *status; enum apw_ending ending; } t[] = {
		{ "OK", APW_ENDING_ENGINE_OK },
		{ "USER_FAILURE", APW_ENDING_ENGINE_USER_FAILURE },
		{ "LOG_SIZE_EXCEEDED", APW_ENDING_ENGINE_LOG_SIZE },
		{ "INTERNAL_ERROR", APW_ENDING_ENGINE_INTERNAL_ERROR },
	};
	size_t	i;

	for (i = 0; i < APW_COUNT(t); i++)
		if (apw_raw_equals(literal, t[i].status))
			return t[i].ending;
	return APW_ENDING_ENGINE_OK;
}

#define ENDING_NAME(name)	#name,

const char *
apw_ending_name(enum apw_ending e)
{
	static const char *const names[] = { APW_ENDINGS(ENDING_NAME) };

	return e < APW_NENDINGS ? names[e] : "unknown";
}
