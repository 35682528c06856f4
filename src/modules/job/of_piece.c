/* Jobs about one piece; see of_piece.h.  Room: modules/job.
 *
 * A connection's value is a secret: it passes as raw text and is never
 * looked at. */
#include "modules/job/of_piece.h"

#include <stddef.h>

int
of_piece_ids(struct apw_job *job, struct apw_str platform_id,
    struct apw_str project_id, struct apw_str piece, struct apw_job_ids *ids,
    struct apw_err *err)
{
	ids->platform_id = apw_job_text(job, platform_id);
	ids->project_id = apw_job_text(job, project_id);
	ids->piece = piece;
	if (ids->platform_id == NULL ||
	    (project_id.n != 0 && ids->project_id == NULL))
		return apw_err_set(err, 0,
		    "VALIDATION: an id of the job cannot be one");
	return 0;
}

#define AT(member)	offsetof(struct connection_fields, member)
#define MUST(key, type, member) { key, APW_FIELD_##type, true, AT(member) }
#define MAY(key, type, member)	{ key, APW_FIELD_##type, false, AT(member) }

const struct apw_job_field connection_table[] = {
	MUST("platformId", STRING, platform_id),
	MUST("piece", OBJECT, piece),
	MUST("connectionValue", OBJECT, value),
	MAY("projectId", STRING, project_id),
	{ NULL }
};

int
connection_provision(struct apw_job *job, struct apw_job_ids *ids,
    struct apw_err *err)
{
	const struct connection_fields	*f = apw_job_fields(job);

	return of_piece_ids(job, f->platform_id, f->project_id, f->piece, ids,
	    err);
}

void
connection_operation(struct apw_job *job, struct apw_job_parts *p)
{
	const struct connection_fields	*f = apw_job_fields(job);

	apw_parts_lit(p, "{\"piece\":");
	apw_parts_raw(p, apw_job_package(job));
	apw_parts_member(p, "\"auth\"", f->value);
	apw_parts_member(p, "\"connectionType\"", f->type);
	apw_parts_member(p, "\"platformId\"", f->platform_id);
	apw_job_base(job, p);
	apw_parts_lit(p, "}");
}
