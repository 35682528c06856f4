/* The job of a slot that died: found in its journal, proven to be still ours,
 * and gone on with; or left to the app.  Room: slot.
 *
 * A slot looks before it asks for a job, never beside a parked poll: that
 * could hand out another job meanwhile.  Who finds one while he polls calls
 * his poll off and looks when it was answered.
 *
 * Proof: the lease had time left by the clock when the app said yes to its
 * extension (job/lease.c says why the yes alone proves nothing).  Releases
 * from 0.86 on take a job back with the connection of the slot that died. */
#include "slot/slot_priv.h"

#include <stdlib.h>
#include <string.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "core/apw_module.h"
#include "proto/apw_raw.h"

#define RECOVER_RETRY_MS	500
#define RECOVER_REFUSALS	5
#define RECOVER_CALL_MS		10000

static void recover_try(struct apw_slot *);

static void
recover_on_orphan(void *arg)
{
	struct apw_slot	*s;

	APW_CAST(s, arg, SLOT_MAGIC);
	if (s->step->score == APW_SLOT_IDLE && !s->draining &&
	    apw_journals_take(s->journals) != NULL)
		s->ops->unwant(s->source);
}

/* The journal is off: what it held when it was on is not kept for ever. */
static void
recover_clean(struct apw_slot *s)
{
	struct apw_journals	*js;
	struct apw_journal	*j;

	apw_journals_open(&js, s->base, s->cycle, s->number,
	    recover_on_orphan, s, NULL);
	while ((j = apw_journals_take(js)) != NULL) {
		apw_notice("the job of a slot that died is left to the app",
		    APW_S("phase", apw_journal_record(j)->phase),
		    APW_S("why", "journal off"));
		apw_journal_close(j);
		apw_journal_done(js, j);
	}
	apw_journals_close(js);
}

/* Without a journal a slot works as well; what that costs is said. */
int
slot_journals_open(struct apw_slot *s)
{
	const struct apw_source_ops	*source = s->cycle->source->ops.source;
	struct apw_err			 err = APW_ERR_NONE;

	/* an errand's is the app's again with its connection */
	if (source->terms == NULL || s->errand)
		return 0;
	if (s->cycle->main.journal == APW_JOURNAL_OFF) {
		recover_clean(s);
		return 0;
	}
	s->found = calloc(1, sizeof(*s->found));
	if (s->found == NULL)
		return -1;
	if (apw_journals_open(&s->journals, s->base, s->cycle, s->number,
	    recover_on_orphan, s, &err) == -1)
		apw_error("jobs are not journalled: should this slot die, the "
		    "app gives its job out again after the lock's time",
		    APW_E(&err));
	return 0;
}

bool
slot_recover_wanted(struct apw_slot *s)
{
	return s->sandbox != NULL && apw_journals_take(s->journals) != NULL;
}

/* The texts hold tokens. */
static void
recover_wipe(struct apw_buf *b)
{
	if (b->data != NULL)
		explicit_bzero(b->data, b->len);
	apw_buf_free(b);
}

void
slot_recover_forget(struct apw_slot *s)
{
	if (s->found == NULL)
		return;
	if (s->found->call != 0)
		s->ops->cancel(s->source, s->found->call);
	s->found->call = 0;
	s->found->journal = NULL;
	recover_wipe(&s->found->request);
	recover_wipe(&s->found->report);
	recover_wipe(&s->found->complete);
}

void
slot_recover_free(struct apw_slot *s)
{
	slot_recover_forget(s);
	free(s->found);
	s->found = NULL;
}

static void
recover_drop(struct apw_slot *s, const char *why)
{
	struct apw_journal	*j = s->found->journal;

	apw_notice("the job of a slot that died is left to the app",
	    APW_S("phase", apw_journal_record(j)->phase),
	    APW_S("why", why));
	apw_log_job(NULL);
	slot_recover_forget(s);
	apw_journal_close(j);
	apw_journal_done(s->journals, j);
	slot_rest(s);
}

/* Why it cannot be ours; NULL: it may be. */
static const char *
recover_refused(struct apw_slot *s, const struct apw_journal_record *r)
{
	struct apw_journal_clock	now;
	struct apw_lease_terms		terms;
	uint8_t				scope[16];
	const char			*why;

	s->ops->terms(s->source, &terms);
	apw_job_scope(terms.scope, scope);
	if (memcmp(scope, r->scope, sizeof(scope)) != 0)
		return "it is of another app or group";
	if (r->release >= APW_RELEASE(0, 86, 0) ||
	    s->settings->release >= APW_RELEASE(0, 86, 0))
		return "the app takes jobs back with the connection";
	apw_journal_now(&now);
	return apw_journal_left_ms(r, &now, &why) > 0 ? NULL : why;
}

/* It waits on, for whoever is well first. */
static void
recover_nursed(struct apw_slot *s)
{
	struct apw_journal	*j = s->found->journal;

	slot_recover_forget(s);
	apw_journal_part(s->journals, j);
	slot_rest(s);
}

