/* EXECUTE_FLOW: a run of a flow, from its beginning or from a pause.  Room:
 * modules/job.
 *
 * The engine reports the run by itself; the job's own words are only for
 * runs it could not report. */
#include <stddef.h>

#include "core/apw_log.h"
#include "core/apw_module.h"
#include "job/job.h"
#include "proto/apw_raw.h"

struct flow_fields {			/* raw; empty when absent or null */
	struct apw_str	project_id, platform_id, flow_id, flow_version_id;
	struct apw_str	run_id, logs_file_id, environment, execution_type;
	struct apw_str	payload, stream_step_progress, step_name_to_test;
	struct apw_str	execute_trigger, sample_data, resume_reason;
	struct apw_str	worker_handler_id, http_request_id;
};

#define AT(member)	offsetof(struct flow_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }
#define MAY(key, type, member)	{ key, APW_FIELD_##type, false, AT(member) }

static const struct apw_job_field flow_table[] = {
	MUST("projectId", STRING, project_id),
	MUST("platformId", STRING, platform_id),
	MUST("flowId", STRING, flow_id),
	MUST("flowVersionId", STRING, flow_version_id),
	MUST("runId", STRING, run_id),
	MUST("environment", STRING, environment),
	MUST("executionType", STRING, execution_type),
	MAY("logsFileId", STRING, logs_file_id),
	MAY("payload", ANY, payload),
	MAY("streamStepProgress", STRING, stream_step_progress),
	MAY("stepNameToTest", STRING, step_name_to_test),
	MAY("executeTrigger", BOOL, execute_trigger),
	MAY("sampleData", OBJECT, sample_data),
	MAY("resumeReason", STRING, resume_reason),
	MAY("workerHandlerId", STRING, worker_handler_id),
	MAY("httpRequestId", STRING, http_request_id),
	{ NULL }
};

static const char *const flow_types[] = { "EXECUTE_FLOW", NULL };

static bool
flow_resumes(const struct flow_fields *f)
{
	return apw_raw_equals(f->execution_type, "RESUME");
}

static int
flow_provision(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	const struct flow_fields	*f = apw_job_fields(job);

	ids->platform_id = apw_job_text(job, f->platform_id);
	ids->project_id = apw_job_text(job, f->project_id);
	ids->flow_id = apw_job_text(job, f->flow_id);
	ids->flow_version_id = apw_job_text(job, f->flow_version_id);
	ids->run_id = apw_job_text(job, f->run_id);
	ids->logs_file_id = apw_job_text(job, f->logs_file_id);
	ids->worker_handler_id = apw_job_text(job, f->worker_handler_id);
	ids->http_request_id = apw_job_text(job, f->http_request_id);
	ids->stream_step_progress = f->stream_step_progress;
	if (ids->platform_id == NULL || ids->project_id == NULL ||
	    ids->flow_id == NULL || ids->run_id == NULL ||
	    ids->flow_version_id == NULL ||
	    !apw_str_is_segment(apw_str_c(ids->flow_version_id)))
		return apw_err_set(err, 0,
		    "VALIDATION: an id of the job cannot be one");
	return 0;
}

/* A resumed run goes on from its log file. */
static const char *
flow_forbids(struct apw_job *job)
{
	const struct flow_fields	*f = apw_job_fields(job);

	if (flow_resumes(f) && f->logs_file_id.n == 0)
		return "RESUME_LOGS_FILE_MISSING: logsFileId is missing for "
		    "RESUME operation";
	return NULL;
}

static const char *
flow_operation(struct apw_job *job, struct apw_job_parts *p)
{
	const struct flow_fields	*f = apw_job_fields(job);
	struct apw_str			 version = apw_job_flow_version(job);

	apw_parts_lit(p, "{\"flowVersion\":");
	apw_parts_raw(p, version);
	apw_parts_member(p, "\"flowRunId\"", f->run_id);
	apw_parts_member(p, "\"projectId\"", f->project_id);
	apw_parts_member(p, "\"platformId\"", f->platform_id);
	apw_parts_member_or(p, "\"workerHandlerId\"", f->worker_handler_id,
	    "null");
	apw_parts_member_or(p, "\"httpRequestId\"", f->http_request_id,
	    "null");
	apw_parts_member(p, "\"runEnvironment\"", f->environment);
	apw_parts_member(p, "\"streamStepProgress\"",
	    f->stream_step_progress);
	apw_parts_member_or(p, "\"stepNameToTest\"", f->step_name_to_test,
	    "null");
	apw_parts_member(p, "\"logsFileId\"", f->logs_file_id);
	apw_job_base(job, p);
	apw_parts_member(p, "\"executionType\"", f->execution_type);
	if (flow_resumes(f)) {
		apw_parts_member(p, "\"resumePayload\"", f->payload);
		apw_parts_member(p, "\"resumeReason\"", f->resume_reason);
	} else {
		apw_parts_member(p, "\"triggerPayload\"", f->payload);
		apw_parts_member_or(p, "\"executeTrigger\"",
		    f->execute_trigger, "false");
		apw_parts_member(p, "\"sampleData\"", f->sample_data);
	}
	apw_parts_lit(p, "}");
	return "EXECUTE_FLOW";
}

static int64_t
flow_limit(const struct apw_settings *s)
{
	return s->flow_timeout_ms;
}

static const struct apw_job_ops flow_ops = {
	.types = flow_types,
	.family = APW_FAMILY_FLOW,
	.fields = flow_table,
	.fields_size = sizeof(struct flow_fields),
	.provision = flow_provision,
	.forbids = flow_forbids,
	.operation = flow_operation,
	.limit_ms = flow_limit,
};

extern struct apw_module apw_job_flow_module;

struct apw_module apw_job_flow_module = {
	.name = "job_flow",
	.kind = APW_MODULE_JOB,
	.ops.job = &flow_ops,
};
