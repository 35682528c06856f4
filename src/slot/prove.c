/* A canary shows that its configuration works: settings fetched, sandbox fit,
 * an engine in the stock, booted in its box and linked to us.  Room: slot.
 * Until then it takes no job; the engine stays warm for the first one where
 * the mode allows.
 *
 * A slot that could start no engine for a job shows the same way that it can
 * again (unwell.c), while that job waits, or when it has been given back. */
#include "slot/slot_priv.h"

#include <stdio.h>
#include <string.h>

#include "core/apw_log.h"

/* Kept until the reload has been decided: the master reads why. */
static void
prove_fail(struct apw_slot *s, const char *what, const char *why)
{
	char	text[sizeof(s->blocked)];

	snprintf(text, sizeof(text), "%s: %.200s", what, why);
	if (!slot_must_prove(s)) {
		slot_unwell_fail(s, text);
		slot_proved(s);
		return;
	}
	memcpy(s->blocked, text, sizeof(text));
	slot_score_why(s, text);
	atomic_store(&s->score->proof, APW_PROOF_FAILED);
	slot_proved(s);
}

static void
prove_on_ready(void *arg)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	apw_engine_release(s->engine);
	s->proving = false;
	if (slot_must_prove(s)) {
		apw_notice("the new configuration works");
		atomic_store(&s->score->proof, APW_PROOF_PASSED);
	}
	slot_unwell_over(s);
	slot_proved(s);
}

static void
prove_on_gone(void *arg, const struct apw_evidence *ev,
    const struct apw_err *err)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	apw_engine_release(s->engine);
	s->proving = false;
	prove_fail(s, "no engine comes up", err != NULL ? err->text :
	    ev->ours != NULL ? ev->ours : apw_verdict_name(apw_verdict(ev)));
}

static const struct apw_engine_events prove_events = {
	.on_ready = prove_on_ready,
	.on_gone = prove_on_gone,
};

static void
prove_on_stock(void *arg, enum apw_stock_fault fault,
    const struct apw_err *err)
{
	static const struct apw_tenant	 nobody;
	struct apw_slot			*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	s->proof_ticket = NULL;
	if (fault != APW_STOCK_OK) {
		prove_fail(s, "the stock has no engine", err->text);
		return;
	}
	s->proving = true;
	if (apw_engine_acquire(s->engine, &nobody, &prove_events, s) == 1)
		prove_on_ready(s);
}

void
slot_prove_enter(struct apw_slot *s)
{
	static struct apw_stock_order	order;
	struct apw_err			err = APW_ERR_NONE;
	int				rc = 0;

	if (!slot_must_prove(s)) {
		slot_unwell_show(s);
		slot_engine_pick(s);
		if ((rc = slot_look_at_stock(s, &err)) == 1)
			return;
	}
	if (rc == -1) {
		prove_fail(s, "the stock is unfit", err.text);
		return;
	}
	if (s->blocked[0] != '\0') {
		prove_fail(s, "no sandbox", s->blocked);
		return;
	}
	order = (struct apw_stock_order){
		.packages = s->sandbox->packages,
		.per_platform = s->sandbox->boxed,
	};
	s->proof_ticket = apw_stock_order(s->stock, &order, prove_on_stock, s);
	if (s->proof_ticket == NULL)
		prove_fail(s, "the stock has no engine", "out of memory");
}

void
slot_prove_forget(struct apw_slot *s)
{
	if (s->proof_ticket != NULL)
		apw_stock_cancel(s->proof_ticket);
	s->proof_ticket = NULL;
	if (s->proving)
		apw_engine_release(s->engine);
	s->proving = false;
}

/* An engine is not all: the app gives no job to this configuration. */
void
slot_prove_refused(struct apw_slot *s, const char *why)
{
	if (s->step != &slot_prove || !slot_must_prove(s))
		return;
	slot_prove_forget(s);
	prove_fail(s, "no job comes from the source", why);
}

bool
slot_must_prove(const struct apw_slot *s)
{
	return atomic_load(&s->score->trial) != 0 &&
	    atomic_load(&s->score->proof) == APW_PROOF_NONE;
}
