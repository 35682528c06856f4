/* The walk of a job; see job.h and doc/life-of-a-job.md.  Room: job.
 *
 * It goes through the steps below in their order; back only to the engine, for
 * a second operation (job_run_again) or when an engine was lost before it had
 * seen the first (job_step_boot_again), and to the stock, when this host kept
 * it from beginning (wait.c).  Whoever knows how it ends says so with
 * job_conclude(), and the walk goes on with the report. */
#include "job/job_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "egress/fetch.h"
#include "slot/capture.h"

#define JOB_LOGS_MAX	(16 * 1024 * 1024)

static int64_t
limit_resolve(const struct apw_job *job)
{
	(void)job;
	return 130000;		/* a bundle's 30 s, a flow version's 90 s */
}

static int64_t
limit_pieces(const struct apw_job *job)
{
	return 100000 + 1000 * (int64_t)job->recipe->walk.npieces;
}

static int64_t
limit_archives(const struct apw_job *job)
{
	/* from the app by either of its addresses, then by a call */
	return 250000 + 60000 * (int64_t)job->recipe->npieces;
}

/* The stock bounds each of its children; this is the sum of them. */
static int64_t
limit_stock(const struct apw_job *job)
{
	const struct apw_stock_conf	*conf = &job->env.cycle->stock;
	int64_t				 codes, pieces;

	codes = (int64_t)job->recipe->walk.ncodes;
	pieces = (int64_t)job->recipe->npieces;
	return 60000 + conf->install_timeout_ms * (codes + pieces + 1) +
	    conf->build_timeout_ms * codes;
}

/* The old engine's end, the new one's start, and once more. */
static int64_t
limit_boot(const struct apw_job *job)
{
	return 2 * (job->env.cycle->engine.start_timeout_ms + 10000);
}

static int64_t
limit_stop(const struct apw_job *job)
{
	(void)job;
	return 6000;
}

/* The work ends by its own limit; this is for one that does not. */
static int64_t
limit_work(const struct apw_job *job)
{
	return job->ops->limit_ms(job->env.settings) + 5000;
}

static int64_t
limit_lock(const struct apw_job *job)
{
	(void)job;
	return JOB_LOCK_MS + 10000;
}

/* The lease bounds it; this is for an app that extends and extends. */
static int64_t
limit_tell(const struct apw_job *job)
{
	(void)job;
	return 5 * JOB_LOCK_MS;
}

static void
late_resolve(struct apw_job *job)
{
	job_conclude(job, APW_ENDING_PROVISION_FAILED,
	    "the app did not say in time what the flow needs");
}

static void
late_stock(struct apw_job *job)
{
	job_conclude(job, APW_ENDING_PROVISION_FAILED,
	    "provisioning did not end in time");
}

static void
late_boot(struct apw_job *job)
{
	if (job_wait(job, "no engine came up in time"))
		return;
	job_conclude(job, APW_ENDING_BROKEN,
	    "SANDBOX_INTERNAL_ERROR: no engine came up in time");
}

static void
late_work(struct apw_job *job)
{
	job_conclude(job, APW_ENDING_TIME_LIMIT, "the job took too long");
}

/* The call has a limit of its own, too. */
static void
late_follow(struct apw_job *job)
{
	job_conclude(job, APW_ENDING_CALL_UNKNOWN,
	    "the app did not answer in time");
}

static void
late_report(struct apw_job *job)
{
	job->reported = true;
	job_next(job);
}

static void
work_enter(struct apw_job *job)
{
	job->ops->work(job);
}

static void
late_complete(struct apw_job *job)
{
	apw_error("the job could not be completed in time: the app will give "
	    "it out again");
	job_end(job);
}

enum { WALK_FLOW_VERSION, WALK_PIECES, WALK_ARCHIVES, WALK_PAYLOAD, WALK_STOCK, WALK_BOOT,
	WALK_RUN, WALK_REPORT, WALK_COMPLETE };

