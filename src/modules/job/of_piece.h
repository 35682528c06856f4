/* What the families whose job brings a piece, and no flow, have in common. */
#ifndef APW_JOB_OF_PIECE_H
#define APW_JOB_OF_PIECE_H

#include "job/job.h"

/* The ids of the job; project_id may be empty.  -1 and err when one cannot be
 * one. */
int	of_piece_ids(struct apw_job *, struct apw_str platform_id,
	    struct apw_str project_id, struct apw_str piece,
	    struct apw_job_ids *, struct apw_err *);

/* jobData of the families that look at a connection. */
struct connection_fields {		/* raw; empty when absent or null */
	struct apw_str	project_id, platform_id, piece, value;
	struct apw_str	type;		/* of jobs that name it; else empty */
};
extern const struct apw_job_field connection_table[];
int	connection_provision(struct apw_job *, struct apw_job_ids *,
	    struct apw_err *);
/* Append the operation object. */
void	connection_operation(struct apw_job *, struct apw_job_parts *);

#endif
