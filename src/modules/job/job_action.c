/* EXECUTE_ACTION: one step, run for itself, for somebody who waits and says for
 * how long.  From 0.88 on.  Room: modules/job.
 *
 * The step is of no flow.  A code step is built in a folder of its own, by
 * whose it is and what is in it; the engine looks for it there by a name that
 * stands for a flow version's. */
#include <math.h>
#include <stddef.h>
#include <stdlib.h>

#include "core/apw_clock.h"
#include "core/apw_module.h"
#include "job/outcome.h"
#include "modules/job/of_piece.h"
#include "proto/apw_raw.h"

#define ACTION_LIMIT_MS	600000	/* whatever expiresAt says */

struct action_fields {			/* raw; empty when absent or null */
	struct apw_str	project_id, platform_id, step, piece, expires;
	int64_t		seconds;	/* that were left when it came */
};

#define AT(member)	offsetof(struct action_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }
#define MAY(key, type, member)	{ key, APW_FIELD_##type, false, AT(member) }

static const struct apw_job_field action_table[] = {
	MUST("projectId", STRING, project_id),
	MUST("platformId", STRING, platform_id),
	MUST("step", OBJECT, step),
	MUST("expiresAt", NUMBER, expires),
	MAY("piece", OBJECT, piece),
	{ NULL }
};

static const char *const action_types[] = { "EXECUTE_ACTION", NULL };

/* Milliseconds of the wall clock; nonsense is long ago. */
static int64_t
action_expires(struct apw_job *job, struct apw_str raw)
{
	const char	*text = apw_arena_str(apw_job_arena(job), raw);
	double		 ms = text == NULL ? 0 : strtod(text, NULL);

	return isfinite(ms) && ms >= 1 && ms < 1e15 ? (int64_t)ms : 1;
}

/* NULL and err: a code step without code, or for a platform that is none. */
static const char *
action_folder(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	struct apw_str	 v;
	char		 folder[APW_STOCK_FOLDER];
	const char	*kept = NULL;

	if (apw_raw_member(ids->step, "settings", &v) != 1 ||
	    apw_raw_type(v) != APW_RAW_OBJECT ||
	    apw_raw_member(v, "sourceCode", &v) != 1)
		apw_err_set(err, 0, "VALIDATION: the code step has no source");
	else if (apw_stock_action_folder(ids->platform_id, apw_raw_trim(v),
	    folder) == -1)
		apw_err_set(err, 0, "VALIDATION: an id of the job cannot be "
		    "one");
	else if ((kept = apw_arena_strdup(apw_job_arena(job),
	    folder)) == NULL)
		apw_err_set(err, 0, "out of memory");
	return kept;
}

static int
action_provision(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	struct action_fields	*f = apw_job_fields(job);
	struct apw_str		 type;
	int64_t			 left;

	if (of_piece_ids(job, f->platform_id, f->project_id, f->piece, ids,
	    err) == -1)
		return -1;
	ids->step = f->step;
	ids->expires_ms = action_expires(job, f->expires);
	left = ids->expires_ms - apw_wall_ms();
	f->seconds = left > 0 ? (left + 999) / 1000 : left / 1000;
	if (apw_raw_member(f->step, "type", &type) == 1 &&
	    apw_raw_equals(apw_raw_trim(type), "CODE") &&
	    (ids->code_folder = action_folder(job, ids, err)) == NULL)
		return -1;
	return 0;
}

static const char *
action_operation(struct apw_job *job, struct apw_job_parts *p)
{
	const struct action_fields	*f = apw_job_fields(job);
	const struct apw_job_ids	*ids = apw_job_ids(job);
	struct apw_buf			 b = APW_BUF_INIT(16384);

	apw_parts_lit(p, "{\"step\":");
	apw_parts_raw(p, f->step);
	apw_parts_member(p, "\"projectId\"", f->project_id);
	apw_parts_member(p, "\"platformId\"", f->platform_id);
	apw_job_places(job, p);
	apw_buf_printf(&b, ",\"timeoutInSeconds\":%lld",
	    (long long)f->seconds);
	if (ids->code_folder != NULL) {
		apw_buf_puts(&b, ",\"flowVersionId\":");
		apw_buf_json_c(&b, ids->code_folder);
	}
	p->failed = p->failed || b.failed;
	apw_parts_lit(p, b.failed ? "" :
	    apw_arena_str(apw_job_arena(job), apw_buf_view(&b)));
	apw_buf_free(&b);
	apw_parts_lit(p, "}");
	return "EXECUTE_ACTION";
}

static int64_t
action_limit(const struct apw_settings *s)
{
	(void)s;
	return ACTION_LIMIT_MS;
}

static const struct apw_job_ops action_ops = {
	.types = action_types,
	.family = APW_FAMILY_ACTION,
	.fields = action_table,
	.fields_size = sizeof(struct action_fields),
	.provision = action_provision,
	.operation = action_operation,
	.limit_ms = action_limit,
};

extern struct apw_module apw_job_action_module;

struct apw_module apw_job_action_module = {
	.name = "job_action",
	.kind = APW_MODULE_JOB,
	.ops.job = &action_ops,
};
