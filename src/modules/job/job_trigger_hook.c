/* EXECUTE_TRIGGER_HOOK: enable, disable, shake hands with, or test a trigger
 * for somebody who waits.  Room: modules/job. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/job/trigger.h"
#include "proto/apw_raw.h"

struct hook_fields {			/* raw; empty when absent or null */
	struct trigger_flow flow;
	struct apw_str	hook_type, test, payload, republish;
};

#define AT(member)	offsetof(struct hook_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }
#define MAY(key, type, member)	{ key, APW_FIELD_##type, false, AT(member) }

static const struct apw_job_field hook_table[] = {
	MUST("projectId", STRING, flow.project_id),
	MUST("platformId", STRING, flow.platform_id),
	MUST("flowId", STRING, flow.flow_id),
	MUST("flowVersionId", STRING, flow.flow_version_id),
	MUST("hookType", STRING, hook_type),
	MUST("test", BOOL, test),
	MAY("triggerPayload", ANY, payload),
	MAY("isRepublish", BOOL, republish),
	{ NULL }
};

static const char *const hook_types[] = { "EXECUTE_TRIGGER_HOOK", NULL };

static int
hook_provision(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	const struct hook_fields	*f = apw_job_fields(job);

	return trigger_ids(job, &f->flow, ids, err);
}

static const char *
hook_operation(struct apw_job *job, struct apw_job_parts *p)
{
	const struct hook_fields	*f = apw_job_fields(job);
	struct trigger_hook		 hook = {
		.raw = f->hook_type, .payload = f->payload, .bare = true,
		.test = apw_raw_type(f->test) == APW_RAW_TRUE,
		.republish = f->republish,
	};

	return trigger_operation(job, p, &hook);
}

static const struct apw_job_ops hook_ops = {
	.types = hook_types,
	.family = APW_FAMILY_TRIGGER_HOOK,
	.fields = hook_table,
	.fields_size = sizeof(struct hook_fields),
	.provision = hook_provision,
	.operation = hook_operation,
	.limit_ms = trigger_hooks_limit,
};

extern struct apw_module apw_job_trigger_hook_module;

struct apw_module apw_job_trigger_hook_module = {
	.name = "job_trigger_hook",
	.kind = APW_MODULE_JOB,
	.ops.job = &hook_ops,
};
