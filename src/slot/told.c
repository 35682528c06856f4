/* What the source tells a slot, whatever step it is in.  Room: slot. */
#include "slot/slot_priv.h"

#include <stdio.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "job/publish.h"
#include "proto/apw_raw.h"
#include "slot/prewarm.h"

#define SLOT_NO_BUNDLES_MS	(INT64_C(365) * 86400 * 1000)	/* for ever */

/* Bundles of flows are kept where the app keeps its files, but never in its
 * database: there is nothing to ask for, and nothing to offer. */
static void
slot_note_storage(struct apw_slot *s, struct apw_str settings)
{
	struct apw_str	v;
	bool		none;

	none = apw_raw_type(settings) == APW_RAW_OBJECT &&
	    apw_raw_member(settings, "FILE_STORAGE_LOCATION", &v) == 1 &&
	    apw_raw_equals(apw_raw_trim(v), "DB");
	apw_bundles_pause(s->publisher, none ? SLOT_NO_BUNDLES_MS : 0);
}

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
	if (next != NULL && s->ops->dialect != NULL)
		apw_settings_dialect(next, s->ops->dialect(s->source));
	slot_note_storage(s, text);
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
	apw_log_upto(APW_LOG_NOTICE, 5, "connection to the source lost",
	    APW_S("reason", reason));
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
	slot_score_why(s, why == NULL ? s->blocked : why);
	if (why != NULL)
		slot_prove_refused(s, why);
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

/* Every slot is told; the first one does it for all. */
static void
slot_flow_published(struct apw_slot *s, struct apw_str flow)
{
	if (s->prewarmer != NULL && s->cycle->stock.warm && !s->draining)
		apw_prewarmer_published(s->prewarmer, flow);
}

/* What the source may tell by itself, and who listens; what is not in here is
 * a later release's, and nothing of ours. */
static const struct {
	const char	*method;
	void		(*on)(struct apw_slot *, struct apw_str payload);
} slot_notifies[] = {
	{ "flowPublished", slot_flow_published },
	{ NULL, NULL }
};

static void
slot_source_notify(void *arg, struct apw_str method, struct apw_str payload)
{
	struct apw_slot	*s;
	size_t		 i;

	APW_CAST(s, arg, SLOT_MAGIC);
	for (i = 0; slot_notifies[i].method != NULL; i++)
		if (apw_str_is(method, slot_notifies[i].method)) {
			slot_notifies[i].on(s, payload);
			return;
		}
	apw_debug("the source tells what nobody here listens to",
	    APW_SN("method", method));
}

const struct apw_source_events slot_source_events = {
	.on_ready = slot_source_ready,
	.on_lost = slot_source_lost,
	.on_blocked = slot_source_blocked,
	.on_job = slot_source_job,
	.on_idle = slot_source_idle,
	.on_notify = slot_source_notify,
};
