/* The slot process from birth to end: its parts, time and signals; see
 * slot.h.  Room: slot.  What it does in between is in steps.c. */
#include "slot/slot_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "core/apw_log.h"
#include "core/apw_module.h"
#include "egress/fetch.h"
#include "egress/post.h"
#include "job/publish.h"
#include "slot/prewarm.h"
#include "slot/tree.h"
#include "slot/warm.h"
#include "slot/weigh.h"

#define SLOT_TICK_MS	1000
#define SLOT_WEIGH_TICKS 15
#define SLOT_ORPHAN_MS	700	/* then nothing of ours is left */

static bool
slot_engine_info(void *arg, const char **sandbox_id, pid_t *pid, bool *busy)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	return apw_engine_info(s->engine, sandbox_id, pid, busy);
}

static const char *
slot_mode(void *arg)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	return s->settings == NULL ? NULL : s->settings->mode;
}

/* Time and signals. */

static void
slot_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_slot	*s;

	(void)fd;
	(void)what;
	APW_CAST(s, arg, SLOT_MAGIC);
	if (s->step->on_timeout != NULL)
		s->step->on_timeout(s);
}

/* A loop that stood still (stopped process, suspended host): what it finds
 * when it goes on may have lain there all the time.  A tick that is merely
 * late makes a lease a little shorter, no more. */
void
slot_note_time(struct apw_slot *s)
{
	int64_t	now_ms = apw_boot_ms();

	if (s->tick_ms != 0 && now_ms - s->tick_ms > SLOT_TICK_MS + 200) {
		s->stood_ms = s->tick_ms;
		s->woke_ms = now_ms;
	}
	s->tick_ms = now_ms;
}

/* For the app's page of workers: now and then, and soon after an engine has
 * come or gone. */
static void
slot_weigh(struct apw_slot *s)
{
	pid_t	pid = atomic_load(&s->score->engine_pid);

	if (pid == s->weighed && ++s->weigh_ticks < SLOT_WEIGH_TICKS)
		return;
	s->weighed = pid;
	s->weigh_ticks = 0;
	atomic_store(&s->score->engine_bytes, apw_weigh(pid));
}

static void
slot_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct apw_slot	*s;

	(void)fd;
	(void)what;
	APW_CAST(s, arg, SLOT_MAGIC);
	atomic_store(&s->score->tick_ms, apw_now_ms());
	apw_log_tick(apw_now_ms());
	slot_note_time(s);
	slot_watch_stock(s);
	slot_standby_idle(s);
	slot_weigh(s);
	/* nobody tells us */
	if (atomic_load(&s->score->watched) == 0)
		apw_journals_look(s->journals);
}

static void
slot_sig_drain(evutil_socket_t sig, short what, void *arg)
{
	struct apw_slot	*s;

	(void)sig;
	(void)what;
	APW_CAST(s, arg, SLOT_MAGIC);
	if (s->draining)
		return;
	s->draining = true;
	apw_score_state(s->score, APW_SLOT_DRAINING);
	/* whoever ends us now does not do it for the job's sake */
	if (s->job != NULL)
		apw_journal_leave(s->journal);
	if (s->step->on_drain != NULL)
		s->step->on_drain(s);
}

static void
slot_sig_now(evutil_socket_t sig, short what, void *arg)
{
	struct apw_slot	*s;

	(void)sig;
	(void)what;
	APW_CAST(s, arg, SLOT_MAGIC);
	s->draining = true;
	slot_end_now(s);
}

static void
slot_sig_reopen(evutil_socket_t sig, short what, void *arg)
{
	struct apw_err	err = APW_ERR_NONE;

	(void)sig;
	(void)what;
	(void)arg;
	if (apw_log_reopen(&err) == -1)
		apw_error("cannot reopen the log", APW_E(&err));
}

/* Something moved in the folders that we wait on. */
static void
slot_sig_look(evutil_socket_t sig, short what, void *arg)
{
	struct apw_slot	*s;

	(void)sig;
	(void)what;
	APW_CAST(s, arg, SLOT_MAGIC);
	apw_journals_look(s->journals);
	if (s->source != NULL && s->ops->look != NULL)
		s->ops->look(s->source);
}

/* Orphans of a living engine that end: their bodies are ours to take. */
static void
slot_sig_child(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	apw_tree_sweep(false);
}

