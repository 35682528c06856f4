/* Calls of the engine, passed on to the app.  Room: job.
 *
 * The engine runs code of users: it may say what it likes about its own run
 * and nothing about another's.  Methods are on a list, and every identity in
 * a payload must be the one of the job in hand.  Payloads pass as raw text;
 * how much may be in flight is bounded by the engine link. */
#include "job/job_priv.h"

#include <stddef.h>
#include <stdlib.h>

#include "core/apw_auto.h"
#include "proto/apw_raw.h"

#define RELAY_COPY_BYTES	(1024 * 1024)	/* larger ones are not repeated */

/* one second less than the engine link's own limit */
static const struct job_repeat relay_repeat = { .ms = 54000 };

/* A member that must be the job's own. */
struct relay_rule {
	const char	*key;
	size_t		 id;		/* offset in struct apw_job_ids */
	bool		 required;
	const struct relay_rule *inside;	/* an object with rules of its own */
};

#define ID(member)	offsetof(struct apw_job_ids, member)

static const struct relay_rule relay_run[] = {
	{ "id", ID(run_id), true, NULL },
	{ "projectId", ID(project_id), true, NULL },
	{ "flowId", ID(flow_id), false, NULL },
	{ "flowVersionId", ID(flow_version_id), false, NULL },
	{ NULL }
};

static const struct relay_rule relay_step_response[] = {
	{ "runId", ID(run_id), true, NULL },
	{ NULL }
};

static const struct relay_rule relay_progress[] = {
	{ "flowRun", 0, true, relay_run },
	{ NULL }
};

static const struct relay_rule relay_run_log[] = {
	{ "runId", ID(run_id), true, NULL },
	{ "projectId", ID(project_id), true, NULL },
	{ "logsFileId", ID(logs_file_id), false, NULL },
	{ "stepResponse", 0, false, relay_step_response },
	{ NULL }
};

static const struct relay_rule relay_response[] = {
	{ "workerHandlerId", ID(worker_handler_id), true, NULL },
	{ "httpRequestId", ID(http_request_id), true, NULL },
	{ NULL }
};

static const struct relay_rule relay_step_progress[] = {
	{ "projectId", ID(project_id), true, NULL },
	{ "stepResponse", 0, true, relay_step_response },
	{ NULL }
};

static const struct relay_method {
	const char		*name;
	const struct relay_rule	*rules;
} relay_methods[] = {
	{ "uploadRunLog", relay_run_log },
	{ "updateRunProgress", relay_progress },
	{ "sendFlowResponse", relay_response },
	{ "updateStepProgress", relay_step_progress },
};

#define RELAY_RULES_MAX	8

static const char *relay_check(const struct apw_job_ids *,
    const struct relay_rule *, struct apw_str);

static const char *
relay_check_member(const struct apw_job_ids *ids, const struct relay_rule *r,
    struct apw_str value)
{
	const char	*mine;

	if (r->inside != NULL)
		return relay_check(ids, r->inside, value);
	mine = *(const char *const *)((const char *)ids + r->id);
	if (mine == NULL || !apw_raw_equals(apw_raw_trim(value), mine))
		return r->key;
	return NULL;
}

/* NULL: all is the job's own; else the key that is not.  One pass, since a
 * payload may be large; a repeated key is checked each time. */
static const char *
relay_check(const struct apw_job_ids *ids, const struct relay_rule *rules,
    struct apw_str object)
{
	const struct relay_rule	*r;
	struct apw_raw_iter	 it;
	struct apw_str		 key, value;
	bool			 seen[RELAY_RULES_MAX] = { false };
	const char		*bad;
	int			 rv;

	if (apw_raw_type(object) != APW_RAW_OBJECT ||
	    apw_raw_iter(&it, object) == -1)
		return "payload";
	while ((rv = apw_raw_next(&it, &key, &value)) == 1)
		for (r = rules; r->key != NULL; r++) {
			if (!apw_raw_equals(key, r->key))
				continue;
			if (!r->required && apw_raw_type(value) == APW_RAW_NULL)
				continue;
			bad = relay_check_member(ids, r, value);
			if (bad != NULL)
				return bad;
			seen[r - rules] = true;
		}
	if (rv == -1)
		return "payload";
	for (r = rules; r->key != NULL; r++)
		if (r->required && !seen[r - rules])
			return r->key;
	return NULL;
}

static void
relay_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	uint32_t	call = (uint32_t)(uintptr_t)arg;

	if (!job->has_engine)
		return;
	if (reply->kind == APW_REPLY_OK)
		apw_engine_answer(job->env.engine, call, &reply->result, NULL);
	else {
		apw_warn_often("a call of the engine was not taken by the app",
		    APW_S("error", reply->error));
		apw_engine_answer(job->env.engine, call, NULL, reply->error);
	}
}

static void
relay_refuse(struct apw_job *job, uint32_t call, struct apw_str method,
    const char *key)
{
	job->refused++;
	if (method.n > 64)
		method.n = 64;
	apw_warn_often("a call of the engine was refused",
	    APW_SN("method", method), APW_S("wrong", key),
	    APW_I("refused", job->refused));
	apw_engine_answer(job->env.engine, call, NULL,
	    "the call is not one an engine may make about its job");
}

static const struct relay_method *
relay_method(struct apw_str name)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(relay_methods); i++)
		if (apw_str_is(name, relay_methods[i].name))
			return &relay_methods[i];
	return NULL;
}

const char *
apw_relay_refused(const struct apw_job_ids *ids, struct apw_str method,
    struct apw_str payload)
{
	const struct relay_method	*m = relay_method(method);

	return m == NULL ? "method" : relay_check(ids, m->rules, payload);
}

/* The engine names the log's file when it has put it there. */
static void
relay_note_log(struct apw_job *job, struct apw_str method,
    struct apw_str payload)
{
	struct apw_str	v;

	if (!job->log_named && apw_str_is(method, "uploadRunLog") &&
	    apw_raw_member(payload, "logsFileId", &v) == 1 &&
	    apw_raw_type(v) == APW_RAW_STRING)
		job->log_named = true;
}

void
job_relay(struct apw_job *job, uint32_t call, struct apw_str method,
    struct apw_str payload)
{
	const char	*bad = apw_relay_refused(&job->ids, method, payload);

	if (bad != NULL) {
		relay_refuse(job, call, method, bad);
		return;
	}
	job->relayed++;
	relay_note_log(job, method, payload);
	apw_debug("call of the engine", APW_SN("method", method),
	    APW_I("bytes", payload.n));
	job_call(job, relay_method(method)->name, &payload, 1,
	    payload.n <= RELAY_COPY_BYTES ? &relay_repeat : NULL,
	    relay_on_reply, (void *)(uintptr_t)call);
}
