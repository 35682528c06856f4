/* The engines of a slot: one that works, and others that stand by, booted
 * before there is a job for them.  Room: slot.
 *
 * In a mode whose engines serve one job each, a job would wait for a boot
 * every time.  The next engine is booted while the job in hand runs, or while
 * there is none; it is in a box of its own, with nobody's code in it, and
 * yields the processor to the job.  A job takes the one that is
 * farthest, and its code is admitted then; what has changed since an engine
 * was booted (settings, network, engine) ends it unused. */
#include "slot/slot_priv.h"

#include <errno.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"

#define STANDBY_AFTER_MS	20	/* the operation was sent */
#define STANDBY_IDLE_MS		5	/* a job may come at once: it is first */
#define STANDBY_STOCK_MS	10000	/* after an order that failed */

static void
standby_later(struct apw_slot *s, unsigned ms)
{
	const struct timeval	tv = { 0, ms * 1000 };

	if (s->nengines > 1)
		event_add(s->standby, &tv);
}

static void
standby_on_execute(void *arg)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	slot_unwell_forget(s);
	standby_later(s, STANDBY_AFTER_MS);
}

static void
standby_on_stocked(void *arg, enum apw_stock_fault fault,
    const struct apw_err *err)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	s->stocking = NULL;
	if (fault == APW_STOCK_OK) {
		standby_later(s, STANDBY_IDLE_MS);
		return;
	}
	apw_debug("no engine to stand by yet", APW_E(err));
	s->stock_again_ms = apw_now_ms() + STANDBY_STOCK_MS;
}

/* On a host where no job has asked for the engine yet. */
static void
standby_stock(struct apw_slot *s)
{
	static const struct apw_stock_order	engine = { .background = true };

	if (s->job == NULL && s->stocking == NULL &&
	    apw_now_ms() >= s->stock_again_ms)
		s->stocking = apw_stock_order(s->stock, &engine,
		    standby_on_stocked, s);
}

static void
standby_stock_stop(struct apw_slot *s)
{
	apw_stock_cancel(s->stocking);
	s->stocking = NULL;
}

/* One a turn; its boot is what takes time. */
static void
standby_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_slot		*s;
	struct apw_engine	*cold = NULL;
	unsigned		 i, there = 0;

	(void)fd;
	(void)what;
	APW_CAST(s, arg, SLOT_MAGIC);
	if (s->draining || s->errand || !s->ready || s->proving || s->unwell || s->sandbox == NULL ||
	    !s->sandbox->boxed || s->blocked[0] != '\0' ||
	    (s->job != NULL && !apw_sandbox_yields()))
		return;
	if (apw_stock_generation(s->stock) == 0) {
		standby_stock(s);
		return;
	}
	for (i = 0; i < s->nengines; i++)
		switch (apw_engine_stand(s->engines[i])) {
		case APW_ENGINE_STANDBY:
		case APW_ENGINE_BOOTING:
			there++;
			break;
		case APW_ENGINE_COLD:
			cold = s->engines[i];
			break;
		case APW_ENGINE_LATE:
			break;
		case APW_ENGINE_BUSY:
			/* or stale: then it goes */
			apw_engine_prepare(s->engines[i], false);
			break;
		}
	if (there < s->cycle->engine.standby && cold != NULL)
		apw_engine_prepare(cold, s->job != NULL);
	/* better to find out now than by a job */
	if (cold != NULL && apw_engine_unfit(cold))
		slot_doubt(s);
}

static int
standby_add(struct apw_slot *s, struct apw_err *err)
{
	struct apw_engine_env	env = { .cycle = s->cycle, .score = s->score,
	    .slot = s->number, .seat = s->nengines, .base = s->base,
	    .resolver = s->resolver, .stock = s->stock,
	    .on_execute = standby_on_execute, .on_ahead = slot_on_ahead,
	    .on_late = slot_on_late, .arg = s };

	s->engines[s->nengines] = apw_engine_new(&env, err);
	if (s->engines[s->nengines] == NULL)
		return -1;
	s->nengines++;
	return 0;
}

int
slot_engines_open(struct apw_slot *s, struct apw_err *err)
{
	s->standby = evtimer_new(s->base, standby_on_timer, s);
	if (s->standby == NULL)
		return apw_err_set(err, ENOMEM, "cannot make a slot");
	if (standby_add(s, err) == -1)
		return -1;
	s->engine = s->engines[0];
	return 0;
}

int
slot_engines_settings(struct apw_slot *s, const struct apw_sandbox_ops *ops,
    const void *conf, const struct apw_engine_net *net, struct apw_err *err)
{
	unsigned	i;

	while (ops->boxed && s->nengines < apw_sandbox_seats())
		if (standby_add(s, err) == -1)
			return -1;
	for (i = 0; i < s->nengines; i++)
		if (apw_engine_settings(s->engines[i], s->settings, ops, conf,
		    net, err) == -1)
			return -1;
	if (!ops->boxed)
		for (i = 0; i < s->nengines; i++)
			if (s->engines[i] != s->engine)
				apw_engine_retire(s->engines[i]);
	return 0;
}

void
slot_engines_retire(struct apw_slot *s)
{
	unsigned	i;

	for (i = 0; i < s->nengines; i++)
		apw_engine_retire(s->engines[i]);
}

void
slot_engine_pick(struct apw_slot *s)
{
	unsigned	i;

	event_del(s->standby);
	standby_stock_stop(s);
	if (!s->sandbox->boxed)
		return;
	for (i = 0; i < s->nengines; i++)
		if (apw_engine_stand(s->engines[i]) >
		    apw_engine_stand(s->engine))
			s->engine = s->engines[i];
}

void
slot_standby_idle(struct apw_slot *s)
{
	unsigned	i;

	if (s->job == NULL)
		for (i = 0; i < s->nengines; i++)
			apw_engine_hurry(s->engines[i]);
	if (s->nengines > 1 && s->job == NULL &&
	    !evtimer_pending(s->standby, NULL))
		standby_later(s, STANDBY_IDLE_MS);
}

static void
engines_on_end(void *arg)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	if (--s->engines_ending == 0)
		slot_engines_ended(s);
}

void
slot_engines_shutdown(struct apw_slot *s)
{
	unsigned	i;

	event_del(s->standby);
	standby_stock_stop(s);
	s->engines_ending = s->nengines;
	for (i = 0; i < s->nengines; i++)
		apw_engine_shutdown(s->engines[i], engines_on_end, s);
}

void
slot_engines_free(struct apw_slot *s)
{
	while (s->nengines > 0)
		apw_engine_free(s->engines[--s->nengines]);
	s->engine = NULL;
	if (s->standby != NULL)
		event_free(s->standby);
}
