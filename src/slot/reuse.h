/* May a warm engine serve the next job? */
#ifndef APW_SLOT_REUSE_H
#define APW_SLOT_REUSE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/apw_cycle.h"

/* For whom an engine works: the identities a reuse key can name. */
struct apw_tenant {
	const char	*platform_id;	/* borrowed; NULL: unknown */
	const char	*project_id;
	const char	*flow_id;
	const char	*flow_version_id; /* whose code it runs; no key */
};

struct apw_reuse_case {
	enum apw_reuse		 key;		/* AUTO: warm decides */
	bool			 warm;		/* the mode's default */
	unsigned		 max_jobs;	/* 0: no limit */
	int64_t			 max_age_ms;	/* 0: no limit */
	/* the engine */
	unsigned		 jobs;		/* it has served */
	int64_t			 age_ms;
	bool			 stale;		/* booted from what has changed since */
	struct apw_tenant	 was;		/* of its first job */
	/* the job */
	struct apw_tenant	 is;
};

/* NULL: yes; else why not, for the log. */
const char *apw_reuse_refused(const struct apw_reuse_case *);
/* Is it worth keeping an engine at all after a job? */
bool	apw_reuse_keeps(const struct apw_reuse_case *);

#endif
