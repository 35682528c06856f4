/* Limits of each process in a box; those of the box as a whole are its
 * control group's (cgroup.c).  Room: broker, after clone. */
#include <errno.h>
#include <sys/resource.h>

#include "broker/broker_priv.h"
#include "broker/calls.h"

#define RLIMITS_DATA_LEAST	(768ULL << 20)	/* below it node does not start */

/* Never above what we have ourselves: no privilege is left to raise it. */
static int
rlimits_one(int what, uint64_t value)
{
	struct rlimit64	r = { .rlim_cur = value, .rlim_max = value };

	if (CALL(prlimit64, 0, what, &r, NULL) == 0)
		return 0;
	if (errno != EPERM ||
	    CALL(prlimit64, 0, what, NULL, &r) == -1)
		return -1;
	r.rlim_cur = r.rlim_max;
	return (int)CALL(prlimit64, 0, what, &r, NULL);
}

/* Stands in for a memory limit of the whole box, process by process.  V8
 * isolates reserve more than they use and do not start under it. */
static int
rlimits_data(const struct box_plan *plan)
{
	uint64_t	bytes = plan->memory_bytes;

	if (bytes == 0 || (plan->flags & APW_BOX_ISOLATES) != 0 ||
	    cgroup_holds(plan->b->cgroup, "memory"))
		return 0;
	return rlimits_one(RLIMIT_DATA, bytes > RLIMITS_DATA_LEAST ? bytes :
	    RLIMITS_DATA_LEAST);
}

int
rlimits_set(const struct box_plan *plan)
{
	const struct apw_box_limits	*l = plan->limits;

	if ((plan->flags & APW_BOX_HOST_FILES) != 0)
		return rlimits_one(RLIMIT_CORE, 0) == -1 ? -1 :
		    rlimits_one(RLIMIT_NOFILE, 4096);
	if (rlimits_one(RLIMIT_CORE, 0) == -1 ||
	    rlimits_one(RLIMIT_MSGQUEUE, 0) == -1 ||	/* escapes memory */
	    rlimits_one(RLIMIT_MEMLOCK, 64 << 10) == -1 ||
	    rlimits_one(RLIMIT_SIGPENDING, 1024) == -1 ||
	    rlimits_one(RLIMIT_NICE, 0) == -1 ||
	    rlimits_one(RLIMIT_RTPRIO, 0) == -1 ||
	    rlimits_one(RLIMIT_NOFILE, counts_files(plan->b, l->open_files !=
	    0 ? l->open_files : 4096, plan->memory_bytes)) == -1)
		return -1;
	if (l->file_bytes != 0 &&
	    rlimits_one(RLIMIT_FSIZE, l->file_bytes) == -1)
		return -1;
	if (l->cpu_seconds != 0 &&
	    rlimits_one(RLIMIT_CPU, l->cpu_seconds) == -1)
		return -1;
	/* counted per user namespace: this box only */
	if (l->pids != 0 && rlimits_one(RLIMIT_NPROC, l->pids) == -1)
		return -1;
	return rlimits_data(plan);
}
