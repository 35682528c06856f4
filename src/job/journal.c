/* One journal file: what is written into it and when; see journal.h.  Room:
 * job, in a slot.  Which file, and whose, is found in journal_find.c.
 *
 * Texts are written before the block that speaks of them, and overwritten
 * after the one that forgets them: a death in between leaves nothing that
 * could be believed. */
#include "job/journal_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/timex.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"

#define JOURNAL_PHASE_MS 10
#define JOURNAL_SYNC_MS	1000	/* the longest that something waits for the disk */
#define JOURNAL_LARGE	(1 << 20)	/* takes the disk a while */

/* Of this boot; when it cannot be read, of this process only. */
static void
journal_boot_id(uint8_t id[16])
{
	static uint8_t	known[16];
	static bool	read_before;
	apw_autofd int	fd = -1;
	char		text[64] = "";
	size_t		i, n = 0;
	unsigned	digit;

	if (!read_before) {
		read_before = true;
		fd = open("/proc/sys/kernel/random/boot_id",
		    O_RDONLY | O_CLOEXEC);
		if (fd == -1 || read(fd, text, sizeof(text) - 1) < 32 ||
		    getrandom(known, sizeof(known), 0) == -1)
			memset(known, 0xff, sizeof(known));
		for (i = 0; text[i] != '\0' && n < 32; i++)
			if (sscanf((char[]){ text[i], '\0' }, "%1x",
			    &digit) == 1) {
				known[n / 2] = n % 2 == 0 ? digit << 4 :
				    known[n / 2] | digit;
				n++;
			}
	}
	memcpy(id, known, sizeof(known));
}

void
apw_journal_now(struct apw_journal_clock *now)
{
	struct timex	tx = { .modes = 0 };

	journal_boot_id(now->boot_id);
	now->boot_ms = apw_boot_ms();
	now->wall_ms = apw_wall_ms();
	now->good = adjtimex(&tx) != -1 && (tx.status & STA_UNSYNC) == 0;
}

/* Writing. */

int
journal_pwrite(int fd, const void *data, size_t n, uint64_t at)
{
	const char	*p = data;
	ssize_t		 w;

	while (n > 0) {
		w = pwrite(fd, p, n, (off_t)at);
		if (w == -1 && errno == EINTR)
			continue;
		if (w == -1)
			return -1;
		p += w;
		at += (uint64_t)w;
		n -= (size_t)w;
	}
	return 0;
}

static int
journal_write_block(struct apw_journal *j)
{
	uint8_t	block[APW_JOURNAL_BLOCK];

	j->rec.seq++;
	apw_journal_encode(&j->rec, block);
	return journal_pwrite(j->fd, block, sizeof(block),
	    (j->rec.seq & 1) * APW_JOURNAL_BLOCK);
}

int
journal_blank(struct apw_journal *j, uint64_t upto)
{
	static const char	zeroes[16384];
	uint64_t		seq = j->rec.seq, at;
	size_t			n;

	memset(&j->rec, 0, sizeof(j->rec));
	j->rec.seq = seq;
	j->stale = false;
	if (journal_write_block(j) == -1)
		return -1;
	/* zeroes would not reach the disk before their blocks are given up */
	if (upto > JOURNAL_FILE) {
		if (ftruncate(j->fd, JOURNAL_FILE) == -1)
			return -1;
		upto = JOURNAL_FILE;
	}
	for (at = APW_JOURNAL_TEXTS; at < upto; at += n) {
		n = upto - at < sizeof(zeroes) ? upto - at : sizeof(zeroes);
		if (journal_pwrite(j->fd, zeroes, n, at) == -1)
			return -1;
	}
	j->used = 0;
	return 0;
}

void
journal_sync(struct apw_journal *j)
{
	if (j == NULL || !j->dirty)
		return;
	j->dirty = false;
	if (fdatasync(j->fd) == -1)
		apw_warn_often("cannot sync the lease journal",
		    APW_S("file", j->name), APW_I("errno", errno));
}

