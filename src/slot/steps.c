/* The steps of a slot.  Room: slot.  What the source tells it is in told.c.
 *
 *	connect ─ idle ─ busy ─ idle …	the round of a slot
 *	  ├── prove			a canary's, before it is idle; and when
 *	  │				no engine would start (unwell.c)
 *	  ├── blocked			ready, but must not take a job
 *	  └── recover ─ busy		a slot died and left a job (recover.c)
 *	drain ─ leave ─ stop		asked to go: a poll that is parked may
 *					still hand out a job, which is run
 *
 * Everything happens on one event loop; nothing here waits outside it. */
#include "slot/slot_priv.h"

#include <stdio.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "egress/post.h"
#include "job/publish.h"
#include "slot/prewarm.h"
#include "slot/warm.h"

#define SLOT_FLUSH_MS	10000	/* of requests that are under way at the end */

static const struct slot_step slot_connect, slot_drain, slot_flush,
    slot_leave, slot_stop;

void
slot_go(struct apw_slot *s, const struct slot_step *step)
{
	struct timeval	tv = { step->timeout_ms / 1000,
	    step->timeout_ms % 1000 * 1000 };

	s->step = step;
	if (step != &slot_idle)
		slot_warm_stop(s);
	apw_score_state(s->score, s->draining ? APW_SLOT_DRAINING :
	    step->score);
	event_del(s->timer);
	if (step->timeout_ms > 0)
		event_add(s->timer, &tv);
	if (step->enter != NULL)
		step->enter(s);
}

static void
slot_score_job(struct apw_slot *s, bool busy)
{
	int64_t	since = atomic_load(&s->score->job_since_ms);

	if (!busy && since != 0)
		atomic_fetch_add(&s->score->busy_ms,
		    (uint64_t)(apw_now_ms() - since));
	atomic_store(&s->score->job_since_ms, busy ? apw_now_ms() : 0);
	apw_score_begin(&s->score->seq);
	s->score->job_id[0] = s->score->job_type[0] = s->score->phase[0] =
	    '\0';
	apw_score_end(&s->score->seq);
}

/* Where to go when there is nothing in hand. */
void
slot_rest(struct apw_slot *s)
{
	if (s->job != NULL) {
		slot_tend(s);
		return;
	}
	slot_adopt_settings(s);
	if (s->sandbox != NULL && !slot_usable(s))
		s->unwell = true;
	if (s->draining)
		slot_go(s, &slot_flush);
	else if (!s->ready)
		slot_go(s, &slot_connect);
	else if (slot_must_prove(s))
		slot_go(s, &slot_prove);
	else if (s->blocked[0] != '\0' || (s->unwell &&
	    apw_now_ms() < s->retry_at_ms))
		slot_go(s, &slot_blocked);
	else if (s->unwell)
		slot_go(s, &slot_prove);
	else if (slot_recover_wanted(s))
		slot_go(s, &slot_recover);
	else
		slot_go(s, &slot_idle);
}

/* connect: the source is not ready; it tries by itself, for ever */

static void
slot_leave_now(struct apw_slot *s)
{
	slot_go(s, &slot_flush);
}

static const struct slot_step slot_connect = {
	.name = "connect",
	.score = APW_SLOT_CONNECTING,
	.on_ready = slot_rest,
	.on_drain = slot_leave_now,
};

/* prove: the first slot of a new configuration, before it takes jobs */

void
slot_proved(struct apw_slot *s)
{
	slot_rest(s);
}

static void
slot_prove_stop(struct apw_slot *s)
{
	slot_prove_forget(s);
	slot_rest(s);
}

static void
slot_prove_lost(struct apw_slot *s)
{
	if (s->job != NULL)
		slot_busy_lost(s);
	slot_prove_stop(s);
}

const struct slot_step slot_prove = {
	.name = "prove",
	.score = APW_SLOT_CONNECTING,
	.enter = slot_prove_enter,
	.on_lost = slot_prove_lost,
	.on_drain = slot_prove_stop,
};

