/* The outcome table; see outcome.h.  Room: job.
 *
 * One row says it all: what the run's status becomes, what the job's, and
 * what is sent along.  Statuses are the app's words. */
#include "job/outcome.h"

#include "core/apw_auto.h"
#include "proto/apw_raw.h"

#define ERROR		APW_SENDS_ERROR
#define LOGS		APW_SENDS_LOGS
#define RESPONSE	APW_SENDS_RESPONSE
#define ROW(ending)	[APW_ENDING_##ending]

/* A job without a run: completed with this status. */
#define JOB(status, sends)	{ NULL, NULL, status, NULL, sends, NULL }
#define GOOD(sends)		JOB("OK", sends)
#define FAIL(sends)		JOB("INTERNAL_ERROR", sends)

/* What no family can do anything about. */
#define ROWS_UNFIT							\
ROW(BAD_JOB)		= FAIL(ERROR),					\
ROW(UNSUPPORTED)	= FAIL(ERROR),					\
ROW(PROVISION_FAILED)	= FAIL(ERROR | LOGS),				\
ROW(NOT_RUNNABLE)	= FAIL(ERROR)

/* Somebody waits for the answer, whatever it is.  There is no call to the
 * app behind it that could fail. */
#define ROWS_ANSWER							\
ROW(DONE)		= GOOD(0),					\
ROW(ENGINE_OK)		= GOOD(ERROR | LOGS | RESPONSE),		\
ROW(ENGINE_USER_FAILURE) = JOB("USER_FAILURE", ERROR | LOGS | RESPONSE), \
ROW(ENGINE_LOG_SIZE)	= JOB("LOG_SIZE_EXCEEDED", ERROR | LOGS | RESPONSE), \
ROW(ENGINE_INTERNAL_ERROR) = FAIL(ERROR | LOGS | RESPONSE),		\
ROW(CALL_REFUSED)	= FAIL(ERROR | LOGS),				\
ROW(CALL_UNKNOWN)	= FAIL(ERROR | LOGS),				\
ROW(MEMORY)		= FAIL(ERROR | LOGS),				\
ROW(LOG_SIZE)		= FAIL(ERROR | LOGS),				\
ROW(BROKEN)		= FAIL(ERROR | LOGS)

/* The same for a piece that the job brings: there is no flow to be gone. */
#define ROWS_OF_PIECE							\
ROWS_UNFIT,								\
ROWS_ANSWER,								\
ROW(FLOW_VERSION_MISSING) = FAIL(ERROR),				\
ROW(PIECE_MISSING)	= FAIL(ERROR)

/* Nobody waits and nothing can be done about it but to try the next one. */
#define ROWS_NO_ENGINE							\
ROWS_UNFIT,								\
ROW(FLOW_VERSION_MISSING) = GOOD(0),					\
ROW(PIECE_MISSING)	= GOOD(0),					\
ROW(DONE)		= GOOD(0),					\
ROW(ENGINE_OK)		= GOOD(0),					\
ROW(ENGINE_USER_FAILURE) = GOOD(0),					\
ROW(ENGINE_LOG_SIZE)	= GOOD(0),					\
ROW(ENGINE_INTERNAL_ERROR) = GOOD(0),					\
ROW(CALL_REFUSED)	= GOOD(0),					\
ROW(CALL_UNKNOWN)	= GOOD(0),					\
ROW(TIME_LIMIT)		= GOOD(0),					\
ROW(MEMORY)		= GOOD(0),					\
ROW(LOG_SIZE)		= GOOD(0),					\
ROW(BROKEN)		= GOOD(0)

/* family, ending -> run status, internal error's source, job status (before
 * 0.86, from 0.86), what is sent, response if it is not the engine's */
