/* Reloads: from SIGHUP to the trial of a new configuration, and what is said
 * of the result.  Room: master.  A configuration that cannot be used leaves
 * the running one as it is. */
#include "master/master_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_conf.h"
#include "master/dirs.h"

static void
score_reload(struct master *m, bool ok, int64_t began_ms, const char *text)
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
	master_notify(m, "READY=1\nSTATUS=%s", ok ? "reloaded" :
	    "reload refused: the old configuration stays");
	m->notify.status[0] = '\0';
	atomic_store(&s->reload_refused, !ok);
	atomic_store(&s->reload_began_ms, began_ms);
	atomic_fetch_add(ok ? &s->reloads_ok : &s->reloads_failed, 1);
}

/* One log line for each line of text. */
static void
log_lines(const char *event, char *text, enum apw_log_level level)
{
	char	*line, *rest = text;

	while ((line = strsep(&rest, "\n")) != NULL)
		if (line[0] != '\0')
			apw_log_each(level, event, APW_S("what", line));
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


/* The running configuration stays.  Takes the text apart. */
void
master_reload_refused(struct master *m, int64_t began_ms, char *text)
{
	score_reload(m, false, began_ms, text);
	log_lines("reload refused", text, APW_LOG_ERROR);
	apw_error("the running configuration is unchanged",
	    APW_I("cycle", m->cycle->conf->number));
}

/* The trial's configuration takes over; `rolling`: slot by slot. */
void
master_reload_take(struct master *m, bool rolling)
{
	struct mtrial	*t = &m->trial;
	struct apw_cycle *conf = t->next->conf;
	unsigned	 changes = t->changes;
	struct mcycle	*old = master_cycle_commit(m, t, rolling);

	if (old != NULL)
		m->roll = (struct mroll){ .old = old, .until_ms =
		    apw_now_ms() + conf->main.reload_timeout_ms };
	score_reload(m, true, t->began_ms, t->notes != NULL ? t->notes : "");
	if (t->warnings != NULL)
		log_lines("configuration", t->warnings, APW_LOG_WARN);
	if (t->notes != NULL)
		log_lines("needs a restart", t->notes, APW_LOG_WARN);
	apw_notice("reloaded", APW_I("cycle", conf->number),
	    APW_I("slots", conf->main.slots), APW_S("renewed",
	    changes & APW_CHANGES_SLOTS ? "slots" :
	    changes & APW_CHANGES_MONITOR ? "monitor" : "nothing"));
	master_trial_end(m);
}

/* What needs a restart, as text; NULL: nothing. */
static char *
reload_notes(const struct master *m, const struct apw_cycle *conf)
{
	char	*text = NULL;
	size_t	 n;
	FILE	*list = open_memstream(&text, &n);

	if (list == NULL)
		return NULL;
	if (apw_conf_restart_only(m->cycle->conf, conf, list) == 0) {
		fclose(list);
		free(text);
		return NULL;
	}
	fclose(list);
	return text;
}

static int
reload_prepare(struct master *m, struct apw_cycle *conf, struct apw_err *err)
{
	char	*notes = reload_notes(m, conf);

	if (keep_old(conf, m->cycle->conf, err) == -1 ||
	    apw_dirs_make(conf, err) == -1 ||
	    master_cycle_prepare(m, conf, &m->trial, err) == -1) {
		free(notes);
		return -1;
	}
	m->trial.notes = notes;
	return 0;
}

void
master_reload(struct master *m)
{
	struct apw_err		 err = APW_ERR_NONE;
	apw_autofree char	*text = NULL;
	size_t			 ntext;
	FILE			*out = open_memstream(&text, &ntext);
	struct apw_cycle	*conf = NULL;
	int64_t			 began_ms = apw_now_ms();
	char			 none[] = "out of memory";

	master_notify_reloading(m);
	if (out == NULL) {
		master_reload_refused(m, began_ms, none);
		return;
	}
	if ((conf = reload_read(m, out)) != NULL &&
	    reload_prepare(m, conf, &err) == -1) {
		fprintf(out, "%s\n", err.text);
		apw_cycle_free(conf);
		conf = NULL;
	}
	fclose(out);
	if (conf == NULL) {
		master_reload_refused(m, began_ms, text);
		return;
	}
	m->trial.began_ms = began_ms;
	m->trial.warnings = text;
	text = NULL;
	if ((m->trial.changes & APW_CHANGES_SLOTS) != 0 &&
	    conf->main.reload_timeout_ms > 0 && m->trial.canary != NULL)
		master_trial_begin(m);
	else
		master_reload_take(m, false);
}
