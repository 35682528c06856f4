/* Telling the app what became of the run, where the engine could not.
 * Room: job. */
#include "job/job_priv.h"

#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "egress/post.h"
#include "proto/apw_raw.h"

#define REPORT_REFUSALS		2
#define REPORT_PAGE_MS		10000

static void
report_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	(void)arg;
	if (job->reported)		/* given up before */
		return;
	job->reported = true;
	if (reply->kind != APW_REPLY_OK)
		apw_warn("the run's status could not be reported",
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

/* What the app sorts internal errors by: the word that the message begins
 * with, where it is one of these. */
static const char *
report_code(struct apw_str message)
{
	static const char *const codes[] = { "SANDBOX_INTERNAL_ERROR",
	    "RESUME_LOGS_FILE_MISSING" };
	size_t			 i, n;

	for (i = 0; i < APW_COUNT(codes); i++) {
		n = strlen(codes[i]);
		if (message.n > n && message.p[n] == ':' &&
		    memcmp(message.p, codes[i], n) == 0)
			return codes[i];
	}
	return NULL;
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
	if (apw_str_is(apw_str_c(job->outcome->source), "WORKER"))
		report_member(b, "code",
		    report_code(apw_buf_view(&job->message)));
	apw_buf_printf(b, ",\"occurredAt\":\"%s\"}", now);
	apw_buf_free(&text);
}

/* Somebody is on call for a dedicated worker: one POST, nobody waits. */
static void
report_page(struct apw_job *job)
{
	const struct apw_source_ops	*source = job->env.source;
	struct apw_buf			 b = APW_BUF_INIT(65536);
	struct apw_buf			 text = APW_BUF_INIT(16384);
	struct apw_post_order		 order = {
		.url = job->env.settings->oncall_url,
		.timeout_ms = REPORT_PAGE_MS,
		.what = "on-call page",
	};

	if (order.url == NULL || *order.url == '\0' ||
	    source->group == NULL ||
	    source->group(job->env.source_of) == NULL)
		return;
	apw_buf_printf(&text, "Flow run %s ended with INTERNAL_ERROR",
	    job->ids.run_id);
	apw_buf_puts(&b, "{\"code\":\"ENGINE_OPERATION_FAILURE\","
	    "\"message\":");
	apw_raw_quote(&b, apw_buf_view(&text));
	apw_buf_puts(&b, ",\"params\":{\"runId\":");
	apw_buf_json_c(&b, job->ids.run_id);
	apw_buf_puts(&b, ",\"flowId\":");
	apw_buf_json_c(&b, job->ids.flow_id);
	apw_buf_puts(&b, ",\"projectId\":");
	apw_buf_json_c(&b, job->ids.project_id);
	apw_buf_puts(&b, "}}");
	order.body = apw_buf_view(&b);
	if (b.failed || text.failed ||
	    apw_post(job->env.poster, &order, NULL, NULL) == NULL)
		apw_warn("the on-call page could not be composed");
	apw_buf_free(&b);
	apw_buf_free(&text);
}

/* The step that could not be run, where the engine did not get to it. */
static void
report_failed_step(const struct apw_job *job, struct apw_buf *b)
{
	if (job->failed_step == NULL)
		return;
	apw_buf_puts(b, ",\"failedStep\":{\"name\":");
	apw_buf_json_c(b, job->failed_step);
	apw_buf_puts(b, ",\"displayName\":");
	apw_buf_json_c(b, job->failed_step_title != NULL ?
	    job->failed_step_title : job->failed_step);
	apw_buf_puts(b, ",\"message\":");
	apw_raw_quote(b, apw_buf_view(&job->message));
	apw_buf_puts(b, "}");
}

/* May the log's file be named?  The app keeps a report that names a file which
 * is not there, and never applies it: the run stays as it was for ever.  The
 * file is there when the engine has named it, which puts it there first; and
 * the app makes it for an internal error, up to 0.85 only for one that it
 * shows.  Engines from 0.86 on report to the app themselves: nothing is known
 * of theirs, and a run keeps the file that it has. */
static bool
report_has_log(const struct apw_job *job)
{
	const struct apw_settings	*s = job->env.settings;
	const struct apw_outcome	*o = job->outcome;

	if (s->app->sparse)
		return false;
	if (!apw_app_can(s->release, APW_APP_RELAYS))
		return o->source != NULL;
	return job->log_named || (o->source != NULL &&
	    (strcmp(o->source, "ENGINE") == 0 ||
	    strcmp(s->edition, "cloud") != 0));
}

void
job_report_compose(struct apw_job *job)
{
	const struct apw_outcome	*o = job->outcome;
	struct apw_buf			 b = APW_BUF_INIT(4 * JOB_ERROR_MAX);
	char				 now[APW_ISO8601_SIZE];

	apw_buf_reset(&job->report);
	if (o->run_status == NULL || job->ids.run_id == NULL)
		return;
	apw_iso8601(apw_wall_ms(), now);
	report_member(&b, "runId", job->ids.run_id);
	report_member(&b, "status", o->run_status);
	report_member(&b, "projectId", job->ids.project_id);
	if (job->ids.stream_step_progress.n != 0) {
		apw_buf_puts(&b, job->env.settings->app->old_names ?
		    ",\"progressUpdateType\":" : ",\"streamStepProgress\":");
		apw_buf_str(&b, job->ids.stream_step_progress);
	}
	report_member(&b, "finishTime", now);
	if (report_has_log(job))
		report_member(&b, "logsFileId", job->ids.logs_file_id);
	if (!job->env.settings->app->sparse && o->source != NULL)
		report_internal_error(job, &b, now);
	report_failed_step(job, &b);
	apw_buf_puts(&b, "}");
	apw_buf_str(&job->report, apw_buf_view(&b));
	apw_buf_free(&b);
}

void
job_report_enter(struct apw_job *job)
{
	static const struct job_repeat	repeat = { .leased = true,
	    .refusals = REPORT_REFUSALS };
	struct apw_str			payload = apw_buf_view(&job->report);

	if (payload.n == 0) {
		job_next(job);
		return;
	}
	/* INTERNAL_ERROR, and only that; and by who saw it */
	if (job->outcome != NULL && job->outcome->source != NULL)
		report_page(job);
	job_call(job, "uploadRunLog", &payload, 1, &repeat, report_on_reply,
	    NULL);
}

/* How long it took to get to the engine's answer, from 0.86 on: a run whose
 * engine did not answer has none.  Nobody waits. */
void
job_report_timings(struct apw_job *job)
{
	int64_t		now = apw_now_ms();
	struct apw_buf	b = APW_BUF_INIT(16384);
	struct apw_str	payload;

	if (job->run_ms == 0 || job->ops->family != APW_FAMILY_FLOW ||
	    job->ending < APW_ENDING_ENGINE_OK ||
	    job->ending > APW_ENDING_ENGINE_INTERNAL_ERROR ||
	    job->env.settings->release < APW_RELEASE(0, 86, 0))
		return;
	report_member(&b, "runId", job->ids.run_id);
	report_member(&b, "projectId", job->ids.project_id);
	apw_buf_printf(&b, ",\"provisionMs\":%lld,\"bootMs\":%lld,"
	    "\"runMs\":%lld}", (long long)(job->boot_ms - job->started_ms),
	    (long long)(job->run_ms - job->boot_ms),
	    (long long)(now - job->run_ms));
	payload = apw_buf_view(&b);
	if (!b.failed)
		job_post(job, "uploadRunLog", &payload, 1);
	apw_buf_free(&b);
}
