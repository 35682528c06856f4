/* Cycles: taking over a configuration, at the start and at a reload.  Room:
 * master.  Two halves: master_cycle_prepare() tries all that can fail and
 * changes nothing, master_cycle_commit() cannot fail.  Between the two both
 * cycles are whole, and a canary may show that the new one works. */
#include "master/master_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_conf.h"
#include "master/dirs.h"
#include "master/folders.h"

static void
cycle_free(struct mcycle *c)
{
	apw_info("configuration freed", APW_I("cycle", c->conf->number));
	apw_cycle_free(c->conf);
	free(c);
}

void
master_cycle_release(struct mcycle *c)
{
	if (--c->procs == 0 && !c->current)
		cycle_free(c);
}

/* A process that a reload may leave as it is.  One that rests or has given up
 * is started anew: that is what reloads are for. */
static bool
proc_keepable(const struct mproc *p)
{
	return p->state == MPROC_BOOTING || p->state == MPROC_READY;
}

/* The slot that goes on under the next cycle; NULL: make one. */
static struct mproc *
kept_slot(struct master *m, unsigned changes, unsigned number)
{
	struct mproc	*p;

	if (m->cycle == NULL || (changes & APW_CHANGES_SLOTS) != 0)
		return NULL;
	TAILQ_FOREACH(p, &m->procs, entry)
		if (p->cycle == m->cycle && p->number == number &&
		    proc_keepable(p))
			return p;
	return NULL;
}

/* All process records that the next cycle needs, or none. */
static int
cycle_make_procs(struct master *m, struct mtrial *t, struct apw_err *err)
{
	struct mcycle	*next = t->next;
	struct mproc	*p;
	unsigned	 i;

	t->keep_monitor = m->monitor != NULL &&
	    (t->changes & APW_CHANGES_MONITOR) == 0 &&
	    proc_keepable(m->monitor);
	if (!t->keep_monitor && !m->upgrade.up && t->listeners.n > 0 &&
	    (t->monitor = master_proc_new(m, next, 0, err)) == NULL)
		return -1;
	for (i = 1; i <= next->conf->main.slots; i++) {
		if (kept_slot(m, t->changes, i) != NULL)
			continue;
		if ((p = master_proc_new(m, next, i, err)) == NULL)
			return -1;
		if (t->canary == NULL)
			t->canary = p;
	}
	return 0;
}

/* Log lines of the new slots go where the new configuration says. */
static int
cycle_log(const struct apw_cycle *conf, struct apw_err *err)
{
	return apw_log_open(conf->main.log_path, conf->main.log_level,
	    conf->main.log_format, err);
}

static void
cycle_undo(struct master *m, struct mtrial *t)
{
	struct mcycle	*next = t->next;

	next->procs++;		/* keeps it while the records go */
	master_slots_feed(m, next, MPROC_EV_DRAIN);
	if (t->monitor != NULL)
		master_proc_feed(t->monitor, MPROC_EV_DRAIN);
	next->procs--;
	apw_listeners_close(&t->listeners, &m->listeners, true);
}

int
master_cycle_prepare(struct master *m, struct apw_cycle *conf,
    struct mtrial *t, struct apw_err *err)
{
	*t = (struct mtrial){ .next = calloc(1, sizeof(*t->next)) };
	if (t->next == NULL)
		return apw_err_set(err, ENOMEM, "cycle");
	t->next->conf = conf;
	t->changes = m->cycle == NULL ? 0 :
	    apw_conf_changes(m->cycle->conf, conf);
	if (t->changes == 0)	/* what the file names may have changed */
		t->changes = APW_CHANGES_SLOTS | APW_CHANGES_MONITOR;
	if (apw_listeners_open(&t->listeners, &m->listeners,
	    &conf->monitor.listen, &conf->main, err) == -1) {
		free(t->next);
		t->next = NULL;
		return -1;
	}
	if (cycle_make_procs(m, t, err) == -1 ||
	    (m->cycle != NULL && cycle_log(conf, err) == -1)) {
		cycle_undo(m, t);
		free(t->next);
		t->next = NULL;
		return -1;
	}
	apw_dir_give(apw_log_fd(), &conf->main);
	return 0;
}

/* The configuration is freed with the last process that has it. */
void
master_cycle_abandon(struct master *m, struct mtrial *t)
{
	struct mcycle	*next = t->next;
	struct apw_err	 err = APW_ERR_NONE;

	if (cycle_log(m->cycle->conf, &err) == -1)
		apw_warn("cannot go back to the log", APW_E(&err));
	next->procs++;
	cycle_undo(m, t);
	t->next = NULL;
	master_cycle_release(next);
}

static void
proc_move(struct mproc *p, struct mcycle *next)
{
	p->cycle->procs--;
	p->cycle = next;
	next->procs++;
	if (p->score != NULL)
		atomic_store(&p->score->cycle, next->conf->number);
}

static void
cycle_keep_procs(struct master *m, struct mtrial *t)
{
	struct mproc	*p;
	unsigned	 i;

	if (t->keep_monitor)
		proc_move(m->monitor, t->next);
	for (i = 1; i <= t->next->conf->main.slots; i++)
		if ((p = kept_slot(m, t->changes, i)) != NULL)
			proc_move(p, t->next);
}

static void
cycle_drain_old(struct master *m, struct mcycle *old,
    struct mproc *old_monitor, bool slots_too)
{
	old->current = false;
	if (slots_too)
		master_slots_feed(m, old, MPROC_EV_DRAIN);
	if (old_monitor != NULL)
		master_proc_feed(old_monitor, MPROC_EV_DRAIN);
}

/* `rolling`: the old slots leave one by one as the new ones come up, which
 * the caller sees to.  The old cycle then has one count more, his. */
struct mcycle *
master_cycle_commit(struct master *m, struct mtrial *t, bool rolling)
{
	struct mcycle	*old = m->cycle, *next = t->next;
	struct mproc	*old_monitor = t->keep_monitor ? NULL : m->monitor;

	if (old != NULL) {
		old->procs++;
		cycle_keep_procs(m, t);
	}
	apw_listeners_close(&m->listeners, &t->listeners,
	    !master_upgrade_peer(m) && !m->inherited);
	m->inherited = false;
	m->listeners = t->listeners;
	m->cycle = next;
	if (!t->keep_monitor)
		m->monitor = t->monitor;
	next->current = true;
	m->slots_drained = false;
	atomic_store(&m->score->cycle, next->conf->number);
	atomic_store(&m->score->slots, next->conf->main.slots);
	if (t->monitor != NULL)
		master_proc_feed(t->monitor, MPROC_EV_START);
	master_slots_feed(m, next, MPROC_EV_START);
	t->next = NULL;
	master_folders_follow(m);
	if (old == NULL)
		return NULL;
	cycle_drain_old(m, old, old_monitor, !rolling);
	if (rolling)
		return old;
	master_cycle_release(old);
	return NULL;
}

int
master_cycle_adopt(struct master *m, struct apw_cycle *conf,
    struct apw_err *err)
{
	struct mtrial	first;

	if (master_cycle_prepare(m, conf, &first, err) == -1)
		return -1;
	master_cycle_commit(m, &first, false);
	return 0;
}
