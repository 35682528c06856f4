/* EXECUTE_AGENT_RUN: answered, not done.  From 0.87 on; EXECUTE_CHAT_AGENT is
 * what it was called before.  Room: modules/job.
 *
 * Agents with a language model are not this daemon's trade.  Whoever waits is
 * told so: the chat, and the flow whose step is the agent, which waits at a
 * waitpoint until it is resumed.  The app refuses to resume a step whose
 * conversation it does not know, and it is asking for the configuration that
 * makes it known. */
#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/apw_log.h"
#include "core/apw_module.h"
#include "job/outcome.h"
#include "proto/apw_raw.h"

#define AGENT_TEXT "This worker does not run agents. Ask the administrator "	\
	"for a worker that does."
#define AGENT_WHY_BYTES	4096
#define AGENT_RESUMES	6	/* refused so often, some 13 s */
#define AGENT_EVENTS	2
#define AGENT_LIMIT_MS	240000	/* six calls, each bounded by itself */

struct agent_fields {			/* raw; empty when absent or null */
	struct apw_str	conversation_id, run_id, project_id, platform_id;
	struct apw_str	user_id, message, model, source, provider, files;
	struct apw_str	prompt_override, dry_run;
	struct apw_str	flow_run_id, waitpoint_id;

	const char	*why;		/* what everybody is told */
	struct apw_str	 why_raw;	/* the same, quoted */
	bool		 no_credits;	/* and this is what it says */
	bool		 stuck;		/* the flow could not be resumed */
};

#define AT(member)	offsetof(struct agent_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }
#define MAY(key, type, member)	{ key, APW_FIELD_##type, false, AT(member) }

static const struct apw_job_field agent_table[] = {
	MUST("conversationId", STRING, conversation_id),
	MUST("platformId", STRING, platform_id),
	MUST("userId", STRING, user_id),
	MUST("userMessage", STRING, message),
	MAY("runId", STRING, run_id),
	MAY("projectId", STRING, project_id),
	MAY("modelName", STRING, model),
	MAY("source", STRING, source),
	MAY("provider", STRING, provider),
	MAY("files", ANY, files),
	MAY("promptOverride", OBJECT, prompt_override),
	MAY("dryRun", BOOL, dry_run),
	MAY("flowRunId", STRING, flow_run_id),
	MAY("waitpointId", STRING, waitpoint_id),
	{ NULL }
};

static const char *const agent_types[] = { "EXECUTE_AGENT_RUN", NULL };

static void
agent_warn(const char *method, const struct apw_reply *reply)
{
	if (reply->kind != APW_REPLY_OK)
		apw_notice("an agent's run could not be answered",
		    APW_S("method", method), APW_S("error", reply->error));
}

static void
agent_finished(struct apw_job *job, const struct apw_reply *reply)
{
	struct agent_fields	*f = apw_job_fields(job);

	agent_warn("sendAgentEvent", reply);
	/* that somebody has to pay is no failure of the job */
	apw_job_conclude(job, f->no_credits && !f->stuck ? APW_ENDING_DONE :
	    APW_ENDING_CALL_REFUSED, f->why);
}

/* One event for the page; its answer leads on. */
static void
agent_event(struct apw_job *job, const char *type, const char *key,
    struct apw_str value, const char *more, apw_job_reply_fn *next)
{
	const struct agent_fields	*f = apw_job_fields(job);
	struct apw_job_parts		 p = { .n = 0 };

	apw_parts_lit(&p, "{\"userId\":");
	apw_parts_raw(&p, f->user_id);
	apw_parts_member(&p, "\"conversationId\"", f->conversation_id);
	apw_parts_member(&p, "\"runId\"", f->run_id);
	apw_parts_lit(&p, ",\"event\":{\"type\":");
	apw_parts_lit(&p, type);
	apw_parts_lit(&p, ",\"data\":{");
	apw_parts_lit(&p, key);
	apw_parts_lit(&p, ":");
	apw_parts_raw(&p, value);
	apw_parts_lit(&p, more);
	apw_parts_lit(&p, "}}}");
	apw_job_insist(job, "sendAgentEvent", &p, AGENT_EVENTS, next);
	apw_parts_free(&p);
}

