/* Taking over the app's settings: which sandbox, and may the slot take jobs
 * at all?  Room: slot.  What cannot be enforced stops it from taking any. */
#include "slot/slot_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "broker/harden.h"
#include "core/apw_exit.h"
#include "core/apw_log.h"
#include "core/apw_module.h"
#include "slot/command.h"

void
slot_score_why(struct apw_slot *s, const char *why)
{
	apw_score_begin(&s->score->seq);
	snprintf(s->score->why, sizeof(s->score->why), "%s", why);
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
}

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
	slot_end_now(s);
}

static int
slot_watch_builders(struct apw_slot *s, struct apw_err *err)
{
	int	fd = apw_stock_watch_fd();

	if (s->builders_gone != NULL || fd == -1)
		return 0;
	s->builders_gone = event_new(s->base, fd, EV_READ,
	    slot_on_sandbox_gone, s);
	if (s->builders_gone == NULL || event_add(s->builders_gone, NULL) ==
	    -1)
		return apw_err_set(err, errno, "cannot watch the builders' "
		    "broker");
	return 0;
}

/* Before there are settings: what was started at our birth may die any time. */
int
slot_watch_birth(struct apw_slot *s, struct apw_err *err)
{
	int	fd = apw_sandbox_watch_fd();

	if (slot_watch_builders(s, err) == -1)
		return -1;
	if (fd == -1)
		return 0;
	s->sandbox_gone = event_new(s->base, fd, EV_READ,
	    slot_on_sandbox_gone, s);
	if (s->sandbox_gone == NULL || event_add(s->sandbox_gone, NULL) == -1)
		return apw_err_set(err, errno, "cannot watch the broker");
	return 0;
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

/* Behind its filter, or without the privileges of its birth, a slot forks no
 * broker that could do its work: it is born again, and asks for one first. */
static void
slot_on_want_broker(evutil_socket_t fd, short what, void *arg)
{
	struct apw_slot	*s;

	(void)fd;
	(void)what;
	APW_CAST(s, arg, SLOT_MAGIC);
	apw_notice("the slot starts again to make boxes");
	s->exit_code = APW_EXIT_TEMP;
	s->draining = true;
	slot_end_now(s);
}

static int
slot_wants_broker(struct apw_slot *s, const struct apw_sandbox_ops *ops,
    const void *conf, struct apw_err *err)
{
	struct timeval	now = { 0, 0 };
	int		unborn = ops->boxed ? apw_sandbox_unborn(err) : 0;

	if (unborn == -1)
		return -1;
	if ((!apw_harden_slot_is_on() && unborn == 0) || !ops->boxed ||
	    ops->watch_fd(conf) != -1)
		return 0;
	if (event_base_once(s->base, -1, EV_TIMEOUT, slot_on_want_broker, s,
	    &now) == -1)
		return apw_err_set(err, errno, "no timer");
	return apw_err_set(err, 0, "the slot starts again to make boxes");
}

/* What makes boxes has been forked, or never will be: the rest of us gives up
 * the calls that takes. */
static void
slot_harden(void)
{
	struct apw_err	err = APW_ERR_NONE;

	if (apw_harden_slot(&err) == -1)
		apw_warn("the slot works without a syscall filter",
		    APW_E(&err));
}

/* A dedicated worker runs the flows of one customer in boxes, and whoever
 * sets it up has said whether engines are kept: the worker that the app comes
 * with does not start otherwise.  Later ones demand it in the cloud alone. */
static int
slot_fit_group(struct apw_slot *s, const struct apw_sandbox_ops *ops,
    struct apw_err *err)
{
	if (s->ops->group == NULL || s->ops->group(s->source) == NULL)
		return 0;
	if (!apw_app_can(s->settings->release, APW_APP_GROUP_MODES) &&
	    strcmp(s->settings->edition, "cloud") != 0)
		return 0;
	if (!ops->boxed)
		return apw_err_set(err, 0, "a worker group needs mode "
		    "SANDBOX_PROCESS or SANDBOX_CODE_AND_PROCESS, and the "
		    "mode is %.64s", s->settings->mode);
	if (s->cycle->engine.reuse == APW_REUSE_AUTO)
		return apw_err_set(err, 0, "a worker group needs to be told "
		    "whether engines are reused: \"reuse\" of engine, or "
		    "AP_REUSE_SANDBOX");
	return 0;
}

static int
slot_fit_sandbox(struct apw_slot *s, struct apw_err *err)
{
	const struct apw_settings	*set = s->settings;
	const struct apw_module		*m;
	struct apw_engine_net		 net;
	const void			*conf;

	s->sandbox = NULL;
	if ((m = slot_find_sandbox(s->cycle, set->mode)) == NULL)
		return apw_err_set(err, 0, "execution mode %.64s is not one "
		    "this build knows", set->mode);
	conf = APW_MODULE_CONF(s->cycle, m);
	if (slot_fit_group(s, m->ops.sandbox, err) == -1)
		return -1;
	if (slot_wants_broker(s, m->ops.sandbox, conf, err) == -1)
		return -1;
	if (m->ops.sandbox->probe(conf, err) == -1) {
		/* brokers that it has started may be dead already */
		if (m->ops.sandbox->boxed)
			slot_watch_sandbox(s, m->ops.sandbox, conf, NULL);
		return -1;
	}
	if (slot_fit_network(s, m->ops.sandbox, conf, &net, err) == -1)
		return -1;
	if (slot_engines_settings(s, m->ops.sandbox, conf, &net, err) == -1 ||
	    slot_watch_sandbox(s, m->ops.sandbox, conf, err) == -1 ||
	    slot_watch_builders(s, err) == -1 ||
	    apw_stock_fit(s->stock, err) == -1)
		return -1;
	s->sandbox = m->ops.sandbox;
	slot_harden();
	return 0;
}

/* What cannot be enforced stops the slot from taking jobs. */
static void
slot_fit(struct apw_slot *s)
{
	struct apw_err	err = APW_ERR_NONE;

	s->refit = false;
	if (slot_fit_sandbox(s, &err) == 0) {
		if (s->blocked[0] != '\0')
			apw_notice("what was missing is there: jobs are taken");
		s->blocked[0] = '\0';
		return;
	}
	if (strcmp(s->blocked, err.text) != 0)
		apw_error("no job can be taken", APW_E(&err));
	slot_engines_retire(s);
	snprintf(s->blocked, sizeof(s->blocked), "%.*s",
	    (int)sizeof(s->blocked) - 1, err.text);
}

/* Once a daemon, not once a slot; again when the app names others. */
static void
slot_say_withheld(const struct apw_slot *s, const struct apw_settings *old)
{
	const struct apw_strlist	*l = &s->settings->propagate, *was =
					    old == NULL ? NULL : &old->propagate;
	size_t				 i;

	for (i = 0; s->number == 1 && i < l->n; i++) {
		if (apw_command_may_propagate(l->v[i]) || (was != NULL &&
		    i < was->n && strcmp(was->v[i], l->v[i]) == 0))
			continue;
		apw_warn("a variable that the app wants engines to see is not "
		    "passed to them: it is apworkerd's own to set (see engine "
		    "and network of apworker.conf)", APW_S("variable",
		    l->v[i]), APW_S("asked_by", "SANDBOX_PROPAGATED_ENV_VARS"));
	}
}

/* Take over the newest settings; only between jobs, whose environment they
 * are.  The same ones are tried again when an engine could not be kept as
 * they want it, or nothing could so far. */
void
slot_adopt_settings(struct apw_slot *s)
{
	struct apw_settings	*old = s->settings;

	if (s->next == NULL) {
		if (s->settings != NULL && (s->refit ||
		    apw_engine_unfit(s->engine)))
			slot_fit(s);
		return;
	}
	/* what is done meanwhile is done by the old ones */
	slot_warm_stop(s);
	s->settings = s->next;
	s->next = NULL;
	atomic_store(&s->score->declines, s->ops->decline != NULL &&
	    s->settings->release >= APW_RELEASE(0, 86, 0));
	apw_stock_release(s->stock, s->settings->app_version);
	apw_recipes_forget(s->recipes);
	slot_fit(s);
	slot_score_app(s);
	slot_say_withheld(s, old);
	apw_settings_free(old);
}
