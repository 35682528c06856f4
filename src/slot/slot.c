/* The slot process; see slot.h.  Room: slot.
 *
 *	connect ─ idle ─ busy ─ idle …		the round of a slot
 *	     └── blocked		ready, but must not take a job
 *	   drain ─ leave ─ end		asked to go: a poll that is parked may
 *					still hand out a job, which is run
 *
 * Everything happens on one event loop; nothing here waits outside it. */
#include "slot/slot_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "core/apw_log.h"
#include "core/apw_module.h"
#include "slot/tree.h"

#define SLOT_TICK_MS	1000

static const struct slot_step slot_connect, slot_blocked, slot_idle, slot_busy,
    slot_drain, slot_leave, slot_stop;

static void
slot_go(struct apw_slot *s, const struct slot_step *step)
{
	struct timeval	tv = { step->timeout_ms / 1000,
	    step->timeout_ms % 1000 * 1000 };

	s->step = step;
	apw_score_state(s->score, s->draining ? APW_SLOT_DRAINING :
	    step->score);
	event_del(s->timer);
	if (step->timeout_ms > 0)
		event_add(s->timer, &tv);
	if (step->enter != NULL)
		step->enter(s);
}

static void
slot_score_why(struct apw_slot *s, const char *why)
{
	apw_score_begin(&s->score->seq);
	snprintf(s->score->why, sizeof(s->score->why), "%s", why);
	apw_score_end(&s->score->seq);
}

static void
slot_score_job(struct apw_slot *s, bool busy)
{
	int64_t	since = atomic_load(&s->score->job_since_ms);

	if (!busy && since != 0)
		atomic_fetch_add(&s->score->busy_ms_total,
		    (uint32_t)(apw_now_ms() - since));
	atomic_store(&s->score->job_since_ms, busy ? apw_now_ms() : 0);
	apw_score_begin(&s->score->seq);
	s->score->job_id[0] = s->score->job_type[0] = s->score->phase[0] =
	    '\0';
	apw_score_end(&s->score->seq);
}

static void
slot_score_app(struct apw_slot *s)
{
	apw_score_begin(&s->score->seq);
	snprintf(s->score->mode, sizeof(s->score->mode), "%s",
	    s->settings->mode);
	snprintf(s->score->app_version, sizeof(s->score->app_version), "%s",
	    s->settings->app_version);
	apw_score_end(&s->score->seq);
	apw_stock_release(s->stock, s->settings->app_version);
	apw_recipes_forget(s->recipes);
}

/* Settings: which sandbox, and may it take jobs at all? */

static const struct apw_module *
slot_find_sandbox(const struct apw_cycle *cycle, const char *mode)
{
	const char *const	*m;
	size_t			 i;

	if (cycle->sandbox != NULL)
		return cycle->sandbox;
	for (i = 0; apw_modules[i] != NULL; i++) {
		if (apw_modules[i]->kind != APW_MODULE_SANDBOX)
			continue;
		for (m = apw_modules[i]->ops.sandbox->modes; *m != NULL; m++)
			if (strcmp(*m, mode) == 0)
				return apw_modules[i];
	}
	return NULL;
}

/* What makes the engines' boxes has died, and our engine with it.  We end,
 * and are born again with a new one. */
static void
slot_on_sandbox_gone(evutil_socket_t fd, short what, void *arg)
{
	struct apw_slot	*s;

	(void)fd;
	(void)what;
	APW_CAST(s, arg, SLOT_MAGIC);
	apw_error("the broker has ended: no box can be made any more");
	s->exit_code = APW_EXIT_TEMP;
	s->draining = true;
	if (s->step != &slot_stop)
		slot_go(s, &slot_stop);
}

static int
slot_watch_sandbox(struct apw_slot *s, const struct apw_sandbox_ops *ops,
    const void *conf, struct apw_err *err)
{
	int	fd = ops->watch_fd == NULL ? -1 : ops->watch_fd(conf);

	if (s->sandbox_gone != NULL)
		event_free(s->sandbox_gone);
	s->sandbox_gone = NULL;
	if (fd == -1)
		return 0;
	s->sandbox_gone = event_new(s->base, fd, EV_READ,
	    slot_on_sandbox_gone, s);
	if (s->sandbox_gone == NULL || event_add(s->sandbox_gone, NULL) == -1)
		return apw_err_set(err, errno, "cannot watch the broker");
	return 0;
}

