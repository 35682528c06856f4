/* What the families' hooks may ask for and do; see job.h.  Room: job. */
#include "job/job_priv.h"

#include <stdlib.h>

/* What must not happen twice may wait for a connection all the same. */
static const struct job_repeat hooks_once = { .ms = 100000,
    .unsent_only = true };
static const struct job_repeat hooks_repeat = { .ms = 30000 };

struct apw_arena *
apw_job_arena(struct apw_job *job)
{
	return job->arena;
}

const struct apw_settings *
apw_job_settings(const struct apw_job *job)
{
	return job->env.settings;
}

const struct apw_job_env *
apw_job_env(const struct apw_job *job)
{
	return &job->env;
}

const struct apw_job_ids *
apw_job_ids(const struct apw_job *job)
{
	return &job->ids;
}

void *
apw_job_fields(const struct apw_job *job)
{
	return job->fields;
}

struct apw_str
apw_job_flow_version(const struct apw_job *job)
{
	return apw_buf_view(&job->recipe->flow_version);
}

const struct apw_engine_form *
apw_job_form(const struct apw_job *job)
{
	return apw_engine_form(job->env.engine);
}

const struct apw_app_dialect *
apw_job_dialect(const struct apw_job *job)
{
	return job->env.settings->app;
}

struct apw_str
apw_job_payload(const struct apw_job *job, struct apw_str raw)
{
	return job->payload.n != 0 ? job->payload : raw;
}

struct apw_str
apw_job_package(const struct apw_job *job)
{
	return job->recipe->npieces == 0 ? APW_STR("null") :
	    job->recipe->pieces[0].package;
}

const char *
apw_job_text(struct apw_job *job, struct apw_str literal)
{
	return job_text(job->arena, literal);
}

void
apw_job_limit(struct apw_job *job, struct apw_job_parts *p)
{
	double	seconds = job->ops->limit_ms(job->env.settings) / 1000.0;

	apw_parts_lit(p, apw_arena_printf(job->arena,
	    ",\"timeoutInSeconds\":%.15g", seconds));
}

void
apw_job_base(struct apw_job *job, struct apw_job_parts *p)
{
	apw_job_limit(job, p);
	apw_job_places(job, p);
}

void
apw_job_places(struct apw_job *job, struct apw_job_parts *p)
{
	struct apw_buf	b = APW_BUF_INIT(65536);

	apw_buf_puts(&b, ",\"internalApiUrl\":");
	apw_buf_json_c(&b,
	    job->env.source->internal_api_url(job->env.source_of));
	apw_buf_puts(&b, ",\"publicApiUrl\":");
	apw_buf_json_c(&b, job->env.settings->public_api_url);
	apw_parts_lit(p, b.failed ? NULL :
	    apw_arena_str(job->arena, apw_buf_view(&b)));
	apw_buf_free(&b);
	apw_parts_member(p, "\"engineToken\"", job->engine_token);
}

static void
hooks_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	apw_job_reply_fn	*fn = *(apw_job_reply_fn **)arg;

	if (!job->concluded)
		fn(job, reply);
}

static void
hooks_call(struct apw_job *job, const char *method,
    const struct apw_job_parts *p, const struct job_repeat *repeat,
    apw_job_reply_fn *fn)
{
	static const struct apw_reply	failed = { .kind = APW_REPLY_TOO_LARGE,
	    .error = "the call could not be composed" };
	struct apw_str			slices[APW_JOB_PARTS_MAX];
	apw_job_reply_fn		**keep;

	keep = apw_arena_alloc(job->arena, sizeof(*keep));
	if (p->failed || keep == NULL) {
		fn(job, &failed);
		return;
	}
	*keep = fn;
	if (repeat == &hooks_once)
		apw_journal_commit(job->env.journal);
	job_call(job, method, slices, apw_parts_slices(p, slices), repeat,
	    hooks_on_reply, keep);
}

void
apw_job_call(struct apw_job *job, const char *method,
    const struct apw_job_parts *p, bool once, apw_job_reply_fn *fn)
{
	hooks_call(job, method, p, once ? &hooks_once : &hooks_repeat, fn);
}

void
apw_job_insist(struct apw_job *job, const char *method,
    const struct apw_job_parts *p, unsigned refusals, apw_job_reply_fn *fn)
{
	struct job_repeat	repeat = hooks_repeat;

	repeat.refusals = refusals;
	hooks_call(job, method, p, &repeat, fn);
}

void
apw_job_respond(struct apw_job *job, struct apw_str raw)
{
	job->answer = raw;
}

void
apw_job_post(struct apw_job *job, const char *method,
    const struct apw_job_parts *p)
{
	struct apw_str	slices[APW_JOB_PARTS_MAX];

	if (p->failed)
		apw_warn("a call could not be composed",
		    APW_S("method", method));
	else
		job_post(job, method, slices, apw_parts_slices(p, slices));
}

bool
apw_job_prepared(const struct apw_job *job)
{
	return job->recipe != NULL && job->recipe->complete;
}

void
apw_job_conclude(struct apw_job *job, int ending, const char *text)
{
	job_conclude_text(job, (enum apw_ending)ending, apw_str_c(text));
}
