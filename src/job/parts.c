/* Splicing JSON objects out of raw slices; see job.h.  Room: job.
 *
 * A payload of many megabytes is named, not copied. */
#include "job/job.h"

void
apw_parts_raw(struct apw_job_parts *p, struct apw_str raw)
{
	if (raw.p == NULL || p->n == APW_JOB_PARTS_MAX) {
		p->failed = true;
		return;
	}
	p->v[p->n++] = raw;
}

void
apw_parts_lit(struct apw_job_parts *p, const char *text)
{
	apw_parts_raw(p, apw_str_c(text));
}

void
apw_parts_member(struct apw_job_parts *p, const char *key, struct apw_str raw)
{
	if (raw.n == 0)
		return;
	apw_parts_lit(p, ",");
	apw_parts_lit(p, key);
	apw_parts_lit(p, ":");
	apw_parts_raw(p, raw);
}

void
apw_parts_member_or(struct apw_job_parts *p, const char *key,
    struct apw_str raw, const char *otherwise)
{
	apw_parts_member(p, key, raw.n != 0 ? raw : apw_str_c(otherwise));
}
