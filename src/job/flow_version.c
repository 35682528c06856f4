/* The flow version of a job: from the stock, else out of a bundle (bundle.c),
 * else from the app.  Room: job. */
#include "job/job_priv.h"

#include <string.h>

#include "core/apw_log.h"
#include "proto/apw_raw.h"

static const struct job_repeat flow_version_repeat = { .ms = 90000 };

/* The text is in the recipe. */
static void
flow_version_known(struct apw_job *job)
{
	struct apw_recipe	*r = job->recipe;
	struct apw_err		 err = APW_ERR_NONE;

	if (apw_walk(r->arena, apw_buf_view(&r->flow_version), &r->walk,
	    &err) == -1) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED, "%s", err.text);
		return;
	}
	/* only what never changes is remembered */
	r->fixed = apw_raw_equals(r->walk.state, "LOCKED");
	job_next(job);
}

static void
flow_version_on_reply(struct apw_job *job, void *arg,
    const struct apw_reply *reply)
{
	struct apw_buf	*text = &job->recipe->flow_version;
	struct apw_err	 err = APW_ERR_NONE;

	(void)arg;
	if (job->concluded)
		return;
	if (reply->kind != APW_REPLY_OK) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "getFlowVersion: %s", reply->error);
		return;
	}
	if (apw_raw_type(reply->result) == APW_RAW_NULL) {
		job_conclude(job, APW_ENDING_FLOW_VERSION_MISSING,
		    "flow version %s does not exist",
		    job->ids.flow_version_id);
		return;
	}
	apw_buf_reset(text);
	apw_buf_str(text, apw_raw_trim(reply->result));
	if (text->failed || apw_raw_type(reply->result) != APW_RAW_OBJECT) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "getFlowVersion answered no flow version");
		return;
	}
	/* the stock keeps only what is LOCKED */
	if (apw_stock_flow_put(job->env.stock, job->ids.flow_version_id,
	    apw_buf_view(text), &err) == -1)
		apw_warn("flow version was not kept", APW_E(&err));
	flow_version_known(job);
}

/* Of a bundle, which has been checked. */
void
job_flow_version_given(struct apw_job *job, struct apw_str given)
{
	struct apw_buf	*text = &job->recipe->flow_version;
	struct apw_err	 err = APW_ERR_NONE;

	apw_buf_reset(text);
	apw_buf_str(text, apw_raw_trim(given));
	if (text->failed) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "out of memory");
		return;
	}
	if (apw_stock_flow_put(job->env.stock, job->ids.flow_version_id,
	    apw_buf_view(text), &err) == -1)
		apw_warn("flow version was not kept", APW_E(&err));
	flow_version_known(job);
}

void
job_flow_version_ask(struct apw_job *job)
{
	struct apw_buf	id = APW_BUF_INIT(4096);
	struct apw_str	parts[3];

	apw_buf_json_c(&id, job->ids.flow_version_id);
	parts[0] = APW_STR("{\"versionId\":");
	parts[1] = apw_buf_view(&id);
	parts[2] = APW_STR("}");
	job_call(job, "getFlowVersion", parts, 3, &flow_version_repeat,
	    flow_version_on_reply, NULL);
	apw_buf_free(&id);
}

void
job_flow_version_enter(struct apw_job *job)
{
	struct apw_err	err = APW_ERR_NONE;

	if (job_expired(job))
		return;
	if (job->ids.step.n != 0 && apw_walk_alone(job->recipe->arena,
	    job->ids.step, &job->recipe->walk, &err) == -1) {
		job_conclude(job, APW_ENDING_BAD_JOB, "VALIDATION: %s",
		    err.text);
		return;
	}
	if (job->ids.flow_version_id == NULL || job->recipe->complete) {
		job_next(job);
		return;
	}
	switch (apw_stock_flow_get(job->env.stock, job->ids.flow_version_id,
	    &job->recipe->flow_version, &err)) {
	case 1:
		flow_version_known(job);
		return;
	case -1:
		apw_warn("flow version could not be read from the stock",
		    APW_E(&err));
		break;
	}
	job_bundle_ask(job);
}
