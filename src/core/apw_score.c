/* The scoreboard; see apw_score.h.  Room: any. */
#include "core/apw_score.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "core/apw_clock.h"

#define SCORE_MAGIC	0x53434f52
#define SCORE_TRIES	100

struct apw_score *
apw_score_new(struct apw_err *err)
{
	struct apw_score	*score;

	score = mmap(NULL, sizeof(*score), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (score == MAP_FAILED) {
		apw_err_set(err, errno, "cannot map the scoreboard");
		return NULL;
	}
	score->magic = SCORE_MAGIC;
	return score;
}

void
apw_score_begin(_Atomic uint32_t *seq)
{
	atomic_fetch_add(seq, 1);
}

void
apw_score_end(_Atomic uint32_t *seq)
{
	atomic_fetch_add(seq, 1);
}

void
apw_score_text(const _Atomic uint32_t *seq, char *dst, size_t dst_size,
    const char *src, size_t src_size)
{
	size_t		n = dst_size < src_size ? dst_size : src_size;
	uint32_t	before;
	int		tries;

	/* a writer that died in between leaves the number odd: give up then,
	 * a torn text is still a text */
	for (tries = 0; tries < SCORE_TRIES; tries++) {
		before = atomic_load(seq);
		memcpy(dst, src, n);
		if ((before & 1) == 0 && atomic_load(seq) == before)
			break;
	}
	dst[n - 1] = '\0';
}

void
apw_score_state(struct apw_score_slot *slot, enum apw_slot_state state)
{
	if (atomic_load(&slot->state) == state)
		return;
	atomic_store(&slot->state_since_ms, apw_now_ms());
	atomic_store(&slot->state, state);
}

#define SLOT_STATE_NAME(name, text) text,

const char *
apw_slot_state_name(enum apw_slot_state state)
{
	static const char *const names[] = { APW_SLOT_STATES(SLOT_STATE_NAME) };

	return state < APW_SLOT_NSTATES ? names[state] : "unknown";
}
