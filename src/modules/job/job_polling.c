/* EXECUTE_POLLING: the schedule of a trigger that looks for news by itself.
 * Room: modules/job.
 *
 * Whatever goes wrong, the next schedule is the retry. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/job/trigger.h"

struct polling_fields {			/* raw */
	struct trigger_flow flow;
};

#define AT(member)	offsetof(struct polling_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }

static const struct apw_job_field polling_table[] = {
	MUST("projectId", STRING, flow.project_id),
	MUST("platformId", STRING, flow.platform_id),
	MUST("flowId", STRING, flow.flow_id),
	MUST("flowVersionId", STRING, flow.flow_version_id),
	{ NULL }
};

static const char *const polling_types[] = { "EXECUTE_POLLING", NULL };

static int
polling_provision(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	const struct polling_fields	*f = apw_job_fields(job);

	return trigger_ids(job, &f->flow, ids, err);
}

static const char *
polling_operation(struct apw_job *job, struct apw_job_parts *p)
{
	static const struct trigger_hook	hook = { .name = "RUN" };

	return trigger_operation(job, p, &hook);
}

static enum apw_then
polling_answered(struct apw_job *job, bool good, struct apw_str response)
{
	struct apw_job_parts	p = { .n = 0 };
	struct apw_str		output = good ? trigger_output(response) :
				    APW_STR("");

	if (output.n == 0)
		return APW_THEN_END;
	apw_parts_lit(&p, ",\"environment\":\"PRODUCTION\"");
	trigger_submit(job, output, &p);
	apw_parts_free(&p);
	return APW_THEN_WAIT;
}

static const struct apw_job_ops polling_ops = {
	.types = polling_types,
	.family = APW_FAMILY_POLLING,
	.fields = polling_table,
	.fields_size = sizeof(struct polling_fields),
	.provision = polling_provision,
	.operation = polling_operation,
	.answered = polling_answered,
	.ended = trigger_record,
	.limit_ms = trigger_limit,
};

extern struct apw_module apw_job_polling_module;

struct apw_module apw_job_polling_module = {
	.name = "job_polling",
	.kind = APW_MODULE_JOB,
	.ops.job = &polling_ops,
};
