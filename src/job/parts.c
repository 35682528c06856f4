/* Splicing JSON objects out of raw slices; see job.h.  Room: job. */
#include "job/job.h"

#define PARTS_COPY_MAX	4096		/* smaller slices are gathered */

/* More text goes to the last part, if that is text too. */
static void
parts_gather(struct apw_job_parts *p, struct apw_str raw)
{
	if (p->n == 0 || p->v[p->n - 1].raw.p != NULL) {
		if (p->n == APW_JOB_PARTS_MAX) {
			p->failed = true;
			return;
		}
		p->v[p->n].raw = (struct apw_str){ NULL, 0 };
		p->v[p->n++].from = p->text.len;
	}
	apw_buf_str(&p->text, raw);
	p->v[p->n - 1].raw.n += raw.n;
	p->failed = p->failed || p->text.failed;
}

void
apw_parts_raw(struct apw_job_parts *p, struct apw_str raw)
{
	if (raw.p == NULL)
		p->failed = true;
	else if (raw.n < PARTS_COPY_MAX)
		parts_gather(p, raw);
	else if (p->n == APW_JOB_PARTS_MAX)
		p->failed = true;
	else
		p->v[p->n++].raw = raw;
}

size_t
apw_parts_slices(const struct apw_job_parts *p, struct apw_str *out)
{
	size_t	i;

	for (i = 0; i < p->n; i++) {
		out[i] = p->v[i].raw;
		if (out[i].p == NULL)
			out[i].p = p->text.data + p->v[i].from;
	}
	return p->n;
}

void
apw_parts_free(struct apw_job_parts *p)
{
	apw_buf_free(&p->text);
	p->n = 0;
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
