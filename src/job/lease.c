/* The lease: the app's lock on the job in hand, kept alive.  Room: job.
 *
 * It starts before anything slow and ends only when the completion has been
 * acknowledged or given up.  Extensions are never repeated by themselves:
 * the next one comes anyway. */
#include "job/job_priv.h"

#include <errno.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"

#define LEASE_PERIOD_MS	30000
#define LEASE_DOUBT_MS	110000		/* without an extension: maybe not ours */

static void
lease_arm(struct apw_job *job)
{
	struct timeval	tv = { LEASE_PERIOD_MS / 1000, 0 };

	event_add(job->lease.timer, &tv);
}

static void
lease_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	int64_t	asked_ms = (int64_t)(intptr_t)arg;

	job->lease.call = NULL;
	if (reply->kind == APW_REPLY_OK) {
		/* counted from the question: the answer took its time */
		job->lease.ours_until_ms = asked_ms + JOB_LOCK_MS;
		job->lease.doubted = false;
		return;
	}
	apw_warn("the job's lock could not be extended",
	    APW_S("error", reply->error));
}

static void
lease_extend(struct apw_job *job)
{
	struct apw_str	parts[] = { APW_STR("{"), job->lease.key,
	    APW_STR("}") };

	job_call_cancel(job, job->lease.call);
	job->lease.call = job_call(job, "extendLock", parts, 3, NULL,
	    lease_on_reply, (void *)(intptr_t)apw_now_ms());
}

static void
lease_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_job	*job;

	(void)fd;
	(void)what;
	APW_CAST(job, arg, JOB_MAGIC);
	if (!job->lease.doubted && job_lease_left_ms(job) <
	    JOB_LOCK_MS - LEASE_DOUBT_MS) {
		job->lease.doubted = true;
		apw_warn("no extension of the job's lock for long: it may be "
		    "running elsewhere too",
		    APW_I("left_ms", job_lease_left_ms(job)));
	}
	lease_extend(job);
	lease_arm(job);
}

int
job_lease_start(struct apw_job *job, struct apw_err *err)
{
	job->lease.ours_until_ms = apw_now_ms() + JOB_LOCK_MS;
	job->lease.timer = evtimer_new(job->env.base, lease_on_timer, job);
	if (job->lease.timer == NULL)
		return apw_err_set(err, ENOMEM, "cannot keep a lease");
	lease_arm(job);
	return 0;
}

void
job_lease_stop(struct apw_job *job)
{
	if (job->lease.timer != NULL)
		event_free(job->lease.timer);
	job->lease.timer = NULL;
	job_call_cancel(job, job->lease.call);
	job->lease.call = NULL;
}

int64_t
job_lease_left_ms(const struct apw_job *job)
{
	return job->lease.ours_until_ms - apw_now_ms();
}
