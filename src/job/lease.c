/* The lease: the app's lock on the job in hand, kept alive.  Room: job.
 *
 * It starts before anything slow and ends only when the completion has been
 * acknowledged or given up.  Extensions are never repeated by themselves:
 * the next one comes anyway.
 *
 * The app says yes to an extension also when the lock was lost before.  What
 * proves the lease is time alone: an extension that was answered while the
 * lease was certainly ours makes it ours for the lock's time, counted from
 * the question.  Once that time is over the job is the app's again, and
 * whatever is still done for it would be done twice: it is given up. */
#include "job/job_priv.h"

#include <errno.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"

/* All in parts of the lock's time, 120 s at the app. */
#define LEASE_PERIOD(lock_ms)	((lock_ms) / 4)
#define LEASE_DOUBT(lock_ms)	((lock_ms) / 12)
/* The lock began before the job reached us: the way of the poll's answer. */
#define LEASE_TRAVEL(lock_ms)	((lock_ms) / 60)

static void
lease_arm(struct apw_job *job)
{
	int64_t		ms = LEASE_PERIOD(job->lease.lock_ms);
	int64_t		left_ms = job_lease_left_ms(job);
	struct timeval	tv;

	if (left_ms < ms)
		ms = left_ms > 0 ? left_ms : 0;
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	event_add(job->lease.timer, &tv);
}

static void
lease_on_reply(struct apw_job *job, void *arg, const struct apw_reply *reply)
{
	(void)arg;
	job->lease.call = NULL;
	if (reply->kind != APW_REPLY_OK) {
		apw_warn("the job's lock could not be extended",
		    APW_S("error", reply->error));
		return;
	}
	if (job_lease_left_ms(job) <= 0)
		return;			/* too late to prove anything */
	/* counted from the question: the answer took its time */
	job->lease.ours_until_ms = job->lease.asked_ms + job->lease.lock_ms;
	job->lease.doubted = false;
	apw_journal_extend(job->env.journal, job->lease.ours_until_ms);
}

static void
lease_extend(struct apw_job *job)
{
	struct apw_str	parts[] = { APW_STR("{"), job->lease.key,
	    APW_STR("}") };

	job_call_cancel(job, job->lease.call);
	job->lease.asked_ms = apw_boot_ms();
	job->lease.call = job_call(job, "extendLock", parts, 3, NULL,
	    lease_on_reply, NULL);
}

static void
lease_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_job	*job;
	int64_t		 left_ms;

	(void)fd;
	(void)what;
	APW_CAST(job, arg, JOB_MAGIC);
	left_ms = job_lease_left_ms(job);
	if (left_ms <= 0) {
		apw_job_abandon(job, "its lock at the app has run out: the "
		    "app gives it out again");
		return;
	}
	if (!job->lease.doubted &&
	    left_ms < LEASE_DOUBT(job->lease.lock_ms)) {
		job->lease.doubted = true;
		apw_warn("no extension of the job's lock for long",
		    APW_I("left_ms", left_ms));
	}
	/* one that is under way near the end is not asked anew: its answer
	 * counts from an earlier question, but it may still come */
	if (job->lease.call == NULL ||
	    left_ms > LEASE_PERIOD(job->lease.lock_ms))
		lease_extend(job);
	lease_arm(job);
}

int
job_lease_start(struct apw_job *job, struct apw_err *err)
{
	struct apw_lease_terms	terms = { .lock_ms = JOB_LOCK_MS };

	if (job->env.source->terms != NULL)
		job->env.source->terms(job->env.source_of, &terms);
	job->lease.lock_ms = terms.lock_ms;
	job->lease.ours_until_ms = job->env.ours_until_ms != 0 ?
	    job->env.ours_until_ms : apw_boot_ms() + terms.lock_ms -
	    LEASE_TRAVEL(terms.lock_ms);
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
	return job->lease.ours_until_ms - apw_boot_ms();
}