static void
agent_told(struct apw_job *job, const struct apw_reply *reply)
{
	const struct agent_fields	*f = apw_job_fields(job);

	agent_warn("sendAgentEvent", reply);
	agent_event(job, "\"FINISHED\"", "\"conversationId\"",
	    f->conversation_id, "", agent_finished);
}

static void
agent_saved(struct apw_job *job, const struct apw_reply *reply)
{
	const struct agent_fields	*f = apw_job_fields(job);

	agent_warn("saveAgentMessages", reply);
	agent_event(job, "\"ERROR\"", "\"message\"", f->why_raw,
	    f->no_credits ? ",\"code\":\"QUOTA_EXCEEDED\"" : "", agent_told);
}

/* The turn is over: nothing is added to what was said before. */
static void
agent_save(struct apw_job *job)
{
	const struct agent_fields	*f = apw_job_fields(job);
	struct apw_job_parts		 p = { .n = 0 };

	apw_parts_lit(&p, "{\"conversationId\":");
	apw_parts_raw(&p, f->conversation_id);
	apw_parts_member(&p, "\"runId\"", f->run_id);
	apw_parts_lit(&p, ",\"messages\":[],\"uiMessages\":[]}");
	apw_job_call(job, "saveAgentMessages", &p, false, agent_saved);
	apw_parts_free(&p);
}

static void
agent_resumed(struct apw_job *job, const struct apw_reply *reply)
{
	struct agent_fields	*f = apw_job_fields(job);

	agent_warn("resumeFlowStep", reply);
	f->stuck = reply->kind != APW_REPLY_OK;
	agent_save(job);
}

/* What the step of the flow comes to. */
static void
agent_output(const struct agent_fields *f, struct apw_job_parts *p)
{
	apw_parts_lit(p, ",\"output\":{\"prompt\":");
	apw_parts_raw(p, f->message);
	apw_parts_lit(p, ",\"steps\":[{\"type\":\"MARKDOWN\",\"markdown\":");
	apw_parts_raw(p, f->why_raw);
	apw_parts_lit(p, "}],\"status\":\"FAILED\"}");
}

/* The timeline of the builder, if anybody looks at it. */
static void
agent_progress(struct apw_job *job)
{
	const struct agent_fields	*f = apw_job_fields(job);
	struct apw_job_parts		 p = { .n = 0 };

	apw_parts_lit(&p, "{\"conversationId\":");
	apw_parts_raw(&p, f->conversation_id);
	apw_parts_member(&p, "\"flowRunId\"", f->flow_run_id);
	agent_output(f, &p);
	apw_parts_lit(&p, ",\"sequence\":1}");
	apw_job_post(job, "updateFlowStepProgress", &p);
	apw_parts_free(&p);
}

/* Refused as long as the app has not written the conversation down. */
static void
agent_resume(struct apw_job *job)
{
	const struct agent_fields	*f = apw_job_fields(job);
	struct apw_job_parts		 p = { .n = 0 };

	apw_parts_lit(&p, "{\"conversationId\":");
	apw_parts_raw(&p, f->conversation_id);
	apw_parts_member(&p, "\"flowRunId\"", f->flow_run_id);
	apw_parts_member(&p, "\"waitpointId\"", f->waitpoint_id);
	agent_output(f, &p);
	apw_parts_lit(&p, "}");
	apw_job_insist(job, "resumeFlowStep", &p, AGENT_RESUMES,
	    agent_resumed);
	apw_parts_free(&p);
}

