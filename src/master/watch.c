/* What the master's tick looks at: who turns its loop, who is past its start,
 * who still drains.  Room: master.  It believes the scoreboard, and kills what
 * does not move. */
#include "master/master_priv.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/apw_clock.h"

#define PROGRESS_MS	10000	/* between two lines about draining */

/* Why this process makes no progress; NULL: it does. */
static const char *
stalled_why(const struct master *m, const struct mproc *p, int64_t now,
    int64_t limit)
{
	int64_t	until;

	if (p->score == NULL)
		return now - atomic_load(&m->score->monitor_tick_ms) > limit ?
		    "its event loop does not turn" : NULL;
	if (now - atomic_load(&p->score->tick_ms) > limit)
		return "its event loop does not turn";
	until = atomic_load(&p->score->step_until_ms);
	return until != 0 && now - until > limit ?
	    "a step of its job does not end" : NULL;
}

/* When our own tick came late, everybody was stopped (a frozen container, a
 * suspended host): then all get the whole time again. */
void
master_watch_progress(struct master *m, int64_t now, bool late)
{
	struct mproc	*p, *next;
	const char	*why;
	int64_t		 limit;

	if (late)
		m->grace_until_ms = now +
		    m->cycle->conf->main.progress_timeout_ms;
	for (p = TAILQ_FIRST(&m->procs); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		limit = p->cycle->conf->main.progress_timeout_ms;
		if (p->pid == 0 || limit <= 0 || now < m->grace_until_ms ||
		    p->state == MPROC_STUCK || p->state == MPROC_KILLED ||
		    (why = stalled_why(m, p, now, limit)) == NULL)
			continue;
		master_look(p, why);
		master_proc_feed(p, MPROC_EV_STALLED);
	}
}

bool
master_watch_boots(struct master *m)
{
	struct mproc		*p;
	enum apw_slot_state	 s;
	bool			 booting = false;

	TAILQ_FOREACH(p, &m->procs, entry) {
		if (p->state != MPROC_BOOTING || p->score == NULL)
			continue;
		s = atomic_load(&p->score->state);
		if (s >= APW_SLOT_CONNECTING && s <= APW_SLOT_DRAINING)
			master_proc_feed(p, MPROC_EV_UP);
		else
			booting = true;
	}
	return booting;
}

void
master_say_progress(struct master *m, int64_t now)
{
	struct mproc	*p;
	int64_t		 since, longest = 0;
	unsigned	 busy = 0;
	char		 text[96];

	if ((m->leave == LEAVE_NOT && !m->slots_drained) ||
	    now - m->progress_ms < PROGRESS_MS || master_slots_count(m) == 0)
		return;
	m->progress_ms = now;
	TAILQ_FOREACH(p, &m->procs, entry) {
		if (p->score == NULL ||
		    (since = atomic_load(&p->score->job_since_ms)) == 0)
			continue;
		busy++;
		if (now - since > longest)
			longest = now - since;
	}
	snprintf(text, sizeof(text), "draining: %u slot%s busy, longest %"
	    PRId64 " s", busy, busy == 1 ? "" : "s", longest / 1000);
	apw_notice(text, APW_I("slots", master_slots_count(m)),
	    APW_I("busy", busy), APW_I("longest_ms", longest));
}
