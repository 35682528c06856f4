/* A slot that can start no engine takes no job.  Room: slot.
 *
 * Failures of this host's or of the slot itself (no descriptor, no process, a
 * full disk, the stock gone, a box that does not end) are counted.  After the
 * second in a row the slot is unwell: it asks for no job before it has booted
 * an engine for nobody (prove.c).  Where that fails it is blocked, with the
 * reason, and tries again: after a second, two, four, ... half a minute.
 *
 * The job that met it has not begun.  It is kept while that is seen into, and
 * goes on when the slot is well; when it is not, the job is given back: to the
 * spool, to the other slots by way of the journal, or, where neither can have
 * it, it waits here as long as it might run. */
#include "slot/slot_priv.h"

#include <stdio.h>

#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "core/apw_log.h"

#define UNWELL_FAULTS		2	/* in a row */
#define UNWELL_RETRY_MIN_MS	1000
#define UNWELL_RETRY_MAX_MS	30000
#define UNWELL_TRY_AGAIN_MS	100	/* what has failed once */

static const struct slot_step slot_kept;

bool
slot_usable(const struct apw_slot *s)
{
	unsigned	i;

	/* modes without boxes have one engine, whatever there was before */
	if (s->sandbox == NULL || !s->sandbox->boxed)
		return apw_engine_stand(s->engine) != APW_ENGINE_LATE;
	for (i = 0; i < s->nengines; i++)
		if (apw_engine_stand(s->engines[i]) != APW_ENGINE_LATE)
			return true;
	return false;
}

/* A poll that is parked is called off: what it hands out all the same is
 * taken and kept. */
static void
unwell_begin(struct apw_slot *s)
{
	s->unwell = true;
	if (s->step != &slot_idle)
		return;
	slot_unwell_show(s);
	s->ops->unwant(s->source);
}

static void
unwell_count(struct apw_slot *s, const char *why)
{
	snprintf(s->doubt, sizeof(s->doubt), "%.250s", why);
	if (++s->faults >= UNWELL_FAULTS && !s->unwell)
		unwell_begin(s);
}

void
slot_unwell_fail(struct apw_slot *s, const char *why)
{
	if (s->ill[0] == '\0')
		apw_error("no job is taken: this slot can start no engine",
		    APW_S("why", why));
	snprintf(s->ill, sizeof(s->ill), "no engine can be started: %.220s",
	    why);
	slot_unwell_pause(s);
	slot_unwell_show(s);
	if (s->job != NULL)
		slot_give_back(s, s->ill, s->draining);
}

/* On the scoreboard, while it is seen into and after. */
void
slot_unwell_show(struct apw_slot *s)
{
	char	text[sizeof(s->ill)];

	if (!s->draining)
		apw_score_state(s->score, APW_SLOT_BLOCKED);
	snprintf(text, sizeof(text), "an engine is booted to see whether one "
	    "can be: %.190s", s->doubt);
	slot_score_why(s, s->ill[0] != '\0' ? s->ill : text);
}

void
slot_unwell_over(struct apw_slot *s)
{
	if (s->ill[0] != '\0')
		apw_notice("an engine has come up again: jobs are taken");
	s->ill[0] = '\0';
	s->unwell = false;
	s->proven = true;
	/* the very next failure is a second one */
	s->faults = UNWELL_FAULTS - 1;
	s->retry_ms = 0;
}

/* An engine works. */
void
slot_unwell_forget(struct apw_slot *s)
{
	s->faults = 0;
	if (s->ill[0] == '\0')
		s->retry_ms = 0;
}

int64_t
slot_unwell_pause(struct apw_slot *s)
{
	s->retry_ms = s->retry_ms == 0 ? UNWELL_RETRY_MIN_MS :
	    s->retry_ms * 2 > UNWELL_RETRY_MAX_MS ? UNWELL_RETRY_MAX_MS :
	    s->retry_ms * 2;
	s->retry_at_ms = apw_now_ms() + s->retry_ms;
	return s->retry_ms;
}

/* What engines tell. */

