/* What one run in the spool has reported so far; see spool_run.h. */
#include "modules/source/spool_run.h"

#include <stdio.h>
#include <stdlib.h>

#include "modules/source/spool.h"
#include "proto/apw_raw.h"

#define RUN_TEXT_MAX	((size_t)64 << 20)	/* of each thing we keep */
#define RUN_STEPS_MAX	2000

/* The last word about one step: name a string literal, output raw. */
struct spool_step {
	STAILQ_ENTRY(spool_step) entry;
	struct apw_buf	name, output;
};

void
spool_run_begin(struct spool_run *run)
{
	spool_run_end(run);
	run->response.max = run->payloads.max =
	    run->run.max = run->output.max = run->logs.max = RUN_TEXT_MAX;
	run->error.max = 1 << 20;
	run->missing.max = 4096;
}

void
spool_run_end(struct spool_run *run)
{
	struct spool_step	*step, *next;

	/* a run that has not begun is all zeroes */
	for (step = STAILQ_FIRST(&run->steps); step != NULL; step = next) {
		next = STAILQ_NEXT(step, entry);
		apw_buf_free(&step->name);
		apw_buf_free(&step->output);
		free(step);
	}
	json_decref(run->log);
	apw_buf_free(&run->response);
	apw_buf_free(&run->missing);
	apw_buf_free(&run->payloads);
	apw_buf_free(&run->run);
	apw_buf_free(&run->output);
	apw_buf_free(&run->logs);
	apw_buf_free(&run->error);
	*run = (struct spool_run){ .log = NULL };
	STAILQ_INIT(&run->steps);
}

/* The app merges run logs by run id, later keys win; so do we. */
static void
run_merge_log(struct spool_run *run, struct apw_str payload)
{
	json_t	*next = json_loadb(payload.p, payload.n,
		    JSON_ALLOW_NUL, NULL);

	if (!json_is_object(next))
		json_decref(next);
	else if (run->log == NULL)
		run->log = next;
	else {
		json_object_update(run->log, next);
		json_decref(next);
	}
}

static void
run_keep(struct apw_buf *b, struct apw_str text)
{
	apw_buf_reset(b);
	if (apw_buf_str(b, text) == -1)
		apw_buf_reset(b);	/* too large to keep: as if unsaid */
}

static struct spool_step *
run_step(struct spool_run *run, struct apw_str name)
{
	struct spool_step	*step;

	STAILQ_FOREACH(step, &run->steps, entry)
		if (apw_str_eq(apw_buf_view(&step->name), name))
			return step;
	if (run->nsteps >= RUN_STEPS_MAX ||
	    (step = calloc(1, sizeof(*step))) == NULL)
		return NULL;
	apw_buf_str(&step->name, name);
	STAILQ_INSERT_TAIL(&run->steps, step, entry);
	run->nsteps++;
	return step;
}

/* {"step":{"name","path","output"}}: a step inside a loop has a path, and is
 * part of what its loop says. */
static void
run_note_step(struct spool_run *run, struct apw_str payload)
{
	struct apw_str		 told, name, path, output;
	struct spool_step	*step;

	if (apw_raw_member(payload, "step", &told) != 1 ||
	    apw_raw_member(told, "name", &name) != 1 ||
	    apw_raw_type(name) != APW_RAW_STRING ||
	    apw_raw_member(told, "output", &output) != 1 ||
	    (apw_raw_member(told, "path", &path) == 1 &&
	    apw_raw_element(path, 0, &path) == 1))
		return;
	step = run_step(run, apw_raw_trim(name));
	if (step == NULL || run->steps_bytes - step->output.len + output.n >
	    RUN_TEXT_MAX)
		return;
	run->steps_bytes -= step->output.len;
	run_keep(&step->output, apw_raw_trim(output));
	run->steps_bytes += step->output.len;
}

static void
run_note_payloads(struct spool_run *run, const char *method,
    struct apw_str payload)
{
	struct apw_str	list;
	size_t		before = run->payloads.len;

	if (apw_raw_member(payload, "payloads", &list) != 1)
		return;
	apw_buf_puts(&run->payloads, before == 0 ? "" : ",");
	apw_buf_puts(&run->payloads, "{\"method\":");
	apw_buf_json_c(&run->payloads, method);
	apw_buf_puts(&run->payloads, ",\"payloads\":");
	apw_buf_str(&run->payloads, apw_raw_trim(list));
	apw_buf_puts(&run->payloads, "}");
	if (run->payloads.failed) {
		run->payloads.len = before;
		run->payloads.failed = false;
	}
}

