/* The scoreboard; see apw_score.h.  Room: any. */
#include "core/apw_score.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_clock.h"

#define SCORE_MAGIC	0x53434f34	/* another layout, another number */
#define SCORE_TRIES	100

static int	score_fd = -1;	/* -1: memory that cannot be sealed */
static const struct apw_score *score_all;	/* ours, as far as it is mapped */
static const struct apw_score *score_before;	/* of the binary before us */

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
	score_all = score;
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

/* Nothing but a slot's own record, and the machine's pages to read. */
static void
score_hide(struct apw_score *score, size_t page, size_t from, size_t to)
{
	size_t	end = (sizeof(*score) + page - 1) / page * page;
	size_t	mfrom = offsetof(struct apw_score, machine_page) / page * page;
	size_t	mto = (offsetof(struct apw_score, machine_page) +
		    sizeof(score->machine_page) + page - 1) / page * page;
	char	*base = (char *)score;

	if (mto > from)			/* large pages: they share one */
		mto = from;
	if (mfrom > 0)
		munmap(base, mfrom);
	score_read_only(score, mfrom, mto);
	if (mto < from)
		munmap(base + mto, from - mto);
	if (to < end)
		munmap(base + to, end - to);
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
		score_hide(score, page, from, to);
		if (score_before != NULL)
			munmap((void *)(uintptr_t)score_before,
			    sizeof(*score_before));
		score_before = NULL;
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

/* --- what slots may know of each other --- */

static void
machine_put(struct apw_score_machine *m, uint32_t n,
    const struct apw_score_slot *s)
{
	struct apw_score_sandbox	*to = &m->sandbox[n];

	atomic_store(&to->number, atomic_load(&s->number));
	atomic_store(&to->cycle, atomic_load(&s->cycle));
	atomic_store(&to->busy, atomic_load(&s->job_since_ms) != 0);
	atomic_store(&to->bytes, atomic_load(&s->engine_bytes));
}

/* A ping is said with its time first: who reads in between has a new figure
 * for an old one, and asks again a little early. */
static void
machine_ping(struct apw_score_machine *m, const struct apw_score_slot *s)
{
	int64_t	at = atomic_load(&s->pinged_ms);

	if (at <= atomic_load(&m->pinged_ms))
		return;
	atomic_store(&m->ping_ms, atomic_load(&s->ping_ms));
	atomic_store(&m->pinged_ms, at);
}

static size_t	records_of(const struct apw_score *);

void
apw_score_machine_update(struct apw_score *score)
{
	struct apw_score_machine	*m = &score->machine;
	const struct apw_score_slot	*s;
	uint32_t			 n = 0;
	size_t				 i, records = records_of(score);

	for (i = 0; i < records; i++) {
		s = &score->slot[i];
		if (atomic_load(&s->number) == 0)
			continue;
		machine_ping(m, s);
		if (atomic_load(&s->engine_pid) != 0 &&
		    n < APW_SCORE_SANDBOXES)
			machine_put(m, n++, s);
	}
	atomic_store(&m->n, n);
}

const struct apw_score_machine *
apw_score_machine(void)
{
	return score_all == NULL ? NULL : &score_all->machine;
}

/* --- counts --- */

static void
add_past(struct apw_score_counts *to, const struct apw_score_past *from)
{
#define ADD(name) to->name += atomic_load(&from->name);
	APW_SCORE_COUNTS(ADD)
#undef ADD
}

static void
add_slot(struct apw_score_counts *to, const struct apw_score_slot *from)
{
#define ADD(name) to->name += atomic_load(&from->name);
	APW_SCORE_COUNTS(ADD)
#undef ADD
}

static void
keep(struct apw_score_past *to, const struct apw_score_counts *from)
{
#define ADD(name) atomic_fetch_add(&to->name, from->name);
	APW_SCORE_COUNTS(ADD)
#undef ADD
}

static struct apw_score_past *
past_of(struct apw_score *score, unsigned number)
{
	return number >= 1 && number <= APW_SCORE_NUMBERS ?
	    &score->was[number - 1] : NULL;
}

void
apw_score_release(struct apw_score *score, struct apw_score_slot *slot)
{
	struct apw_score_past	*was = past_of(score,
				    atomic_load(&slot->number));
	struct apw_score_counts	 counts = { 0 };

	add_slot(&counts, slot);
	apw_score_begin(&score->past_seq);
	keep(&score->past, &counts);
	if (was != NULL)
		keep(was, &counts);
	atomic_store(&slot->number, 0);
	apw_score_end(&score->past_seq);
}

static size_t
records_of(const struct apw_score *score)
{
	size_t	n = atomic_load(&score->records);

	return n < APW_SCORE_SLOTS ? n : APW_SCORE_SLOTS;
}

static void
count_once(const struct apw_score *score, struct apw_score_counts *to)
{
	size_t	i, n = records_of(score);

	add_past(to, &score->past);
	for (i = 0; i < n; i++)
		if (atomic_load(&score->slot[i].number) != 0)
			add_slot(to, &score->slot[i]);
}

/* Not while something moves from one place to the other: it would be counted
 * twice, or not at all, and who looks again would see less than before. */
static void
count(const struct apw_score *score, const struct apw_score *before,
    struct apw_score_counts *to)
{
	struct apw_score_counts	had = *to;
	uint32_t		seq;
	int			tries;

	for (tries = 0; tries < SCORE_TRIES; tries++) {
		seq = atomic_load(&score->past_seq);
		*to = had;
		if (before != NULL && atomic_load(&score->inherited) == 0)
			count(before, NULL, to);
		count_once(score, to);
		if ((seq & 1) == 0 && atomic_load(&score->past_seq) == seq)
			break;
	}
}

void
apw_score_count(const struct apw_score *score, struct apw_score_counts *to)
{
	*to = (struct apw_score_counts){ 0 };
	count(score, score_before, to);
}

void
apw_score_count_slot(const struct apw_score *score,
    const struct apw_score_slot *slot, bool with_past,
    struct apw_score_counts *to)
{
	unsigned	number = atomic_load(&slot->number);

	*to = (struct apw_score_counts){ 0 };
	add_slot(to, slot);
	if (with_past && number >= 1 && number <= APW_SCORE_NUMBERS)
		add_past(to, &score->was[number - 1]);
}

int
apw_score_fd(void)
{
	return score_fd;
}

int
apw_score_inherit(struct apw_score *score, int fd, struct apw_err *err)
{
	const struct apw_score	*before;
	struct stat		 st;

	if (fstat(fd, &st) == -1 || st.st_size != (off_t)sizeof(*before)) {
		close(fd);
		return apw_err_set(err, 0, "its scoreboard is of another kind");
	}
	before = mmap(NULL, sizeof(*before), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (before == MAP_FAILED)
		return apw_err_set(err, errno, "cannot map its scoreboard");
	if (before->magic != SCORE_MAGIC) {
		munmap((void *)(uintptr_t)before, sizeof(*before));
		return apw_err_set(err, 0, "its scoreboard is of another kind");
	}
	score_before = before;
	atomic_store(&score->reloads_ok, atomic_load(&before->reloads_ok));
	atomic_store(&score->reloads_failed,
	    atomic_load(&before->reloads_failed));
	atomic_store(&score->reloaded_wall_ms,
	    atomic_load(&before->reloaded_wall_ms));
	return 0;
}

static void
keep_numbers(struct apw_score *score, const struct apw_score *before)
{
	struct apw_score_counts	 counts;
	struct apw_score_past	*was;
	size_t			 i, n = records_of(before);

	for (i = 0; i < APW_SCORE_NUMBERS; i++) {
		counts = (struct apw_score_counts){ 0 };
		add_past(&counts, &before->was[i]);
		if (counts.starts > 0)	/* pages nobody uses cost nothing */
			keep(&score->was[i], &counts);
	}
	for (i = 0; i < n; i++) {
		was = past_of(score, atomic_load(&before->slot[i].number));
		counts = (struct apw_score_counts){ 0 };
		add_slot(&counts, &before->slot[i]);
		if (was != NULL)
			keep(was, &counts);
	}
}

void
apw_score_inherit_end(struct apw_score *score)
{
	const struct apw_score	*before = score_before;
	struct apw_score_counts	 counts = { 0 };

	if (before == NULL)
		return;
	count(before, NULL, &counts);
	apw_score_begin(&score->past_seq);
	keep(&score->past, &counts);
	keep_numbers(score, before);
	atomic_store(&score->inherited, 1);
	apw_score_end(&score->past_seq);
	score_before = NULL;
	munmap((void *)(uintptr_t)before, sizeof(*before));
}

/* --- */

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