/* The app's page asks for money then. */
static bool
agent_speaks_of_credits(const char *text)
{
	const char	*p;

	if (strcasestr(text, "credits") != NULL ||
	    strcasestr(text, "payment required") != NULL ||
	    strcasestr(text, "payment_required") != NULL)
		return true;
	for (p = text; (p = strstr(p, "402")) != NULL; p++)
		if ((p == text || !isalnum((unsigned char)p[-1])) &&
		    !isalnum((unsigned char)p[3]))
			return true;
	return false;
}

/* An app that has no model for it says so: that is what its people can put
 * right first.  Else it is us. */
static int
agent_reason(struct apw_job *job, const struct apw_reply *reply)
{
	struct agent_fields	*f = apw_job_fields(job);
	struct apw_buf		 b = APW_BUF_INIT(65536);
	size_t			 n;
	char			*raw;

	f->why = AGENT_TEXT;
	if (reply->kind == APW_REPLY_REFUSED) {
		n = strnlen(reply->error, AGENT_WHY_BYTES);
		while (n > 0 && (reply->error[n] & 0xc0) == 0x80)
			n--;
		f->why = apw_arena_printf(apw_job_arena(job),
		    "RPC [getAgentConfig] handler threw: %.*s", (int)n,
		    reply->error);
		if (f->why == NULL)
			return -1;
		f->no_credits = agent_speaks_of_credits(f->why);
	}
	apw_raw_quote(&b, apw_str_c(f->why));
	raw = b.failed ? NULL : apw_arena_str(apw_job_arena(job),
	    apw_buf_view(&b));
	apw_buf_free(&b);
	f->why_raw = apw_str_c(raw == NULL ? "" : raw);
	return raw == NULL ? -1 : 0;
}

static void
agent_configured(struct apw_job *job, const struct apw_reply *reply)
{
	const struct agent_fields	*f = apw_job_fields(job);

	if (agent_reason(job, reply) == -1) {
		apw_job_conclude(job, APW_ENDING_BROKEN, "out of memory");
		return;
	}
	if (f->flow_run_id.n != 0)
		agent_progress(job);
	if (f->flow_run_id.n != 0 && f->waitpoint_id.n != 0)
		agent_resume(job);
	else
		agent_save(job);
}

static void
agent_work(struct apw_job *job)
{
	const struct agent_fields	*f = apw_job_fields(job);
	struct apw_job_parts		 p = { .n = 0 };

	apw_parts_lit(&p, "{\"conversationId\":");
	apw_parts_raw(&p, f->conversation_id);
	apw_parts_member(&p, "\"runId\"", f->run_id);
	apw_parts_member(&p, "\"platformId\"", f->platform_id);
	apw_parts_member(&p, "\"userId\"", f->user_id);
	apw_parts_member(&p, "\"userMessage\"", f->message);
	apw_parts_member_or(&p, "\"modelName\"", f->model, "null");
	apw_parts_member(&p, "\"files\"", f->files);
	apw_parts_member(&p, "\"source\"", f->source);
	apw_parts_member(&p, "\"provider\"", f->provider);
	apw_parts_member(&p, "\"projectId\"", f->project_id);
	apw_parts_member(&p, "\"promptOverride\"", f->prompt_override);
	apw_parts_member(&p, "\"dryRun\"", f->dry_run);
	apw_parts_lit(&p, "}");
	apw_job_call(job, "getAgentConfig", &p, false, agent_configured);
	apw_parts_free(&p);
}

static int64_t
agent_limit(const struct apw_settings *s)
{
	(void)s;
	return AGENT_LIMIT_MS;
}

static const struct apw_job_ops agent_ops = {
	.types = agent_types,
	.family = APW_FAMILY_AGENT,
	.fields = agent_table,
	.fields_size = sizeof(struct agent_fields),
	.work = agent_work,
	.limit_ms = agent_limit,
};

extern struct apw_module apw_job_agent_module;

struct apw_module apw_job_agent_module = {
	.name = "job_agent",
	.kind = APW_MODULE_JOB,
	.ops.job = &agent_ops,
};
