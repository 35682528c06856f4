/* What the families that ask a flow's trigger have in common. */
#ifndef APW_JOB_TRIGGER_H
#define APW_JOB_TRIGGER_H

#include "job/job.h"

/* Raw ids of the flow, as the job has them. */
struct trigger_flow {
	struct apw_str	platform_id, project_id, flow_id, flow_version_id;
};

struct trigger_hook {
	const char	*name;		/* "RUN", ...; or NULL: */
	struct apw_str	 raw;		/* as the job says it */
	bool		 test;		/* of the builder: its own webhook URL */
	bool		 app_events;	/* with the URL and secret for these */
	struct apw_str	 payload;	/* raw JobPayload; empty: none */
	bool		 bare;		/* it is the value alone */
	struct apw_str	 republish;	/* raw; empty: not said */
};

/* The ids of the job; -1 and err when one of them cannot be one. */
int	trigger_ids(struct apw_job *, const struct trigger_flow *,
	    struct apw_job_ids *, struct apw_err *);
/* Append the operation; returns its type. */
const char *trigger_operation(struct apw_job *, struct apw_job_parts *,
	    const struct trigger_hook *);
/* The array `output` of a response if something is in it, else empty. */
struct apw_str trigger_output(struct apw_str response);
/* submitPayloads with these members behind the common ones; its answer ends
 * the job.  A submission starts runs: it is never sent twice. */
void	trigger_submit(struct apw_job *, struct apw_str output,
	    const struct apw_job_parts *more);
/* Tell the app what became of the trigger's run, for its statistics: where
 * the app counts, and the trigger is a piece's.  Nobody waits. */
void	trigger_record(struct apw_job *, int ending);
int64_t	trigger_limit(const struct apw_settings *);
int64_t	trigger_hooks_limit(const struct apw_settings *);

#endif
