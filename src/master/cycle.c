/* Cycles: taking over a configuration, at the start and at a reload.  Room:
 * master.  Everything that can fail is tried before anything is changed; a
 * configuration that cannot be used leaves the running one as it is. */
#include "master/master_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "master/dirs.h"

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

/* All process records of a cycle, or none. */
static int
cycle_make_procs(struct master *m, struct mcycle *c, struct mproc **monitor,
    struct apw_err *err)
{
	unsigned	i;

	*monitor = NULL;
	if (c->conf->monitor.enabled && c->conf->monitor.listen.n > 0 &&
	    (*monitor = master_proc_new(m, c, 0, err)) == NULL)
		return -1;
	for (i = 1; i <= c->conf->main.slots; i++)
		if (master_proc_new(m, c, i, err) == NULL)
			return -1;
	return 0;
}

static void
cycle_undo_procs(struct master *m, struct mcycle *c, struct mproc *monitor)
{
	c->procs++;		/* keeps it while the records go */
	master_slots_feed(m, c, MPROC_EV_DRAIN);
	if (monitor != NULL)
		master_proc_feed(monitor, MPROC_EV_DRAIN);
	c->procs--;
}

/* The new ones start, then the old ones are told to drain.  (Whoever wants
 * the old ones to wait until a new one is READY puts the wait between the two
 * halves: until then both cycles are whole.) */
static void
cycle_start_new(struct master *m, struct mcycle *next, struct mproc *monitor)
{
	if (monitor != NULL)
		master_proc_feed(monitor, MPROC_EV_START);
	master_slots_feed(m, next, MPROC_EV_START);
}

static void
cycle_drain_old(struct master *m, struct mcycle *old,
    struct mproc *old_monitor)
{
	if (old == NULL)
		return;
	old->current = false;
	old->procs++;
	master_slots_feed(m, old, MPROC_EV_DRAIN);
	if (old_monitor != NULL)
		master_proc_feed(old_monitor, MPROC_EV_DRAIN);
	master_cycle_release(old);
}

static void
cycle_commit(struct master *m, struct mcycle *next, struct mproc *monitor,
    struct apw_listeners *listeners)
{
	struct mcycle	*old = m->cycle;
	struct mproc	*old_monitor = m->monitor;

	apw_listeners_close(&m->listeners, listeners, true);
	m->listeners = *listeners;
	m->cycle = next;
	m->monitor = monitor;
	next->current = true;
	m->slots_drained = false;
	atomic_store(&m->score->cycle, next->conf->number);
	atomic_store(&m->score->slots, next->conf->main.slots);
	cycle_start_new(m, next, monitor);
	cycle_drain_old(m, old, old_monitor);
}

int
master_cycle_adopt(struct master *m, struct apw_cycle *conf,
    struct apw_err *err)
{
	struct apw_listeners	 listeners = { 0 };
	struct apw_strlist	 none = { 0 };
	struct mproc		*monitor = NULL;
	struct mcycle		*next = calloc(1, sizeof(*next));

	if (next == NULL)
		return apw_err_set(err, ENOMEM, "cycle");
	next->conf = conf;
	if (apw_listeners_open(&listeners, &m->listeners,
	    conf->monitor.enabled ? &conf->monitor.listen : &none,
	    &conf->main, err) == -1) {
		free(next);
		return -1;
	}
	if (cycle_make_procs(m, next, &monitor, err) == -1 ||
	    (m->cycle != NULL && apw_log_open(conf->main.log_path,
	    conf->main.log_level, conf->main.log_format, err) == -1)) {
		cycle_undo_procs(m, next, monitor);
		apw_listeners_close(&listeners, &m->listeners, true);
		free(next);
		return -1;
	}
	apw_dir_give(apw_log_fd(), &conf->main);
	cycle_commit(m, next, monitor, &listeners);
	return 0;
}

