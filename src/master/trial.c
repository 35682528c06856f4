/* The trial of a new configuration: one slot of it, the canary, shows that it
 * works before the first old slot drains; then the others are replaced one by
 * one.  Room: master.  Nothing here waits: the tick looks. */
#include "master/master_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/apw_clock.h"

void
master_trial_end(struct master *m)
{
	free(m->trial.notes);
	free(m->trial.warnings);
	m->trial = (struct mtrial){ 0 };
}

void
master_trial_begin(struct master *m)
{
	struct mtrial	*t = &m->trial;

	t->until_ms = apw_now_ms() + t->next->conf->main.reload_timeout_ms;
	atomic_store(&t->canary->score->trial, 1);
	apw_info("trying a new configuration",
	    APW_I("cycle", t->next->conf->number),
	    APW_I("reload_timeout_ms", t->next->conf->main.reload_timeout_ms));
	master_proc_feed(t->canary, MPROC_EV_START);
}

void
master_trial_refuse(struct master *m, const char *why)
{
	struct mtrial	*t = &m->trial;
	int64_t		 began_ms = t->began_ms;
	char		 text[400];

	if (t->next == NULL)
		return;
	snprintf(text, sizeof(text), "%s", why);
	master_cycle_abandon(m, t);
	master_trial_end(m);
	master_reload_refused(m, began_ms, text);
}

bool
master_trial_lost(struct mproc *p)
{
	struct master	*m = p->master;

	if (m->trial.next == NULL || p != m->trial.canary)
		return false;
	master_obituary(p, "the reload is refused", -1);
	p->pid = 0;
	p->state = MPROC_DOWN;		/* it settles with the others */
	master_trial_refuse(m, p->stalled ? "the first slot of the new "
	    "configuration made no progress" :
	    "the first slot of the new configuration died; the log tells how");
	return true;
}

static void
trial_too_late(struct master *m, const struct apw_score_slot *s)
{
	char	why[sizeof(s->why)], text[400];

	apw_score_text(&s->seq, why, sizeof(why), s->why, sizeof(s->why));
	snprintf(text, sizeof(text), "the first slot of the new configuration "
	    "was not ready within reload_timeout: %s%s%s",
	    apw_slot_state_name(atomic_load(&s->state)),
	    why[0] == '\0' ? "" : ": ", why);
	master_trial_refuse(m, text);
}

static void
trial_failed(struct master *m, const struct apw_score_slot *s)
{
	char	why[sizeof(s->why)], text[400];

	apw_score_text(&s->seq, why, sizeof(why), s->why, sizeof(s->why));
	snprintf(text, sizeof(text), "the new configuration runs no job: %s",
	    why);
	master_trial_refuse(m, text);
}

static void
trial_look(struct master *m, int64_t now)
{
	struct mtrial		*t = &m->trial;
	struct apw_score_slot	*s = t->canary->score;

	switch (atomic_load(&s->proof)) {
	case APW_PROOF_PASSED:
		atomic_store(&s->trial, 0);
		master_reload_take(m, true);
		break;
	case APW_PROOF_FAILED:
		trial_failed(m, s);
		break;
	default:
		if (now > t->until_ms)
			trial_too_late(m, s);
	}
}

/* Slots of the current cycle that would take a job; they are counted, so
 * that an old one leaves for each. */
static unsigned
roll_count(struct master *m, bool *all)
{
	struct mproc		*p;
	enum apw_slot_state	 s;
	unsigned		 n = 0;

	*all = true;
	TAILQ_FOREACH(p, &m->procs, entry) {
		if (!master_is_slot(p) || p->cycle != m->cycle)
			continue;
		s = atomic_load(&p->score->state);
		if (s == APW_SLOT_IDLE || s == APW_SLOT_BUSY)
			n++;
		else
			*all = false;
	}
	return n;
}

/* The next to leave: one without a job, if there is one. */
static struct mproc *
roll_pick(struct master *m)
{
	struct mproc	*p, *found = NULL;

	TAILQ_FOREACH(p, &m->procs, entry) {
		if (!master_is_slot(p) || p->cycle != m->roll.old ||
		    p->state == MPROC_DRAINING || p->state == MPROC_KILLED)
			continue;
		if (found == NULL || (atomic_load(&p->score->state) !=
		    APW_SLOT_BUSY && atomic_load(&found->score->state) ==
		    APW_SLOT_BUSY))
			found = p;
	}
	return found;
}

void
master_roll_end(struct master *m)
{
	struct mcycle	*old = m->roll.old;

	if (old == NULL)
		return;
	m->roll = (struct mroll){ 0 };
	master_slots_feed(m, old, MPROC_EV_DRAIN);
	master_cycle_release(old);
}

static void
roll_look(struct master *m, int64_t now)
{
	struct mproc	*p = NULL;
	bool		 all;
	unsigned	 up = roll_count(m, &all);

	while (m->roll.drained < up && (p = roll_pick(m)) != NULL) {
		m->roll.drained++;
		master_proc_feed(p, MPROC_EV_DRAIN);
	}
	if (all || now > m->roll.until_ms || roll_pick(m) == NULL)
		master_roll_end(m);
}

bool
master_trial_watch(struct master *m, int64_t now, int64_t late_ms)
{
	bool	busy;

	/* a frozen host is not the canary's fault */
	m->trial.until_ms += late_ms;
	m->roll.until_ms += late_ms;
	if (m->trial.next != NULL)
		trial_look(m, now);
	else if (m->roll.old != NULL)
		roll_look(m, now);
	else if (m->reload_again && m->leave == LEAVE_NOT) {
		m->reload_again = false;
		master_reload(m);
	}
	busy = m->trial.next != NULL || m->roll.old != NULL || m->reload_again;
	atomic_store(&m->score->reloading, busy);
	return busy;
}
