/* A flow made ready before a job needs it: the way of a job as far as the stock,
 * with no lease, no engine, no record and nothing told to the app.  Room: job.
 * See apw_job_prewarm() in job.h. */
#include "job/job_priv.h"

#include <stddef.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"

struct prewarm_fields {			/* raw */
	struct apw_str	flow_id, version_id, project_id, platform_id;
};

#define AT(member)	offsetof(struct prewarm_fields, member)
#define MUST(key, member) { key, APW_FIELD_STRING, true, AT(member) }

static const struct apw_job_field prewarm_table[] = {
	MUST("flowId", flow_id),
	MUST("flowVersionId", version_id),
	MUST("projectId", project_id),
	MUST("platformId", platform_id),
	{ NULL }
};

static int
prewarm_provision(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	const struct prewarm_fields	*f = job->fields;

	ids->flow_id = job_text(job->arena, f->flow_id);
	ids->flow_version_id = job_text(job->arena, f->version_id);
	ids->project_id = job_text(job->arena, f->project_id);
	ids->platform_id = job_text(job->arena, f->platform_id);
	if (ids->flow_id == NULL || ids->flow_version_id == NULL ||
	    ids->project_id == NULL || ids->platform_id == NULL)
		return apw_err_set(err, 0, "an id cannot be read");
	return 0;
}

static int64_t
prewarm_limit(const struct apw_settings *settings)
{
	(void)settings;
	return 0;
}

const struct apw_job_ops job_prewarm_ops = {
	.family = APW_FAMILY_FLOW,
	.fields = prewarm_table,
	.fields_size = sizeof(struct prewarm_fields),
	.provision = prewarm_provision,
	.limit_ms = prewarm_limit,
};

void
job_prewarm_begin(struct apw_job *job, int bad, const struct apw_err *why)
{
	struct apw_err	err = APW_ERR_NONE;

	if (bad == -1)
		job_conclude(job, APW_ENDING_BAD_JOB, "%s", why->text);
	else if (job->ops->provision(job, &job->ids, &err) == -1)
		job_conclude(job, APW_ENDING_BAD_JOB, "%s", err.text);
	else if ((job->recipe = apw_recipes_take(job->env.recipes,
	    job->ids.flow_version_id, job->ids.platform_id)) == NULL)
		job_conclude(job, APW_ENDING_BROKEN, "out of memory");
	else
		job_go_first(job);
}

/* It is of no use any more, and that is nobody's matter. */
void
job_prewarm_give_up(struct apw_job *job, struct apw_str why)
{
	job->concluded = true;
	apw_info("a flow was not made ready", APW_S("flow_version",
	    job->ids.flow_version_id == NULL ? "" : job->ids.flow_version_id),
	    APW_SN("why", why));
	job_stock_forget(job);
	job_fetch_forget(job);
	job_end(job);
}

void
job_prewarm_done(struct apw_job *job)
{
	apw_info("a flow was made ready", APW_S("flow_version",
	    job->ids.flow_version_id), APW_I("pieces", job->recipe->npieces),
	    APW_I("ms", apw_now_ms() - job->started_ms));
	job_end(job);
}

bool
apw_job_yielded(const struct apw_job *job)
{
	return job->yielded;
}