/* Our master is dead.  The loop is told, and has this long to end the engine's
 * tree; a loop that hangs ends with the alarm. */
static void
slot_orphaned(int signo)
{
	static const struct itimerval	last = { .it_value =
	    { 0, SLOT_ORPHAN_MS * 1000 } };

	(void)signo;
	setitimer(ITIMER_REAL, &last, NULL);
	kill(getpid(), SIGINT);
}

static int
slot_follow(void)
{
	struct sigaction	act = { .sa_handler = slot_orphaned };

	signal(SIGALRM, SIG_DFL);
	sigemptyset(&act.sa_mask);
	if (sigaction(SIGUSR2, &act, NULL) == -1)
		return -1;
	/* not SIGKILL: the engine's whole tree goes first */
	return prctl(PR_SET_PDEATHSIG, SIGUSR2);
}

static int
slot_signals(struct apw_slot *s)
{
	static const struct { int signo; event_callback_fn on; } table[] = {
		{ SIGQUIT, slot_sig_drain },
		{ SIGTERM, slot_sig_drain },
		{ SIGINT, slot_sig_now },
		{ SIGUSR1, slot_sig_reopen },
		{ SIGCHLD, slot_sig_child },
		{ SIGURG, slot_sig_look },
	};
	size_t	i;

	_Static_assert(APW_COUNT(table) <=
	    sizeof(s->signals) / sizeof(*s->signals), "room for all");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	for (i = 0; i < APW_COUNT(table); i++) {
		s->signals[i] = evsignal_new(s->base, table[i].signo,
		    table[i].on, s);
		if (s->signals[i] == NULL ||
		    event_add(s->signals[i], NULL) == -1)
			return -1;
	}
	return 0;
}

/* Birth and end. */

static int
slot_timers(struct apw_slot *s)
{
	struct timeval	tick = { SLOT_TICK_MS / 1000, 0 };

	s->timer = evtimer_new(s->base, slot_on_timer, s);
	s->tick = event_new(s->base, -1, EV_PERSIST, slot_on_tick, s);
	if (s->timer == NULL || s->tick == NULL)
		return -1;
	slot_on_tick(-1, 0, s);
	return event_add(s->tick, &tick);
}

static int
slot_open_source(struct apw_slot *s, struct apw_err *err)
{
	static struct apw_source_env	env;

	env = (struct apw_source_env){
		.base = s->base, .cycle = s->cycle,
		.conf = APW_MODULE_CONF(s->cycle, s->cycle->source),
		.slot = s->number, .score = s->score,
		.engine_info = slot_engine_info, .mode = slot_mode, .arg = s,
	};
	s->ops = s->cycle->source->ops.source;
	s->source = s->ops->open(&env, &slot_source_events, s, err);
	return s->source == NULL ? -1 : 0;
}

/* One resolver for all that leaves; the daemon's own requests keep to the
 * configuration's rules, which the app cannot widen. */
static int
slot_open_egress(struct apw_slot *s, struct apw_err *err)
{
	const struct apw_egress_rules_conf	conf = { &s->cycle->network,
						    NULL, NULL };
	struct apw_egress_rules			*rules;

	if ((rules = apw_egress_rules_new(&conf, err)) == NULL)
		return -1;
	s->resolver = apw_resolver_new(s->base,
	    apw_egress_rules_resolver(rules), err);
	if (s->resolver != NULL)
		s->poster = apw_poster_new(s->base, rules, s->resolver,
		    s->score);
	if (s->resolver != NULL)
		s->fetcher = apw_fetcher_new(s->base, rules, s->resolver);
	apw_egress_rules_unref(rules);
	if (s->resolver == NULL)
		return -1;
	return s->poster != NULL && s->fetcher != NULL ? 0 : apw_err_set(err, ENOMEM,
	    "cannot make a slot");
}

/* A slot can do without it. */
static void
slot_open_prewarmer(struct apw_slot *s)
{
	const struct apw_stock_conf	*conf = &s->cycle->stock;
	struct apw_job_env		 env = {
		.base = s->base, .cycle = s->cycle,
		.source = s->ops, .source_of = s->source,
		.stock = s->stock, .recipes = s->recipes,
		.poster = s->poster, .fetcher = s->fetcher,
		.publisher = s->publisher,
	};

	if (conf->warm || conf->warm_all)
		s->prewarmer = apw_prewarmer_new(&env, conf->warm_all);
}

