/* The outcome table, row by row, against the app's rules. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "job/outcome.h"

#define E	APW_SENDS_ERROR
#define L	APW_SENDS_LOGS
#define R	APW_SENDS_RESPONSE

static const struct {
	enum apw_ending	 ending;
	const char	*run;		/* uploadRunLog.status by the worker */
	const char	*source;	/* internalError */
	const char	*job;		/* completeJob.status, 0.85 */
	const char	*job_86;
	unsigned	 sends;
} rows[] = {
	{ APW_ENDING_FLOW_VERSION_MISSING, "FAILED", NULL, "INTERNAL_ERROR",
	    "OK", 0 },
	{ APW_ENDING_PIECE_MISSING, "FAILED", NULL, "INTERNAL_ERROR", "OK",
	    E },
	{ APW_ENDING_PROVISION_FAILED, "INTERNAL_ERROR", "WORKER",
	    "INTERNAL_ERROR", "INTERNAL_ERROR", E | L },
	{ APW_ENDING_NOT_RUNNABLE, NULL, NULL, "INTERNAL_ERROR",
	    "INTERNAL_ERROR", E },
	{ APW_ENDING_ENGINE_OK, NULL, NULL, "OK", "OK", L },
	{ APW_ENDING_ENGINE_USER_FAILURE, NULL, NULL, "OK", "OK", L },
	{ APW_ENDING_ENGINE_LOG_SIZE, "LOG_SIZE_EXCEEDED", NULL,
	    "LOG_SIZE_EXCEEDED", "LOG_SIZE_EXCEEDED", L },
	{ APW_ENDING_ENGINE_INTERNAL_ERROR, "INTERNAL_ERROR", "ENGINE",
	    "INTERNAL_ERROR", "INTERNAL_ERROR", L },
	{ APW_ENDING_TIME_LIMIT, "TIMEOUT", NULL, "TIMEOUT", "TIMEOUT", 0 },
	{ APW_ENDING_NEVER_STARTED, "TIMEOUT", NULL, "TIMEOUT", "TIMEOUT", 0 },
	{ APW_ENDING_MEMORY, "MEMORY_LIMIT_EXCEEDED", NULL, "MEMORY_ISSUE",
	    "MEMORY_ISSUE", 0 },
	{ APW_ENDING_LOG_SIZE, "LOG_SIZE_EXCEEDED", NULL,
	    "LOG_SIZE_EXCEEDED", "LOG_SIZE_EXCEEDED", 0 },
	{ APW_ENDING_BROKEN, "INTERNAL_ERROR", "WORKER", "INTERNAL_ERROR",
	    "INTERNAL_ERROR", E | L },
	{ APW_ENDING_BAD_JOB, NULL, NULL, "INTERNAL_ERROR",
	    "INTERNAL_ERROR", E },
	{ APW_ENDING_UNSUPPORTED, NULL, NULL, "INTERNAL_ERROR",
	    "INTERNAL_ERROR", E },
	{ APW_ENDING_DONE, NULL, NULL, "OK", "OK", L },
	{ APW_ENDING_CALL_REFUSED, NULL, NULL, "INTERNAL_ERROR",
	    "INTERNAL_ERROR", E | L },
	{ APW_ENDING_CALL_UNKNOWN, NULL, NULL, "INTERNAL_ERROR",
	    "INTERNAL_ERROR", E | L },
};

/* The families without a run of their own, one column each. */
enum { WEBHOOK, POLLING, RENEW, HOOK, PROPERTY, VALIDATION, EXTRACT, REFRESH,
	EVENT, CHAT, IDENTIFIER, ACTION, AGENT, AI, NCOLUMNS };

static const enum apw_family columns[NCOLUMNS] = {
	APW_FAMILY_WEBHOOK, APW_FAMILY_POLLING, APW_FAMILY_RENEW,
	APW_FAMILY_TRIGGER_HOOK, APW_FAMILY_PROPERTY, APW_FAMILY_VALIDATION,
	APW_FAMILY_EXTRACT, APW_FAMILY_TOKEN_REFRESH, APW_FAMILY_EVENT,
	APW_FAMILY_CHAT, APW_FAMILY_IDENTIFIER, APW_FAMILY_ACTION,
	APW_FAMILY_AGENT, APW_FAMILY_AI,
};

