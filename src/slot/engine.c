/* The engine as its slot and job use it, and what its link tells; see
 * engine.h.  Room: slot. */
#include "slot/engine_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "slot/command.h"

#define ENGINE_REFUSED_MS	3000	/* for ours to end when it was refused */
#define ENGINE_AHEAD_AGAIN_MS	10000	/* after one that did not come up */

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
engine_link_refused(void *arg, const char *why, bool own)
{
	struct timeval		 tv = { ENGINE_REFUSED_MS / 1000, 0 };
	struct apw_engine	*e;

	APW_CAST(e, arg, ENGINE_MAGIC);
	apw_warn_often("a connection to the engine link was refused",
	    APW_K("why", why), APW_S("from", own ? "the engine" :
	    "unknown"));
	/* what others say means nothing for our engine's start */
	if (!own || e->step != &engine_boot || e->refused[0] != '\0')
		return;
	/* it will not try again: wait a little, not the whole start time */
	snprintf(e->refused, sizeof(e->refused), "%s", why);
	if (e->env.cycle->engine.start_timeout_ms - (apw_now_ms() - e->booted_ms) >
	    ENGINE_REFUSED_MS)
		event_add(e->timer, &tv);
}

static void
engine_link_strangers(void *arg, unsigned n)
{
	struct apw_engine	*e;

	APW_CAST(e, arg, ENGINE_MAGIC);
	if (e->strangers == 0)
		apw_warn("a process that is not the engine's connected to its "
		    "link and was turned away");
	e->strangers += n;
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

const struct apw_engine_link_events engine_link_events = {
	.on_ready = engine_link_ready,
	.on_refused = engine_link_refused,
	.on_strangers = engine_link_strangers,
	.on_result = engine_link_result,
	.on_call = engine_link_call,
	.on_output = engine_link_output,
	.on_lost = engine_link_lost,
};

/* AUTO looks into the bundle; one that does not tell is taken for current. */
enum apw_engine_dialect
engine_dialect(const struct apw_engine *e)
{
	const char		*bundle = e->env.cycle->engine.bundle;
	enum apw_engine_dialect	 found = APW_ENGINE_DIALECT_B1;
	struct apw_err		 err = APW_ERR_NONE;

	switch (e->env.cycle->engine.dialect) {
	case APW_DIALECT_A:
		return APW_ENGINE_DIALECT_A;
	case APW_DIALECT_B0:
		return APW_ENGINE_DIALECT_B0;
	case APW_DIALECT_B1:
		return APW_ENGINE_DIALECT_B1;
	case APW_DIALECT_B2:
		return APW_ENGINE_DIALECT_B2;
	case APW_DIALECT_B3:
		return APW_ENGINE_DIALECT_B3;
	case APW_DIALECT_AUTO:
		break;
	}
	if (bundle == NULL)
		bundle = apw_stock_engine(e->env.stock);
	if (apw_engine_dialect_scan(bundle, &found, &err) == -1)
		apw_notice("engine of an unknown dialect, taken for B1",
		    APW_E(&err));
	return found;
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
	e->child = engine_no_child;
	e->proxy_fd = e->link_fd = -1;
	e->ahead_failed_ms = -ENGINE_AHEAD_AGAIN_MS;
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

int
apw_engine_settings(struct apw_engine *e, const struct apw_settings *s,
    const struct apw_sandbox_ops *sandbox, const void *sandbox_conf,
    const struct apw_engine_net *net, struct apw_err *err)
{
	struct apw_command_in	in = {
		.cycle = e->env.cycle, .settings = s, .sandbox = sandbox,
		.sandbox_conf = sandbox_conf,
		.bundle = apw_stock_engine(e->env.stock),
		.codes = apw_stock_codes(e->env.stock),
		.children = apw_stock_engine_has_children(e->env.stock),
		.rules = net->rules == NULL ? "" :
		    apw_egress_rules_text(net->rules),
	};

	/* a process is ended by the module that made it, and by the rules it
	 * was made under */
	if (e->sandbox != NULL && (e->sandbox != sandbox ||
	    e->fence != net->fence) && e->child.pid != 0)
		engine_process_kill(e);
	if (engine_net_settings(e, s, net, err) == -1)
		return -1;
	e->unfit = false;
	e->settings = s;
	e->sandbox = sandbox;
	e->sandbox_conf = sandbox_conf;
	in.lead = e->lead;
	e->fingerprint = apw_command_fingerprint(&in);
	return 0;
}

bool
apw_engine_unfit(const struct apw_engine *e)
{
	return e->unfit;
}

void
apw_engine_retire(struct apw_engine *e)
{
	APW_ASSERT(!e->taken);
	e->settings = NULL;
	e->fingerprint = 0;
	if (e->child.pid != 0 && e->step != &engine_dying &&
	    e->step != &engine_late)
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

/* Booted for the job to come, and not there yet. */
static bool
engine_ahead(const struct apw_engine *e)
{
	return e->step == &engine_boot && !e->serving;
}

enum apw_engine_stand
apw_engine_stand(const struct apw_engine *e)
{
	if (e->step == &engine_late)
		return APW_ENGINE_LATE;
	if (e->taken)
		return APW_ENGINE_BUSY;
	if (e->step == &engine_cold)
		return APW_ENGINE_COLD;
	if (engine_stale(e))
		return APW_ENGINE_BUSY;
	return e->step == &engine_idle ? APW_ENGINE_STANDBY :
	    engine_ahead(e) ? APW_ENGINE_BOOTING : APW_ENGINE_BUSY;
}

void
apw_engine_prepare(struct apw_engine *e, bool yield)
{
	e->yields = yield;
	/* one of other slots would have to wait for the port they share */
	if (e->taken || e->settings == NULL || e->shares_port)
		return;
	if (e->step == &engine_cold &&
	    apw_now_ms() >= e->ahead_failed_ms + ENGINE_AHEAD_AGAIN_MS)
		engine_start_ahead(e);
	else if ((e->step == &engine_idle || engine_ahead(e)) &&
	    engine_stale(e))
		engine_end(e, false, "its generation is stale");
}

void
apw_engine_hurry(struct apw_engine *e)
{
	if (!e->yielding || e->child.pid == 0)
		return;
	e->yielding = false;
	if (e->sandbox->hurry != NULL)
		e->sandbox->hurry(e->sandbox_conf, &e->child);
}

/* May the next job have it, and is its code there?  NULL, or why not. */
static const char *
engine_admit(struct apw_engine *e)
{
	struct apw_reuse_case	 c;
	struct apw_err		 err = APW_ERR_NONE;
	const char		*why;

	engine_reuse_case(e, &c);
	why = apw_reuse_refused(&c);
	if (why != NULL || e->sandbox->admit == NULL ||
	    e->sandbox->admit(e->sandbox_conf, &e->child,
	    e->next.flow_version_id, e->next.platform_id, &err) != -1)
		return why;
	apw_warn("nothing can be admitted to a warm engine", APW_E(&err));
	return "the flow's code cannot be admitted";
}

int
apw_engine_acquire(struct apw_engine *e, const struct apw_tenant *tenant,
    const struct apw_engine_events *events, void *arg)
{
	const char	*why;

	APW_ASSERT(!e->taken);
	e->taken = true;
	e->events = *events;
	e->arg = arg;
	e->next = *tenant;
	if (e->step == &engine_idle || engine_ahead(e)) {
		why = engine_admit(e);
		if (why == NULL && (e->jobs == 0 || e->step == &engine_boot))
			engine_keep_tenant(e);
		if (why == NULL) {
			e->serving = true;
			engine_show(e);
			if (e->step == &engine_boot)
				return 0;
			e->jobs++;
			engine_go(e, &engine_ready);
			return 1;
		}
		apw_info("engine is not reused", APW_S("why", why));
		engine_end(e, false, why);
	}
	engine_keep_tenant(e);
	if (e->step == &engine_cold)
		engine_start(e);
	else {
		e->wanted = true;
		if (e->step == &engine_late)
			engine_go(e, &engine_late);	/* it says so */
	}
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
	if (e->env.on_execute != NULL)
		e->env.on_execute(e->env.arg);
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
	else if (e->step == &engine_failed || e->step == &engine_queue)
		engine_go(e, &engine_cold);
}

const struct apw_capture *
apw_engine_capture(const struct apw_engine *e)
{
	return &e->capture;
}

const struct apw_engine_form *
apw_engine_form(const struct apw_engine *e)
{
	return apw_engine_link_form(e->link);
}

bool
apw_engine_info(const struct apw_engine *e, const char **sandbox_id,
    pid_t *pid, bool *busy)
{
	if (e == NULL || e->child.pid == 0)
		return false;
	*sandbox_id = e->sandbox_id;
	*pid = e->child.engine_pid;
	*busy = e->taken;
	return true;
}

void
apw_engine_shutdown(struct apw_engine *e, void (*done)(void *), void *arg)
{
	e->done = done;
	e->done_arg = arg;
	e->taken = e->serving = e->wanted = false;
	if (e->step == &engine_late)
		engine_go(e, &engine_late);
	else if (e->child.pid != 0 && e->step != &engine_dying)
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
	apw_egress_rules_unref(e->rules);
	apw_engine_link_free(e->link);
	if (e->timer != NULL)
		event_free(e->timer);
	if (e->sweep_timer != NULL)
		event_free(e->sweep_timer);
	apw_capture_free(&e->capture);
	free(e->tenant_text);
	free(e);
}
