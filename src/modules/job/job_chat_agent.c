/* EXECUTE_CHAT_AGENT: answered, not done.  Room: modules/job.
 *
 * Chats with a language model are not this daemon's trade; whoever waits in
 * the chat is told so, in the words the app's page understands, and the job
 * is completed so that nobody tries it again. */
#include <stddef.h>

#include "core/apw_log.h"
#include "core/apw_module.h"
#include "job/outcome.h"

#define CHAT_TEXT "This worker does not run chat agents. Ask the "	\
	"administrator for a worker that does."

struct chat_fields {			/* raw; empty when absent or null */
	struct apw_str	conversation_id, run_id, user_id;
};

#define AT(member)	offsetof(struct chat_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }
#define MAY(key, type, member)	{ key, APW_FIELD_##type, false, AT(member) }

static const struct apw_job_field chat_table[] = {
	MUST("conversationId", STRING, conversation_id),
	MUST("userId", STRING, user_id),
	MAY("runId", STRING, run_id),
	{ NULL }
};

static const char *const chat_types[] = { "EXECUTE_CHAT_AGENT", NULL };

static void
chat_warn(const char *method, const struct apw_reply *reply)
{
	if (reply->kind != APW_REPLY_OK)
		apw_notice("a chat could not be answered",
		    APW_S("method", method), APW_S("error", reply->error));
}

/* One event for the page; its answer leads on. */
static void
chat_event(struct apw_job *job, const char *type, const char *key,
    struct apw_str value, apw_job_reply_fn *next)
{
	const struct chat_fields	*f = apw_job_fields(job);
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
	apw_parts_lit(&p, "}}}");
	apw_job_call(job, "sendChatEvent", &p, false, next);
	apw_parts_free(&p);
}

static void
chat_finished(struct apw_job *job, const struct apw_reply *reply)
{
	chat_warn("sendChatEvent", reply);
	apw_job_conclude(job, APW_ENDING_DONE, CHAT_TEXT);
}

static void
chat_told(struct apw_job *job, const struct apw_reply *reply)
{
	const struct chat_fields	*f = apw_job_fields(job);

	chat_warn("sendChatEvent", reply);
	chat_event(job, "\"FINISHED\"", "\"conversationId\"",
	    f->conversation_id, chat_finished);
}

static void
chat_saved(struct apw_job *job, const struct apw_reply *reply)
{
	chat_warn("saveChatMessages", reply);
	chat_event(job, "\"ERROR\"", "\"message\"",
	    APW_STR("\"" CHAT_TEXT "\""), chat_told);
}

static void
chat_work(struct apw_job *job)
{
	const struct chat_fields	*f = apw_job_fields(job);
	struct apw_job_parts		 p = { .n = 0 };

	apw_parts_lit(&p, "{\"conversationId\":");
	apw_parts_raw(&p, f->conversation_id);
	apw_parts_lit(&p, ",\"messages\":[],\"uiMessages\":[]}");
	apw_job_call(job, "saveChatMessages", &p, false, chat_saved);
	apw_parts_free(&p);
}

/* Three calls, each bounded by itself. */
static int64_t
chat_limit(const struct apw_settings *s)
{
	(void)s;
	return 100000;
}

static const struct apw_job_ops chat_ops = {
	.types = chat_types,
	.family = APW_FAMILY_CHAT,
	.fields = chat_table,
	.fields_size = sizeof(struct chat_fields),
	.work = chat_work,
	.limit_ms = chat_limit,
};

extern struct apw_module apw_job_chat_agent_module;

struct apw_module apw_job_chat_agent_module = {
	.name = "job_chat_agent",
	.kind = APW_MODULE_JOB,
	.ops.job = &chat_ops,
};