static int
slot_fit_sandbox(struct apw_slot *s, struct apw_err *err)
{
	const struct apw_settings	*set = s->settings;
	const struct apw_module		*m;
	const void			*conf;

	s->sandbox = NULL;
	if ((m = slot_find_sandbox(s->cycle, set->mode)) == NULL)
		return apw_err_set(err, 0, "execution mode %.64s is not one "
		    "this build knows", set->mode);
	conf = APW_MODULE_CONF(s->cycle, m);
	if (m->ops.sandbox->probe(conf, err) == -1)
		return -1;
	if (set->strict)
		return apw_err_set(err, 0, "NETWORK_MODE STRICT is not in "
		    "this build yet: nothing would enforce it");
	if (apw_engine_settings(s->engine, set, m->ops.sandbox, conf,
	    err) == -1 || slot_watch_sandbox(s, m->ops.sandbox, conf,
	    err) == -1)
		return -1;
	s->sandbox = m->ops.sandbox;
	return 0;
}

/* Take over the newest settings; only between jobs, whose environment they
 * are.  What cannot be enforced stops the slot from taking jobs. */
static void
slot_adopt_settings(struct apw_slot *s)
{
	struct apw_settings	*old = s->settings;
	struct apw_err		 err = APW_ERR_NONE;

	if (s->next == NULL)
		return;
	s->settings = s->next;
	s->next = NULL;
	apw_stock_release(s->stock, s->settings->app_version);
	apw_recipes_forget(s->recipes);
	if (slot_fit_sandbox(s, &err) == -1) {
		apw_error("no job can be taken", APW_E(&err));
		apw_engine_retire(s->engine);
		snprintf(s->blocked, sizeof(s->blocked), "%.*s",
		    (int)sizeof(s->blocked) - 1, err.text);
	} else
		s->blocked[0] = '\0';
	slot_score_app(s);
	apw_settings_free(old);
}

/* Where to go when there is nothing in hand. */
static void
slot_rest(struct apw_slot *s)
{
	slot_adopt_settings(s);
	if (s->draining)
		slot_go(s, &slot_leave);
	else if (!s->ready)
		slot_go(s, &slot_connect);
	else if (s->blocked[0] != '\0')
		slot_go(s, &slot_blocked);
	else
		slot_go(s, &slot_idle);
}

/* connect: the source is not ready; it tries by itself, for ever */

static void
slot_leave_now(struct apw_slot *s)
{
	slot_go(s, &slot_leave);
}

static const struct slot_step slot_connect = {
	.name = "connect",
	.score = APW_SLOT_CONNECTING,
	.on_ready = slot_rest,
	.on_drain = slot_leave_now,
};

/* blocked: the source is ready, we are not fit for its jobs */

static void
slot_blocked_enter(struct apw_slot *s)
{
	slot_score_why(s, s->blocked);
}

static const struct slot_step slot_blocked = {
	.name = "blocked",
	.score = APW_SLOT_BLOCKED,
	.enter = slot_blocked_enter,
	.on_ready = slot_rest,
	.on_lost = slot_rest,
	.on_drain = slot_leave_now,
};

/* idle: a job is wanted */

static void
slot_idle_enter(struct apw_slot *s)
{
	slot_score_why(s, "");
	s->ops->want(s->source);
}

static void
slot_on_job_end(void *arg)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	apw_job_free(s->job);
	s->job = NULL;
	apw_log_job(NULL);
	slot_score_job(s, false);
	slot_rest(s);
}

/* A job that came is run, also while draining: nobody else would. */
static void
slot_take(struct apw_slot *s, struct apw_str text)
{
	struct apw_job_env	env = {
		.base = s->base, .cycle = s->cycle,
		.source = s->ops, .source_of = s->source,
		.stock = s->stock, .engine = s->engine,
		.recipes = s->recipes,
		.settings = s->settings, .sandbox = s->sandbox,
		.score = s->score,
		.on_end = slot_on_job_end, .arg = s,
	};

	APW_ASSERT(s->job == NULL && s->sandbox != NULL);
	s->job = apw_job_new(&env, text);
	if (s->job == NULL) {
		apw_alert("no memory for a job: the app will give it out "
		    "again");
		slot_rest(s);
		return;
	}
	slot_go(s, &slot_busy);
	slot_score_job(s, true);
	atomic_fetch_add(&s->score->jobs_started, 1);
	apw_job_begin(s->job);
}