static void
score_reload(struct master *m, bool ok, const char *text)
{
	struct apw_score	*s = m->score;
	size_t			 n;

	apw_score_begin(&s->seq);
	n = snprintf(s->reload_error, sizeof(s->reload_error), "%s", text);
	if (n >= sizeof(s->reload_error))
		n = sizeof(s->reload_error) - 1;
	while (n > 0 && s->reload_error[n - 1] == '\n')
		s->reload_error[--n] = '\0';
	apw_score_end(&s->seq);
	atomic_store(&s->reloaded_wall_ms, apw_wall_ms());
	atomic_fetch_add(ok ? &s->reloads_ok : &s->reloads_failed, 1);
}

/* One log line for each line of text. */
static void
log_lines(const char *event, char *text, enum apw_log_level level)
{
	char	*line, *rest = text;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			apw_log(level, event, APW_S("what", line));
}

static struct apw_cycle *
reload_read(struct master *m, FILE *out)
{
	struct apw_conf_options	 options = *m->options;
	struct apw_cycle	*conf;

	options.cycle = m->cycle->conf->number + 1;
	if ((conf = apw_conf_read(&options, out)) == NULL)
		return NULL;
	if (master_check(conf, out) == -1) {
		apw_cycle_free(conf);
		return NULL;
	}
	return conf;
}

/* What needs a restart keeps its value of now.  Texts are copied: the cycle
 * they come from will be freed before. */
static int
keep_old(struct apw_cycle *next, const struct apw_cycle *now,
    struct apw_err *err)
{
	const struct { char **to; const char *from; } texts[] = {
		{ &next->main.pid_path, now->main.pid_path },
		{ &next->main.user, now->main.user },
		{ &next->main.group, now->main.group },
		{ &next->main.state_path, now->main.state_path },
	};
	size_t	i;

	next->main.daemon = now->main.daemon;
	next->main.uid = now->main.uid;
	next->main.gid = now->main.gid;
	for (i = 0; i < APW_COUNT(texts); i++) {
		*texts[i].to = NULL;
		if (texts[i].from != NULL && (*texts[i].to =
		    apw_arena_strdup(next->arena, texts[i].from)) == NULL)
			return apw_err_set(err, ENOMEM, "cycle");
	}
	return 0;
}

void
master_reload(struct master *m)
{
	struct apw_err		 err = APW_ERR_NONE;
	apw_autofree char	*text = NULL, *notes = NULL;
	size_t			 ntext, nnotes;
	FILE			*out = open_memstream(&text, &ntext);
	struct apw_cycle	*conf = NULL;
	unsigned		 kept = 0;

	if (out == NULL) {
		apw_error("cannot reload: out of memory");
		score_reload(m, false, "out of memory");
		return;
	}
	if ((conf = reload_read(m, out)) != NULL) {
		FILE *list = open_memstream(&notes, &nnotes);

		if (list != NULL) {
			kept = apw_conf_restart_only(m->cycle->conf, conf,
			    list);
			fclose(list);
		}
		if (keep_old(conf, m->cycle->conf, &err) == -1 ||
		    apw_dirs_make(conf, &err) == -1 ||
		    master_cycle_adopt(m, conf, &err) == -1) {
			fprintf(out, "%s\n", err.text);
			apw_cycle_free(conf);
			conf = NULL;
		}
	}
	fclose(out);
	if (conf == NULL) {
		score_reload(m, false, text);
		log_lines("reload refused", text, APW_LOG_ERROR);
		apw_error("the running configuration is unchanged",
		    APW_I("cycle", m->cycle->conf->number));
		return;
	}
	score_reload(m, true, kept > 0 ? notes : "");
	log_lines("configuration", text, APW_LOG_WARN);
	if (kept > 0)
		log_lines("needs a restart", notes, APW_LOG_WARN);
	apw_notice("reloaded", APW_I("cycle", conf->number),
	    APW_I("slots", conf->main.slots));
}
