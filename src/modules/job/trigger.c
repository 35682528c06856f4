/* Asking a trigger; see trigger.h.  Room: modules/job.
 *
 * Payloads pass as raw text; what comes from the flow version is looked at
 * with suspicion, it was written by users. */
#include "modules/job/trigger.h"

#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_log.h"
#include "job/outcome.h"
#include "proto/apw_raw.h"

#define TRIGGER_PREFIX	"@activepieces/piece-"

int
trigger_ids(struct apw_job *job, const struct trigger_flow *f,
    struct apw_job_ids *ids, struct apw_err *err)
{
	ids->platform_id = apw_job_text(job, f->platform_id);
	ids->project_id = apw_job_text(job, f->project_id);
	ids->flow_id = apw_job_text(job, f->flow_id);
	ids->flow_version_id = apw_job_text(job, f->flow_version_id);
	if (ids->platform_id == NULL || ids->project_id == NULL ||
	    ids->flow_id == NULL || ids->flow_version_id == NULL ||
	    !apw_str_is_segment(apw_str_c(ids->flow_version_id)))
		return apw_err_set(err, 0,
		    "VALIDATION: an id of the job cannot be one");
	return 0;
}

/* The public API's URL without its last slashes, and what comes behind. */
static void
trigger_url(struct apw_job *job, struct apw_buf *b, const char *path,
    const char *name, const char *end)
{
	const char	*base = apw_job_settings(job)->public_api_url;
	struct apw_buf	 url = APW_BUF_INIT(65536);
	size_t		 n = strlen(base);

	while (n > 0 && base[n - 1] == '/')
		n--;
	apw_buf_put(&url, base, n);
	apw_buf_puts(&url, path);
	apw_buf_puts(&url, name);
	apw_buf_puts(&url, end);
	apw_buf_json(b, apw_buf_view(&url));
	b->failed = b->failed || url.failed;
	apw_buf_free(&url);
}

/* The piece behind the trigger; NULL: it has none. */
static const char *
trigger_piece(struct apw_job *job)
{
	struct apw_str	v = apw_job_flow_version(job);

	if (apw_raw_member(v, "trigger", &v) != 1 ||
	    apw_raw_member(v, "settings", &v) != 1 ||
	    apw_raw_member(v, "pieceName", &v) != 1)
		return NULL;
	return apw_job_text(job, apw_raw_trim(v));
}

/* {"<piece>":{"webhookSecret":<string or object>}}; text that is no JSON
 * counts as none. */
static struct apw_str
trigger_secret(struct apw_job *job, const char *piece)
{
	struct apw_str	v = apw_str_c(apw_job_settings(job)->webhook_secrets);

	if (apw_raw_check(v, 0) == 0 &&
	    apw_raw_member(v, piece, &v) == 1 &&
	    apw_raw_member(v, "webhookSecret", &v) == 1 &&
	    (apw_raw_type(v) == APW_RAW_STRING ||
	    apw_raw_type(v) == APW_RAW_OBJECT))
		return apw_raw_trim(v);
	return APW_STR("");
}

static void
trigger_app_events(struct apw_job *job, struct apw_job_parts *p)
{
	const char	*piece = trigger_piece(job);
	struct apw_buf	 b = APW_BUF_INIT(65536);
	size_t		 n = sizeof(TRIGGER_PREFIX) - 1;

	if (piece == NULL)
		return;
	trigger_url(job, &b, "/v1/app-events/",
	    strncmp(piece, TRIGGER_PREFIX, n) == 0 ? piece + n : piece, "");
	if (!b.failed)
		apw_parts_member(p, "\"appWebhookUrl\"", apw_buf_view(&b));
	apw_buf_free(&b);
	apw_parts_member(p, "\"webhookSecret\"", trigger_secret(job, piece));
}