/* The settings may have changed while the poll was parked: a job is run
 * under those it was given out with. */
static void
slot_idle_ready(struct apw_slot *s)
{
	slot_adopt_settings(s);
	if (s->blocked[0] != '\0') {
		s->ops->unwant(s->source);	/* then on_idle, or a last job */
		return;
	}
	apw_score_state(s->score, APW_SLOT_IDLE);
	slot_score_why(s, "");
}

static void
slot_idle_job(struct apw_slot *s, struct apw_str text)
{
	if (s->sandbox == NULL) {	/* became unfit while it was parked */
		apw_error("a job came that cannot be run here: the app will "
		    "give it out again", APW_S("why", s->blocked));
		slot_rest(s);
		return;
	}
	slot_take(s, text);
}

static void
slot_to_drain(struct apw_slot *s)
{
	slot_go(s, &slot_drain);
}

static const struct slot_step slot_idle = {
	.name = "idle",
	.score = APW_SLOT_IDLE,
	.enter = slot_idle_enter,
	.on_ready = slot_idle_ready,
	.on_job = slot_idle_job,
	.on_idle = slot_rest,
	.on_drain = slot_to_drain,
};

/* busy: a job is in hand; it has its own steps and deadlines */

/* From 0.86 on the app takes the job back with the connection. */
static void
slot_busy_lost(struct apw_slot *s)
{
	if (s->settings->release >= APW_RELEASE(0, 86, 0))
		apw_job_abandon(s->job, "the connection was lost: the app "
		    "has put the job back");
}

static const struct slot_step slot_busy = {
	.name = "busy",
	.score = APW_SLOT_BUSY,
	.on_lost = slot_busy_lost,
};

/* drain: a parked poll is called off; a job that still comes is run */

static void
slot_drain_enter(struct apw_slot *s)
{
	s->ops->unwant(s->source);
}

static void
slot_drain_timeout(struct apw_slot *s)
{
	apw_warn("the parked poll was not answered in time");
	slot_go(s, &slot_leave);
}

static const struct slot_step slot_drain = {
	.name = "drain",
	.score = APW_SLOT_DRAINING,
	.enter = slot_drain_enter,
	.on_job = slot_idle_job,
	.on_idle = slot_leave_now,
	.on_timeout = slot_drain_timeout, .timeout_ms = 90000,
};

/* leave: say good-bye to the source, end the engine */

static void
slot_on_left(void *arg)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	slot_go(s, &slot_stop);
}

static void
slot_leave_enter(struct apw_slot *s)
{
	s->draining = true;
	s->ops->leave(s->source, slot_on_left, s);
}

static void
slot_leave_timeout(struct apw_slot *s)
{
	slot_go(s, &slot_stop);
}

static const struct slot_step slot_leave = {
	.name = "leave",
	.score = APW_SLOT_DRAINING,
	.enter = slot_leave_enter,
	.on_timeout = slot_leave_timeout, .timeout_ms = 3000,
};

/* stop: nothing of ours stays behind */

static void
slot_on_stopped(void *arg)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	event_base_loopbreak(s->base);
}

static void
slot_stop_enter(struct apw_slot *s)
{
	if (s->job != NULL) {
		apw_warn("the job in hand is left: the app will give it out "
		    "again when its lock has run out");
		apw_job_free(s->job);
		s->job = NULL;
	}
	apw_engine_shutdown(s->engine, slot_on_stopped, s);
}

static void
slot_stop_timeout(struct apw_slot *s)
{
	event_base_loopbreak(s->base);
}

static const struct slot_step slot_stop = {
	.name = "stop",
	.score = APW_SLOT_DRAINING,
	.enter = slot_stop_enter,
	.on_timeout = slot_stop_timeout, .timeout_ms = 8000,
};

/* What the source tells. */

