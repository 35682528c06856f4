/* The steps of an engine's life.  Room: slot.
 *
 *	cold ─ boot ─ idle ─ ready ─ run	a warm engine goes round
 *	  └─ sweep ─ linger, lost, dying	every end comes through sweep
 *			late ─┘		killed, and held by the kernel
 *
 * A step is one struct: what happens on each event, and its deadline.  There
 * is one watcher for the process from start to end, so an exit is noticed in
 * every step. */
#include "slot/engine_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "slot/tree.h"

#define ENGINE_SWEEP_MS		5	/* between two looks at what is left */

static const struct engine_step engine_lost;

void
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

void
engine_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_engine	*e;

	(void)fd;
	(void)what;
	APW_CAST(e, arg, ENGINE_MAGIC);
	if (e->step->on_timeout != NULL)
		e->step->on_timeout(e);
}

static bool
engine_maker_gone(const struct apw_engine *e)
{
	struct pollfd	p = { .fd = -1, .events = POLLIN };

	if (e->sandbox->watch_fd != NULL)
		p.fd = e->sandbox->watch_fd(e->sandbox_conf);
	return p.fd != -1 && poll(&p, 1, 0) == 1;
}

void
engine_on_exit(evutil_socket_t fd, short what, void *arg)
{
	struct apw_engine	*e;

	(void)fd;
	(void)what;
	APW_CAST(e, arg, ENGINE_MAGIC);
	APW_ASSERT(e->step->on_exit != NULL);
	/* it died with what made its box, and is not to blame: the slot is
	 * about to hear of it, and leaves its job to the next one */
	if (e->step != &engine_dying && engine_maker_gone(e))
		return;
	e->step->on_exit(e);
}

/* Start one for the job that waits.  A failure is told from the loop. */
void
engine_start(struct apw_engine *e)
{
	struct apw_err	err = APW_ERR_NONE;

	e->wanted = false;
	e->serving = true;
	e->lost[0] = e->refused[0] = '\0';
	if (e->step != &engine_queue)
		e->queued_ms = apw_now_ms();
	if (engine_process_start(e, &err) == 0) {
		engine_go(e, &engine_boot);
		return;
	}
	engine_process_kill(e);
	engine_process_forget(e);
	apw_engine_link_reset(e->link);
	e->start_error = err;
	if (e->shares_port && err.code == EADDRINUSE &&
	    apw_now_ms() - e->queued_ms <
	    e->env.cycle->engine.start_timeout_ms) {
		engine_go(e, &engine_queue);
		return;
	}
	/* nothing of the job's is in there yet, but for the names of its code */
	if (e->start_error.fault == APW_FAULT_UNKNOWN)
		apw_err_blame(&e->start_error, APW_FAULT_HOST);
	/* a box that does not prove itself says so by not starting */
	e->unfit = e->fence != APW_FENCE_NONE;
	engine_go(e, &engine_failed);
}

/* queue: the engine of another slot is on its way over the port they share */

const struct engine_step engine_queue = {
	.name = "queue",
	.on_timeout = engine_start, .timeout_ms = 50,
};

/* For a job that has not come: nobody waits, and nobody's code is in there. */
void
engine_start_ahead(struct apw_engine *e)
{
	struct apw_err	err = APW_ERR_NONE;

	free(e->tenant_text);
	e->tenant_text = NULL;
	memset(&e->tenant, 0, sizeof(e->tenant));
	e->serving = false;
	e->lost[0] = e->refused[0] = '\0';
	if (engine_process_start(e, &err) == 0) {
		engine_go(e, &engine_boot);
		return;
	}
	apw_notice_often("no engine can stand by", APW_E(&err));
	e->unfit = e->fence != APW_FENCE_NONE;
	e->ahead_failed_ms = apw_now_ms();
	engine_process_kill(e);
	engine_process_forget(e);
	apw_engine_link_reset(e->link);
	engine_to_sweep(e);
	e->env.on_ahead(e->env.arg, err.text);
}

/* Nothing is left of the last one. */
static void
engine_clean(struct apw_engine *e)
{
	void	(*done)(void *) = e->done;
	bool	late = e->late;

	e->late = false;
	engine_go(e, &engine_cold);
	event_del(e->sweep_timer);
	if (done != NULL) {
		e->done = NULL;
		done(e->done_arg);
	} else if (e->wanted)
		engine_start(e);
	if (late)
		e->env.on_late(e->env.arg, false);
}

void
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

void
engine_to_sweep(struct apw_engine *e)
{
	if (e->link != NULL)
		apw_engine_link_reset(e->link);
	engine_go(e, &engine_sweep);
	event_active(e->sweep_timer, EV_TIMEOUT, 0);
}

static void
engine_tell_job(struct apw_engine *e)
{
	struct apw_evidence	*ev = &e->evidence;
	struct apw_buf		 out = APW_BUF_INIT(0), err = APW_BUF_INIT(0);

	atomic_fetch_add(&e->env.score->engine_deaths, 1);
	engine_evidence(e, &out, &err);
	apw_warn("engine ended", APW_S("sandbox", e->sandbox_id),
	    APW_S("verdict", apw_verdict_name(apw_verdict(ev))),
	    APW_I("code", ev->code), APW_I("signal", ev->signal),
	    APW_I("ran_ms", ev->ran_ms),
	    APW_S("lost", ev->lost), APW_S("refused", ev->refused));
	apw_capture_end(&e->capture);
	e->events.on_gone(e->arg, ev, NULL);
	apw_buf_free(&out);
	apw_buf_free(&err);
}

