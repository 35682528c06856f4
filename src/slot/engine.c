/* The life of the engine, step by step; see engine.h.  Room: slot.
 *
 *	cold ─ boot ─ idle ─ ready ─ run        a warm engine goes round
 *	  └── sweep ── linger, lost, dying ──┘  every end comes through sweep
 *
 * A step is one struct: what happens on each event, and its deadline.  There
 * is one watcher for the process from start to end, so an exit is noticed in
 * every step. */
#include "slot/engine_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "slot/command.h"
#include "slot/tree.h"

#define ENGINE_SWEEP_MS		5	/* between two looks at what is left */
#define ENGINE_REFUSED_MS	3000	/* for the right one to come after a wrong one */
#define ENGINE_REFUSALS_LOGGED	10	/* of one engine */
#define ENGINE_MIB		(1024 * 1024)

static const struct engine_step engine_cold, engine_boot, engine_idle,
    engine_ready, engine_run, engine_linger, engine_lost, engine_dying,
    engine_sweep, engine_failed;

static void
engine_go(struct apw_engine *e, const struct engine_step *step)
{
	int64_t		ms = step->timeout_ms;
	struct timeval	tv;

	e->step = step;
	if (step->limit != NULL)
		ms = step->limit(e);
	event_del(e->timer);
	if (ms > 0) {
		tv.tv_sec = ms / 1000;
		tv.tv_usec = ms % 1000 * 1000;
		event_add(e->timer, &tv);
	}
}

static void
engine_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_engine	*e;

	(void)fd;
	(void)what;
	APW_CAST(e, arg, ENGINE_MAGIC);
	if (e->step->on_timeout != NULL)
		e->step->on_timeout(e);
}

void
engine_on_exit(evutil_socket_t fd, short what, void *arg)
{
	struct apw_engine	*e;

	(void)fd;
	(void)what;
	APW_CAST(e, arg, ENGINE_MAGIC);
	APW_ASSERT(e->step->on_exit != NULL);
	e->step->on_exit(e);
}

/* Start one for the job that waits.  A failure is told from the loop. */
static void
engine_start(struct apw_engine *e)
{
	struct apw_err	err = APW_ERR_NONE;

	e->wanted = false;
	e->serving = true;
	e->lost[0] = e->refused[0] = '\0';
	e->refusals = 0;
	if (engine_process_start(e, &err) == 0) {
		engine_go(e, &engine_boot);
		return;
	}
	engine_process_kill(e);
	engine_process_forget(e);
	apw_engine_link_reset(e->link);
	e->start_error = err;
	engine_go(e, &engine_failed);
}

/* Nothing is left of the last one. */
static void
engine_clean(struct apw_engine *e)
{
	void	(*done)(void *) = e->done;

	engine_go(e, &engine_cold);
	event_del(e->sweep_timer);
	if (done != NULL) {
		e->done = NULL;
		done(e->done_arg);
	} else if (e->wanted)
		engine_start(e);
}

static void
engine_on_sweep(evutil_socket_t fd, short what, void *arg)
{
	struct timeval		 tv = { 0, ENGINE_SWEEP_MS * 1000 };
	struct apw_engine	*e;

	(void)fd;
	(void)what;
	APW_CAST(e, arg, ENGINE_MAGIC);
	if (apw_tree_sweep(true) == 0)
		engine_clean(e);
	else
		event_add(e->sweep_timer, &tv);
}

static void
engine_sweep_timeout(struct apw_engine *e)
{
	apw_alert("processes of an ended engine do not end",
	    APW_S("sandbox", e->sandbox_id));
	engine_clean(e);
}