void
spool_run_note(struct spool_run *run, const char *method,
    struct apw_str payload)
{
	if (strcmp(method, "uploadRunLog") == 0)
		run_merge_log(run, payload);
	else if (strcmp(method, "updateRunProgress") == 0)
		run_note_step(run, payload);
	else if (strcmp(method, "sendFlowResponse") == 0) {
		if (run->response.len == 0)	/* the first one wins */
			run_keep(&run->response, payload);
	} else if (strcmp(method, "submitPayloads") == 0 ||
	    strcmp(method, "savePayloads") == 0)
		run_note_payloads(run, method, payload);
}

/* {"response":...,"steps":...}: what the flow gave, as far as it was told. */
static void
run_compose_output(struct spool_run *run)
{
	struct spool_step	*step;
	struct apw_str		 response;
	const char		*comma = "";

	apw_buf_puts(&run->output, "{");
	if (apw_raw_member(apw_buf_view(&run->response), "runResponse",
	    &response) == 1) {
		apw_buf_puts(&run->output, "\"response\":");
		apw_buf_str(&run->output, apw_raw_trim(response));
		comma = ",";
	}
	STAILQ_FOREACH(step, &run->steps, entry) {
		apw_buf_puts(&run->output, comma);
		if (step == STAILQ_FIRST(&run->steps))
			apw_buf_puts(&run->output, "\"steps\":{");
		apw_buf_str(&run->output, apw_buf_view(&step->name));
		apw_buf_puts(&run->output, ":");
		apw_buf_str(&run->output, apw_buf_view(&step->output));
		comma = ",";
	}
	if (!STAILQ_EMPTY(&run->steps))
		apw_buf_puts(&run->output, "}");
	if (*comma == '\0')
		apw_buf_reset(&run->output);
	else
		apw_buf_puts(&run->output, "}\n");
}

/* Decode member key of the object into b; false when it is no string. */
static bool
member_text(struct apw_str object, const char *key, struct apw_buf *b)
{
	struct apw_str	v;

	apw_buf_reset(b);
	return apw_raw_member(object, key, &v) == 1 &&
	    apw_raw_type(v) == APW_RAW_STRING && apw_raw_decode(b, v) == 0;
}

static void
copy_text(char *dst, size_t size, const struct apw_buf *b)
{
	snprintf(dst, size, "%s", b->data == NULL ? "" : b->data);
}

int
spool_run_outcome(struct spool_run *run, struct apw_str complete,
    struct spool_outcome *o)
{
	const char	*run_status;
	char		*text;

	/* it may be asked again, when the result could not be written */
	apw_buf_reset(&run->run);
	apw_buf_reset(&run->output);
	if (!member_text(complete, "status", &run->logs))
		return -1;
	copy_text(run->job_status, sizeof(run->job_status), &run->logs);
	o->job_status = run->job_status;

	/* A job that ended well can have run a flow that did not. */
	run_status = json_string_value(json_object_get(run->log, "status"));
	snprintf(run->status, sizeof(run->status), "%s",
	    run_status != NULL ? run_status :
	    strcmp(run->job_status, "OK") == 0 ? "SUCCEEDED" :
	    run->job_status);
	o->status = run->status;
	o->ok = strcmp(run->job_status, "OK") == 0 &&
	    (strcmp(run->status, "SUCCEEDED") == 0 ||
	    strcmp(run->status, "PAUSED") == 0);

	if (apw_raw_member(complete, "network", &o->network) != 1)
		o->network = APW_STR("");
	if (member_text(complete, "errorMessage", &run->error))
		o->error = run->error.data;
	else if (!o->ok && run->missing.len != 0)
		o->error = run->missing.data;
	member_text(complete, "logs", &run->logs);
	o->log = apw_buf_view(&run->logs);
	if (run->log != NULL && (text = json_dumps(run->log,
	    JSON_COMPACT | JSON_ENSURE_ASCII)) != NULL) {
		apw_buf_puts(&run->run, text);
		apw_buf_puts(&run->run, "\n");
		free(text);
		o->run = apw_buf_view(&run->run);
	}
	run_compose_output(run);
	o->output = apw_buf_view(&run->output);
	if (run->payloads.len != 0 && !run->payloads_whole) {
		struct apw_buf all = APW_BUF_INIT(run->payloads.len + 8);

		apw_buf_puts(&all, "[");
		apw_buf_str(&all, apw_buf_view(&run->payloads));
		apw_buf_puts(&all, "]\n");
		apw_buf_free(&run->payloads);
		run->payloads = all;
		run->payloads_whole = true;
	}
	o->payloads = apw_buf_view(&run->payloads);
	return 0;
}