void
slot_on_ahead(void *arg, const char *why_not)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	if (why_not == NULL)
		slot_unwell_forget(s);
	else if (s->job == NULL)
		unwell_count(s, why_not);
}

void
slot_on_late(void *arg, bool late)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	if (s->step->score == APW_SLOT_DRAINING)
		return;
	if (late && !slot_usable(s) && !s->unwell) {
		snprintf(s->doubt, sizeof(s->doubt), "no killed engine ends");
		unwell_begin(s);
	}
	if (!late && s->unwell)
		slot_retry_now(s);
}

/* What the stock tells.  Boxes and descriptors know the folders that are no
 * more: with new ones the slot begins anew. */

static void
unwell_reborn(struct apw_slot *s, const char *why)
{
	apw_error("the slot starts again, with the stock made anew",
	    APW_S("why", why));
	s->exit_code = APW_EXIT_TEMP;
	s->draining = true;
	if (s->job != NULL)
		slot_give_back(s, why, true);
	slot_end_now(s);
}

int
slot_look_at_stock(struct apw_slot *s, struct apw_err *err)
{
	struct apw_err	why = APW_ERR_NONE;

	if (apw_stock_look(s->stock, &why) == -1) {
		if (apw_stock_remake(s->stock, err) == -1)
			return -1;
		unwell_reborn(s, why.text);
		return 1;
	}
	return apw_stock_writable(s->stock) &&
	    apw_stock_try(s->stock, err) == -1 ? -1 : 0;
}

/* Nothing is in hand: better to find out now than by a job. */
void
slot_watch_stock(struct apw_slot *s)
{
	struct apw_err	err = APW_ERR_NONE;

	if (s->step == &slot_idle && s->job == NULL && !s->unwell &&
	    apw_stock_look(s->stock, &err) == -1) {
		snprintf(s->doubt, sizeof(s->doubt), "%.250s", err.text);
		unwell_begin(s);
	}
}

/* The job in hand. */

void
slot_on_kept(void *arg, const char *why, bool over)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	if (over) {
		slot_give_back(s, why, true);
		return;
	}
	unwell_count(s, why);
	slot_go(s, &slot_kept);
}

/* A job in hand, and no engine for it. */
void
slot_tend(struct apw_slot *s)
{
	if (!s->unwell) {
		slot_engine_pick(s);
		slot_go(s, &slot_busy);
		apw_job_resume(s->job, s->engine, s->proven);
		s->proven = false;
	} else if (s->draining)
		slot_give_back(s, s->doubt, true);
	else if (apw_now_ms() >= s->retry_at_ms)
		slot_go(s, &slot_prove);
	else
		slot_go(s, &slot_blocked);
}

static const struct slot_step slot_kept = {
	.name = "kept",
	.score = APW_SLOT_BUSY,
	.on_lost = slot_busy_lost,
	.on_timeout = slot_tend, .timeout_ms = UNWELL_TRY_AGAIN_MS,
};

/* Can another slot have it from the journal? */
static bool
give_by_journal(const struct apw_slot *s)
{
	return s->journal != NULL && s->settings->release <
	    APW_RELEASE(0, 86, 0) && apw_journal_record(s->journal)->state ==
	    APW_JOURNAL_RUN;
}

/* must: it cannot wait here. */
void
slot_give_back(struct apw_slot *s, const char *why, bool must)
{
	struct apw_err	err = APW_ERR_NONE;
	bool		free_to_go = apw_job_untouched(s->job);

	if (free_to_go && s->ops->put_back != NULL &&
	    s->ops->put_back(s->source, &err) == 0)
		apw_notice("the job is put back into the spool",
		    APW_S("why", why));
	else if (free_to_go && give_by_journal(s))
		apw_notice("the job is left to the slot that is well first",
		    APW_S("why", why));
	else {
		/* no other slot can have it: it waits here */
		if (must)
			apw_job_abandon(s->job, why);
		return;
	}
	apw_job_free(s->job);
	s->job = NULL;
	apw_journal_part(s->journals, s->journal);
	slot_job_over(s);
}