/* What the app and the log are told about the end. */
static void
engine_evidence(struct apw_engine *e, struct apw_buf *out, struct apw_buf *err)
{
	struct apw_evidence	*ev = &e->evidence;
	const char *const	*words;

	for (words = apw_verdict_heap_words; *words != NULL; words++)
		if (apw_stream_has(&e->capture.fd_err, *words) ||
		    apw_stream_has(&e->capture.err, *words))
			ev->heap_text = true;
	ev->log_size_text =
	    apw_stream_has(&e->capture.err, apw_verdict_log_size_words) ||
	    apw_stream_has(&e->capture.fd_err, apw_verdict_log_size_words);
	ev->lost = e->lost[0] != '\0' ? e->lost : NULL;
	ev->refused = e->refused[0] != '\0' ? e->refused : NULL;
	apw_capture_text(&e->capture, 1, true, out);
	apw_capture_text(&e->capture, 2, true, err);
	ev->out = apw_buf_view(out);
	ev->err = apw_buf_view(err);
}

static void
engine_to_sweep(struct apw_engine *e)
{
	if (e->link != NULL)
		apw_engine_link_reset(e->link);
	engine_go(e, &engine_sweep);
	event_active(e->sweep_timer, EV_TIMEOUT, 0);
}

/* The end of a process is known and it has been reaped: clean up below it,
 * and tell the job if it was the job's. */
static void
engine_finish(struct apw_engine *e)
{
	struct apw_evidence	*ev = &e->evidence;
	struct apw_buf		 out = APW_BUF_INIT(0), err = APW_BUF_INIT(0);
	bool			 serving = e->serving;

	e->serving = false;
	engine_to_sweep(e);
	if (serving) {
		atomic_fetch_add(&e->env.score->engine_deaths, 1);
		engine_evidence(e, &out, &err);
		apw_warn("engine ended", APW_S("sandbox", e->sandbox_id),
		    APW_S("verdict", apw_verdict_name(apw_verdict(ev))),
		    APW_I("code", ev->code), APW_I("signal", ev->signal),
		    APW_I("ran_ms", ev->ran_ms),
		    APW_S("lost", ev->lost), APW_S("refused", ev->refused));
		apw_capture_end(&e->capture);
		e->events.on_gone(e->arg, ev, NULL);
	} else if (ev->ours == NULL && !ev->timer) {
		atomic_fetch_add(&e->env.score->engine_deaths, 1);
		apw_warn("idle engine ended", APW_S("sandbox", e->sandbox_id),
		    APW_I("code", ev->code), APW_I("signal", ev->signal),
		    APW_I("ran_ms", ev->ran_ms));
	}
	apw_buf_free(&out);
	apw_buf_free(&err);
}

/* Kill the process; its end leads to engine_finish(). */
static void
engine_end(struct apw_engine *e, bool timer, const char *why)
{
	e->evidence.timer = timer;
	e->evidence.ours = timer ? NULL : why;
	engine_process_kill(e);
	engine_go(e, &engine_dying);
}

/* boot: started, has not called back */

static int64_t
engine_boot_limit(const struct apw_engine *e)
{
	return e->env.cycle->engine.start_timeout_ms;
}

static void
engine_boot_link(struct apw_engine *e)
{
	e->evidence.connected = true;
	apw_info("engine ready", APW_S("sandbox", e->sandbox_id),
	    APW_I("boot_ms", apw_now_ms() - e->booted_ms));
	apw_capture_end(&e->capture);
	if (!e->serving) {
		engine_go(e, &engine_idle);
		return;
	}
	e->jobs = 1;
	engine_go(e, &engine_ready);
	e->events.on_ready(e->arg);
}

static void
engine_exit_now(struct apw_engine *e)
{
	engine_process_reap(e);
	engine_finish(e);
}

static void
engine_boot_timeout(struct apw_engine *e)
{
	static char	why[64];

	snprintf(why, sizeof(why), "did not connect within %lld seconds",
	    (long long)(apw_now_ms() - e->booted_ms + 500) / 1000);
	engine_end(e, false, why);
}