static const struct job_step job_walk[] = {
	[WALK_FLOW_VERSION] = { "flow version",
	    job_flow_version_enter,	late_resolve,	limit_resolve },
	[WALK_PIECES] = { "pieces",
	    job_pieces_enter,		late_resolve,	limit_pieces },
	[WALK_ARCHIVES] = { "archives",
	    job_archives_enter,		late_resolve,	limit_archives },
	[WALK_PAYLOAD] = { "payload",
	    job_payload_enter,		late_resolve,	limit_resolve },
	[WALK_STOCK] = { "stock",
	    job_stock_enter,		late_stock,	limit_stock },
	[WALK_BOOT] = { "boot",
	    job_boot_enter,		late_boot,	limit_boot },
	[WALK_RUN] = { "run",
	    job_run_enter,		job_run_timeout, job_run_limit },
	[WALK_REPORT] = { "report",
	    job_report_enter,		late_report,	limit_tell },
	[WALK_COMPLETE] = { "complete",
	    job_complete_enter,		late_complete,	limit_tell },
};

/* in place of all steps up to the report: work without an engine */
static const struct job_step job_step_work = { "work",
	    work_enter,			late_work,	limit_work };
/* beside the way: a call to the app that the engine's answer led to */
const struct job_step job_step_follow = { "follow",
	    NULL,			late_follow,	limit_lock };
/* killed for its time, the end of the engine is awaited */
const struct job_step job_step_stop = { "stop",
	    NULL,			job_stop_timeout, limit_stop };
/* the engine took no operation: when its end is told, another one may */
const struct job_step job_step_boot_again = { "boot",
	    NULL,			late_boot,	limit_boot };

/* nothing of it has begun, and the slot is not able to begin it */
const struct job_step job_step_kept = { "kept",
	    NULL,			job_wait_over,	job_wait_limit };

static void
job_phase(struct apw_job *job, const char *phase)
{
	struct apw_score_slot	*score = job->env.score;

	apw_score_begin(&score->seq);
	snprintf(score->phase, sizeof(score->phase), "%s", phase);
	apw_score_end(&score->seq);
	apw_journal_phase(job->env.journal, phase);
}

void
job_go(struct apw_job *job, const struct job_step *step)
{
	int64_t		ms = step->limit_ms(job);
	struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	job->step = step;
	job_phase(job, step->name);
	apw_debug("job goes on", APW_S("step", step->name));
	event_add(job->timer, &tv);
	atomic_store(&job->env.score->step_until_ms, apw_now_ms() + ms);
	if (step->enter != NULL)
		step->enter(job);
}

void
job_next(struct apw_job *job)
{
	const struct job_step	*step = job->step;

	if (step == &job_step_boot_again)
		step = &job_walk[WALK_BOOT];
	APW_ASSERT(step >= job_walk && step < &job_walk[WALK_COMPLETE]);
	job_go(job, step + 1);
}

void
job_go_first(struct apw_job *job)
{
	job_go(job, job_walk);
}

void
job_provision_again(struct apw_job *job)
{
	job_go(job, &job_walk[WALK_STOCK]);
}

void
job_go_report(struct apw_job *job)
{
	job_go(job, &job_walk[WALK_REPORT]);
}

void
job_run_again(struct apw_job *job)
{
	job_go(job, &job_walk[WALK_RUN]);
}

static void
job_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_job	*job;

	(void)fd;
	(void)what;
	APW_CAST(job, arg, JOB_MAGIC);
	apw_warn("a step of the job took too long",
	    APW_S("step", job->step->name),
	    APW_I("ms", apw_now_ms() - job->started_ms));
	job->step->on_timeout(job);
}

/* What the engine wrote goes with the ending, if the ending wants it: of a
 * dead engine also what only its descriptors got. */
