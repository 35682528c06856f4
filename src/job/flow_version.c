/* The flow version of a job: from the stock, else from the app.  Room: job. */
#include "job/job_priv.h"

#include <string.h>

#include "core/apw_log.h"
#include "proto/apw_raw.h"

static const struct job_repeat flow_version_repeat = { .ms = 90000 };

/* The text is in job->flow_version. */
static void
flow_version_known(struct apw_job *job)
{
	struct apw_err	err = APW_ERR_NONE;

	if (apw_walk(job->arena, apw_buf_view(&job->flow_version), &job->walk,
	    &err) == -1) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED, "%s", err.text);
		return;
	}
	job_next(job);
}

/* Only what never changes is kept. */
static void
flow_version_keep(struct apw_job *job)
{
	struct apw_str	state;
	struct apw_err	err = APW_ERR_NONE;

	if (apw_raw_member(apw_buf_view(&job->flow_version), "state",
	    &state) != 1 || !apw_raw_equals(state, "LOCKED"))
		return;
	if (apw_stock_flow_put(job->env.stock, job->ids.flow_version_id,
	    apw_buf_view(&job->flow_version), &err) == -1)
		apw_warn("flow version was not kept", APW_E(&err));
}

static void
flow_version_on_reply(struct apw_job *job, void *arg,
    const struct apw_reply *reply)
{
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
	apw_buf_reset(&job->flow_version);
	apw_buf_str(&job->flow_version, apw_raw_trim(reply->result));
	if (job->flow_version.failed ||
	    apw_raw_type(reply->result) != APW_RAW_OBJECT) {
		job_conclude(job, APW_ENDING_PROVISION_FAILED,
		    "getFlowVersion answered no flow version");
		return;
	}
	flow_version_keep(job);
	flow_version_known(job);
}

void
job_flow_version_enter(struct apw_job *job)
{
	struct apw_err	err = APW_ERR_NONE;
	struct apw_buf	id = APW_BUF_INIT(4096);
	struct apw_str	parts[3];

	if (job->ids.flow_version_id == NULL) {
		job_next(job);
		return;
	}
	switch (apw_stock_flow_get(job->env.stock, job->ids.flow_version_id,
	    &job->flow_version, &err)) {
	case 1:
		flow_version_known(job);
		return;
	case -1:
		apw_warn("flow version could not be read from the stock",
		    APW_E(&err));
		break;
	}
	apw_buf_json_c(&id, job->ids.flow_version_id);
	parts[0] = APW_STR("{\"versionId\":");
	parts[1] = apw_buf_view(&id);
	parts[2] = APW_STR("}");
	job_call(job, "getFlowVersion", parts, 3, &flow_version_repeat,
	    flow_version_on_reply, NULL);
	apw_buf_free(&id);
}