static const struct engine_step engine_boot = {
	.name = "boot",
	.on_link = engine_boot_link,
	.on_exit = engine_exit_now,
	.on_timeout = engine_boot_timeout,
	.limit = engine_boot_limit,
};

/* idle: warm, nobody's */

static void
engine_reuse_case(const struct apw_engine *e, struct apw_reuse_case *c)
{
	const struct apw_engine_conf	*conf = &e->env.cycle->engine;

	*c = (struct apw_reuse_case){
		.key = e->settings->reuse, .warm = e->sandbox->warm,
		.max_jobs = conf->max_jobs, .max_age_ms = conf->max_age_ms,
		.jobs = e->jobs, .age_ms = apw_now_ms() - e->booted_ms,
		.stale = e->booted_from != e->fingerprint ||
		    e->booted_stock != apw_stock_generation(e->env.stock),
		.was = e->tenant, .is = e->next,
	};
}

static int64_t
engine_idle_limit(const struct apw_engine *e)
{
	int64_t	max = e->env.cycle->engine.max_age_ms, age;

	if (max == 0)
		return 0;
	age = apw_now_ms() - e->booted_ms;
	return age < max ? max - age : 1;
}

static void
engine_idle_timeout(struct apw_engine *e)
{
	engine_end(e, false, "it reached its age");
}

/* The process is gone, but its connection may hold its last words. */
static void
engine_exit_linger(struct apw_engine *e)
{
	engine_process_reap(e);
	if (apw_engine_link_connected(e->link))
		engine_go(e, &engine_linger);
	else
		engine_finish(e);
}

/* Its connection is gone: most often its process is about to be. */
static void
engine_to_lost(struct apw_engine *e)
{
	engine_go(e, &engine_lost);
}

static const struct engine_step engine_idle = {
	.name = "idle",
	.on_lost = engine_to_lost,
	.on_exit = engine_exit_now,
	.on_timeout = engine_idle_timeout,
	.limit = engine_idle_limit,
};

/* ready: a job has it, the operation has not been sent */

static void
engine_ready_timeout(struct apw_engine *e)
{
	engine_end(e, false, "no operation was sent to it");
}

static const struct engine_step engine_ready = {
	.name = "ready",
	.on_lost = engine_to_lost,
	.on_exit = engine_exit_linger,
	.on_timeout = engine_ready_timeout, .timeout_ms = 60000,
};

/* run: an operation is in hand; its time limit is the job's to watch */

static void
engine_run_result(struct apw_engine *e, struct apw_str response)
{
	apw_capture_end(&e->capture);
	engine_go(e, &engine_ready);
	e->events.on_result(e->arg, response);
}

static const struct engine_step engine_run = {
	.name = "run",
	.on_result = engine_run_result,
	.on_lost = engine_to_lost,
	.on_exit = engine_exit_linger,
};

/* linger: the process has been reaped, the connection not read to its end */

static void
engine_linger_result(struct apw_engine *e, struct apw_str response)
{
	apw_capture_end(&e->capture);
	e->serving = false;
	engine_to_sweep(e);
	e->events.on_result(e->arg, response);
}

static const struct engine_step engine_linger = {
	.name = "linger",
	.on_result = engine_linger_result,
	.on_lost = engine_finish,
	.on_timeout = engine_finish, .timeout_ms = 200,
};

/* lost: no connection any more, the process is still there */

static void
engine_lost_timeout(struct apw_engine *e)
{
	engine_end(e, false, "its connection was lost");
}

static const struct engine_step engine_lost = {
	.name = "lost",
	.on_exit = engine_exit_now,
	.on_timeout = engine_lost_timeout, .timeout_ms = 1000,
};

/* dying: killed by us */

static void
engine_dying_timeout(struct apw_engine *e)
{
	apw_alert("engine does not end after SIGKILL",
	    APW_I("pid", e->child.pid));
	engine_exit_now(e);
}

