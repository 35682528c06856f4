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
	/* of apps before 0.81.3, of engines before 0.84 and 0.80 */
	struct apw_str	sync_handler_id, server_handler_id;
	struct apw_str	progress_update_type, logs_upload_url;
	struct apw_str	execution_state;
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
	MAY("synchronousHandlerId", STRING, sync_handler_id),
	MAY("serverHandlerId", STRING, server_handler_id),
	MAY("progressUpdateType", STRING, progress_update_type),
	MAY("logsUploadUrl", STRING, logs_upload_url),
	MAY("executionState", OBJECT, execution_state),
	{ NULL }
};

static const char *const flow_types[] = { "EXECUTE_FLOW", NULL };

static bool
flow_resumes(const struct flow_fields *f)
{
	return apw_raw_equals(f->execution_type, "RESUME");
}

/* Who waits for the flow's response, whatever it is called. */
static struct apw_str
flow_handler(const struct flow_fields *f)
{
	return f->worker_handler_id.n != 0 ? f->worker_handler_id :
	    f->sync_handler_id.n != 0 ? f->sync_handler_id :
	    f->server_handler_id;
}

static bool
flow_old_names(const struct apw_job *job)
{
	return apw_job_form(job)->old_names || apw_job_dialect(job)->old_names;
}

/* What of the run is shown while it runs: two names, two sets of words. */
static struct apw_str
flow_progress(const struct flow_fields *f, bool old)
{
	struct apw_str	own = old ? f->progress_update_type :
	    f->stream_step_progress, other = old ? f->stream_step_progress :
	    f->progress_update_type;

	if (own.n != 0 || other.n == 0)
		return own;
	if (old && apw_raw_equals(other, "WEBSOCKET"))
		return APW_STR("\"TEST_FLOW\"");
	if (old && flow_handler(f).n != 0)
		return APW_STR("\"WEBHOOK_RESPONSE\"");
	if (!old && apw_raw_equals(other, "TEST_FLOW"))
		return APW_STR("\"WEBSOCKET\"");
	return APW_STR("\"NONE\"");
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
	ids->worker_handler_id = apw_job_text(job, flow_handler(f));
	ids->http_request_id = apw_job_text(job, f->http_request_id);
	ids->stream_step_progress = flow_progress(f,
	    apw_job_dialect(job)->old_names);
	if (ids->platform_id == NULL || ids->project_id == NULL ||
	    ids->flow_id == NULL || ids->run_id == NULL ||
	    ids->flow_version_id == NULL ||
	    !apw_str_is_segment(apw_str_c(ids->flow_version_id)))
		return apw_err_set(err, 0,
		    "VALIDATION: an id of the job cannot be one");
	return 0;
}

/* A resumed run goes on from its log file, or from what the job brings. */
static const char *
flow_forbids(struct apw_job *job)
{
	const struct flow_fields	*f = apw_job_fields(job);

	if (flow_resumes(f) && apw_job_form(job)->state)
		return f->execution_state.n != 0 ? NULL :
		    "RESUME_STATE_MISSING: this engine needs the "
		    "executionState of the run for RESUME operation";
	if (flow_resumes(f) && f->logs_file_id.n == 0)
		return "RESUME_LOGS_FILE_MISSING: logsFileId is missing for "
		    "RESUME operation";
	return NULL;
}

static struct apw_str
flow_payload(struct apw_job *job)
{
	const struct flow_fields	*f = apw_job_fields(job);

	return f->payload;
}

/* What engines and apps of other generations call otherwise, or have not. */
static void
flow_named(struct apw_job *job, struct apw_job_parts *p)
{
	const struct apw_engine_form	*form = apw_job_form(job);
	const struct flow_fields	*f = apw_job_fields(job);
	bool				 old = flow_old_names(job);

	apw_parts_member_or(p, old ? "\"serverHandlerId\"" :
	    "\"workerHandlerId\"", flow_handler(f), "null");
	apw_parts_member(p, old ? "\"progressUpdateType\"" :
	    "\"streamStepProgress\"", flow_progress(f, old));
	if (form->logs_url)
		apw_parts_member(p, "\"logsUploadUrl\"", f->logs_upload_url);
	if (form->state)
		apw_parts_member_or(p, "\"executionState\"",
		    f->execution_state, "{\"steps\":{},\"tags\":[]}");
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
	flow_named(job, p);
	apw_parts_member_or(p, "\"httpRequestId\"", f->http_request_id,
	    "null");
	apw_parts_member(p, "\"runEnvironment\"", f->environment);
	apw_parts_member_or(p, "\"stepNameToTest\"", f->step_name_to_test,
	    "null");
	apw_parts_member(p, "\"logsFileId\"", f->logs_file_id);
	apw_job_base(job, p);
	apw_parts_member(p, "\"executionType\"", f->execution_type);
	if (flow_resumes(f)) {
		apw_parts_member(p, "\"resumePayload\"",
		    apw_job_payload(job, f->payload));
		apw_parts_member(p, "\"resumeReason\"", f->resume_reason);
	} else {
		apw_parts_member(p, "\"triggerPayload\"",
		    apw_job_payload(job, f->payload));
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
	.payload = flow_payload,
	.operation = flow_operation,
	.limit_ms = flow_limit,
};

extern struct apw_module apw_job_flow_module;

struct apw_module apw_job_flow_module = {
	.name = "job_flow",
	.kind = APW_MODULE_JOB,
	.ops.job = &flow_ops,
};
