/* A job that could not begin, because of this host or of the slot itself: it is
 * not completed for that, but kept until the slot can, or given back.  Room:
 * job.  Its lease goes on as ever (lease.c); what bounds the waiting is the
 * time that the job might have run. */
#include "job/job_priv.h"

#include "core/apw_clock.h"

#define WAIT_PROVEN_MAX	3	/* slots were well, and it met the same */
#define WAIT_LEAST_MS	60000	/* a slot takes its time to see what it can */

bool
job_wait(struct apw_job *job, const char *why)
{
	int64_t	ms;

	if (job->env.on_kept == NULL || job->proven >= WAIT_PROVEN_MAX ||
	    job->operation_sent)
		return false;
	apw_warn("this host keeps the job from its beginning: it is tried "
	    "again", APW_S("why", why));
	if (job->kept_until_ms == 0) {
		ms = job_run_limit(job);
		job->kept_until_ms = apw_now_ms() + (ms > WAIT_LEAST_MS ? ms :
		    WAIT_LEAST_MS);
	}
	job_engine_release(job);
	job_stock_forget(job);
	job->provisioned = false;
	job_go(job, &job_step_kept);
	job->env.on_kept(job->env.arg, why, false);
	return true;
}

int64_t
job_wait_limit(const struct apw_job *job)
{
	int64_t	left = job->kept_until_ms - apw_now_ms();

	return left > 1 ? left : 1;
}

void
job_wait_over(struct apw_job *job)
{
	job->env.on_kept(job->env.arg, "it has waited for as long as it might "
	    "run", true);
}

void
apw_job_resume(struct apw_job *job, struct apw_engine *engine, bool proven)
{
	APW_ASSERT(job->step == &job_step_kept);
	job->env.engine = engine;
	job->engine_tries = 0;
	job->has_run = false;
	job->proven += proven;
	job_provision_again(job);
}

bool
apw_job_untouched(const struct apw_job *job)
{
	return job->run_ms == 0 && job->step == &job_step_kept;
}