/* Nobody had it. */
static void
engine_tell_idle(struct apw_engine *e)
{
	struct apw_evidence	*ev = &e->evidence;
	char			 why[96];

	if (!ev->connected && ev->ours != NULL && !ev->late_start)
		return;		/* we wanted it away */
	if (ev->connected && (ev->ours != NULL || ev->timer))
		return;
	e->ahead_failed_ms = apw_now_ms();
	atomic_fetch_add(&e->env.score->engine_deaths, 1);
	apw_warn("idle engine ended", APW_S("sandbox", e->sandbox_id),
	    APW_I("code", ev->code), APW_I("signal", ev->signal),
	    APW_I("ran_ms", ev->ran_ms), APW_S("why", ev->ours));
	if (ev->connected)
		return;
	snprintf(why, sizeof(why), "it %.32s (code %d, signal %d)",
	    ev->ours != NULL ? ev->ours : "exited before connecting",
	    ev->code, ev->signal);
	e->env.on_ahead(e->env.arg, why);
}

/* The end of a process is known and it has been reaped: clean up below it,
 * and tell the job if it was the job's. */
static void
engine_finish(struct apw_engine *e)
{
	bool	serving = e->serving;

	e->serving = false;
	engine_to_sweep(e);
	if (serving)
		engine_tell_job(e);
	else
		engine_tell_idle(e);
}

/* Kill the process; its end leads to engine_finish(). */
void
engine_end(struct apw_engine *e, bool timer, const char *why)
{
	e->evidence.timer = timer;
	e->killed_ms = apw_now_ms();
	snprintf(e->why, sizeof(e->why), "%s", why == NULL ? "" : why);
	e->evidence.ours = timer ? NULL : e->why;
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
		/* its broker, which admits the job to come, yields with it */
		apw_engine_hurry(e);
		engine_go(e, &engine_idle);
		e->env.on_ahead(e->env.arg, NULL);
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
	char	why[64];

	snprintf(why, sizeof(why), "did not connect within %lld seconds",
	    (long long)(apw_now_ms() - e->booted_ms + 500) / 1000);
	e->evidence.late_start = true;
	engine_end(e, false, why);
}

const struct engine_step engine_boot = {
	.name = "boot",
	.on_link = engine_boot_link,
	.on_exit = engine_exit_now,
	.on_timeout = engine_boot_timeout,
	.limit = engine_boot_limit,
};

/* idle: warm, nobody's */

bool
engine_stale(const struct apw_engine *e)
{
	return e->booted_from != e->fingerprint ||
	    e->booted_stock != apw_stock_generation(e->env.stock);
}

void
engine_reuse_case(const struct apw_engine *e, struct apw_reuse_case *c)
{
	const struct apw_engine_conf	*conf = &e->env.cycle->engine;

	*c = (struct apw_reuse_case){
		.key = e->settings->reuse, .warm = e->sandbox->warm,
		.max_jobs = conf->max_jobs, .max_age_ms = conf->max_age_ms,
		.jobs = e->jobs, .age_ms = apw_now_ms() - e->booted_ms,
		.stale = engine_stale(e),
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

const struct engine_step engine_idle = {
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

const struct engine_step engine_ready = {
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

const struct engine_step engine_run = {
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

const struct engine_step engine_linger = {
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

/* The kernel holds it: a disk that does not answer, a tracer, no memory.  The
 * job need not wait for that. */
static void
engine_dying_timeout(struct apw_engine *e)
{
	bool	serving = e->serving;
	char	text[160];

	apw_error("a killed engine does not end: nothing is booted in its "
	    "place before it has", APW_S("sandbox", e->sandbox_id),
	    APW_S("process", apw_engine_late_text(e, text, sizeof(text))));
	engine_last_words(e);
	e->evidence.ran_ms = apw_now_ms() - e->booted_ms;
	e->serving = false;
	e->late = true;
	apw_engine_link_reset(e->link);
	engine_net_stop(e);
	engine_go(e, &engine_late);
	if (serving)
		engine_tell_job(e);
	e->env.on_late(e->env.arg, true);
}

const struct engine_step engine_dying = {
	.name = "dying",
	.on_exit = engine_exit_now,
	.on_timeout = engine_dying_timeout, .timeout_ms = 5000,
};

/* late: as dying, and nobody waits for it any more */

static void
engine_late_exit(struct apw_engine *e)
{
	apw_notice("the engine that did not end has ended",
	    APW_S("sandbox", e->sandbox_id), APW_I("pid", e->child.pid),
	    APW_I("after_ms", apw_now_ms() - e->killed_ms));
	engine_process_reap(e);
	engine_to_sweep(e);
}

static int64_t
engine_late_limit(const struct apw_engine *e)
{
	return e->wanted || e->done != NULL ? 1 : 0;
}

/* Who waits for an engine, or for its end, is told that there will be none. */
static void
engine_late_tell(struct apw_engine *e)
{
	void	(*done)(void *) = e->done;
	char	text[160];

	if (e->wanted) {
		e->wanted = false;
		apw_err_set(&e->start_error, 0, "the engine before it was "
		    "killed and does not end: %s", apw_engine_late_text(e,
		    text, sizeof(text)));
		apw_err_blame(&e->start_error, APW_FAULT_OWN);
		e->events.on_gone(e->arg, NULL, &e->start_error);
	} else if (done != NULL) {
		e->done = NULL;
		done(e->done_arg);
	}
}

const struct engine_step engine_late = {
	.name = "late",
	.on_exit = engine_late_exit,
	.on_timeout = engine_late_tell,
	.limit = engine_late_limit,
};

/* sweep: what it left below us is being ended */

const struct engine_step engine_sweep = {
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

const struct engine_step engine_failed = {
	.name = "failed",
	.on_timeout = engine_failed_tell, .timeout_ms = 1,
};

const struct engine_step engine_cold = {
	.name = "cold",			/* no process: nothing to wait for */
};
