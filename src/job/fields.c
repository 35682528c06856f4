/* Reading a job object: the lease, the type, the family's fields.  Room: job.
 *
 * The text comes from the network: types of all fields are checked here,
 * once, before anything is done with them.  Values stay raw. */
#include "job/job_priv.h"

#include <errno.h>
#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_module.h"
#include "proto/apw_raw.h"

#define FIELD_TEXT_MAX	1024

/* An id's text; NULL when it is absent, no string, too
 * long, or has a NUL inside. */
const char *
job_text(struct apw_arena *arena, struct apw_str literal)
{
	struct apw_buf	 buf = APW_BUF_INIT(FIELD_TEXT_MAX);
	char		*text = NULL;

	if (literal.n != 0 && apw_raw_type(literal) == APW_RAW_STRING &&
	    apw_raw_decode(&buf, literal) != -1 && !buf.failed &&
	    (buf.len == 0 || memchr(buf.data, '\0', buf.len) == NULL))
		text = apw_arena_str(arena, apw_buf_view(&buf));
	apw_buf_free(&buf);
	return text;
}

static const char *
field_type_name(enum apw_raw_type t)
{
	switch (t) {
	case APW_RAW_NULL:	return "null";
	case APW_RAW_FALSE:
	case APW_RAW_TRUE:	return "a boolean";
	case APW_RAW_NUMBER:	return "a number";
	case APW_RAW_STRING:	return "a string";
	case APW_RAW_ARRAY:	return "an array";
	case APW_RAW_OBJECT:	return "an object";
	default:		return "broken";
	}
}

static bool
field_fits(enum apw_field_type want, enum apw_raw_type is)
{
	switch (want) {
	case APW_FIELD_STRING:	return is == APW_RAW_STRING;
	case APW_FIELD_NUMBER:	return is == APW_RAW_NUMBER;
	case APW_FIELD_BOOL:	return is == APW_RAW_TRUE || is == APW_RAW_FALSE;
	case APW_FIELD_OBJECT:	return is == APW_RAW_OBJECT;
	default:		return is != APW_RAW_BAD;
	}
}

static const char *
field_wanted(enum apw_field_type want)
{
	static const char *const names[] = { "a string", "a number",
	    "a boolean", "an object", "a value" };

	return names[want];
}

static int
field_put(const struct apw_job_field *f, struct apw_str value, char *base,
    const char *where, struct apw_err *err)
{
	enum apw_raw_type	is = apw_raw_type(value);

	if (is == APW_RAW_NULL && !f->required)
		return 0;
	if (!field_fits(f->type, is))
		return apw_err_set(err, 0, "%s.%s is %s; expected %s", where,
		    f->key, field_type_name(is), field_wanted(f->type));
	*(struct apw_str *)(base + f->offset) = apw_raw_trim(value);
	return 0;
}

/* One pass over the object; what is not in the table is left alone. */
static int
fields_read(struct apw_str object, const struct apw_job_field *table,
    void *out, const char *where, struct apw_err *err)
{
	const struct apw_job_field	*f;
	struct apw_raw_iter		 it;
	struct apw_str			 key, value;

	if (apw_raw_type(object) != APW_RAW_OBJECT ||
	    apw_raw_iter(&it, object) == -1)
		return apw_err_set(err, 0, "%s is %s; expected an object",
		    where, field_type_name(apw_raw_type(object)));
	while (apw_raw_next(&it, &key, &value) == 1)
		for (f = table; f->key != NULL; f++)
			if (apw_raw_equals(key, f->key)) {
				if (field_put(f, value, out, where, err) == -1)
					return -1;
				break;
			}
	for (f = table; f->key != NULL; f++)
		if (f->required &&
		    ((struct apw_str *)((char *)out + f->offset))->n == 0)
			return apw_err_set(err, 0,
			    "%s.%s is missing; expected %s", where, f->key,
			    field_wanted(f->type));
	return 0;
}

struct fields_top {
	struct apw_str	id, token, queue, data, engine_token;
};

#define TOP(member)	offsetof(struct fields_top, member)

static const struct apw_job_field fields_top[] = {
	{ "jobId", APW_FIELD_STRING, true, TOP(id) },
	{ "token", APW_FIELD_STRING, true, TOP(token) },
	{ "queueName", APW_FIELD_STRING, true, TOP(queue) },
	{ "engineToken", APW_FIELD_STRING, false, TOP(engine_token) },
	{ "jobData", APW_FIELD_ANY, true, TOP(data) },
	{ NULL }
};

static const struct apw_job_ops *
fields_family(const char *type)
{
	const char *const	*t;
	size_t			 i;

	for (i = 0; apw_modules[i] != NULL; i++) {
		if (apw_modules[i]->kind != APW_MODULE_JOB)
			continue;
		for (t = apw_modules[i]->ops.job->types; *t != NULL; t++)
			if (strcmp(*t, type) == 0)
				return apw_modules[i]->ops.job;
	}
	return NULL;
}

/* Without these three there is nothing to complete; the rest of the job may
 * be nonsense and still be answered. */
static int
fields_lease(struct apw_job *job, const struct fields_top *top,
    struct apw_err *err)
{
	char	*key;

	key = apw_arena_printf(job->arena,
	    "\"jobId\":%.*s,\"token\":%.*s,\"queueName\":%.*s",
	    (int)top->id.n, top->id.p, (int)top->token.n, top->token.p,
	    (int)top->queue.n, top->queue.p);
	job->id = job_text(job->arena, top->id);
	if (key == NULL || job->id == NULL)
		return apw_err_set(err, 0, "the job's id cannot be read");
	job->lease.key = apw_str_c(key);
	job->data = top->data;
	job->engine_token = top->engine_token;
	return 0;
}

int
job_read(struct apw_job *job, struct apw_err *err)
{
	struct fields_top	top = { 0 };
	struct apw_str		type;

	if (apw_raw_check(job->text, 0) == -1)
		return apw_err_set(err, 0, "the job is not JSON");
	if (fields_read(job->text, fields_top, &top, "job", err) == -1 ||
	    fields_lease(job, &top, err) == -1)
		return -1;
	if (job->env.prewarm) {
		job->type = "prewarm";
		job->ops = &job_prewarm_ops;
	} else if (apw_raw_type(job->data) != APW_RAW_OBJECT ||
	    apw_raw_member(job->data, "jobType", &type) != 1 ||
	    (job->type = job_text(job->arena, type)) == NULL) {
		job->type = "unknown";
		return apw_err_set(err, 0, "jobData has no jobType");
	} else
		job->ops = fields_family(job->type);
	if (job->ops == NULL)
		return 0;
	job->fields = apw_arena_alloc(job->arena, job->ops->fields_size);
	if (job->fields == NULL)
		return apw_err_set(err, ENOMEM, "cannot read the job");
	return fields_read(job->data, job->ops->fields, job->fields,
	    "jobData", err);
}
