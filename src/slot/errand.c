/* The errand: a slot that is not one of the configured ones, started by the
 * master while all of those have a job and one of them may wait for another
 * job (master/errand.c).  Room: slot.
 *
 * No release of the app hands out jobs of a kind on request: the errand polls
 * as any slot, runs those jobs that somebody waits for, which the app hands
 * out first, and gives all others back unbegun.  The more of them it meets,
 * the longer it waits before it asks again: each goes to the end of its
 * queue.  It keeps no journal, and no engine stands by for it. */
#include "slot/slot_priv.h"

#include "core/apw_auto.h"
#include "core/apw_log.h"
#include "proto/apw_raw.h"

#define ERRAND_PAUSE_MIN_MS	1000
#define ERRAND_PAUSE_MAX_MS	8000

/* Short, and with somebody at the other end: the app itself, in a request of
 * a user or of an engine. */
static const char *const errand_types[] = {
	"EXECUTE_ACTION",
	"EXECUTE_AI",
	"EXECUTE_EXTRACT_PIECE_INFORMATION",
	"EXECUTE_PROPERTY",
	"EXECUTE_RESOLVE_CONNECTION_IDENTIFIER",
	"EXECUTE_TOKEN_REFRESH",
	"EXECUTE_TRIGGER_HOOK",
	"EXECUTE_VALIDATION",
};

bool
slot_errand_takes(const struct apw_slot *s, struct apw_str job)
{
	struct apw_str	data, type;
	size_t		i;

	if (!s->errand)
		return true;
	if (apw_raw_member(job, "jobData", &data) != 1 ||
	    apw_raw_member(data, "jobType", &type) != 1)
		return false;
	for (i = 0; i < APW_COUNT(errand_types); i++)
		if (apw_raw_equals(apw_raw_trim(type), errand_types[i]))
			return true;
	return false;
}

/* How long to stay away, after one more that was not ours. */
int64_t
slot_errand_pause(struct apw_slot *s)
{
	s->pause_ms = s->pause_ms == 0 ? ERRAND_PAUSE_MIN_MS :
	    s->pause_ms * 2 > ERRAND_PAUSE_MAX_MS ? ERRAND_PAUSE_MAX_MS :
	    s->pause_ms * 2;
	apw_debug("a job that nobody waits for is given back",
	    APW_I("again_ms", s->pause_ms));
	return s->pause_ms;
}

void
slot_errand_did(struct apw_slot *s)
{
	s->pause_ms = 0;
}
