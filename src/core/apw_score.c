/* The scoreboard; see apw_score.h.  Room: any. */
#include "core/apw_score.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/apw_clock.h"

#define SCORE_MAGIC	0x53434f52
#define SCORE_TRIES	100

static int	score_fd = -1;	/* -1: memory that cannot be sealed */

/* A seal lets writable mappings that exist go on, and allows no new one: what
 * a child maps again read-only stays so, whatever becomes of the child. */
static int
score_memory(size_t size)
{
	int	fd = memfd_create("apworkerd-score", MFD_CLOEXEC |
	    MFD_ALLOW_SEALING);

	if (fd != -1 && ftruncate(fd, (off_t)size) == 0)
		return fd;
	if (fd != -1)
		close(fd);
	return -1;
}

struct apw_score *
apw_score_new(struct apw_err *err)
{
	struct apw_score	*score;
	int			 fd = score_memory(sizeof(*score));

	score = mmap(NULL, sizeof(*score), PROT_READ | PROT_WRITE,
	    MAP_SHARED | (fd == -1 ? MAP_ANONYMOUS : 0), fd, 0);
	if (score == MAP_FAILED) {
		apw_err_set(err, errno, "cannot map the scoreboard");
		if (fd != -1)
			close(fd);
		return NULL;
	}
	if (fd != -1 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_FUTURE_WRITE) == -1) {
		close(fd);
		fd = -1;
	}
	score_fd = fd;
	score->magic = SCORE_MAGIC;
	return score;
}

/* Memory that cannot be sealed is only protected. */
static void
score_read_only(struct apw_score *score, size_t from, size_t to)
{
	char	*p = (char *)score;

	if (from >= to)
		return;
	if (score_fd == -1 || mmap(p + from, to - from, PROT_READ,
	    MAP_SHARED | MAP_FIXED, score_fd, (off_t)from) == MAP_FAILED)
		mprotect(p + from, to - from, PROT_READ);
}

void
apw_score_narrow(struct apw_score *score, struct apw_score_slot *own)
{
	size_t	page = (size_t)sysconf(_SC_PAGESIZE), from, to;
	size_t	end = (sizeof(*score) + page - 1) / page * page;
	char	*base = (char *)score;

	from = own == NULL ? offsetof(struct apw_score, monitor_page) :
	    (size_t)((char *)own - base);
	to = (from + APW_SCORE_PAGE + page - 1) / page * page;
	from = from / page * page;
	if (own == NULL) {
		score_read_only(score, 0, from);
		score_read_only(score, to, end);
	} else {
		if (from > 0)
			munmap(base, from);
		if (to < end)
			munmap(base + to, end - to);
	}
	if (score_fd != -1)
		close(score_fd);
	score_fd = -1;
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