/* status and what goes with it: e message, l logs, r response */
static const struct {
	enum apw_ending	 ending;
	const char	*cell[NCOLUMNS];
} table[] = {
#define OK	"OK"
#define FAIL	"INTERNAL_ERROR e"
#define FAILS	"INTERNAL_ERROR el"
#define FAILR	"INTERNAL_ERROR elr"
	{ APW_ENDING_BAD_JOB,
	    { FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL,
	    FAIL, FAIL, FAIL, FAIL } },
	{ APW_ENDING_UNSUPPORTED,
	    { FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL,
	    FAIL, FAIL, FAIL, FAIL } },
	{ APW_ENDING_FLOW_VERSION_MISSING,
	    { OK, FAIL, OK, OK, FAIL, FAIL, FAIL, FAIL, OK, OK,
	    FAIL, FAIL, FAIL, FAIL } },
	{ APW_ENDING_PIECE_MISSING,
	    { OK, OK, OK, OK, FAIL, FAIL, FAIL, FAIL, OK, OK,
	    FAIL, FAIL, FAIL, FAIL } },
	{ APW_ENDING_PROVISION_FAILED,
	    { FAILS, FAILS, FAILS, FAILS, FAILS, FAILS, FAILS, FAILS, FAILS,
	    FAILS,
	    FAILS, FAILS, FAILS, FAILS } },
	{ APW_ENDING_NOT_RUNNABLE,
	    { FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL, FAIL,
	    FAIL, FAIL, FAIL, FAIL } },
	{ APW_ENDING_DONE,
	    { OK, OK, OK, OK, OK, OK, OK, OK, OK, OK,
	    OK, OK, OK, "OK r" } },
	{ APW_ENDING_ENGINE_OK,
	    { "OK l", "OK l", OK, "OK elr", "OK elr", "OK elr", "OK elr",
	    "OK elr", OK, OK,
	    "OK elr", "OK elr", OK, OK } },
	{ APW_ENDING_ENGINE_USER_FAILURE,
	    { "OK l", "OK l", OK, "USER_FAILURE elr", "USER_FAILURE elr",
	    "USER_FAILURE elr", "USER_FAILURE elr", "USER_FAILURE elr", OK,
	    OK,
	    "USER_FAILURE elr", "USER_FAILURE elr", FAIL, FAIL } },
	{ APW_ENDING_ENGINE_LOG_SIZE,
	    { "OK l", "OK l", OK, "LOG_SIZE_EXCEEDED elr",
	    "LOG_SIZE_EXCEEDED elr", "LOG_SIZE_EXCEEDED elr",
	    "LOG_SIZE_EXCEEDED elr", "LOG_SIZE_EXCEEDED elr", OK, OK,
	    "LOG_SIZE_EXCEEDED elr", "LOG_SIZE_EXCEEDED elr", FAIL, FAIL } },
	{ APW_ENDING_ENGINE_INTERNAL_ERROR,
	    { "OK l", "OK l", OK, FAILR, FAILR, FAILR, FAILR, FAILR, OK,
	    OK,
	    FAILR, FAILR, FAIL, FAIL } },
	{ APW_ENDING_CALL_REFUSED,
	    { FAILS, OK, FAIL, FAILS, FAILS, FAILS, FAILS, FAILS, OK, OK,
	    FAILS, FAILS, FAIL, FAIL } },
	{ APW_ENDING_CALL_UNKNOWN,
	    { "OK l", OK, FAIL, FAILS, FAILS, FAILS, FAILS, FAILS, OK, OK,
	    FAILS, FAILS, FAIL, FAIL } },
	{ APW_ENDING_TIME_LIMIT,
	    { OK, OK, FAILS, "TIMEOUT", "TIMEOUT r", "TIMEOUT r", FAILS,
	    "TIMEOUT r", OK, OK,
	    "TIMEOUT r", "TIMEOUT r", FAIL, FAIL } },
	/* only one family tells the difference */
	{ APW_ENDING_NEVER_STARTED,
	    { OK, OK, FAILS, "TIMEOUT", "TIMEOUT r", "TIMEOUT r", FAILS,
	    "TIMEOUT r", OK, OK, "TIMEOUT r", "TIMEOUT r", FAIL, FAIL } },
	{ APW_ENDING_MEMORY,
	    { FAILS, OK, FAILS, FAILS, FAILS, FAILS, FAILS, FAILS, OK, OK,
	    FAILS, FAILS, FAIL, FAIL } },
	{ APW_ENDING_LOG_SIZE,
	    { FAILS, OK, FAILS, FAILS, FAILS, FAILS, FAILS, FAILS, OK, OK,
	    FAILS, FAILS, FAIL, FAIL } },
	{ APW_ENDING_BROKEN,
	    { FAILS, OK, FAILS, FAILS, FAILS, FAILS, FAILS, FAILS, OK, OK,
	    FAILS, FAILS, FAIL, FAIL } },
};

