/* The errand: one process beside the slots, while all of those have a job and
 * one of these may wait for another job.  Room: master.
 *
 * A run that asks the app for a connection whose token has to be refreshed
 * waits until some slot has run that refresh.  When each slot is in such a
 * run, all of them wait for nobody, up to their time limits.  So when no slot
 * asks for jobs any more, and one has been at its engine for a while, one more
 * is started, which does short jobs only (slot/errand.c).  It drains when a
 * slot asks again; the poll that it has parked is waited for, as any slot's.
 * After one that found nothing to do the next is longer in coming. */
#include "master/master_priv.h"

#include <string.h>

#include "core/apw_clock.h"

#define ERRAND_AFTER_MS	2000	/* a job that takes no longer frees its slot */
#define ERRAND_PAUSE_MIN_MS	1000
#define ERRAND_PAUSE_MAX_MS	8000
#define ERRAND_CALM_MS	60000	/* without one: as if there had been none */

/* It is at its engine, for so long that it may wait for others. */
static bool
slot_waits(const struct apw_score_slot *s, int64_t now)
{
	char	phase[sizeof(s->phase)];
	int64_t	since = atomic_load(&s->job_since_ms);

	if (since == 0 || now - since < ERRAND_AFTER_MS ||
	    atomic_load(&s->declines) == 0)
		return false;
	apw_score_text(&s->seq, phase, sizeof(phase), s->phase,
	    sizeof(s->phase));
	return strcmp(phase, "run") == 0;
}

static bool
errand_wanted(const struct master *m, int64_t now)
{
	const struct mproc	*p;
	bool			 waits = false;

	if (!m->cycle->conf->main.errands || m->slots_drained)
		return false;
	TAILQ_FOREACH(p, &m->procs, entry) {
		if (!master_is_slot(p) || p->cycle != m->cycle)
			continue;
		if (atomic_load(&p->score->state) == APW_SLOT_IDLE)
			return false;
		waits |= slot_waits(p->score, now);
	}
	return waits;
}

static struct mproc *
errand_find(const struct master *m)
{
	struct mproc	*p;

	TAILQ_FOREACH(p, &m->procs, entry)
		if (p->number == APW_SCORE_ERRAND)
			return p;
	return NULL;
}

/* What the one that was there has been good for. */
static void
errand_note(struct merrand *e, const struct mproc *p, int64_t now)
{
	if (p != NULL) {
		e->there = true;
		e->useful |= atomic_load(&p->score->jobs_started) != 0;
		return;
	}
	if (!e->there)
		return;
	if (e->useful)
		e->pause_ms = 0;
	else if (e->pause_ms == 0 || now - e->left_ms > ERRAND_CALM_MS)
		e->pause_ms = ERRAND_PAUSE_MIN_MS;
	else if (e->pause_ms < ERRAND_PAUSE_MAX_MS)
		e->pause_ms *= 2;
	e->there = e->useful = false;
	e->left_ms = now;
}

void
master_errand_tick(struct master *m, int64_t now)
{
	struct mproc	*p = errand_find(m);
	struct apw_err	 err = APW_ERR_NONE;
	bool		 wanted;

	if (m->leave != LEAVE_NOT)
		return;			/* it has been told to drain */
	errand_note(&m->errand, p, now);
	wanted = errand_wanted(m, now);
	if (p != NULL && !wanted && p->state != MPROC_DRAINING &&
	    p->state != MPROC_KILLED) {
		master_proc_feed(p, MPROC_EV_DRAIN);
		return;
	}
	if (p != NULL || !wanted ||
	    now - m->errand.left_ms < m->errand.pause_ms)
		return;
	apw_info("all slots have jobs, and one may wait for another job: "
	    "an errand is started");
	if ((p = master_proc_new(m, m->cycle, APW_SCORE_ERRAND, &err)) == NULL)
		apw_warn_often("cannot start an errand", APW_E(&err));
	else
		master_proc_feed(p, MPROC_EV_START);
}