static const struct engine_step engine_dying = {
	.name = "dying",
	.on_exit = engine_exit_now,
	.on_timeout = engine_dying_timeout, .timeout_ms = 5000,
};

/* sweep: what it left below us is being ended */

static const struct engine_step engine_sweep = {
	.name = "sweep",
	.on_timeout = engine_sweep_timeout, .timeout_ms = 2000,
};

/* failed: could not even be started; told from the loop */

static void
engine_failed_tell(struct apw_engine *e)
{
	bool	serving = e->serving;

	e->serving = false;
	engine_go(e, &engine_cold);
	if (serving)
		e->events.on_gone(e->arg, NULL, &e->start_error);
}

static const struct engine_step engine_failed = {
	.name = "failed",
	.on_timeout = engine_failed_tell, .timeout_ms = 1,
};

static const struct engine_step engine_cold = {
	.name = "cold",			/* no process: nothing to wait for */
};

/* What the link tells. */

static void
engine_link_ready(void *arg)
{
	struct apw_engine	*e;

	APW_CAST(e, arg, ENGINE_MAGIC);
	if (e->step->on_link != NULL)
		e->step->on_link(e);
}

static void
engine_link_refused(void *arg, const char *why)
{
	struct timeval		 tv = { ENGINE_REFUSED_MS / 1000, 0 };
	struct apw_engine	*e;

	APW_CAST(e, arg, ENGINE_MAGIC);
	if (e->refusals++ < ENGINE_REFUSALS_LOGGED)
		apw_warn("a connection to the engine link was refused",
		    APW_S("why", why));
	if (e->step != &engine_boot || e->refused[0] != '\0')
		return;
	/* if it was our engine it will not try again: wait a little for the
	 * right one, not the whole start time */
	snprintf(e->refused, sizeof(e->refused), "%s", why);
	if (engine_boot_limit(e) - (apw_now_ms() - e->booted_ms) >
	    ENGINE_REFUSED_MS)
		event_add(e->timer, &tv);
}

static void
engine_link_result(void *arg, struct apw_str response)
{
	struct apw_engine	*e;

	APW_CAST(e, arg, ENGINE_MAGIC);
	if (e->step->on_result != NULL)
		e->step->on_result(e, response);
}

static void
engine_link_call(void *arg, uint32_t call, struct apw_str method,
    struct apw_str payload)
{
	struct apw_engine	*e;

	APW_CAST(e, arg, ENGINE_MAGIC);
	if (e->serving && (e->step == &engine_run || e->step == &engine_linger))
		e->events.on_call(e->arg, call, method, payload);
	else
		apw_engine_link_answer(e->link, call, NULL,
		    "no operation is being executed");
}

static void
engine_link_output(void *arg, int fd, struct apw_str text)
{
	struct apw_engine	*e;

	APW_CAST(e, arg, ENGINE_MAGIC);
	apw_capture_add(&e->capture, fd, false, text);
}

static void
engine_link_lost(void *arg, const char *reason)
{
	struct apw_engine	*e;

	APW_CAST(e, arg, ENGINE_MAGIC);
	snprintf(e->lost, sizeof(e->lost), "%s", reason);
	if (e->step->on_lost != NULL)
		e->step->on_lost(e);
}

static const struct apw_engine_link_events engine_link_events = {
	.on_ready = engine_link_ready,
	.on_refused = engine_link_refused,
	.on_result = engine_link_result,
	.on_call = engine_link_call,
	.on_output = engine_link_output,
	.on_lost = engine_link_lost,
};

/* AUTO is the dialect of the releases that are current: with a token. */
static enum apw_engine_dialect
engine_dialect(enum apw_dialect d)
{
	switch (d) {
	case APW_DIALECT_A:
		return APW_ENGINE_DIALECT_A;
	case APW_DIALECT_B0:
		return APW_ENGINE_DIALECT_B0;
	case APW_DIALECT_B2:
		return APW_ENGINE_DIALECT_B2;
	default:
		return APW_ENGINE_DIALECT_B1;
	}
}