/* blocked: the source is ready, we are not fit for its jobs */

static void
slot_blocked_enter(struct apw_slot *s)
{
	int64_t		ms = s->retry_at_ms - apw_now_ms();
	struct timeval	tv;

	if (ms <= 0)
		ms = slot_unwell_pause(s);
	tv.tv_sec = ms / 1000;
	tv.tv_usec = ms % 1000 * 1000;
	event_add(s->timer, &tv);
	if (s->blocked[0] != '\0')
		slot_score_why(s, s->blocked);
	else
		slot_unwell_show(s);
}

/* What was missing may have come. */
static void
slot_blocked_retry(struct apw_slot *s)
{
	s->refit = s->blocked[0] != '\0';
	if (s->job == NULL && slot_nurse_wanted(s))
		slot_go(s, &slot_nurse);
	else
		slot_rest(s);
}

static void
slot_blocked_lost(struct apw_slot *s)
{
	if (s->job != NULL)
		slot_busy_lost(s);
	slot_rest(s);
}

void
slot_retry_now(struct apw_slot *s)
{
	s->retry_at_ms = 0;
	if (s->step == &slot_blocked)
		slot_blocked_retry(s);
}

const struct slot_step slot_blocked = {
	.name = "blocked",
	.score = APW_SLOT_BLOCKED,
	.enter = slot_blocked_enter,
	.on_ready = slot_rest,
	.on_lost = slot_blocked_lost,
	.on_drain = slot_rest,
	.on_timeout = slot_blocked_retry,
};

/* idle: a job is wanted */

static void
slot_warm(struct apw_slot *s)
{
	if (s->warmer != NULL && s->sandbox != NULL)
		apw_warmer_go(s->warmer, s->settings, s->sandbox->boxed);
	if (s->prewarmer != NULL && s->sandbox != NULL)
		apw_prewarmer_go(s->prewarmer, s->settings, s->sandbox);
}

void
slot_warm_stop(struct apw_slot *s)
{
	if (s->warmer != NULL)
		apw_warmer_pause(s->warmer);
	if (s->prewarmer != NULL)
		apw_prewarmer_pause(s->prewarmer);
}

static void
slot_idle_enter(struct apw_slot *s)
{
	slot_score_why(s, "");
	s->retry_ms = s->retry_at_ms = 0;
	slot_warm(s);
	slot_standby_idle(s);
	s->ops->want(s->source);
}

void
slot_job_over(struct apw_slot *s)
{
	s->journal = NULL;
	apw_log_job(NULL);
	slot_score_job(s, false);
	/* it may have ended while an engine is booted for nobody */
	if (s->step != &slot_prove)
		slot_rest(s);
}

static void
slot_on_job_end(void *arg)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	apw_job_free(s->job);
	s->job = NULL;
	apw_journal_done(s->journals, s->journal);
	slot_job_over(s);
}

/* When the lease of a job ends that was read right after the loop had stood
 * still; 0: it has just come. */
static int64_t
slot_lease_until(struct apw_slot *s)
{
	struct apw_lease_terms	terms;

	slot_note_time(s);
	if (s->ops->terms == NULL || s->woke_ms == 0 ||
	    s->tick_ms - s->woke_ms > 1000)
		return 0;
	s->ops->terms(s->source, &terms);
	return s->stood_ms + terms.lock_ms;
}