static void
same(const char *what, enum apw_ending e, const char *got, const char *want)
{
	if ((got == NULL) != (want == NULL) ||
	    (got != NULL && strcmp(got, want) != 0))
		fail_msg("%s of %s is %s, not %s", what, apw_ending_name(e),
		    got == NULL ? "-" : got, want == NULL ? "-" : want);
}

static void
test_flow(void **state)
{
	bool	seen[APW_NENDINGS] = { false };
	size_t	i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++) {
		enum apw_ending			 e = rows[i].ending;
		const struct apw_outcome	*o =
		    apw_outcome(APW_FAMILY_FLOW, e, APW_RELEASE(0, 85, 4));

		same("run status", e, o->run_status, rows[i].run);
		same("source", e, o->source, rows[i].source);
		same("job status", e, o->status, rows[i].job);
		same("job status of 0.86", e, apw_outcome(APW_FAMILY_FLOW, e,
		    APW_RELEASE(0, 86, 0))->status, rows[i].job_86);
		assert_int_equal(o->sends, rows[i].sends);
		seen[e] = true;
	}
	for (i = 0; i < APW_NENDINGS; i++)
		if (!seen[i])
			fail_msg("no row for %s", apw_ending_name(i));
}

static void
cell_text(const struct apw_outcome *o, char *text, size_t size)
{
	snprintf(text, size, "%s%s%s%s%s", o->status,
	    o->sends != 0 ? " " : "", (o->sends & E) != 0 ? "e" : "",
	    (o->sends & L) != 0 ? "l" : "", (o->sends & R) != 0 ? "r" : "");
}

static void
test_families(void **state)
{
	const struct apw_outcome *o;
	bool	seen[APW_NENDINGS] = { false };
	char	text[64];
	size_t	i, c;

	(void)state;
	for (i = 0; i < APW_COUNT(table); i++) {
		seen[table[i].ending] = true;
		for (c = 0; c < NCOLUMNS; c++) {
			o = apw_outcome(columns[c], table[i].ending,
			    APW_RELEASE(0, 85, 4));
			cell_text(o, text, sizeof(text));
			if (strcmp(text, table[i].cell[c]) != 0)
				fail_msg("%s of column %zu is %s, not %s",
				    apw_ending_name(table[i].ending), c, text,
				    table[i].cell[c]);
			assert_null(o->run_status);
			assert_null(o->source);
		}
	}
	for (i = 0; i < APW_NENDINGS; i++)
		if (!seen[i])
			fail_msg("no row for %s", apw_ending_name(i));
}

/* A time limit has an answer of its own, and nothing else has one. */
static void
test_responses(void **state)
{
	static const char *const late[APW_NFAMILIES] = {
		[APW_FAMILY_PROPERTY] = "{}",
		[APW_FAMILY_VALIDATION] = "{\"valid\":false,"
		    "\"error\":\"Validation timed out\"}",
		[APW_FAMILY_TOKEN_REFRESH] = "{\"skipped\":true}",
		[APW_FAMILY_IDENTIFIER] = "{}",
		[APW_FAMILY_ACTION] = "{\"success\":false,\"input\":{},"
		    "\"output\":null,\"neverStarted\":false}",
	};
	static const char never[] = "{\"success\":false,\"input\":{},"
	    "\"output\":null,\"neverStarted\":true}";
	int	f, e;

	(void)state;
	for (f = 0; f < APW_NFAMILIES; f++)
		for (e = 0; e < APW_NENDINGS; e++)
			same("response", e, apw_outcome(f, e, 0)->response,
			    e == APW_ENDING_NEVER_STARTED &&
			    f == APW_FAMILY_ACTION ? never :
			    e == APW_ENDING_TIME_LIMIT ||
			    e == APW_ENDING_NEVER_STARTED ? late[f] : NULL);
}

