/* The lease journal: what a slot must not forget when it dies.  Room: job.
 *
 * One file a slot process, in leases/ of the state directory, held by flock
 * while that process lives.  A file has room for one job: its request as it
 * came, and, once there is one, the result that is to be told.  Who finds a
 * file that nobody holds, with a record in it, has found a job whose slot
 * died.
 *
 * What each write is worth: it is in the kernel's hands when the function
 * returns, so that no death of a process loses it; on the disk within a
 * second (journal on), or at once where it matters (journal sync).
 *
 * Records hold tokens: files are 0600, and a record that is closed is
 * overwritten. */
#ifndef APW_JOURNAL_H
#define APW_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/apw_buf.h"
#include "core/apw_cycle.h"
#include "core/apw_err.h"
#include "core/apw_str.h"

struct event_base;
struct apw_journal;
struct apw_journals;

/* The codec: no files, no clocks. */

#define APW_JOURNAL_BLOCK	512	/* bytes of an encoded state */
#define APW_JOURNAL_TEXTS	1024	/* where the texts begin in a file */
#define APW_JOURNAL_CRASHES	10	/* remembered, and the most retries */
#define APW_JOURNAL_TEXT_MAX	((uint64_t)257 << 20)	/* of one text */

enum apw_journal_state {
	APW_JOURNAL_EMPTY,
	APW_JOURNAL_RUN,	/* a job was begun */
	APW_JOURNAL_RESULT,	/* it has ended; that is to be told */
};

enum {
	APW_JOURNAL_LEFT	= 1,	/* its slot left in order: no crash */
	APW_JOURNAL_COMMITTED	= 2,	/* did what must not be done twice */
	APW_JOURNAL_DURABLE	= 4,	/* synced before anything followed */
	APW_JOURNAL_CLOCK_GOOD	= 8,	/* wall times are of a synchronised clock */
};

/* Where a life of the job ended. */
struct apw_journal_crash {
	char		phase[24];
	uint32_t	ran_ms;		/* since the job was begun, that time */
};

struct apw_journal_record {
	uint64_t	seq;		/* grows with each write */
	enum apw_journal_state state;
	uint32_t	flags;
	uint8_t		boot_id[16];	/* of the host, when it was taken */
	uint8_t		scope[16];	/* hash: whose lease this is */
	int64_t		taken_boot_ms, taken_wall_ms;
	int64_t		until_boot_ms, until_wall_ms;	/* ours, as far as proven */
	int64_t		begun_boot_ms;	/* this life of the job */
	uint32_t	release;	/* of the app */
	uint32_t	crashes;	/* lives that ended by the slot's death */
	uint64_t	request_n, report_n, complete_n;
	uint32_t	request_crc, result_crc;
	char		phase[24];
	struct apw_journal_crash crash[APW_JOURNAL_CRASHES];
};

enum apw_journal_found {
	APW_JOURNAL_GOOD,
	APW_JOURNAL_BLANK,	/* nothing was ever written */
	APW_JOURNAL_FOREIGN,	/* not a journal */
	APW_JOURNAL_VERSION,	/* of another version of this program */
	APW_JOURNAL_TORN,	/* does not add up */
};

void	apw_journal_encode(const struct apw_journal_record *,
	    uint8_t out[APW_JOURNAL_BLOCK]);
enum apw_journal_found apw_journal_decode(const uint8_t in[APW_JOURNAL_BLOCK],
	    struct apw_journal_record *);
/* Of the two blocks a file begins with: the newer good one. */
enum apw_journal_found apw_journal_choose(
	    const uint8_t in[2 * APW_JOURNAL_BLOCK], struct apw_journal_record *);
/* CRC-32C; start with 0, go on with what it returned. */
uint32_t apw_journal_crc(uint32_t crc, const void *, size_t);
/* The same by table; for tests. */
uint32_t apw_journal_crc_table(uint32_t crc, const void *, size_t);

/* What the host says about time. */
struct apw_journal_clock {
	uint8_t		boot_id[16];
	int64_t		boot_ms;	/* since boot, suspension included */
	int64_t		wall_ms;
	bool		good;		/* the kernel calls the wall clock synchronised */
};
void	apw_journal_now(struct apw_journal_clock *);
/* How long the record's lease is certainly ours: ms > 0; else 0, and why. */
int64_t	apw_journal_left_ms(const struct apw_journal_record *,
	    const struct apw_journal_clock *, const char **why);

/* The files. */

/* Opens this slot's own file.  *jp stays usable when that fails (-1 and err):
 * then jobs are not journalled, and those of others are still found.  NULL in
 * *jp: nothing at all can be done here.  orphan (from the loop): another
 * slot's job may wait to be taken over; apw_journals_take() says which. */
int	apw_journals_open(struct apw_journals **jp, struct event_base *,
	    const struct apw_cycle *, unsigned slot,
	    void (*orphan)(void *arg), void *arg, struct apw_err *);
/* Leaves records as they are. */
void	apw_journals_close(struct apw_journals *);
/* Somebody may have died: look for what he left when his successor has had
 * his try; then orphan().  NULL is fine. */
void	apw_journals_look(struct apw_journals *);
/* The slot's own, for a new job; NULL: it is not journalled. */
struct apw_journal *apw_journals_own(struct apw_journals *);
/* A file with a record that nobody holds, ours now; NULL: none.  The same
 * one until it is closed or freed. */
struct apw_journal *apw_journals_take(struct apw_journals *);
/* Done with it: a record that is still in it waits for the next one. */
void	apw_journal_done(struct apw_journals *, struct apw_journal *);

/* The slot leaves, or cannot do it: its record waits for whoever looks next.
 * The slot's own file becomes anybody's; it has another one from the next
 * job on.  NULL is allowed. */
void	apw_journal_part(struct apw_journals *, struct apw_journal *);

const struct apw_journal_record *apw_journal_record(const struct apw_journal *);

/* NULL journals are fine below: then nothing happens.  What fails is logged;
 * the job goes on without its journal. */

struct apw_journal_lease {
	uint8_t		scope[16];
	uint32_t	release;
	int64_t		until_boot_ms;
};
void	apw_journal_begin(struct apw_journal *, struct apw_str request,
	    const struct apw_journal_lease *);
/* The texts of a record; -1: they do not add up. */
int	apw_journal_read(struct apw_journal *, struct apw_buf *request,
	    struct apw_buf *report, struct apw_buf *complete, struct apw_err *);
/* Begin again what another began; crashed: its life counts. */
void	apw_journal_again(struct apw_journal *, bool crashed);
void	apw_journal_phase(struct apw_journal *, const char *phase);
void	apw_journal_extend(struct apw_journal *, int64_t until_boot_ms);
/* What comes next must not be done twice. */
void	apw_journal_commit(struct apw_journal *);
void	apw_journal_result(struct apw_journal *, struct apw_str report,
	    struct apw_str complete);
/* The slot leaves; the job goes on elsewhere. */
void	apw_journal_leave(struct apw_journal *);
/* Settled, or not ours any more: overwritten. */
void	apw_journal_close(struct apw_journal *);

#endif