/* A job that came is run, also while draining: nobody else would. */
void
slot_take(struct apw_slot *s, struct apw_str text, struct slot_found *found)
{
	struct apw_job_env	env = {
		.base = s->base, .cycle = s->cycle,
		.source = s->ops, .source_of = s->source,
		.stock = s->stock,
		.recipes = s->recipes, .poster = s->poster,
		.fetcher = s->fetcher, .publisher = s->publisher,
		.settings = s->settings, .sandbox = s->sandbox,
		.score = s->score,
		.on_end = slot_on_job_end, .on_kept = slot_on_kept, .arg = s,
	};

	s->journal = found != NULL ? found->journal :
	    apw_journals_own(s->journals);
	env.journal = s->journal;
	env.again = found != NULL;
	env.ours_until_ms = found != NULL ? found->ours_until_ms :
	    slot_lease_until(s);
	APW_ASSERT(s->job == NULL && s->sandbox != NULL);
	slot_engine_pick(s);
	env.engine = s->engine;
	slot_warm_stop(s);
	s->job = apw_job_new(&env, text);
	if (s->job == NULL) {
		apw_alert("no memory for a job: the app will give it out "
		    "again");
		s->journal = NULL;
		slot_rest(s);
		return;
	}
	if (found != NULL)
		apw_job_restore(s->job, apw_buf_view(&found->report),
		    apw_buf_view(&found->complete));
	slot_go(s, &slot_busy);
	slot_score_job(s, true);
	atomic_fetch_add(&s->score->jobs_started, 1);
	apw_job_begin(s->job);
}

/* The settings may have changed while the poll was parked: a job is run
 * under those it was given out with. */
static void
slot_idle_ready(struct apw_slot *s)
{
	slot_adopt_settings(s);
	if (s->blocked[0] != '\0' || s->unwell) {
		s->ops->unwant(s->source);	/* then on_idle, or a last job */
		return;
	}
	apw_score_state(s->score, APW_SLOT_IDLE);
	slot_score_why(s, "");
	slot_warm(s);
}

/* An engine could not be kept as the settings want it: is the slot fit? */
void
slot_doubt(struct apw_slot *s)
{
	s->refit = true;
	if (s->step == &slot_idle)
		slot_idle_ready(s);
}

/* Back to where it came from; also on the way out. */
static void
slot_decline(struct apw_slot *s)
{
	s->ops->decline(s->source, slot_errand_pause(s));
	s->ready = false;
	if (s->draining)
		slot_leave_now(s);
	else
		slot_go(s, &slot_connect);
}

static void
slot_idle_job(struct apw_slot *s, struct apw_str text)
{
	if (!slot_errand_takes(s, text)) {
		slot_decline(s);
		return;
	}
	slot_errand_did(s);
	if (s->sandbox == NULL) {	/* became unfit while it was parked */
		apw_error("a job came that cannot be run here: the app will "
		    "give it out again", APW_S("why", s->blocked));
		slot_rest(s);
		return;
	}
	slot_take(s, text, NULL);
}

static void
slot_to_drain(struct apw_slot *s)
{
	slot_go(s, &slot_drain);
}

const struct slot_step slot_idle = {
	.name = "idle",
	.score = APW_SLOT_IDLE,
	.enter = slot_idle_enter,
	.on_ready = slot_idle_ready,
	.on_job = slot_idle_job,
	.on_idle = slot_rest,
	.on_drain = slot_to_drain,
};

/* busy: a job is in hand; it has its own steps and deadlines */

/* From 0.86 on the app takes the job back with the connection. */
void
slot_busy_lost(struct apw_slot *s)
{
	if (s->settings->release >= APW_RELEASE(0, 86, 0))
		apw_job_abandon(s->job, "the connection was lost: the app "
		    "has put the job back");
}

const struct slot_step slot_busy = {
	.name = "busy",
	.score = APW_SLOT_BUSY,
	.on_lost = slot_busy_lost,
};

/* drain: a parked poll is waited for; a job that still comes is run */

static void
slot_drain_enter(struct apw_slot *s)
{
	slot_warm_stop(s);
	s->ops->unwant(s->source);
}

static void
slot_drain_timeout(struct apw_slot *s)
{
	apw_warn("the parked poll was not answered in time");
	slot_go(s, &slot_flush);
}

static const struct slot_step slot_drain = {
	.name = "drain",
	.score = APW_SLOT_DRAINING,
	.enter = slot_drain_enter,
	.on_job = slot_idle_job,
	.on_idle = slot_leave_now,
	/* the source answers earlier: see its poll_timeout */
	.on_timeout = slot_drain_timeout, .timeout_ms = 630000,
};