static void
slot_source_ready(void *arg, struct apw_str text)
{
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_settings	*next;
	struct apw_slot		*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	next = apw_settings_read(s->cycle, text, &err);
	if (next == NULL) {
		apw_error("the app's settings cannot be used", APW_E(&err));
		if (s->settings == NULL) {
			slot_score_why(s, err.text);
			return;
		}
	}
	s->ready = true;
	apw_settings_free(next == NULL ? NULL : s->next);
	s->next = next == NULL ? s->next : next;
	if (s->step->on_ready != NULL)
		s->step->on_ready(s);
}

static void
slot_source_lost(void *arg, const char *reason)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	s->ready = false;
	apw_notice("connection to the source lost", APW_S("reason", reason));
	slot_score_why(s, reason);
	if (s->step == &slot_idle)		/* the wish stands */
		apw_score_state(s->score, APW_SLOT_CONNECTING);
	if (s->step->on_lost != NULL)
		s->step->on_lost(s);
}

static void
slot_source_blocked(void *arg, const char *why)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	slot_score_why(s, why == NULL ? "" : why);
	if (s->step == &slot_idle)
		apw_score_state(s->score, why != NULL ? APW_SLOT_BLOCKED :
		    APW_SLOT_IDLE);
}

static void
slot_source_job(void *arg, struct apw_str text)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	atomic_store(&s->score->last_poll_ms, apw_now_ms());
	if (s->step->on_job != NULL)
		s->step->on_job(s, text);
	else
		apw_alert("a job came that nobody asked for",
		    APW_S("step", s->step->name));
}

static void
slot_source_idle(void *arg)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	if (s->step->on_idle != NULL)
		s->step->on_idle(s);
}

static const struct apw_source_events slot_source_events = {
	.on_ready = slot_source_ready,
	.on_lost = slot_source_lost,
	.on_blocked = slot_source_blocked,
	.on_job = slot_source_job,
	.on_idle = slot_source_idle,
};

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

static void
slot_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct apw_slot	*s;

	(void)fd;
	(void)what;
	APW_CAST(s, arg, SLOT_MAGIC);
	atomic_store(&s->score->tick_ms, apw_now_ms());
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
	if (s->step != &slot_stop)
		slot_go(s, &slot_stop);
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

/* Orphans of a living engine that end: their bodies are ours to take. */
static void
slot_sig_child(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	apw_tree_sweep(false);
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

static int
slot_open(struct apw_slot *s, struct apw_err *err)
{
	struct apw_engine_env	env = { .cycle = s->cycle, .score = s->score,
	    .slot = s->number };

	if (apw_tree_init(err) == -1)
		return -1;
	if ((s->base = event_base_new()) == NULL || slot_signals(s) == -1 ||
	    slot_timers(s) == -1)
		return apw_err_set(err, errno, "cannot make an event loop");
	env.base = s->base;
	if ((s->stock = apw_stock_open(s->base, s->cycle, err)) == NULL)
		return -1;
	env.stock = s->stock;
	if ((s->engine = apw_engine_new(&env, err)) == NULL)
		return -1;
	if ((s->recipes = apw_recipes_new()) == NULL)
		return apw_err_set(err, ENOMEM, "cannot remember recipes");
	s->step = &slot_connect;
	apw_score_state(s->score, APW_SLOT_CONNECTING);
	return slot_open_source(s, err);
}

static void
slot_close(struct apw_slot *s)
{
	size_t	i;

	apw_job_free(s->job);
	if (s->source != NULL)
		s->ops->close(s->source);
	apw_engine_free(s->engine);
	apw_recipes_free(s->recipes);
	if (s->sandbox_gone != NULL)
		event_free(s->sandbox_gone);
	apw_sandbox_finish();
	if (s->stock != NULL)
		apw_stock_close(s->stock);
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

	snprintf(room, sizeof(room), "slot/%u", number);
	apw_log_room(room);
	prctl(PR_SET_NAME, "apworkerd-slot");
	/* SIGINT, not SIGKILL: the engine's whole tree goes first */
	prctl(PR_SET_PDEATHSIG, SIGINT);
	if (s == NULL || getppid() != master)
		return APW_EXIT_TEMP;
	s->magic = SLOT_MAGIC;
	s->number = number;
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