static void
trigger_head(struct apw_job *job, struct apw_buf *b,
    const struct trigger_hook *hook)
{
	const struct apw_job_ids	*ids = apw_job_ids(job);

	apw_buf_puts(b, "{\"hookType\":");
	if (hook->name != NULL)
		apw_buf_json_c(b, hook->name);
	else
		apw_buf_str(b, hook->raw);
	apw_buf_printf(b, ",\"test\":%s,\"webhookUrl\":",
	    hook->test ? "true" : "false");
	trigger_url(job, b, "/v1/webhooks/", ids->flow_id,
	    hook->test ? "/test" : "");
	apw_buf_puts(b, ",\"projectId\":");
	apw_buf_json_c(b, ids->project_id);
	apw_buf_puts(b, ",\"platformId\":");
	apw_buf_json_c(b, ids->platform_id);
}

/* What an engine before 0.86 gets of a hook's payload: members that came later
 * were left out by the worker it knows. */
static const char *const trigger_payload_members[] = { "body", "rawBody",
    "headers", "queryParams" };

static void
trigger_bare(struct apw_job *job, struct apw_job_parts *p, struct apw_str raw)
{
	unsigned	 release = apw_job_settings(job)->release;
	const char	*between = "{";
	struct apw_str	 v;
	size_t		 i;

	if (release == 0 || apw_app_can(release, APW_APP_PAYLOAD_METHOD) ||
	    apw_raw_type(raw) != APW_RAW_OBJECT) {
		apw_parts_raw(p, raw);
		return;
	}
	for (i = 0; i < APW_COUNT(trigger_payload_members); i++) {
		if (apw_raw_member(raw, trigger_payload_members[i], &v) != 1)
			continue;
		apw_parts_lit(p, between);
		apw_parts_lit(p, "\"");
		apw_parts_lit(p, trigger_payload_members[i]);
		apw_parts_lit(p, "\":");
		apw_parts_raw(p, apw_raw_trim(v));
		between = ",";
	}
	apw_parts_lit(p, *between == '{' ? "{}" : "}");
}

static void
trigger_payload(struct apw_job *job, struct apw_job_parts *p,
    const struct trigger_hook *hook)
{
	if (!hook->bare) {
		apw_parts_member(p, "\"triggerPayload\"", hook->payload);
		return;
	}
	if (hook->payload.n == 0)
		return;
	if (apw_job_form(job)->plain_webhooks) {
		apw_parts_lit(p, ",\"triggerPayload\":");
		trigger_bare(job, p, hook->payload);
		return;
	}
	apw_parts_lit(p, ",\"triggerPayload\":{\"type\":\"inline\","
	    "\"value\":");
	trigger_bare(job, p, hook->payload);
	apw_parts_lit(p, "}");
}

const char *
trigger_operation(struct apw_job *job, struct apw_job_parts *p,
    const struct trigger_hook *hook)
{
	const struct apw_engine_form	*form = apw_job_form(job);
	struct apw_buf			 head = APW_BUF_INIT(65536);

	trigger_head(job, &head, hook);
	p->failed = p->failed || head.failed;
	/* parts keep what is large by name: this one has to stay */
	apw_parts_lit(p, head.failed ? "" :
	    apw_arena_str(apw_job_arena(job), apw_buf_view(&head)));
	apw_buf_free(&head);
	apw_parts_member(p, "\"flowVersion\"", apw_job_flow_version(job));
	trigger_payload(job, p, hook);
	apw_parts_member(p, "\"isRepublish\"", hook->republish);
	apw_job_base(job, p);
	if (hook->app_events || form->app_events)
		trigger_app_events(job, p);
	apw_parts_lit(p, "}");
	return "EXECUTE_TRIGGER_HOOK";
}

struct apw_str
trigger_output(struct apw_str response)
{
	struct apw_str	output, first;

	if (apw_raw_type(response) != APW_RAW_OBJECT ||
	    apw_raw_member(response, "output", &output) != 1 ||
	    apw_raw_type(output) != APW_RAW_ARRAY ||
	    apw_raw_element(output, 0, &first) != 1)
		return APW_STR("");
	return apw_raw_trim(output);
}

static void
trigger_on_submitted(struct apw_job *job, const struct apw_reply *reply)
{
	char	text[1024];
	int	ending = APW_ENDING_ENGINE_OK;

	text[0] = '\0';
	if (reply->kind != APW_REPLY_OK) {
		ending = reply->kind == APW_REPLY_UNKNOWN ?
		    APW_ENDING_CALL_UNKNOWN : APW_ENDING_CALL_REFUSED;
		snprintf(text, sizeof(text), "RPC [submitPayloads] %s",
		    reply->error);
	}
	apw_job_conclude(job, ending, text);
}