/* flush: requests of our own that nobody waited for are given a little time */

static void
slot_flush_enter(struct apw_slot *s)
{
	s->draining = true;
	slot_warm_stop(s);
	if (s->flush_until_ms == 0)
		s->flush_until_ms = apw_now_ms() + SLOT_FLUSH_MS;
	if ((apw_poster_idle(s->poster) && apw_publisher_idle(s->publisher)) ||
	    apw_now_ms() >= s->flush_until_ms)
		slot_go(s, &slot_leave);
}

static void
slot_flush_again(struct apw_slot *s)
{
	slot_go(s, &slot_flush);
}

static const struct slot_step slot_flush = {
	.name = "flush",
	.score = APW_SLOT_DRAINING,
	.enter = slot_flush_enter,
	.on_timeout = slot_flush_again, .timeout_ms = 50,
};

/* leave: say good-bye to the source, end the engine */

static void
slot_on_left(void *arg)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	slot_go(s, &slot_stop);
}

static void
slot_leave_enter(struct apw_slot *s)
{
	slot_warm_stop(s);
	s->draining = true;
	s->ops->leave(s->source, slot_on_left, s);
}

static void
slot_leave_timeout(struct apw_slot *s)
{
	slot_go(s, &slot_stop);
}

static const struct slot_step slot_leave = {
	.name = "leave",
	.score = APW_SLOT_DRAINING,
	.enter = slot_leave_enter,
	.on_timeout = slot_leave_timeout, .timeout_ms = 3000,
};

/* stop: nothing of ours stays behind */

void
slot_engines_ended(struct apw_slot *s)
{
	event_base_loopbreak(s->base);
}

static void
slot_stop_enter(struct apw_slot *s)
{
	slot_prove_forget(s);
	if (s->job != NULL) {
		apw_warn("the job in hand is left: the next slot takes it "
		    "over while its lock lasts, else the app gives it out "
		    "again", APW_S("journal", s->journal != NULL ? "yes" :
		    "no"));
		/* before its engine ends: that must not become its result */
		apw_journal_leave(s->journal);
		apw_job_free(s->job);
		s->job = NULL;
		s->journal = NULL;
	}
	slot_engines_shutdown(s);
}

/* A poll was answered in the last moment: into the journal with it, the next
 * slot has what it takes. */
static void
slot_stop_job(struct apw_slot *s, struct apw_str text)
{
	struct apw_journal		*own = apw_journals_own(s->journals);
	struct apw_journal_lease	 lease;
	struct apw_lease_terms		 terms;

	if (own == NULL || s->settings == NULL || s->ops->terms == NULL ||
	    apw_journal_record(own)->state != APW_JOURNAL_EMPTY) {
		apw_warn("a job came while the slot ended: the app gives it "
		    "out again when its lock has run out");
		return;
	}
	s->ops->terms(s->source, &terms);
	lease = (struct apw_journal_lease){
		.release = s->settings->release,
		.until_boot_ms = apw_boot_ms() + terms.lock_ms / 10 * 9,
	};
	apw_job_scope(terms.scope, lease.scope);
	apw_journal_begin(own, text, &lease);
	apw_journal_leave(own);
	apw_notice("a job came while the slot ended: it is left to the next");
}

static void
slot_stop_timeout(struct apw_slot *s)
{
	event_base_loopbreak(s->base);
}

static const struct slot_step slot_stop = {
	.name = "stop",
	.score = APW_SLOT_DRAINING,
	.enter = slot_stop_enter,
	.on_job = slot_stop_job,
	.on_timeout = slot_stop_timeout, .timeout_ms = 8000,
};

void
slot_begin(struct apw_slot *s)
{
	slot_go(s, &slot_connect);
}

void
slot_end_now(struct apw_slot *s)
{
	if (s->step != &slot_stop)
		slot_go(s, &slot_stop);
}
