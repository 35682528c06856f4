/* The reuse rule: who may have a warm engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "slot/reuse.h"

#define USED	.jobs = 3, .was = { "pl1", "p1", "f1" }
#define SAME	.is = { "pl1", "p1", "f1" }
#define FLOW	.is = { "pl1", "p1", "f2" }
#define PROJECT	.is = { "pl1", "p2", "f3" }
#define PLATFORM .is = { "pl2", "p3", "f4" }
#define NOBODY	.is = { NULL, NULL, NULL }

static const struct {
	const char		*name;
	struct apw_reuse_case	 c;
	bool			 yes;
} rows[] = {
	{ "auto, warm mode", { USED, PLATFORM, .warm = true }, true },
	{ "auto, boxed mode", { USED, SAME }, false },
	{ "none", { USED, SAME, .key = APW_REUSE_NONE, .warm = true }, false },
	{ "any in a boxed mode", { USED, PLATFORM, .key = APW_REUSE_ANY },
	    true },
	{ "flow, the same", { USED, SAME, .key = APW_REUSE_FLOW }, true },
	{ "flow, another", { USED, FLOW, .key = APW_REUSE_FLOW }, false },
	{ "flow, a job without", { USED, NOBODY, .key = APW_REUSE_FLOW },
	    false },
	{ "project, another flow", { USED, FLOW, .key = APW_REUSE_PROJECT },
	    true },
	{ "project, another", { USED, PROJECT, .key = APW_REUSE_PROJECT },
	    false },
	{ "platform, another project",
	    { USED, PROJECT, .key = APW_REUSE_PLATFORM }, true },
	{ "platform, another", { USED, PLATFORM, .key = APW_REUSE_PLATFORM },
	    false },
	{ "stale", { USED, SAME, .key = APW_REUSE_ANY, .stale = true },
	    false },
	{ "below its jobs", { USED, SAME, .key = APW_REUSE_ANY,
	    .max_jobs = 4 }, true },
	{ "at its jobs", { USED, SAME, .key = APW_REUSE_ANY, .max_jobs = 3 },
	    false },
	{ "young", { USED, SAME, .key = APW_REUSE_ANY, .max_age_ms = 100,
	    .age_ms = 99 }, true },
	{ "old", { USED, SAME, .key = APW_REUSE_ANY, .max_age_ms = 100,
	    .age_ms = 100 }, false },
	{ "booted ahead, whatever the key",
	    { SAME, .key = APW_REUSE_NONE, .jobs = 0 }, true },
	{ "booted ahead, stale",
	    { SAME, .key = APW_REUSE_ANY, .jobs = 0, .stale = true }, false },
};

static void
test_rows(void **state)
{
	size_t	i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++) {
		const char	*why = apw_reuse_refused(&rows[i].c);

		if ((why == NULL) != rows[i].yes)
			fail_msg("%s: %s", rows[i].name,
			    why == NULL ? "taken" : why);
	}
}

/* An engine is kept exactly when some next job could have it. */
static void
test_keeps(void **state)
{
	size_t	i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++) {
		struct apw_reuse_case	next = rows[i].c;

		if (next.jobs == 0)
			continue;
		next.is = next.was;
		assert_int_equal(apw_reuse_keeps(&rows[i].c),
		    apw_reuse_refused(&next) == NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_keeps),
	};

	return cmocka_run_group_tests_name("reuse", tests, NULL, NULL);
}