/* An internal error always says whose it is. */
static void
test_sources(void **state)
{
	int	f, e;

	(void)state;
	for (f = 0; f < APW_NFAMILIES; f++)
		for (e = 0; e < APW_NENDINGS; e++) {
			const struct apw_outcome *o = apw_outcome(f, e, 0);

			assert_int_equal(o->source != NULL,
			    o->run_status != NULL &&
			    strcmp(o->run_status, "INTERNAL_ERROR") == 0);
		}
}

/* From 0.86 on some rows are others; all other rows are the same. */
static void
test_later(void **state)
{
	const unsigned	new = APW_RELEASE(0, 88, 3);
	const struct apw_outcome *o;
	int	f, e, others = 0;

	(void)state;
	for (f = 0; f < APW_NFAMILIES; f++)
		for (e = 0; e < APW_NENDINGS; e++)
			others += apw_outcome(f, e, new) !=
			    apw_outcome(f, e, APW_RELEASE(0, 85, 4));
	assert_int_equal(others, 4);
	o = apw_outcome(APW_FAMILY_FLOW, APW_ENDING_FLOW_VERSION_MISSING, new);
	assert_string_equal(o->run_status, "FAILED");
	assert_string_equal(o->status, "OK");
	o = apw_outcome(APW_FAMILY_FLOW, APW_ENDING_PIECE_MISSING, new);
	assert_string_equal(o->status, "OK");
	assert_int_equal(o->sends, 0);
	o = apw_outcome(APW_FAMILY_FLOW, APW_ENDING_NOT_RUNNABLE, new);
	assert_string_equal(o->run_status, "INTERNAL_ERROR");
	assert_string_equal(o->source, "WORKER");
	o = apw_outcome(APW_FAMILY_POLLING, APW_ENDING_FLOW_VERSION_MISSING,
	    new);
	assert_string_equal(o->status, "OK");
}

static void
test_engine_status(void **state)
{
	(void)state;
	assert_int_equal(apw_ending_of_status(APW_STR("\"OK\"")),
	    APW_ENDING_ENGINE_OK);
	assert_int_equal(apw_ending_of_status(APW_STR("\"USER_FAILURE\"")),
	    APW_ENDING_ENGINE_USER_FAILURE);
	assert_int_equal(apw_ending_of_status(
	    APW_STR("\"LOG_SIZE_EXCEEDED\"")), APW_ENDING_ENGINE_LOG_SIZE);
	assert_int_equal(apw_ending_of_status(APW_STR("\"INTERNAL_ERROR\"")),
	    APW_ENDING_ENGINE_INTERNAL_ERROR);
	assert_int_equal(apw_ending_of_status(APW_STR("\"TIMEOUT\"")),
	    APW_ENDING_ENGINE_OK);
	assert_int_equal(apw_ending_of_status(APW_STR("\"whatever\"")),
	    APW_ENDING_ENGINE_OK);
}

static void
test_verdicts(void **state)
{
	static const enum apw_ending	want[APW_NVERDICTS] = {
		[APW_VERDICT_TIME_LIMIT] = APW_ENDING_TIME_LIMIT,
		[APW_VERDICT_STOPPED] = APW_ENDING_BROKEN,
		[APW_VERDICT_EXITED_EARLY] = APW_ENDING_BROKEN,
		[APW_VERDICT_NOT_CONNECTED] = APW_ENDING_BROKEN,
		[APW_VERDICT_MEMORY] = APW_ENDING_MEMORY,
		[APW_VERDICT_LOG_SIZE] = APW_ENDING_LOG_SIZE,
		[APW_VERDICT_FILTER] = APW_ENDING_BROKEN,
		[APW_VERDICT_KILLED_OUTSIDE] = APW_ENDING_BROKEN,
		[APW_VERDICT_LOST] = APW_ENDING_BROKEN,
		[APW_VERDICT_EXITED] = APW_ENDING_BROKEN,
	};
	int	v;

	(void)state;
	for (v = 0; v < APW_NVERDICTS; v++)
		assert_int_equal(apw_ending_of_verdict(v), want[v]);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_flow),
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_responses),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_engine_status),
		cmocka_unit_test(test_verdicts),
	};

	return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
