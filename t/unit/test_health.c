/* The Node worker's health page: 503 when polls do not come round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "monitor/pages_priv.h"

#define AGO(ms)	(apw_now_ms() - (ms))

static struct apw_score	*score;

static int
setup(void **state)
{
	(void)state;
	score = calloc(1, sizeof(*score));
	assert_non_null(score);
	atomic_store(&score->records, 2);
	atomic_store(&score->cycle, 1);
	atomic_store(&score->slot[0].number, 1);
	atomic_store(&score->slot[0].cycle, 1);
	atomic_store(&score->slot[0].state, APW_SLOT_IDLE);
	atomic_store(&score->slot[0].poll_round_ms, AGO(1000));
	atomic_store(&score->slot[1].number, 2);
	atomic_store(&score->slot[1].cycle, 1);
	atomic_store(&score->slot[1].state, APW_SLOT_IDLE);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(score);
	return 0;
}

/* "STATUS BODY" of a GET, in the same place each time. */
static const char *
get(const char *path, const char *query)
{
	static char			text[128];
	const struct apw_httpd_request	rq = {
		.reads = true,
		.path = apw_str_c(path),
		.query = apw_str_c(query),
	};
	struct apw_httpd_answer		r = { .status = 404 };

	mon_pages.on_request(score, &rq, &r);
	snprintf(text, sizeof(text), "%d %.*s", r.status, (int)r.body.len,
	    r.body.data != NULL ? r.body.data : "");
	apw_buf_free(&r.body);
	return text;
}

static void
is_stalled(bool want)
{
	static const char *const	paths[] = { "/worker/health",
	    "/v1/health", "/api/v1/health" };
	size_t				i;

	for (i = 0; i < APW_COUNT(paths); i++)
		assert_string_equal(get(paths[i], ""), want ?
		    "503 {\"status\":\"poll_loop_stalled\"}" :
		    "200 {\"status\":\"ok\"}");
}

static void
test_stalled(void **state)
{
	struct apw_score_slot	*s = &score->slot[1];
	enum apw_slot_state	 other;

	(void)state;
	is_stalled(false);		/* one has never polled */
	atomic_store(&s->poll_round_ms, AGO(175000));
	is_stalled(false);
	atomic_store(&s->poll_round_ms, AGO(181000));
	is_stalled(true);
	/* whoever has a job, no connection, or must not poll, is no loop */
	for (other = 0; other < APW_SLOT_NSTATES; other++) {
		atomic_store(&s->state, other);
		is_stalled(other == APW_SLOT_IDLE);
	}
	atomic_store(&s->state, APW_SLOT_IDLE);
	is_stalled(true);
	atomic_store(&s->poll_round_ms, 0);
	is_stalled(false);
	/* a record that nobody has */
	atomic_store(&s->poll_round_ms, AGO(181000));
	atomic_store(&s->number, 0);
	is_stalled(false);
}

static void
test_exact(void **state)
{
	(void)state;
	assert_string_equal(get("/worker/health", "x=1"), "404 ");
	assert_string_equal(get("/worker/health/", ""), "404 ");
	assert_string_equal(get("/", ""), "404 ");
	assert_int_equal(strncmp(get("/livez", "x=1"), "503 ", 4), 0);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test_setup_teardown(test_stalled, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exact, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
