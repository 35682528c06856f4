/* The reuse rule; see reuse.h.  Room: slot. */
#include "slot/reuse.h"

#include <string.h>

static enum apw_reuse
reuse_key(const struct apw_reuse_case *c)
{
	if (c->key != APW_REUSE_AUTO)
		return c->key;
	return c->warm ? APW_REUSE_ANY : APW_REUSE_NONE;
}

/* Unknown is never the same: a job without a flow has none to share. */
static bool
reuse_same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

bool
apw_reuse_keeps(const struct apw_reuse_case *c)
{
	return reuse_key(c) != APW_REUSE_NONE && !c->stale &&
	    (c->max_jobs == 0 || c->jobs < c->max_jobs) &&
	    (c->max_age_ms == 0 || c->age_ms < c->max_age_ms);
}

const char *
apw_reuse_refused(const struct apw_reuse_case *c)
{
	if (c->stale)
		return "its generation is stale";
	if (c->jobs == 0)		/* booted ahead: nobody used it */
		return NULL;
	if (c->max_jobs != 0 && c->jobs >= c->max_jobs)
		return "it served its number of jobs";
	if (c->max_age_ms != 0 && c->age_ms >= c->max_age_ms)
		return "it reached its age";
	switch (reuse_key(c)) {
	case APW_REUSE_ANY:
		return NULL;
	case APW_REUSE_PLATFORM:
		return reuse_same(c->was.platform_id, c->is.platform_id) ?
		    NULL : "the job is of another platform";
	case APW_REUSE_PROJECT:
		return reuse_same(c->was.project_id, c->is.project_id) ?
		    NULL : "the job is of another project";
	case APW_REUSE_FLOW:
		return reuse_same(c->was.flow_id, c->is.flow_id) ?
		    NULL : "the job is of another flow";
	default:
		return "engines are not reused";
	}
}
