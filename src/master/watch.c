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
master_waited(const struct master *m, int64_t now, struct mwaited *w)
{
	struct mproc	*p;
	int64_t		 since, until;

	*w = (struct mwaited){ 0 };
	TAILQ_FOREACH(p, &m->procs, entry) {
		if (p->score == NULL)
			continue;
		since = atomic_load(&p->score->job_since_ms);
		until = atomic_load(&p->score->poll_until_ms);
		w->busy += since != 0;
		w->polls += until != 0;
		if (since != 0 && now - since > w->longest_ms)
			w->longest_ms = now - since;
		if (until - now > w->poll_ms)
			w->poll_ms = until - now;
	}
}

/* Jobs have a limit when we were told to stop, not when to drain. */
void
master_waited_text(const struct master *m, int64_t now,
    const struct mwaited *w, char *buf, size_t size)
{
	int64_t	until = atomic_load(&m->score->jobs_until_ms);
	size_t	n = 0;

	buf[0] = '\0';
	if (w->busy > 0)
		n = (size_t)snprintf(buf, size, "%u slot%s busy, longest %"
		    PRId64 " s", w->busy, w->busy == 1 ? "" : "s",
		    w->longest_ms / 1000);
	if (w->busy > 0 && until > now && n < size)
		n += (size_t)snprintf(buf + n, size - n, ", %" PRId64
		    " s left", (until - now + 999) / 1000);
	if (w->polls > 0 && n < size)
		snprintf(buf + n, size - n, "%s%u poll%s parked, %" PRId64
		    " s left", n > 0 ? "; " : "", w->polls,
		    w->polls == 1 ? "" : "s", (w->poll_ms + 999) / 1000);
}

void
master_say_progress(struct master *m, int64_t now)
{
	struct mwaited	w;
	char		what[128], text[160];

	if ((m->leave == LEAVE_NOT && !m->slots_drained) ||
	    now - m->progress_ms < PROGRESS_MS || master_slots_count(m) == 0)
		return;
	master_waited(m, now, &w);
	master_waited_text(m, now, &w, what, sizeof(what));
	if (what[0] == '\0' && now - m->stop_ms < PROGRESS_MS)
		return;
	m->progress_ms = now;
	snprintf(text, sizeof(text), "draining: %s", what[0] != '\0' ? what :
	    "slots say good-bye");
	apw_log_each(APW_LOG_NOTICE, text, APW_I("slots",
	    master_slots_count(m)), APW_I("busy", w.busy),
	    APW_I("longest_ms", w.longest_ms), APW_I("polls_parked", w.polls),
	    APW_I("poll_left_ms", w.poll_ms));
}