static int
slot_open(struct apw_slot *s, struct apw_err *err)
{
	if (apw_tree_init(err) == -1)
		return -1;
	if ((s->base = event_base_new()) == NULL || slot_signals(s) == -1 ||
	    slot_timers(s) == -1)
		return apw_err_set(err, errno, "cannot make an event loop");
	if (slot_watch_birth(s, err) == -1 || slot_open_egress(s, err) == -1)
		return -1;
	if ((s->stock = apw_stock_open(s->base, s->cycle, err)) == NULL)
		return -1;
	apw_stock_score(s->stock, s->score);
	if (slot_engines_open(s, err) == -1)
		return -1;
	if ((s->recipes = apw_recipes_new()) == NULL)
		return apw_err_set(err, ENOMEM, "cannot remember recipes");
	if (slot_journals_open(s) == -1)
		return apw_err_set(err, ENOMEM, "cannot make a slot");
	slot_begin(s);
	if (slot_open_source(s, err) == -1)
		return -1;
	s->publisher = apw_publisher_new(s->ops, s->source, s->fetcher);
	if (s->number == 1 && s->cycle->stock.warm)
		s->warmer = apw_warmer_new(s->base, s->stock, s->ops,
		    s->source);
	if (s->number == 1 && s->publisher != NULL)
		slot_open_prewarmer(s);
	return s->publisher == NULL ? apw_err_set(err, ENOMEM,
	    "cannot make a slot") : 0;
}

static void
slot_close(struct apw_slot *s)
{
	size_t	i;

	slot_prove_forget(s);
	apw_job_free(s->job);
	slot_recover_free(s);
	apw_prewarmer_free(s->prewarmer);
	apw_publisher_free(s->publisher);
	apw_warmer_free(s->warmer);
	if (s->source != NULL)
		s->ops->close(s->source);
	apw_journals_close(s->journals);
	slot_engines_free(s);
	apw_egress_rules_unref(s->rules);
	apw_recipes_free(s->recipes);
	apw_poster_free(s->poster);
	apw_fetcher_free(s->fetcher);
	apw_resolver_free(s->resolver);
	if (s->sandbox_gone != NULL)
		event_free(s->sandbox_gone);
	if (s->builders_gone != NULL)
		event_free(s->builders_gone);
	apw_sandbox_finish();
	if (s->stock != NULL)
		apw_stock_close(s->stock);
	apw_stock_finish();
	apw_tree_sweep(true);
	apw_settings_free(s->settings);
	apw_settings_free(s->next);
	for (i = 0; i < APW_COUNT(s->signals); i++)
		if (s->signals[i] != NULL)
			event_free(s->signals[i]);
	if (s->timer != NULL)
		event_free(s->timer);
	if (s->tick != NULL)
		event_free(s->tick);
	if (s->base != NULL)
		event_base_free(s->base);
}

int
apw_slot_main(const struct apw_cycle *cycle, unsigned number,
    struct apw_score_slot *score)
{
	struct apw_slot	*s = calloc(1, sizeof(*s));
	struct apw_err	 err = APW_ERR_NONE;
	pid_t		 master = getppid();
	char		 room[24];
	int		 status;

	if (number == APW_SCORE_ERRAND)
		snprintf(room, sizeof(room), "errand");
	else
		snprintf(room, sizeof(room), "slot/%u", number);
	apw_log_room(room);
	prctl(PR_SET_NAME, "apworkerd-slot");
	if (s == NULL || slot_follow() == -1 || getppid() != master)
		return APW_EXIT_TEMP;
	s->magic = SLOT_MAGIC;
	s->number = number;
	s->errand = number == APW_SCORE_ERRAND;
	s->cycle = cycle;
	s->score = score;
	if (slot_open(s, &err) == -1) {
		apw_error("slot cannot start", APW_E(&err));
		slot_score_why(s, err.text);
		s->exit_code = APW_EXIT_TEMP;
	} else if (event_base_dispatch(s->base) == -1)
		s->exit_code = APW_EXIT_OS;
	status = s->exit_code;
	slot_close(s);
	free(s);
	return status;
}
