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
#define JOB(status, sends)	{ NULL, NULL, status, sends, NULL }
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

/* Nothing here does it; what is done is to tell so to who waits. */
#define ROWS_NOT_DONE							\
ROWS_UNFIT,								\
ROW(FLOW_VERSION_MISSING) = FAIL(ERROR),				\
ROW(PIECE_MISSING)	= FAIL(ERROR),					\
ROW(ENGINE_OK)		= GOOD(0),					\
ROW(ENGINE_USER_FAILURE) = FAIL(ERROR),					\
ROW(ENGINE_LOG_SIZE)	= FAIL(ERROR),					\
ROW(ENGINE_INTERNAL_ERROR) = FAIL(ERROR),				\
ROW(CALL_REFUSED)	= FAIL(ERROR),					\
ROW(CALL_UNKNOWN)	= FAIL(ERROR),					\
ROW(TIME_LIMIT)		= FAIL(ERROR),					\
ROW(MEMORY)		= FAIL(ERROR),					\
ROW(LOG_SIZE)		= FAIL(ERROR),					\
ROW(BROKEN)		= FAIL(ERROR)

/* family, ending -> run status, internal error's source, job status, what is
 * sent, response if it is not the engine's */
static const struct apw_outcome outcomes[APW_NFAMILIES][APW_NENDINGS] = {
	[APW_FAMILY_FLOW] = {
ROW(BAD_JOB)		= { NULL, NULL, "INTERNAL_ERROR", ERROR },
ROW(UNSUPPORTED)	= { NULL, NULL, "INTERNAL_ERROR", ERROR },
ROW(FLOW_VERSION_MISSING) = { "FAILED", NULL, "INTERNAL_ERROR", 0 },
ROW(PIECE_MISSING)	= { "FAILED", NULL, "INTERNAL_ERROR", ERROR },
ROW(PROVISION_FAILED)	= { "INTERNAL_ERROR", "WORKER", "INTERNAL_ERROR",
			    ERROR | LOGS },
ROW(NOT_RUNNABLE)	= { NULL, NULL, "INTERNAL_ERROR", ERROR },
ROW(DONE)		= { NULL, NULL, "OK", LOGS },
ROW(CALL_REFUSED)	= { NULL, NULL, "INTERNAL_ERROR", ERROR | LOGS },
ROW(CALL_UNKNOWN)	= { NULL, NULL, "INTERNAL_ERROR", ERROR | LOGS },
ROW(ENGINE_OK)		= { NULL, NULL, "OK", LOGS },
ROW(ENGINE_USER_FAILURE) = { NULL, NULL, "OK", LOGS },
ROW(ENGINE_LOG_SIZE)	= { "LOG_SIZE_EXCEEDED", NULL, "LOG_SIZE_EXCEEDED",
			    LOGS },
ROW(ENGINE_INTERNAL_ERROR) = { "INTERNAL_ERROR", "ENGINE", "INTERNAL_ERROR",
			    LOGS },
ROW(TIME_LIMIT)		= { "TIMEOUT", NULL, "TIMEOUT", 0 },
ROW(MEMORY)		= { "MEMORY_LIMIT_EXCEEDED", NULL, "MEMORY_ISSUE", 0 },
ROW(LOG_SIZE)		= { "LOG_SIZE_EXCEEDED", NULL, "LOG_SIZE_EXCEEDED",
			    0 },
ROW(BROKEN)		= { "INTERNAL_ERROR", "WORKER", "INTERNAL_ERROR",
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
ROW(TIME_LIMIT)		= { NULL, NULL, "TIMEOUT", RESPONSE, "{}" },
	},
	[APW_FAMILY_VALIDATION] = {
ROWS_OF_PIECE,
ROW(TIME_LIMIT)		= { NULL, NULL, "TIMEOUT", RESPONSE,
			    "{\"valid\":false,"
			    "\"error\":\"Validation timed out\"}" },
	},
	[APW_FAMILY_EXTRACT] = {
ROWS_OF_PIECE,
ROW(TIME_LIMIT)		= FAIL(ERROR | LOGS),
	},
	[APW_FAMILY_TOKEN_REFRESH] = {
ROWS_OF_PIECE,
ROW(TIME_LIMIT)		= { NULL, NULL, "TIMEOUT", RESPONSE,
			    "{\"skipped\":true}" },
	},
	[APW_FAMILY_IDENTIFIER] = {
ROWS_OF_PIECE,
ROW(TIME_LIMIT)		= { NULL, NULL, "TIMEOUT", RESPONSE, "{}" },
	},
	[APW_FAMILY_ACTION] = {
ROWS_OF_PIECE,
ROW(TIME_LIMIT)		= { NULL, NULL, "TIMEOUT", RESPONSE,
			    "{\"success\":false,\"input\":{},\"output\":null,"
			    "\"neverStarted\":false}" },
ROW(NEVER_STARTED)	= { NULL, NULL, "TIMEOUT", RESPONSE,
			    "{\"success\":false,\"input\":{},\"output\":null,"
			    "\"neverStarted\":true}" },
	},
	[APW_FAMILY_EVENT] = { ROWS_NO_ENGINE },
	[APW_FAMILY_CHAT] = { ROWS_NO_ENGINE },
	/* Told as what it is, a failed job: the app does not try it again. */
	[APW_FAMILY_AGENT] = {
ROWS_NOT_DONE,
ROW(DONE)		= GOOD(0),
	},
	[APW_FAMILY_AI] = {
ROWS_NOT_DONE,
ROW(DONE)		= JOB("OK", RESPONSE),
	},
};

/* From 0.86 on: a flow that is gone or has been disabled is nothing that
 * another try would change, and what cannot be resumed is told. */
static const struct apw_outcome outcomes_86[APW_NFAMILIES][APW_NENDINGS] = {
	[APW_FAMILY_FLOW] = {
ROW(FLOW_VERSION_MISSING) = { "FAILED", NULL, "OK", 0, NULL },
ROW(PIECE_MISSING)	= { "FAILED", NULL, "OK", 0, NULL },
ROW(NOT_RUNNABLE)	= { "INTERNAL_ERROR", "WORKER", "INTERNAL_ERROR",
			    ERROR, NULL },
	},
	[APW_FAMILY_POLLING] = {
ROW(FLOW_VERSION_MISSING) = GOOD(0),
	},
};

const struct apw_outcome *
apw_outcome(enum apw_family family, enum apw_ending ending, unsigned release)
{
	APW_ASSERT(family < APW_NFAMILIES && ending < APW_NENDINGS);
	/* only who is told of the difference has a row for it */
	if (ending == APW_ENDING_NEVER_STARTED &&
	    outcomes[family][ending].status == NULL)
		ending = APW_ENDING_TIME_LIMIT;
	if (release >= APW_RELEASE(0, 86, 0) &&
	    outcomes_86[family][ending].status != NULL)
		return &outcomes_86[family][ending];
	APW_ASSERT(outcomes[family][ending].status != NULL);
	return &outcomes[family][ending];
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
