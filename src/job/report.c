/* Telling the app what became of the run, where the engine could not.
 * Room: job. */
#include "job/job_priv.h"

#include "core/apw_clock.h"
#include "proto/apw_raw.h"

#define REPORT_REPEAT_MS	60000
#define REPORT_REFUSALS		2

static void
report_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	(void)arg;
	if (job->reported)		/* given up before */
		return;
	job->reported = true;
	if (reply->kind != APW_REPLY_OK)
		apw_warn("the run's status could not be reported",
		    APW_S("status", job->outcome->run_status),
		    APW_S("error", reply->error));
	job_next(job);
}

static void
report_member(struct apw_buf *b, const char *key, const char *value)
{
	if (value == NULL)
		return;
	apw_buf_puts(b, b->len == 0 ? "{" : ",");
	apw_buf_json_c(b, key);
	apw_buf_puts(b, ":");
	apw_buf_json_c(b, value);
}

static void
report_internal_error(struct apw_job *job, struct apw_buf *b, const char *now)
{
	struct apw_buf	text = APW_BUF_INIT(2 * JOB_ERROR_MAX);

	/* the app shows name, line break, text, as of an Error */
	if (apw_str_is(apw_str_c(job->outcome->source), "WORKER"))
		apw_buf_puts(&text, "Error\n");
	apw_buf_str(&text, apw_buf_view(&job->message));
	apw_buf_puts(b, ",\"internalError\":{\"source\":");
	apw_buf_json_c(b, job->outcome->source);
	apw_buf_puts(b, ",\"message\":");
	apw_raw_quote(b, apw_buf_view(&text));
	apw_buf_printf(b, ",\"occurredAt\":\"%s\"}", now);
	apw_buf_free(&text);
}

void
job_report_enter(struct apw_job *job)
{
	static const struct job_repeat	repeat = { REPORT_REPEAT_MS,
	    REPORT_REFUSALS };
	const struct apw_outcome	*o = job->outcome;
	struct apw_buf			 b = APW_BUF_INIT(4 * JOB_ERROR_MAX);
	struct apw_str			 payload;
	char				 now[APW_ISO8601_SIZE];

	if (o->run_status == NULL || job->ids.run_id == NULL) {
		job_next(job);
		return;
	}
	apw_iso8601(apw_wall_ms(), now);
	report_member(&b, "runId", job->ids.run_id);
	report_member(&b, "status", o->run_status);
	report_member(&b, "projectId", job->ids.project_id);
	if (job->ids.stream_step_progress.n != 0) {
		apw_buf_puts(&b, ",\"streamStepProgress\":");
		apw_buf_str(&b, job->ids.stream_step_progress);
	}
	report_member(&b, "finishTime", now);
	if (o->source != NULL ||
	    job->env.settings->release < APW_RELEASE(0, 86, 0))
		report_member(&b, "logsFileId", job->ids.logs_file_id);
	if (o->source != NULL)
		report_internal_error(job, &b, now);
	apw_buf_puts(&b, "}");
	payload = apw_buf_view(&b);
	job_call(job, "uploadRunLog", &payload, 1, &repeat, report_on_reply,
	    NULL);
	apw_buf_free(&b);
}
