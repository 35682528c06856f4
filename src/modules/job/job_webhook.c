/* EXECUTE_WEBHOOK: a call of the flow's webhook.  Room: modules/job.
 *
 * The trigger is asked what the call means, as a sample for the builder, to
 * start runs, both, or neither.  savePayloads is never waited for: the app
 * answers it only after some slot has run the ON_DISABLE hook of the
 * simulation, which may have to be this one. */
#include <stddef.h>

#include "core/apw_module.h"
#include "job/outcome.h"
#include "modules/job/trigger.h"
#include "proto/apw_raw.h"

struct webhook_fields {			/* raw; empty when absent or null */
	struct trigger_flow flow;
	struct apw_str	request_id, payload, environment, save, execute;
	struct apw_str	parent_run_id, fail_parent;
	bool		sampled;	/* the sample's operation is behind us */
};

#define AT(member)	offsetof(struct webhook_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }
#define MAY(key, type, member)	{ key, APW_FIELD_##type, false, AT(member) }

static const struct apw_job_field webhook_table[] = {
	MUST("projectId", STRING, flow.project_id),
	MUST("platformId", STRING, flow.platform_id),
	MUST("flowId", STRING, flow.flow_id),
	MUST("flowVersionIdToRun", STRING, flow.flow_version_id),
	MUST("requestId", STRING, request_id),
	MUST("payload", OBJECT, payload),
	MUST("runEnvironment", STRING, environment),
	MUST("saveSampleData", BOOL, save),
	MUST("execute", BOOL, execute),
	MAY("parentRunId", STRING, parent_run_id),
	MAY("failParentOnFailure", BOOL, fail_parent),
	{ NULL }
};

static const char *const webhook_types[] = { "EXECUTE_WEBHOOK", NULL };

static bool
webhook_saves(const struct webhook_fields *f)
{
	return apw_raw_type(f->save) == APW_RAW_TRUE;
}

static bool
webhook_executes(const struct webhook_fields *f)
{
	return apw_raw_type(f->execute) == APW_RAW_TRUE;
}

static int
webhook_provision(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	const struct webhook_fields	*f = apw_job_fields(job);

	return trigger_ids(job, &f->flow, ids, err);
}

static bool
webhook_nothing(struct apw_job *job)
{
	const struct webhook_fields	*f = apw_job_fields(job);

	return !webhook_saves(f) && !webhook_executes(f);
}

static struct apw_str
webhook_payload(struct apw_job *job)
{
	const struct webhook_fields	*f = apw_job_fields(job);

	return f->payload;
}

static const char *
webhook_operation(struct apw_job *job, struct apw_job_parts *p)
{
	const struct webhook_fields	*f = apw_job_fields(job);
	struct trigger_hook		 hook = {
		.name = "RUN", .app_events = true,
		.payload = apw_job_payload(job, f->payload),
		.test = webhook_saves(f) && !f->sampled,
	};

	return trigger_operation(job, p, &hook);
}

static void
webhook_save(struct apw_job *job, const struct webhook_fields *f,
    struct apw_str output)
{
	struct apw_job_parts	p = { .n = 0 };

	apw_parts_lit(&p, "{\"flowId\":");
	apw_parts_raw(&p, f->flow.flow_id);
	apw_parts_member(&p, "\"flowVersionId\"", f->flow.flow_version_id);
	apw_parts_member(&p, "\"projectId\"", f->flow.project_id);
	apw_parts_member(&p, "\"payloads\"", output);
	apw_parts_lit(&p, "}");
	apw_job_post(job, "savePayloads", &p);
	apw_parts_free(&p);
}

static void
webhook_submit(struct apw_job *job, const struct webhook_fields *f,
    struct apw_str output)
{
	struct apw_job_parts	p = { .n = 0 };

	apw_parts_member(&p, "\"httpRequestId\"", f->request_id);
	apw_parts_member(&p, "\"environment\"", f->environment);
	apw_parts_member(&p, "\"parentRunId\"", f->parent_run_id);
	apw_parts_member(&p, "\"failParentOnFailure\"", f->fail_parent);
	trigger_submit(job, output, &p);
	apw_parts_free(&p);
}

static enum apw_then
webhook_answered(struct apw_job *job, bool good, struct apw_str response)
{
	struct webhook_fields	*f = apw_job_fields(job);
	struct apw_str		 output = good ? trigger_output(response) :
				    APW_STR("");

	if (webhook_saves(f) && !f->sampled) {
		f->sampled = true;
		if (output.n != 0)
			webhook_save(job, f, output);
		if (webhook_executes(f))
			return APW_THEN_AGAIN;
		apw_job_conclude(job, APW_ENDING_DONE, "");
		return APW_THEN_END;
	}
	if (output.n == 0)
		return APW_THEN_END;
	webhook_submit(job, f, output);
	return APW_THEN_WAIT;
}

/* A sample is no run; nor is it the trigger's fault when the app refuses what
 * it made. */
static void
webhook_ended(struct apw_job *job, int ending)
{
	const struct webhook_fields	*f = apw_job_fields(job);

	if (webhook_executes(f) && (!webhook_saves(f) || f->sampled) &&
	    ending != APW_ENDING_CALL_REFUSED)
		trigger_record(job, ending);
}

static const struct apw_job_ops webhook_ops = {
	.types = webhook_types,
	.family = APW_FAMILY_WEBHOOK,
	.fields = webhook_table,
	.fields_size = sizeof(struct webhook_fields),
	.provision = webhook_provision,
	.nothing = webhook_nothing,
	.payload = webhook_payload,
	.operation = webhook_operation,
	.answered = webhook_answered,
	.ended = webhook_ended,
	.limit_ms = trigger_limit,
};

extern struct apw_module apw_job_webhook_module;

struct apw_module apw_job_webhook_module = {
	.name = "job_webhook",
	.kind = APW_MODULE_JOB,
	.ops.job = &webhook_ops,
};
