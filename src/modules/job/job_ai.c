/* EXECUTE_AI: answered, not done.  An AI step of a flow, in releases after
 * 0.88.3.  Room: modules/job.
 *
 * The flow waits at a waitpoint, or its engine for the answer; both would wait
 * long, so they are told at once. */
#include <stddef.h>
#include <stdio.h>

#include "core/apw_module.h"
#include "job/outcome.h"

#define AI_FAILURE "{\"failure\":\"This worker does not run AI steps. Ask the "	\
	"administrator of the platform for a worker that does.\"}"
#define AI_RESUMES	6

struct ai_fields {			/* raw; empty when absent or null */
	struct apw_str	project_id, flow_run_id, waitpoint_id;
};

#define AT(member)	offsetof(struct ai_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }
#define MAY(key, type, member)	{ key, APW_FIELD_##type, false, AT(member) }

static const struct apw_job_field ai_table[] = {
	MUST("projectId", STRING, project_id),
	MAY("flowRunId", STRING, flow_run_id),
	MAY("waitpointId", STRING, waitpoint_id),
	{ NULL }
};

static const char *const ai_types[] = { "EXECUTE_AI", NULL };

static void
ai_resumed(struct apw_job *job, const struct apw_reply *reply)
{
	char	text[1024];

	text[0] = '\0';
	if (reply->kind != APW_REPLY_OK)
		snprintf(text, sizeof(text), "RPC [resumeAiStep] %s",
		    reply->error);
	apw_job_conclude(job, reply->kind == APW_REPLY_OK ?
	    APW_ENDING_DONE : APW_ENDING_CALL_REFUSED, text);
}

static void
ai_work(struct apw_job *job)
{
	const struct ai_fields	*f = apw_job_fields(job);
	struct apw_job_parts	 p = { .n = 0 };

	if (f->waitpoint_id.n == 0 || f->flow_run_id.n == 0) {
		apw_job_respond(job, APW_STR(AI_FAILURE));
		apw_job_conclude(job, APW_ENDING_DONE, "");
		return;
	}
	apw_parts_lit(&p, "{\"projectId\":");
	apw_parts_raw(&p, f->project_id);
	apw_parts_member(&p, "\"flowRunId\"", f->flow_run_id);
	apw_parts_member(&p, "\"waitpointId\"", f->waitpoint_id);
	apw_parts_lit(&p, ",\"output\":" AI_FAILURE "}");
	apw_job_insist(job, "resumeAiStep", &p, AI_RESUMES, ai_resumed);
	apw_parts_free(&p);
}

static int64_t
ai_limit(const struct apw_settings *s)
{
	(void)s;
	return 60000;
}

static const struct apw_job_ops ai_ops = {
	.types = ai_types,
	.family = APW_FAMILY_AI,
	.fields = ai_table,
	.fields_size = sizeof(struct ai_fields),
	.work = ai_work,
	.limit_ms = ai_limit,
};

extern struct apw_module apw_job_ai_module;

struct apw_module apw_job_ai_module = {
	.name = "job_ai",
	.kind = APW_MODULE_JOB,
	.ops.job = &ai_ops,
};