static const struct apw_outcome outcomes[APW_NFAMILIES][APW_NENDINGS] = {
	[APW_FAMILY_FLOW] = {
ROW(BAD_JOB)		= { NULL, NULL, "INTERNAL_ERROR", NULL, ERROR },
ROW(UNSUPPORTED)	= { NULL, NULL, "INTERNAL_ERROR", NULL, ERROR },
ROW(FLOW_VERSION_MISSING) = { "FAILED", NULL, "INTERNAL_ERROR", NULL, 0 },
ROW(PIECE_MISSING)	= { "FAILED", NULL, "INTERNAL_ERROR", "OK", ERROR },
ROW(PROVISION_FAILED)	= { "INTERNAL_ERROR", "WORKER", "INTERNAL_ERROR", NULL,
			    ERROR | LOGS },
ROW(NOT_RUNNABLE)	= { NULL, NULL, "INTERNAL_ERROR", NULL, ERROR },
ROW(DONE)		= { NULL, NULL, "OK", NULL, LOGS },
ROW(CALL_REFUSED)	= { NULL, NULL, "INTERNAL_ERROR", NULL, ERROR | LOGS },
ROW(CALL_UNKNOWN)	= { NULL, NULL, "INTERNAL_ERROR", NULL, ERROR | LOGS },
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
	/* A submission whose fate is unknown is no failure: the app would
	 * run the job again and start the runs twice. */
	[APW_FAMILY_WEBHOOK] = {
ROWS_UNFIT,
ROW(FLOW_VERSION_MISSING) = GOOD(0),
ROW(PIECE_MISSING)	= GOOD(0),
ROW(DONE)		= GOOD(0),
ROW(ENGINE_OK)		= GOOD(LOGS),
ROW(ENGINE_USER_FAILURE) = GOOD(LOGS),
ROW(ENGINE_LOG_SIZE)	= GOOD(LOGS),
ROW(ENGINE_INTERNAL_ERROR) = GOOD(LOGS),
ROW(CALL_REFUSED)	= FAIL(ERROR | LOGS),
ROW(CALL_UNKNOWN)	= GOOD(LOGS),
ROW(TIME_LIMIT)		= GOOD(0),
ROW(MEMORY)		= FAIL(ERROR | LOGS),
ROW(LOG_SIZE)		= FAIL(ERROR | LOGS),
ROW(BROKEN)		= FAIL(ERROR | LOGS),
	},
	/* The next schedule is the retry. */
	[APW_FAMILY_POLLING] = {
ROWS_UNFIT,
ROW(FLOW_VERSION_MISSING) = FAIL(ERROR),
ROW(PIECE_MISSING)	= GOOD(0),
ROW(DONE)		= GOOD(0),
ROW(ENGINE_OK)		= GOOD(LOGS),
ROW(ENGINE_USER_FAILURE) = GOOD(LOGS),
ROW(ENGINE_LOG_SIZE)	= GOOD(LOGS),
ROW(ENGINE_INTERNAL_ERROR) = GOOD(LOGS),
ROW(CALL_REFUSED)	= GOOD(0),
ROW(CALL_UNKNOWN)	= GOOD(0),
ROW(TIME_LIMIT)		= GOOD(0),
ROW(MEMORY)		= GOOD(0),
ROW(LOG_SIZE)		= GOOD(0),
ROW(BROKEN)		= GOOD(0),
	},
	[APW_FAMILY_RENEW] = {
ROWS_UNFIT,
ROW(FLOW_VERSION_MISSING) = GOOD(0),
ROW(PIECE_MISSING)	= GOOD(0),
ROW(DONE)		= GOOD(0),
ROW(ENGINE_OK)		= GOOD(0),
ROW(ENGINE_USER_FAILURE) = GOOD(0),
ROW(ENGINE_LOG_SIZE)	= GOOD(0),
ROW(ENGINE_INTERNAL_ERROR) = GOOD(0),
ROW(CALL_REFUSED)	= FAIL(ERROR),
ROW(CALL_UNKNOWN)	= FAIL(ERROR),
ROW(TIME_LIMIT)		= FAIL(ERROR | LOGS),
ROW(MEMORY)		= FAIL(ERROR | LOGS),
ROW(LOG_SIZE)		= FAIL(ERROR | LOGS),
ROW(BROKEN)		= FAIL(ERROR | LOGS),
	},
	[APW_FAMILY_TRIGGER_HOOK] = {
ROWS_UNFIT,
ROWS_ANSWER,
ROW(FLOW_VERSION_MISSING) = GOOD(0),
ROW(PIECE_MISSING)	= GOOD(0),
ROW(TIME_LIMIT)		= JOB("TIMEOUT", 0),
	},
	[APW_FAMILY_PROPERTY] = {
ROWS_OF_PIECE,
ROW(TIME_LIMIT)		= { NULL, NULL, "TIMEOUT", NULL, RESPONSE, "{}" },
	},
	[APW_FAMILY_VALIDATION] = {
ROWS_OF_PIECE,
ROW(TIME_LIMIT)		= { NULL, NULL, "TIMEOUT", NULL, RESPONSE,
			    "{\"valid\":false,"
			    "\"error\":\"Validation timed out\"}" },
	},
	[APW_FAMILY_EXTRACT] = {
ROWS_OF_PIECE,
ROW(TIME_LIMIT)		= FAIL(ERROR | LOGS),
	},
	[APW_FAMILY_TOKEN_REFRESH] = {
ROWS_OF_PIECE,
ROW(TIME_LIMIT)		= { NULL, NULL, "TIMEOUT", NULL, RESPONSE,
			    "{\"skipped\":true}" },
	},
	[APW_FAMILY_EVENT] = { ROWS_NO_ENGINE },
	[APW_FAMILY_CHAT] = { ROWS_NO_ENGINE },
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