struct apw_engine *
apw_engine_new(const struct apw_engine_env *env, struct apw_err *err)
{
	struct apw_engine	*e = calloc(1, sizeof(*e));

	if (e == NULL) {
		apw_err_set(err, ENOMEM, "cannot make an engine");
		return NULL;
	}
	e->magic = ENGINE_MAGIC;
	e->env = *env;
	e->step = &engine_cold;
	apw_capture_init(&e->capture, env->cycle->engine.output_bytes);
	e->timer = evtimer_new(env->base, engine_on_timer, e);
	e->sweep_timer = evtimer_new(env->base, engine_on_sweep, e);
	if (e->timer == NULL || e->sweep_timer == NULL) {
		apw_err_set(err, ENOMEM, "cannot make an engine's timers");
		apw_engine_free(e);
		return NULL;
	}
	return e;
}

/* A message may be as large as a file and its envelope. */
static int
engine_open_link(struct apw_engine *e, const struct apw_settings *s,
    struct apw_err *err)
{
	struct apw_engine_link_conf	conf = {
		.dialect = engine_dialect(e->env.cycle->engine.dialect),
		.max_payload_bytes = (size_t)(s->file_mb + 4 > 100 ?
		    s->file_mb + 4 : 100) * ENGINE_MIB,
		.max_call_bytes = (size_t)e->env.cycle->engine.calls_bytes,
	};

	if (e->link == NULL)
		e->link = apw_engine_link_new(e->env.base, &conf,
		    &engine_link_events, e, err);
	return e->link == NULL ? -1 : 0;
}

int
apw_engine_settings(struct apw_engine *e, const struct apw_settings *s,
    const struct apw_sandbox_ops *sandbox, const void *sandbox_conf,
    struct apw_err *err)
{
	struct apw_command_in	in = {
		.cycle = e->env.cycle, .settings = s, .sandbox = sandbox,
		.sandbox_conf = sandbox_conf,
		.bundle = apw_stock_engine(e->env.stock),
		.codes = apw_stock_codes(e->env.stock),
	};

	if (engine_open_link(e, s, err) == -1)
		return -1;
	/* a process is ended by the module that made it */
	if (e->sandbox != NULL && e->sandbox != sandbox && e->child.pid != 0)
		engine_process_kill(e);
	e->settings = s;
	e->sandbox = sandbox;
	e->sandbox_conf = sandbox_conf;
	e->fingerprint = apw_command_fingerprint(&in);
	return 0;
}

void
apw_engine_retire(struct apw_engine *e)
{
	APW_ASSERT(!e->taken);
	e->settings = NULL;
	e->fingerprint = 0;
	if (e->child.pid != 0 && e->step != &engine_dying)
		engine_end(e, false, "the settings do not fit");
}

/* The first job's tenant stays with the engine. */
static void
engine_keep_tenant(struct apw_engine *e)
{
	const char	*from[] = { e->next.platform_id, e->next.project_id,
	    e->next.flow_id, e->next.flow_version_id };
	const char	**to[] = { &e->tenant.platform_id,
	    &e->tenant.project_id, &e->tenant.flow_id,
	    &e->tenant.flow_version_id };
	size_t		 n = 0, i;
	char		*p;

	for (i = 0; i < APW_COUNT(from); i++)
		n += from[i] == NULL ? 0 : strlen(from[i]) + 1;
	free(e->tenant_text);
	p = e->tenant_text = malloc(n + 1);
	for (i = 0; i < APW_COUNT(from); i++) {
		*to[i] = NULL;
		if (p != NULL && from[i] != NULL) {
			*to[i] = strcpy(p, from[i]);
			p += strlen(p) + 1;
		}
	}
}