void
trigger_submit(struct apw_job *job, struct apw_str output,
    const struct apw_job_parts *more)
{
	const struct apw_job_ids	*ids = apw_job_ids(job);
	struct apw_job_parts		 p = { .n = 0 };
	struct apw_str			 slices[APW_JOB_PARTS_MAX];
	struct apw_buf			 head = APW_BUF_INIT(65536);
	size_t				 n, i;

	apw_buf_puts(&head, "{\"flowVersionId\":");
	apw_buf_json_c(&head, ids->flow_version_id);
	apw_buf_puts(&head, ",\"projectId\":");
	apw_buf_json_c(&head, ids->project_id);
	p.failed = head.failed || more->failed;
	apw_parts_raw(&p, apw_buf_view(&head));
	apw_parts_member(&p, "\"payloads\"", output);
	apw_parts_lit(&p, apw_job_dialect(job)->old_names ?
	    ",\"progressUpdateType\":\"NONE\"" :
	    ",\"streamStepProgress\":\"NONE\"");
	n = apw_parts_slices(more, slices);
	for (i = 0; i < n; i++)
		apw_parts_raw(&p, slices[i]);
	apw_parts_lit(&p, "}");
	apw_job_call(job, "submitPayloads", &p, true, trigger_on_submitted);
	apw_parts_free(&p);
	apw_buf_free(&head);
}

/* Which endings the app counts, and as what; NULL: no run of the trigger. */
static const char *
trigger_status(int ending)
{
	switch ((enum apw_ending)ending) {
	case APW_ENDING_ENGINE_OK:
	case APW_ENDING_CALL_UNKNOWN:
		return "COMPLETED";
	case APW_ENDING_PROVISION_FAILED:
	case APW_ENDING_ENGINE_USER_FAILURE:
	case APW_ENDING_ENGINE_LOG_SIZE:
	case APW_ENDING_ENGINE_INTERNAL_ERROR:
	case APW_ENDING_CALL_REFUSED:
	case APW_ENDING_TIME_LIMIT:
	case APW_ENDING_MEMORY:
	case APW_ENDING_LOG_SIZE:
	case APW_ENDING_BROKEN:
		return "FAILED";
	default:
		return NULL;
	}
}

/* Is the trigger a piece's? */
static bool
trigger_of_piece(struct apw_job *job)
{
	struct apw_str	v = apw_job_flow_version(job);

	return apw_raw_member(v, "trigger", &v) == 1 &&
	    apw_raw_member(v, "type", &v) == 1 &&
	    apw_raw_equals(apw_raw_trim(v), "PIECE_TRIGGER");
}

void
trigger_record(struct apw_job *job, int ending)
{
	const char		*status = trigger_status(ending), *piece;
	struct apw_job_parts	 p = { .n = 0 };
	struct apw_buf		 b = APW_BUF_INIT(16384);

	if (status == NULL || !apw_app_can(apw_job_settings(job)->release,
	    APW_APP_TRIGGER_RUN) || !apw_job_prepared(job) ||
	    !trigger_of_piece(job) || (piece = trigger_piece(job)) == NULL)
		return;
	apw_buf_puts(&b, "{\"platformId\":");
	apw_buf_json_c(&b, apw_job_ids(job)->platform_id);
	apw_buf_puts(&b, ",\"pieceName\":");
	apw_buf_json_c(&b, piece);
	apw_buf_printf(&b, ",\"status\":\"%s\"}", status);
	p.failed = b.failed;
	apw_parts_raw(&p, apw_buf_view(&b));
	apw_job_post(job, "recordTriggerRun", &p);
	apw_parts_free(&p);
	apw_buf_free(&b);
}

int64_t
trigger_limit(const struct apw_settings *s)
{
	return s->trigger_timeout_ms;
}

int64_t
trigger_hooks_limit(const struct apw_settings *s)
{
	return s->trigger_hooks_timeout_ms;
}