static void
job_take_logs(struct apw_job *job)
{
	bool	dead = job->ending == APW_ENDING_BROKEN ||
	    job->ending == APW_ENDING_MEMORY ||
	    job->ending == APW_ENDING_LOG_SIZE;

	if (!job->has_engine || (job->outcome->sends & APW_SENDS_LOGS) == 0)
		return;
	apw_capture_logs(apw_engine_capture(job->env.engine), dead,
	    &job->logs);
}

static void
job_count(struct apw_job *job)
{
	atomic_fetch_add(strcmp(job->outcome->status, "OK") == 0 ?
	    &job->env.score->jobs_ok : &job->env.score->jobs_failed, 1);
}

void
job_fetch_forget(struct apw_job *job)
{
	apw_fetch_cancel(job->fetch);
	job->fetch = NULL;
}

void
job_conclude_text(struct apw_job *job, enum apw_ending ending,
    struct apw_str text)
{
	struct apw_buf	message = APW_BUF_INIT(JOB_ERROR_MAX + 64);

	if (job->concluded)
		return;
	if (job->env.prewarm) {
		job_prewarm_give_up(job, text);
		return;
	}
	job->concluded = true;
	job->ending = ending;
	job->outcome = apw_outcome(job->ops != NULL ? job->ops->family :
	    APW_FAMILY_FLOW, ending, job->env.settings->release);
	if (text.n > JOB_ERROR_MAX) {
		text.n = JOB_ERROR_MAX;
		while (text.n > 0 && (text.p[text.n] & 0xc0) == 0x80)
			text.n--;
	}
	apw_buf_str(&message, text);
	apw_buf_free(&job->message);
	job->message = message;
	job_stock_forget(job);
	job_fetch_forget(job);
	job_take_logs(job);
	job_engine_release(job);
	job_report_timings(job);
	if (job->ops != NULL && job->ops->ended != NULL)
		job->ops->ended(job, job->ending);
	job_count(job);
	job_keep_result(job);
	job_go_report(job);
}

void
job_conclude(struct apw_job *job, enum apw_ending ending, const char *fmt, ...)
{
	char	text[2048];
	va_list	ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	job_conclude_text(job, ending, apw_str_c(text));
}

/* One line for each job. */
static void
job_obituary(struct apw_job *job)
{
	int64_t	now = apw_now_ms();

	if (job->abandoned || job->env.prewarm)
		return;			/* that was a line, too */
	if (job->outcome == NULL) {
		apw_info("job done", APW_S("type", job->type),
		    APW_S("ending", "as told before"),
		    APW_I("ms", now - job->started_ms));
		return;
	}
	apw_info("job done", APW_S("type", job->type),
	    APW_S("ending", apw_ending_name(job->ending)),
	    APW_S("status", job->outcome->status),
	    APW_I("ms", now - job->started_ms),
	    APW_I("calls", job->relayed), APW_I("refused", job->refused));
	if (job->ending != APW_ENDING_ENGINE_OK && job->message.len != 0) {
		struct apw_str	text = apw_buf_view(&job->message);

		if (text.n > 512)
			text.n = 512;
		apw_notice("job did not end well",
		    APW_S("ending", apw_ending_name(job->ending)),
		    APW_SN("message", text));
	}
}

void
job_end(struct apw_job *job)
{
	if (job->ended)
		return;
	job->ended = true;
	job_obituary(job);
	job_bundle_publish(job);
	job_lease_stop(job);
	apw_journal_close(job->env.journal);
	event_del(job->timer);
	atomic_store(&job->env.score->step_until_ms, 0);
	event_active(job->end_event, EV_TIMEOUT, 0);
}

static void
job_on_end(evutil_socket_t fd, short what, void *arg)
{
	struct apw_job	*job;

	(void)fd;
	(void)what;
	APW_CAST(job, arg, JOB_MAGIC);
	job->env.on_end(job->env.arg);
}

static void
job_score(struct apw_job *job)
{
	struct apw_score_slot	*score = job->env.score;

	apw_score_begin(&score->seq);
	snprintf(score->job_id, sizeof(score->job_id), "%s", job->id);
	snprintf(score->job_type, sizeof(score->job_type), "%s", job->type);
	apw_score_end(&score->seq);
}

