/* The last word: completeJob, until it is acknowledged or the lease is
 * certainly gone.  Room: job. */
#include "job/job_priv.h"

#include <limits.h>

#include "proto/apw_raw.h"

#define COMPLETE_REFUSALS	8

/* What is left out, one after the other, when the message is too large for
 * the app. */
static const unsigned complete_drops[] = {
	0,
	APW_SENDS_LOGS,
	APW_SENDS_LOGS | APW_SENDS_RESPONSE,
	APW_SENDS_LOGS | APW_SENDS_RESPONSE | APW_SENDS_ERROR,
};

static void complete_send(struct apw_job *);

static void
complete_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	(void)arg;
	if (reply->kind == APW_REPLY_TOO_LARGE && job->complete_drops + 1 <
	    sizeof(complete_drops) / sizeof(*complete_drops)) {
		job->complete_drops++;
		apw_warn("completeJob is too large for the app: a part is "
		    "left out", APW_I("drop", job->complete_drops));
		job_complete_compose(job);
		complete_send(job);
		return;
	}
	if (reply->kind != APW_REPLY_OK)
		apw_error("the job could not be completed: the app will give "
		    "it out again", APW_S("error", reply->error));
	job_end(job);
}

static void
complete_text(struct apw_buf *b, const char *key, struct apw_str text)
{
	if (text.n == 0)
		return;
	apw_buf_printf(b, ",\"%s\":", key);
	apw_raw_quote(b, text);
}

/* Of a result that another slot left: what must be said. */
static void
complete_compose_least(struct apw_job *job)
{
	struct apw_str	status;

	if (apw_raw_member(apw_buf_view(&job->complete), "status",
	    &status) != 1)
		status = APW_STR("\"INTERNAL_ERROR\"");
	status = apw_str_c(apw_arena_str(job->arena, apw_raw_trim(status)));
	apw_buf_reset(&job->complete);
	apw_buf_puts(&job->complete, "{");
	apw_buf_str(&job->complete, job->lease.key);
	apw_buf_puts(&job->complete, ",\"status\":");
	apw_buf_str(&job->complete, status);
	apw_buf_puts(&job->complete, "}");
}

/* How long a paused run wants to wait; later apps know it from the run. */
static void
complete_delay(const struct apw_job *job, struct apw_buf *b)
{
	struct apw_str	delay;

	if (!job->env.settings->app->delay ||
	    apw_raw_member(apw_buf_view(&job->response), "delayInSeconds",
	    &delay) != 1 || apw_raw_type(delay) != APW_RAW_NUMBER)
		return;
	apw_buf_puts(b, ",\"delayInSeconds\":");
	apw_buf_str(b, apw_raw_trim(delay));
}

void
job_complete_compose(struct apw_job *job)
{
	const struct apw_outcome	*o = job->outcome;
	struct apw_buf			*b = &job->complete;
	struct apw_str			 response = job->answer;
	struct apw_egress_account	 account;
	unsigned			 sends;

	if (o == NULL) {
		complete_compose_least(job);
		return;
	}
	if (o->response != NULL)
		response = apw_str_c(o->response);
	sends = o->sends & ~complete_drops[job->complete_drops];
	apw_buf_reset(b);
	apw_buf_puts(b, "{");
	apw_buf_str(b, job->lease.key);
	apw_buf_printf(b, ",\"status\":\"%s\"", o->status);
	if ((sends & APW_SENDS_ERROR) != 0)
		complete_text(b, "errorMessage", apw_buf_view(&job->message));
	if ((sends & APW_SENDS_RESPONSE) != 0 && response.n != 0) {
		apw_buf_puts(b, ",\"response\":");
		apw_buf_str(b, response);
	}
	complete_delay(job, b);
	if ((sends & APW_SENDS_LOGS) != 0)
		complete_text(b, "logs", apw_buf_view(&job->logs));
	if (job->env.source->receipts && job->has_run &&
	    apw_engine_account(job->env.engine, &account)) {
		apw_buf_puts(b, ",\"network\":");
		apw_egress_account_json(&account, b);
	}
	apw_buf_puts(b, "}");
	if (b->failed && job->complete_drops + 1 <
	    sizeof(complete_drops) / sizeof(*complete_drops)) {
		/* larger than anything that may be sent */
		apw_buf_free(b);
		job->complete_drops++;
		job_complete_compose(job);
	}
}

static void
complete_send(struct apw_job *job)
{
	/* a source that keeps its jobs itself says no for a full disk: that
	 * passes */
	const struct job_repeat		repeat = { .leased = true,
	    .refusals = job->env.source->terms == NULL ? UINT_MAX :
	    COMPLETE_REFUSALS };
	struct apw_str			payload = apw_buf_view(&job->complete);

	job_call(job, "completeJob", &payload, 1, &repeat, complete_on_reply,
	    NULL);
}

void
job_complete_enter(struct apw_job *job)
{
	complete_send(job);
}