/* It is on the disk soon, or at once. */
static void
journal_settle(struct apw_journal *j, bool hard)
{
	const struct timeval	tv = { JOURNAL_SYNC_MS / 1000,
	    JOURNAL_SYNC_MS % 1000 * 1000 };

	j->dirty = true;
	if (hard && j->of->durable) {
		journal_sync(j);
		return;
	}
	/* what is large is on its way when the time to wait for it comes */
	if (j->used >= JOURNAL_LARGE)
		sync_file_range(j->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	if (!event_pending(j->of->sync, EV_TIMEOUT, NULL))
		event_add(j->of->sync, &tv);
}

/* A journal that cannot be written must not be believed either. */
static void
journal_fail(struct apw_journal *j, const char *what)
{
	int	code = errno;

	if (!j->failed)
		apw_error("the lease journal cannot be written: should this "
		    "slot die, the app gives its job out again after the "
		    "lock's time", APW_S("file", j->name),
		    APW_S("what", what), APW_S("error", strerror(code)));
	j->failed = true;
	if (journal_blank(j, APW_JOURNAL_TEXTS + j->used) == -1 &&
	    ftruncate(j->fd, 0) == -1)
		journal_unlink(j);
}

static void
journal_put(struct apw_journal *j, bool hard)
{
	j->stale = false;
	if (journal_write_block(j) == -1)
		journal_fail(j, "state");
	else
		journal_settle(j, hard);
}

/* What happens to a job. */

const struct apw_journal_record *
apw_journal_record(const struct apw_journal *j)
{
	return &j->rec;
}

void
apw_journal_begin(struct apw_journal *j, struct apw_str request,
    const struct apw_journal_lease *lease)
{
	struct apw_journal_clock	now;
	struct apw_journal_record	*r;

	if (j == NULL)
		return;
	r = &j->rec;
	apw_journal_now(&now);
	*r = (struct apw_journal_record){ .seq = r->seq,
	    .state = APW_JOURNAL_RUN,
	    .flags = (j->of->durable ? APW_JOURNAL_DURABLE : 0) |
	    (now.good ? APW_JOURNAL_CLOCK_GOOD : 0),
	    .taken_boot_ms = now.boot_ms, .taken_wall_ms = now.wall_ms,
	    .begun_boot_ms = now.boot_ms,
	    .until_boot_ms = lease->until_boot_ms,
	    .until_wall_ms = now.wall_ms + lease->until_boot_ms - now.boot_ms,
	    .release = lease->release,
	    .request_n = request.n,
	    .request_crc = apw_journal_crc(0, request.p, request.n),
	    .phase = "lease" };
	memcpy(r->boot_id, now.boot_id, sizeof(r->boot_id));
	memcpy(r->scope, lease->scope, sizeof(r->scope));
	j->used = request.n;
	if (request.n > APW_JOURNAL_TEXT_MAX)
		errno = EFBIG;
	if (request.n > APW_JOURNAL_TEXT_MAX || journal_pwrite(j->fd,
	    request.p, request.n, APW_JOURNAL_TEXTS) == -1)
		journal_fail(j, "request");
	else {
		j->failed = false;
		journal_put(j, true);
	}
}

/* Is there a record to go on with? */
static bool
journal_open(const struct apw_journal *j)
{
	return j != NULL && j->rec.state != APW_JOURNAL_EMPTY;
}

void
apw_journal_again(struct apw_journal *j, bool crashed)
{
	struct apw_journal_record	*r = &j->rec;
	struct apw_journal_crash	*c;
	int64_t				 now_ms = apw_boot_ms();

	if (!journal_open(j))
		return;
	if (crashed && r->state == APW_JOURNAL_RUN) {
		c = &r->crash[r->crashes % APW_JOURNAL_CRASHES];
		memcpy(c->phase, r->phase, sizeof(c->phase));
		c->ran_ms = now_ms > r->begun_boot_ms ?
		    (uint32_t)(now_ms - r->begun_boot_ms) : 0;
		r->crashes++;
	}
	r->flags &= ~(uint32_t)APW_JOURNAL_LEFT;
	r->begun_boot_ms = now_ms;
	journal_put(j, true);
}

/* Steps that take no time leave no trace: what is written with the next
 * thing, or soon, is where the job waits. */
void
apw_journal_phase(struct apw_journal *j, const char *phase)
{
	static const struct timeval	soon = { 0, JOURNAL_PHASE_MS * 1000 };

	if (!journal_open(j) || strcmp(j->rec.phase, phase) == 0)
		return;
	memset(j->rec.phase, 0, sizeof(j->rec.phase));
	snprintf(j->rec.phase, sizeof(j->rec.phase), "%s", phase);
	j->stale = true;
	if (!event_pending(j->of->phase, EV_TIMEOUT, NULL))
		event_add(j->of->phase, &soon);
}

void
journal_phase_put(struct apw_journal *j)
{
	if (journal_open(j) && j->stale)
		journal_put(j, false);
}

void
apw_journal_extend(struct apw_journal *j, int64_t until_boot_ms)
{
	struct apw_journal_clock	now;

	if (!journal_open(j))
		return;
	apw_journal_now(&now);
	/* after a restart of the host the lease goes on in its new time */
	memcpy(j->rec.boot_id, now.boot_id, sizeof(j->rec.boot_id));
	if (j->rec.taken_boot_ms > now.boot_ms)
		j->rec.taken_boot_ms = now.boot_ms;
	j->rec.until_boot_ms = until_boot_ms;
	j->rec.until_wall_ms = now.wall_ms + until_boot_ms - now.boot_ms;
	if (!now.good)
		j->rec.flags &= ~(uint32_t)APW_JOURNAL_CLOCK_GOOD;
	journal_put(j, true);
}

void
apw_journal_commit(struct apw_journal *j)
{
	if (!journal_open(j) || (j->rec.flags & APW_JOURNAL_COMMITTED) != 0)
		return;
	j->rec.flags |= APW_JOURNAL_COMMITTED;
	journal_put(j, true);
}

void
apw_journal_result(struct apw_journal *j, struct apw_str report,
    struct apw_str complete)
{
	struct apw_journal_record	*r;
	uint64_t			 at;

	if (!journal_open(j))
		return;
	r = &j->rec;
	at = APW_JOURNAL_TEXTS + r->request_n;
	if (report.n > APW_JOURNAL_TEXT_MAX ||
	    complete.n > APW_JOURNAL_TEXT_MAX) {
		errno = EFBIG;
		journal_fail(j, "result");
		return;
	}
	j->used = r->request_n + report.n + complete.n;
	if (journal_pwrite(j->fd, report.p, report.n, at) == -1 ||
	    journal_pwrite(j->fd, complete.p, complete.n,
	    at + report.n) == -1) {
		journal_fail(j, "result");
		return;
	}
	r->report_n = report.n;
	r->complete_n = complete.n;
	r->result_crc = apw_journal_crc(apw_journal_crc(0, report.p, report.n),
	    complete.p, complete.n);
	r->state = APW_JOURNAL_RESULT;
	journal_put(j, true);
}

void
apw_journal_leave(struct apw_journal *j)
{
	if (!journal_open(j))
		return;
	j->rec.flags |= APW_JOURNAL_LEFT;
	journal_put(j, true);
}

void
apw_journal_close(struct apw_journal *j)
{
	if (!journal_open(j))
		return;
	if (journal_blank(j, APW_JOURNAL_TEXTS + j->used) == -1)
		journal_fail(j, "end");
	else
		journal_settle(j, false);
}

/* Reading what a dead slot wrote. */

static int
journal_read_text(struct apw_journal *j, uint64_t at, uint64_t n,
    struct apw_buf *out)
{
	ssize_t	got;

	apw_buf_reset(out);
	out->max = 0;
	if (n == 0)
		return 0;
	if (apw_buf_reserve(out, n + 1) == -1)
		return -1;
	while (out->len < n) {
		got = pread(j->fd, out->data + out->len, n - out->len,
		    (off_t)(at + out->len));
		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		out->len += (size_t)got;
	}
	out->data[n] = '\0';
	return 0;
}

int
apw_journal_read(struct apw_journal *j, struct apw_buf *request,
    struct apw_buf *report, struct apw_buf *complete, struct apw_err *err)
{
	const struct apw_journal_record	*r = &j->rec;
	uint64_t			 at = APW_JOURNAL_TEXTS;
	uint32_t			 crc;

	errno = 0;
	if (journal_read_text(j, at, r->request_n, request) == -1)
		return apw_err_set(err, errno, "the request is cut off");
	if (apw_journal_crc(0, request->data, request->len) != r->request_crc)
		return apw_err_set(err, 0, "the request does not add up");
	if (r->state != APW_JOURNAL_RESULT)
		return 0;
	at += r->request_n;
	if (journal_read_text(j, at, r->report_n, report) == -1 ||
	    journal_read_text(j, at + r->report_n, r->complete_n,
	    complete) == -1)
		return apw_err_set(err, errno, "the result is cut off");
	crc = apw_journal_crc(0, report->data, report->len);
	crc = apw_journal_crc(crc, complete->data, complete->len);
	if (crc != r->result_crc)
		return apw_err_set(err, 0, "the result does not add up");
	return 0;
}