static void
recover_go_on(struct apw_slot *s)
{
	struct slot_found		*f = s->found;
	const struct apw_journal_record	*r = apw_journal_record(f->journal);

	if (f->nursed) {
		apw_journal_extend(f->journal, f->ours_until_ms);
		recover_nursed(s);
		return;
	}
	apw_notice(strcmp(r->phase, "kept") == 0 ? "a job goes on that no "
	    "slot could begin" : "a job goes on whose slot died",
	    APW_S("phase", r->phase),
	    APW_S("with", r->state == APW_JOURNAL_RESULT ? "its result" :
	    "its request"), APW_I("deaths", r->crashes +
	    ((r->flags & APW_JOURNAL_LEFT) == 0)));
	/* first of all: whatever of it kills a slot, its deaths are counted */
	apw_journal_again(f->journal, (r->flags & APW_JOURNAL_LEFT) == 0);
	apw_journal_extend(f->journal, f->ours_until_ms);
	slot_take(s, apw_buf_view(&f->request), f);
	slot_recover_forget(s);
}

static void
recover_later(struct apw_slot *s)
{
	const struct timeval	tv = { RECOVER_RETRY_MS / 1000,
	    RECOVER_RETRY_MS % 1000 * 1000 };

	event_add(s->timer, &tv);
}

static void
recover_on_reply(void *arg, const struct apw_reply *reply)
{
	struct slot_found	*f;
	struct apw_slot		*s;
	const char		*why;

	APW_CAST(s, arg, SLOT_MAGIC);
	f = s->found;
	f->call = 0;
	why = recover_refused(s, apw_journal_record(f->journal));
	if (why == NULL && reply->kind == APW_REPLY_REFUSED &&
	    ++f->refusals >= RECOVER_REFUSALS)
		why = "the app does not extend its lock";
	if (why != NULL)
		recover_drop(s, why);
	else if (reply->kind == APW_REPLY_OK) {
		struct apw_lease_terms	terms;

		s->ops->terms(s->source, &terms);
		f->ours_until_ms = f->asked_ms + terms.lock_ms;
		recover_go_on(s);
	} else
		recover_later(s);
}

/* Does a job that waits need to be extended now?  One that has waited for as
 * long as a run might last is left to the app, by its lock. */
static bool
recover_needs(struct apw_slot *s)
{
	const struct apw_journal_record	*r =
					    apw_journal_record(s->found->journal);
	struct apw_journal_clock	 now;
	struct apw_lease_terms		 terms;
	const char			*why;
	int64_t				 left;

	s->ops->terms(s->source, &terms);
	apw_journal_now(&now);
	left = apw_journal_left_ms(r, &now, &why);
	return left <= 0 || (left < terms.lock_ms / 2 && now.boot_ms -
	    r->taken_boot_ms < s->settings->flow_timeout_ms);
}

bool
slot_nurse_wanted(struct apw_slot *s)
{
	return s->ready && s->settings != NULL && s->found != NULL &&
	    s->settings->release < APW_RELEASE(0, 86, 0) &&
	    apw_journals_take(s->journals) != NULL;
}

/* `{"jobId":…,"token":…,"queueName":…}` out of the request. */
static bool
recover_key(struct apw_str request, struct apw_str parts[7])
{
	static const char *const	keys[] = { "jobId", "token",
	    "queueName" };
	static const char *const	before[] = { "{\"jobId\":",
	    ",\"token\":", ",\"queueName\":" };
	size_t				i;

	if (apw_raw_check(request, 0) == -1)
		return false;
	for (i = 0; i < 3; i++) {
		parts[2 * i] = apw_str_c(before[i]);
		if (apw_raw_member(request, keys[i], &parts[2 * i + 1]) != 1 ||
		    apw_raw_type(parts[2 * i + 1]) != APW_RAW_STRING)
			return false;
	}
	parts[6] = APW_STR("}");
	return true;
}

static void
recover_try(struct apw_slot *s)
{
	struct slot_found		*f = s->found;
	const struct apw_journal_record	*r = apw_journal_record(f->journal);
	struct apw_err			 err = APW_ERR_NONE;
	struct apw_str			 parts[7];
	const char			*why = recover_refused(s, r);

	if (why == NULL && !recover_key(apw_buf_view(&f->request), parts))
		why = "its request cannot be read";
	if (why != NULL) {
		recover_drop(s, why);
		return;
	}
	f->asked_ms = apw_boot_ms();
	f->call = s->ops->call(s->source, "extendLock", parts, 7,
	    RECOVER_CALL_MS, recover_on_reply, s, &err);
	if (f->call == 0)
		recover_later(s);
}

static void
recover_open(struct apw_slot *s, bool nursed)
{
	struct slot_found	*f = s->found;
	struct apw_err		 err = APW_ERR_NONE;

	f->refusals = 0;
	f->nursed = nursed;
	f->journal = apw_journals_take(s->journals);
	if (apw_journal_read(f->journal, &f->request, &f->report,
	    &f->complete, &err) == -1)
		recover_drop(s, err.text);
	else if (nursed && !recover_needs(s))
		recover_nursed(s);
	else
		recover_try(s);
}

static void
recover_enter(struct apw_slot *s)
{
	slot_score_why(s, "");
	recover_open(s, false);
}

/* The journal stays ours; with the next connection it is looked at again. */
static void
recover_lost(struct apw_slot *s)
{
	slot_recover_forget(s);
	slot_rest(s);
}

const struct slot_step slot_recover = {
	.name = "recover",
	.score = APW_SLOT_BUSY,
	.enter = recover_enter,
	.on_lost = recover_lost,
	.on_timeout = recover_try,
};

static void
nurse_enter(struct apw_slot *s)
{
	recover_open(s, true);
}

const struct slot_step slot_nurse = {
	.name = "nurse",
	.score = APW_SLOT_BLOCKED,
	.enter = nurse_enter,
	.on_lost = recover_lost,
	.on_drain = recover_lost,
	.on_timeout = recover_try,
};
