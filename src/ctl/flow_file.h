/* A flow file, and the job made of it.  Room: ctl. */
#ifndef APW_CTL_FLOW_FILE_H
#define APW_CTL_FLOW_FILE_H

#include "core/apw_buf.h"
#include "core/apw_err.h"

/* Read a file ("-": standard input) of at most max bytes. */
int	ctl_read_file(const char *path, size_t max, struct apw_buf *out,
	    struct apw_err *);

/* The spool's job for the flow in text (a flow version, what the app exports,
 * or a wrapper with flowVersion and payload; doc/spool.md), run with payload
 * (raw JSON; empty: the wrapper's, or {}).  job_id becomes the run's id.  name gets what the
 * flow calls itself. */
int	ctl_flow_job(struct apw_str text, struct apw_str payload,
	    const char *job_id, struct apw_buf *job, struct apw_buf *name,
	    struct apw_err *);

#endif
