/* The table of the processes a master keeps.  Room: master.  An event and
 * the state of the process name the action; read the table and you know the
 * supervisor.  Actions never wait. */
#include "master/procs_priv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "master/master_priv.h"

#define KILL_PATIENCE_MS	10000	/* then say that SIGKILL did not help */

typedef void mproc_action(struct mproc *);

static mproc_action proc_spawn, proc_up, proc_drain, proc_kill, proc_stalled,
    proc_complain, proc_bury, proc_fail, proc_settle, proc_leave;

/* An empty cell means "nothing to do"; logged at debug with both names. */
static mproc_action *const proc_actions[MPROC_NSTATES][MPROC_NEVENTS] = {
	[MPROC_DOWN] = {
		[MPROC_EV_START]	= proc_spawn,
		[MPROC_EV_DRAIN]	= proc_settle,
		[MPROC_EV_KILL]		= proc_settle,
	},
	[MPROC_BOOTING] = {
		[MPROC_EV_UP]		= proc_up,
		[MPROC_EV_DRAIN]	= proc_drain,
		[MPROC_EV_KILL]		= proc_kill,
		[MPROC_EV_STALLED]	= proc_stalled,
		[MPROC_EV_EXITED]	= proc_bury,
		[MPROC_EV_NOCONF]	= proc_fail,
	},
	[MPROC_READY] = {
		[MPROC_EV_DRAIN]	= proc_drain,
		[MPROC_EV_KILL]		= proc_kill,
		[MPROC_EV_STALLED]	= proc_stalled,
		[MPROC_EV_EXITED]	= proc_bury,
		[MPROC_EV_NOCONF]	= proc_fail,
	},
	[MPROC_DRAINING] = {
		[MPROC_EV_KILL]		= proc_kill,
		[MPROC_EV_STALLED]	= proc_kill,
		[MPROC_EV_TIMEOUT]	= proc_kill,
		[MPROC_EV_EXITED]	= proc_leave,
		[MPROC_EV_NOCONF]	= proc_leave,
	},
	[MPROC_STUCK] = {
		[MPROC_EV_DRAIN]	= proc_kill,
		[MPROC_EV_KILL]		= proc_kill,
		[MPROC_EV_TIMEOUT]	= proc_complain,
		[MPROC_EV_EXITED]	= proc_bury,
		[MPROC_EV_NOCONF]	= proc_bury,
	},
	[MPROC_KILLED] = {
		[MPROC_EV_TIMEOUT]	= proc_complain,
		[MPROC_EV_EXITED]	= proc_leave,
		[MPROC_EV_NOCONF]	= proc_leave,
	},
	[MPROC_RESTING] = {
		[MPROC_EV_START]	= proc_spawn,
		[MPROC_EV_DRAIN]	= proc_settle,
		[MPROC_EV_KILL]		= proc_settle,
		[MPROC_EV_TIMEOUT]	= proc_spawn,
	},
	[MPROC_FAILED] = {
		[MPROC_EV_DRAIN]	= proc_settle,
		[MPROC_EV_KILL]		= proc_settle,
	},
};

#define STATE_NAME(name) #name,
static const char *const state_names[] = { MPROC_STATES(STATE_NAME) };
static const char *const event_names[] = { MPROC_EVENTS(STATE_NAME) };

const char *
master_state_name(enum mproc_state state)
{
	return state_names[state];
}

const char *
master_event_name(enum mproc_event event)
{
	return event_names[event];
}

bool
master_cell_acts(enum mproc_state state, enum mproc_event event)
{
	return proc_actions[state][event] != NULL;
}

const char *
master_proc_name(const struct mproc *p, char *buf, size_t size)
{
	if (p->number == 0)
		snprintf(buf, size, "monitor");
	else if (p->number == APW_SCORE_ERRAND)
		snprintf(buf, size, "errand");
	else
		snprintf(buf, size, "slot/%u", p->number);
	return buf;
}

bool
master_is_slot(const struct mproc *p)
{
	return p->number != 0 && p->number != APW_SCORE_ERRAND;
}

void
master_proc_feed(struct mproc *p, enum mproc_event event)
{
	mproc_action	*act = proc_actions[p->state][event];

	if (act == NULL) {
		apw_debug("nothing to do", APW_I("slot", p->number),
		    APW_S("state", state_names[p->state]),
		    APW_S("event", event_names[event]));
		return;
	}
	act(p);
}

static void
proc_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct mproc	*p;

	(void)fd;
	(void)what;
	APW_CAST(p, arg, MPROC_MAGIC);
	master_proc_feed(p, MPROC_EV_TIMEOUT);
}

static void
proc_set(struct mproc *p, enum mproc_state state)
{
	p->state = state;
	event_del(p->timer);
}

static void
proc_wait(struct mproc *p, int64_t ms)
{
	const struct timeval	tv = { ms / 1000, (ms % 1000) * 1000 };

	event_add(p->timer, &tv);
}

