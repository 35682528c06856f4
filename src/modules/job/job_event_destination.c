/* EVENT_DESTINATION: an event of the platform, posted to a URL that somebody
 * chose.  Room: modules/job.
 *
 * No engine: the daemon posts it, to public addresses and those that the
 * configuration allows, whatever the network mode.  The receiver's answer is
 * not the job's matter: it ends well in any case. */
#include <stddef.h>

#include "core/apw_module.h"
#include "egress/post.h"
#include "job/outcome.h"

struct event_fields {			/* raw */
	struct apw_str	platform_id, url, payload;
	struct apw_job	*job;
	struct apw_post	*post;		/* owned; NULL: not under way */
};

#define AT(member)	offsetof(struct event_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }

static const struct apw_job_field event_table[] = {
	MUST("platformId", STRING, platform_id),
	MUST("webhookUrl", STRING, url),
	MUST("payload", OBJECT, payload),
	{ NULL }
};

static const char *const event_types[] = { "EVENT_DESTINATION", NULL };

static int
event_provision(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	const struct event_fields	*f = apw_job_fields(job);

	ids->platform_id = apw_job_text(job, f->platform_id);
	if (ids->platform_id == NULL)
		return apw_err_set(err, 0,
		    "VALIDATION: an id of the job cannot be one");
	return 0;
}

static void
event_on_posted(void *arg, int status, const char *error)
{
	struct event_fields	*f = arg;

	(void)status;
	f->post = NULL;
	apw_job_conclude(f->job, APW_ENDING_DONE, error == NULL ? "" : error);
}

static void
event_forget(void *arg)
{
	struct event_fields	*f = arg;

	apw_post_cancel(f->post);
}

static void
event_work(struct apw_job *job)
{
	const struct apw_job_env	*env = apw_job_env(job);
	struct event_fields		*f = apw_job_fields(job);
	struct apw_post_order		 order = {
		.url = apw_job_text(job, f->url),
		.body = f->payload,
		.timeout_ms = env->settings->event_timeout_ms,
		.what = "event destination",
	};

	f->job = job;
	if (order.url == NULL)
		apw_job_conclude(job, APW_ENDING_DONE,
		    "the event's URL cannot be one");
	else if (apw_arena_keep(apw_job_arena(job), event_forget, f) == -1 ||
	    (f->post = apw_post(env->poster, &order, event_on_posted,
	    f)) == NULL)
		apw_job_conclude(job, APW_ENDING_DONE, "out of memory");
}

static int64_t
event_limit(const struct apw_settings *s)
{
	return s->event_timeout_ms;
}

static const struct apw_job_ops event_ops = {
	.types = event_types,
	.family = APW_FAMILY_EVENT,
	.fields = event_table,
	.fields_size = sizeof(struct event_fields),
	.provision = event_provision,
	.work = event_work,
	.limit_ms = event_limit,
};

extern struct apw_module apw_job_event_destination_module;

struct apw_module apw_job_event_destination_module = {
	.name = "job_event_destination",
	.kind = APW_MODULE_JOB,
	.ops.job = &event_ops,
};
