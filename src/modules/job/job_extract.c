/* EXECUTE_EXTRACT_PIECE_INFORMATION: what a piece says about itself, when it
 * is added to a platform.  Room: modules/job.
 *
 * The engine gets no token and no URL for it: nothing but the piece. */
#include <stddef.h>

#include "core/apw_module.h"
#include "modules/job/of_piece.h"
#include "modules/job/trigger.h"
#include "proto/apw_raw.h"

struct extract_fields {			/* raw */
	struct apw_str	platform_id, piece;
};

#define AT(member)	offsetof(struct extract_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }

static const struct apw_job_field extract_table[] = {
	MUST("platformId", STRING, platform_id),
	MUST("piece", OBJECT, piece),
	{ NULL }
};

static const char *const extract_types[] = {
	"EXECUTE_EXTRACT_PIECE_INFORMATION", NULL };

static int
extract_provision(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	const struct extract_fields	*f = apw_job_fields(job);

	return of_piece_ids(job, f->platform_id, APW_STR(""), f->piece, ids,
	    err);
}

/* The piece's own members at the top. */
static const char *
extract_operation(struct apw_job *job, struct apw_job_parts *p)
{
	const struct extract_fields	*f = apw_job_fields(job);
	struct apw_str			 package = apw_job_package(job), v;

	if (package.n < 2 || package.p[package.n - 1] != '}')
		return NULL;
	apw_parts_raw(p, (struct apw_str){ package.p, package.n - 1 });
	if (apw_raw_member(package, "platformId", &v) != 1)
		apw_parts_member(p, "\"platformId\"", f->platform_id);
	apw_job_limit(job, p);
	apw_parts_lit(p, "}");
	return "EXTRACT_PIECE_METADATA";
}

static const struct apw_job_ops extract_ops = {
	.types = extract_types,
	.family = APW_FAMILY_EXTRACT,
	.fields = extract_table,
	.fields_size = sizeof(struct extract_fields),
	.provision = extract_provision,
	.operation = extract_operation,
	.limit_ms = trigger_limit,
};

extern struct apw_module apw_job_extract_module;

struct apw_module apw_job_extract_module = {
	.name = "job_extract",
	.kind = APW_MODULE_JOB,
	.ops.job = &extract_ops,
};