/* The lease runs before anything else is done; a job that cannot be read is
 * answered all the same, as long as its lease can. */
void
apw_job_begin(struct apw_job *job)
{
	struct apw_err	err = APW_ERR_NONE, lease = APW_ERR_NONE;
	int		bad = job_read(job, &err);

	if (job->env.prewarm) {
		job_prewarm_begin(job, bad, &err);
		return;
	}
	if (job->lease.key.n == 0) {
		apw_error("a job cannot be read", APW_E(&err));
		job_end(job);
		return;
	}
	apw_log_job(job->id);
	job_score(job);
	apw_info(job->env.again ? "job taken over" : "job taken",
	    APW_S("type", job->type));
	if (job_lease_start(job, &lease) == -1)
		job_conclude(job, APW_ENDING_BROKEN, "%s", lease.text);
	else if (job_lease_left_ms(job) <= 0)
		apw_job_abandon(job, "it had waited for us longer than its "
		    "lock lasts");
	else if (job_keep_begin(job))
		return;
	else if (bad == -1)
		job_conclude(job, APW_ENDING_BAD_JOB, "VALIDATION: %s",
		    err.text);
	else if (job->ops == NULL)
		job_unsupported(job);
	else if (job->ops->provision != NULL &&
	    job->ops->provision(job, &job->ids, &err) == -1)
		job_conclude(job, APW_ENDING_BAD_JOB, "%s", err.text);
	else if (job_keep_forbids(job))
		return;
	else if ((job->recipe = apw_recipes_take(job->env.recipes,
	    job->ids.flow_version_id, job->ids.platform_id)) == NULL)
		job_conclude(job, APW_ENDING_BROKEN, "out of memory");
	else
		job_go(job, job->ops->work != NULL ? &job_step_work :
		    job_walk);
}

struct apw_job *
apw_job_new(const struct apw_job_env *env, struct apw_str text)
{
	struct apw_job	*job = calloc(1, sizeof(*job));

	if (job == NULL)
		return NULL;
	job->magic = JOB_MAGIC;
	job->env = *env;
	job->started_ms = apw_now_ms();
	job->id = job->type = "unknown";
	job->logs.max = JOB_LOGS_MAX;
	if ((job->arena = apw_arena_new()) == NULL ||
	    (job->text.p = apw_arena_str(job->arena, text)) == NULL ||
	    (job->timer = evtimer_new(env->base, job_on_timer, job)) == NULL ||
	    (job->end_event = evtimer_new(env->base, job_on_end,
	    job)) == NULL) {
		apw_job_free(job);
		return NULL;
	}
	job->text.n = text.n;
	return job;
}

void
apw_job_abandon(struct apw_job *job, const char *why)
{
	apw_warn("job is given up", APW_S("why", why));
	job->concluded = job->abandoned = true;
	job_stock_forget(job);
	job_fetch_forget(job);
	job_engine_release(job);
	job_calls_free(job);
	job->lease.call = NULL;
	job_end(job);
}

void
apw_job_free(struct apw_job *job)
{
	if (job == NULL)
		return;
	job_stock_forget(job);
	job_engine_release(job);
	job_lease_stop(job);
	job_calls_free(job);
	job_fetch_forget(job);
	job_bundle_free(job);
	if (job->timer != NULL)
		event_free(job->timer);
	if (job->end_event != NULL)
		event_free(job->end_event);
	apw_recipes_give(job->env.recipes, job->recipe);
	apw_buf_free(&job->message);
	apw_buf_free(&job->logs);
	apw_buf_free(&job->response);
	apw_buf_free(&job->payload_file);
	apw_buf_free(&job->report);
	apw_buf_free(&job->complete);
	apw_arena_free(job->arena);
	job->magic = 0;
	free(job);
}