static struct apw_score_slot *
free_record(struct master *m)
{
	size_t	i;

	for (i = 0; i < APW_SCORE_SLOTS; i++)
		if (atomic_load(&m->score->slot[i].number) == 0)
			break;
	if (i == APW_SCORE_SLOTS)
		return NULL;
	/* pages that nobody looks at cost nothing */
	if (i >= atomic_load(&m->score->records))
		atomic_store(&m->score->records, i + 1);
	return &m->score->slot[i];
}

struct mproc *
master_proc_new(struct master *m, struct mcycle *cycle, unsigned number,
    struct apw_err *err)
{
	struct mproc	*p = calloc(1, sizeof(*p));

	if (p == NULL || (p->timer = evtimer_new(m->base, proc_on_timer, p))
	    == NULL) {
		free(p);
		apw_err_set(err, 0, "out of memory");
		return NULL;
	}
	if (number != 0 && (p->score = free_record(m)) == NULL) {
		event_free(p->timer);
		free(p);
		apw_err_set(err, 0, "more than %d slots, running and draining",
		    APW_SCORE_SLOTS);
		return NULL;
	}
	p->magic = MPROC_MAGIC;
	p->master = m;
	p->cycle = cycle;
	p->number = number;
	cycle->procs++;
	if (p->score != NULL) {
		memset(p->score, 0, sizeof(*p->score));
		atomic_store(&p->score->lane, m->lanes + 1 +
		    (uint32_t)(p->score - m->score->slot));
		atomic_store(&p->score->cycle, cycle->conf->number);
		atomic_store(&p->score->number, number);
		atomic_store(&p->score->watched, m->folders.watched);
	}
	TAILQ_INSERT_TAIL(&m->procs, p, entry);
	return p;
}

struct mproc *
master_proc_by_pid(struct master *m, pid_t pid)
{
	struct mproc	*p;

	TAILQ_FOREACH(p, &m->procs, entry)
		if (p->pid == pid)
			return p;
	return NULL;
}

unsigned
master_slots_count(const struct master *m)
{
	const struct mproc	*p;
	unsigned		 n = 0;

	TAILQ_FOREACH(p, &m->procs, entry)
		n += p->number != 0;
	return n;
}

void
master_slots_feed(struct master *m, const struct mcycle *cycle,
    enum mproc_event event)
{
	struct mproc	*p, *next;

	for (p = TAILQ_FIRST(&m->procs); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		if (p->number != 0 && (cycle == NULL || p->cycle == cycle))
			master_proc_feed(p, event);
	}
}

/* The record's owner is dead, or not born: its texts are ours for now. */
static void
score_reset(struct mproc *p)
{
	struct apw_score_slot	*s = p->score;

	if (atomic_load(&s->seq) & 1)		/* died while writing */
		apw_score_end(&s->seq);
	apw_score_begin(&s->seq);
	s->phase[0] = s->job_id[0] = s->job_type[0] = s->why[0] = '\0';
	s->notice[0] = '\0';
	apw_score_end(&s->seq);
	atomic_store(&s->engine_pid, 0);
	atomic_store(&s->engine_bytes, 0);
	atomic_store(&s->job_since_ms, 0);
	atomic_store(&s->poll_until_ms, 0);
	atomic_store(&s->poll_round_ms, 0);
	atomic_store(&s->step_until_ms, 0);
	atomic_store(&s->proof, APW_PROOF_NONE);
	atomic_store(&s->rest_until_ms, 0);
	atomic_store(&s->tick_ms, apw_now_ms());
}

static void
score_why(struct mproc *p, const char *why)
{
	apw_score_begin(&p->score->seq);
	snprintf(p->score->why, sizeof(p->score->why), "%s", why);
	apw_score_end(&p->score->seq);
}

/* Start again later: `ms` from now. */
static void
proc_rest(struct mproc *p, int64_t ms, const char *why)
{
	proc_set(p, MPROC_RESTING);
	proc_wait(p, ms);
	if (p->score == NULL)
		return;
	atomic_store(&p->score->rest_until_ms, apw_now_ms() + ms);
	score_why(p, why);
	apw_score_state(p->score, APW_SLOT_RESTING);
}

static void
proc_spawn(struct mproc *p)
{
	struct apw_err	 err = APW_ERR_NONE;
	char		 name[32];
	int64_t		 ms;
	bool		 rests;

	p->stalled = false;
	p->started_ms = apw_now_ms();
	if (p->score == NULL)
		atomic_store(&p->master->score->monitor_tick_ms,
		    p->started_ms);
	if (p->score != NULL) {
		score_reset(p);
		apw_score_state(p->score, APW_SLOT_BOOTING);
		atomic_store(&p->score->started_wall_ms, apw_wall_ms());
		atomic_fetch_add(&p->score->starts, 1);
	}
	if (master_proc_fork(p, &err) == -1) {
		ms = master_pace(p, &p->cycle->conf->main, p->started_ms,
		    &rests);
		if (ms < 1000)
			ms = 1000;	/* the system is short of something */
		apw_error("cannot start a process", APW_K("process",
		    master_proc_name(p, name, sizeof(name))), APW_E(&err),
		    APW_I("rest_ms", ms));
		proc_rest(p, ms, "cannot be started");
		return;
	}
	if (p->score != NULL)
		atomic_store(&p->score->pid, p->pid);
	proc_set(p, MPROC_BOOTING);
	apw_info("process started", APW_K("process",
	    master_proc_name(p, name, sizeof(name))), APW_I("pid", p->pid),
	    APW_I("cycle", p->cycle->conf->number));
	if (p->number == 0)	/* has nothing to get past */
		master_proc_feed(p, MPROC_EV_UP);
}

