/* The outcome table, row by row, against the app's rules for a flow run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "job/outcome.h"

#define E	APW_SENDS_ERROR
#define L	APW_SENDS_LOGS

static const struct {
	enum apw_ending	 ending;
	const char	*run;		/* uploadRunLog.status by the worker */
	const char	*source;	/* internalError */
	const char	*job;		/* completeJob.status, 0.85 */
	const char	*job_86;
	unsigned	 sends;
} rows[] = {
	{ APW_ENDING_FLOW_VERSION_MISSING, "FAILED", NULL, "INTERNAL_ERROR",
	    "INTERNAL_ERROR", 0 },
	{ APW_ENDING_PIECE_MISSING, "FAILED", NULL, "INTERNAL_ERROR", "OK",
	    0 },
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
		    apw_outcome(APW_FAMILY_FLOW, e);

		same("run status", e, o->run_status, rows[i].run);
		same("source", e, o->source, rows[i].source);
		same("job status", e, apw_outcome_status(o,
		    APW_RELEASE(0, 85, 4)), rows[i].job);
		same("job status of 0.86", e, apw_outcome_status(o,
		    APW_RELEASE(0, 86, 0)), rows[i].job_86);
		assert_int_equal(o->sends, rows[i].sends);
		seen[e] = true;
	}
	for (i = 0; i < APW_NENDINGS; i++)
		if (!seen[i])
			fail_msg("no row for %s", apw_ending_name(i));
}

/* An internal error always says whose it is. */
static void
test_sources(void **state)
{
	int	f, e;

	(void)state;
	for (f = 0; f < APW_NFAMILIES; f++)
		for (e = 0; e < APW_NENDINGS; e++) {
			const struct apw_outcome *o = apw_outcome(f, e);

			assert_int_equal(o->source != NULL,
			    o->run_status != NULL &&
			    strcmp(o->run_status, "INTERNAL_ERROR") == 0);
		}
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
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_engine_status),
		cmocka_unit_test(test_verdicts),
	};

	return cmocka_run_group_tests_name("outcome", tests, NULL, NULL);
}
