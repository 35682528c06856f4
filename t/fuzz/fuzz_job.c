/* What reaches a job from outside: flow versions, calls of an engine, the
 * app's settings.  Whatever is walked lies in the input or the arena; what
 * passes the relay names the job's own run. */
#include "fuzz_main.h"

#include "job/job_priv.h"
#include "proto/apw_raw.h"
#include "slot/settings.h"

static void
fuzz_walk(struct apw_str text)
{
	struct apw_arena	*arena = apw_arena_new();
	struct apw_walk		 w;
	struct apw_err		 err = APW_ERR_NONE;
	size_t			 i;

	FUZZ_CHECK(arena != NULL);
	if (apw_walk(arena, text, &w, &err) == 0) {
		FUZZ_CHECK(w.ncodes + w.npieces <= w.steps);
		for (i = 0; i < w.ncodes; i++) {
			FUZZ_CHECK(w.codes[i].step[0] != '\0');
			FUZZ_CHECK(w.codes[i].source.p > text.p &&
			    w.codes[i].source.p + w.codes[i].source.n <=
			    text.p + text.n);
		}
		for (i = 0; i < w.npieces; i++)
			FUZZ_CHECK(w.pieces[i].name != NULL &&
			    w.pieces[i].version != NULL);
	} else
		FUZZ_CHECK(err.text[0] != '\0');
	apw_arena_free(arena);
}

static void
fuzz_relay(struct apw_str text)
{
	static const struct apw_job_ids	ids = { .project_id = "p1",
	    .run_id = "r1" };
	struct apw_str			run;

	if (apw_relay_refused(&ids, APW_STR("uploadRunLog"), text) == NULL) {
		FUZZ_CHECK(apw_raw_member(text, "runId", &run) == 1);
		FUZZ_CHECK(apw_raw_equals(apw_raw_trim(run), "r1"));
	}
	apw_relay_refused(&ids, APW_STR("updateRunProgress"), text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static struct apw_cycle	 cycle;
	struct apw_str		 text = { (const char *)data, n };
	struct apw_settings	*s;

	fuzz_walk(text);
	fuzz_relay(text);
	s = apw_settings_read(&cycle, text, NULL);
	if (s != NULL)
		FUZZ_CHECK(s->flow_timeout_ms > 0 && s->mode != NULL &&
		    s->file_mb > 0 && s->run_log_mb > 0 && s->memory_mb > 0);
	apw_settings_free(s);
	return 0;
}