int
apw_engine_acquire(struct apw_engine *e, const struct apw_tenant *tenant,
    const struct apw_engine_events *events, void *arg)
{
	struct apw_reuse_case	 c;
	struct apw_err		 err = APW_ERR_NONE;
	const char		*why;

	APW_ASSERT(!e->taken);
	e->taken = true;
	e->events = *events;
	e->arg = arg;
	e->next = *tenant;
	if (e->step == &engine_idle) {
		engine_reuse_case(e, &c);
		why = apw_reuse_refused(&c);
		if (why == NULL && e->sandbox->admit != NULL &&
		    e->sandbox->admit(e->sandbox_conf, tenant->flow_version_id,
		    tenant->platform_id, &err) == -1) {
			apw_warn("nothing can be admitted to a warm engine",
			    APW_E(&err));
			why = "the flow's code cannot be admitted";
		}
		if (why == NULL) {
			if (e->jobs++ == 0)
				engine_keep_tenant(e);
			e->serving = true;
			engine_go(e, &engine_ready);
			return 1;
		}
		apw_info("engine is not reused", APW_S("why", why));
		engine_end(e, false, why);
	}
	engine_keep_tenant(e);
	if (e->step == &engine_cold)
		engine_start(e);
	else
		e->wanted = true;
	return 0;
}

int
apw_engine_execute(struct apw_engine *e, const char *type,
    const struct apw_str *parts, size_t nparts, struct apw_err *err)
{
	if (e->step != &engine_ready || !e->serving)
		return apw_err_set(err, 0, "the engine is not there");
	apw_capture_begin(&e->capture);
	if (apw_engine_link_execute(e->link, type, parts, nparts, err) == -1)
		return -1;
	engine_go(e, &engine_run);
	return 0;
}

void
apw_engine_answer(struct apw_engine *e, uint32_t call,
    const struct apw_str *result, const char *error)
{
	apw_engine_link_answer(e->link, call, result, error);
}

void
apw_engine_kill(struct apw_engine *e, bool timer, const char *why)
{
	if (!e->serving || e->child.pid == 0 || e->step == &engine_dying)
		return;
	engine_end(e, timer, why);
}

void
apw_engine_release(struct apw_engine *e)
{
	struct apw_reuse_case	c;

	e->taken = e->serving = e->wanted = false;
	if (e->step == &engine_ready) {
		engine_reuse_case(e, &c);
		if (apw_reuse_keeps(&c))
			engine_go(e, &engine_idle);
		else
			engine_end(e, false, "it is not kept");
	} else if (e->step == &engine_boot || e->step == &engine_run)
		engine_end(e, false, "its job was given up");
	else if (e->step == &engine_failed)
		engine_go(e, &engine_cold);
}

const struct apw_capture *
apw_engine_capture(const struct apw_engine *e)
{
	return &e->capture;
}

bool
apw_engine_info(const struct apw_engine *e, const char **sandbox_id,
    pid_t *pid, bool *busy)
{
	if (e == NULL || e->child.pid == 0)
		return false;
	*sandbox_id = e->sandbox_id;
	*pid = e->child.pid;
	*busy = e->taken;
	return true;
}

void
apw_engine_shutdown(struct apw_engine *e, void (*done)(void *), void *arg)
{
	e->done = done;
	e->done_arg = arg;
	e->taken = e->serving = e->wanted = false;
	if (e->child.pid != 0 && e->step != &engine_dying)
		engine_end(e, false, "the slot ends");
	else if (e->child.pid == 0 && e->step != &engine_sweep)
		engine_to_sweep(e);
}

void
apw_engine_free(struct apw_engine *e)
{
	if (e == NULL)
		return;
	engine_process_kill(e);
	engine_process_forget(e);
	apw_engine_link_free(e->link);
	if (e->timer != NULL)
		event_free(e->timer);
	if (e->sweep_timer != NULL)
		event_free(e->sweep_timer);
	apw_capture_free(&e->capture);
	free(e->tenant_text);
	free(e);
}
