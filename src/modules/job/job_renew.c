/* RENEW_WEBHOOK: a trigger renews what it has registered elsewhere.  Room:
 * modules/job. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/job/trigger.h"

struct renew_fields {			/* raw */
	struct trigger_flow flow;
};

#define AT(member)	offsetof(struct renew_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }

static const struct apw_job_field renew_table[] = {
	MUST("projectId", STRING, flow.project_id),
	MUST("platformId", STRING, flow.platform_id),
	MUST("flowId", STRING, flow.flow_id),
	MUST("flowVersionId", STRING, flow.flow_version_id),
	{ NULL }
};

static const char *const renew_types[] = { "RENEW_WEBHOOK", NULL };

static int
renew_provision(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	const struct renew_fields	*f = apw_job_fields(job);

	return trigger_ids(job, &f->flow, ids, err);
}

static const char *
renew_operation(struct apw_job *job, struct apw_job_parts *p)
{
	static const struct trigger_hook	hook = { .name = "RENEW" };

	return trigger_operation(job, p, &hook);
}

static const struct apw_job_ops renew_ops = {
	.types = renew_types,
	.family = APW_FAMILY_RENEW,
	.fields = renew_table,
	.fields_size = sizeof(struct renew_fields),
	.provision = renew_provision,
	.operation = renew_operation,
	.limit_ms = trigger_hooks_limit,
};

extern struct apw_module apw_job_renew_module;

struct apw_module apw_job_renew_module = {
	.name = "job_renew",
	.kind = APW_MODULE_JOB,
	.ops.job = &renew_ops,
};