static void
proc_up(struct mproc *p)
{
	proc_set(p, MPROC_READY);
}

static void
proc_drain(struct mproc *p)
{
	/* a process that is still starting may not have its handlers yet:
	 * SIGTERM means the same to it and leaves no core file */
	master_proc_signal(p, p->state == MPROC_BOOTING ? SIGTERM : SIGQUIT);
	proc_set(p, MPROC_DRAINING);
	/* neither has a job */
	if (p->number == 0 || atomic_load(&p->score->trial) != 0)
		proc_wait(p, MASTER_MONITOR_PATIENCE_MS);
}

static void
proc_kill(struct mproc *p)
{
	master_proc_signal(p, SIGKILL);
	proc_set(p, MPROC_KILLED);
	proc_wait(p, KILL_PATIENCE_MS);
}

static void
proc_stalled(struct mproc *p)
{
	p->stalled = true;
	master_proc_signal(p, SIGKILL);
	proc_set(p, MPROC_STUCK);
	proc_wait(p, KILL_PATIENCE_MS);
}

static void
proc_complain(struct mproc *p)
{
	char	name[32];

	apw_error("killed process does not end", APW_K("process",
	    master_proc_name(p, name, sizeof(name))), APW_I("pid", p->pid));
	master_proc_signal(p, SIGKILL);
	proc_wait(p, KILL_PATIENCE_MS);
}

/* Nobody asked it to end: say so, and start it again at its pace. */
static void
proc_bury(struct mproc *p)
{
	bool	rests;
	int64_t	ms = master_pace(p, &p->cycle->conf->main, apw_now_ms(),
	    &rests);
	char	next[64];

	if (master_trial_lost(p))
		return;
	if (p->score != NULL)
		atomic_fetch_add(&p->score->deaths, 1);
	if (ms == 0)
		snprintf(next, sizeof(next), "starts again at once");
	else
		snprintf(next, sizeof(next), "%s %" PRId64 ".%" PRId64
		    "s before start %u", rests ? "died too often, rests" :
		    "waits", ms / 1000, ms % 1000 / 100, p->deaths + 1);
	master_obituary(p, next, ms);
	p->pid = 0;
	if (p->score != NULL) {
		score_reset(p);
		atomic_store(&p->score->pid, 0);
		apw_score_state(p->score, APW_SLOT_DEAD);
	}
	if (ms == 0)
		proc_spawn(p);
	else
		proc_rest(p, ms, rests ? "died too often" : "died");
}

static void
proc_fail(struct mproc *p)
{
	char	why[sizeof(p->score->why)] = "";

	if (p->score != NULL) {
		apw_score_text(&p->score->seq, why, sizeof(why),
		    p->score->why, sizeof(p->score->why));
		atomic_fetch_add(&p->score->deaths, 1);
	}
	if (master_trial_lost(p))
		return;
	master_obituary(p, "stays down until a reload", -1);
	p->pid = 0;
	proc_set(p, MPROC_FAILED);
	if (p->score != NULL) {
		score_reset(p);
		atomic_store(&p->score->pid, 0);
		score_why(p, why[0] != '\0' ? why :
		    "needs another configuration");
		apw_score_state(p->score, APW_SLOT_DEAD);
	}
}

/* The end of a process that was told to go. */
static void
proc_leave(struct mproc *p)
{
	char	name[32];

	if (p->state == MPROC_KILLED || !WIFEXITED(p->status) ||
	    WEXITSTATUS(p->status) != APW_EXIT_OK)
		master_obituary(p, "was leaving", -1);
	else
		apw_info("process left", APW_K("process",
		    master_proc_name(p, name, sizeof(name))),
		    APW_I("pid", p->pid), APW_I("cycle",
		    p->cycle->conf->number));
	proc_settle(p);
}

/* Free the record.  The process, if there was one, has been reaped. */
static void
proc_settle(struct mproc *p)
{
	struct master	*m = p->master;

	TAILQ_REMOVE(&m->procs, p, entry);
	if (p->score != NULL) {
		score_reset(p);
		atomic_store(&p->score->pid, 0);
		apw_score_state(p->score, APW_SLOT_FREE);
		apw_score_release(m->score, p->score);
	}
	event_free(p->timer);
	p->magic = 0;
	master_cycle_release(p->cycle);
	free(p);
	master_on_settled(m);
}
