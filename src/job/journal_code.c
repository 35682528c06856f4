/* The journal's codec: a state of fixed size, little endian, with a checksum;
 * and what a record is worth at a given time.  Room: job.  No files here.
 *
 * A file begins with two blocks that are written in turns: when the host
 * dies in the middle of one, the other still says how it was before. */
#include "job/journal.h"

#include <stdio.h>
#include <string.h>

#include "core/apw_auto.h"

#define JOURNAL_VERSION	1
#define JOURNAL_LEFT_MAX_MS	3600000		/* no lease lasts longer */

static const char journal_magic[8] = "APWLEASE";

/* CRC-32C, eight bytes at a time. */

static uint32_t	crc_table[8][256];

static void
crc_make(void)
{
	uint32_t	i, j, crc;

	for (i = 0; i < 256; i++) {
		for (crc = i, j = 0; j < 8; j++)
			crc = crc >> 1 ^ (-(crc & 1) & 0x82f63b78);
		crc_table[0][i] = crc;
	}
	for (i = 0; i < 256; i++)
		for (j = 1; j < 8; j++)
			crc_table[j][i] = crc_table[j - 1][i] >> 8 ^
			    crc_table[0][crc_table[j - 1][i] & 0xff];
}

#ifdef __x86_64__
/* The processor's own, ten times as fast: requests may have 100 MiB. */
__attribute__((target("sse4.2")))
static uint32_t
crc_processor(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t	sum = crc, word;

	for (; n >= sizeof(word); n -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		sum = __builtin_ia32_crc32di(sum, word);
	}
	while (n-- > 0)
		sum = __builtin_ia32_crc32qi((uint32_t)sum, *p++);
	return (uint32_t)sum;
}
#endif

/* By table, on any processor. */
uint32_t
apw_journal_crc_table(uint32_t crc, const void *data, size_t n)
{
	const uint8_t	*p = data;
	size_t		 j;

	if (crc_table[0][1] == 0)
		crc_make();
	crc = ~crc;
	for (; n >= 8; n -= 8, p += 8) {
		uint32_t	next = 0;

		crc ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 |
		    (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		for (j = 0; j < 4; j++)
			next ^= crc_table[7 - j][crc >> 8 * j & 0xff] ^
			    crc_table[3 - j][p[4 + j]];
		crc = next;
	}
	while (n-- > 0)
		crc = crc >> 8 ^ crc_table[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

uint32_t
apw_journal_crc(uint32_t crc, const void *data, size_t n)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("sse4.2"))
		return ~crc_processor(~crc, data, n);
#endif
	return apw_journal_crc_table(crc, data, n);
}

/* One table for both ways: what is where. */

static void
put(uint8_t **p, uint64_t v, size_t n)
{
	while (n-- > 0) {
		*(*p)++ = v & 0xff;
		v >>= 8;
	}
}

static uint64_t
get(const uint8_t **p, size_t n)
{
	uint64_t	v = 0;
	size_t		i;

	for (i = 0; i < n; i++)
		v |= (uint64_t)(*p)[i] << 8 * i;
	*p += n;
	return v;
}

static void
put_bytes(uint8_t **p, const void *from, size_t n)
{
	memcpy(*p, from, n);
	*p += n;
}

static void
get_bytes(const uint8_t **p, void *to, size_t n)
{
	memcpy(to, *p, n);
	*p += n;
}

/* A text that ends in its field, whatever the file says. */
static void
get_text(const uint8_t **p, char *to, size_t n)
{
	get_bytes(p, to, n);
	to[n - 1] = '\0';
}

void
apw_journal_encode(const struct apw_journal_record *r,
    uint8_t out[APW_JOURNAL_BLOCK])
{
	uint8_t	*p = out;
	size_t	 i;

	memset(out, 0, APW_JOURNAL_BLOCK);
	put_bytes(&p, journal_magic, sizeof(journal_magic));
	put(&p, JOURNAL_VERSION, 4);
	put(&p, r->state, 4);
	put(&p, r->seq, 8);
	put(&p, r->flags, 4);
	put(&p, r->release, 4);
	put_bytes(&p, r->boot_id, sizeof(r->boot_id));
	put_bytes(&p, r->scope, sizeof(r->scope));
	put(&p, (uint64_t)r->taken_boot_ms, 8);
	put(&p, (uint64_t)r->taken_wall_ms, 8);
	put(&p, (uint64_t)r->until_boot_ms, 8);
	put(&p, (uint64_t)r->until_wall_ms, 8);
	put(&p, (uint64_t)r->begun_boot_ms, 8);
	put(&p, r->request_n, 8);
	put(&p, r->report_n, 8);
	put(&p, r->complete_n, 8);
	put(&p, r->request_crc, 4);
	put(&p, r->result_crc, 4);
	put(&p, r->crashes, 4);
	put_bytes(&p, r->phase, sizeof(r->phase));
	for (i = 0; i < APW_COUNT(r->crash); i++) {
		put_bytes(&p, r->crash[i].phase, sizeof(r->crash[i].phase));
		put(&p, r->crash[i].ran_ms, 4);
	}
	_Static_assert(8 + 4 + 4 + 8 + 4 + 4 + 32 + 8 * 8 + 3 * 4 + 24 +
	    APW_JOURNAL_CRASHES * 28 <= APW_JOURNAL_BLOCK - 4, "it fits");
	p = out + APW_JOURNAL_BLOCK - 4;
	put(&p, apw_journal_crc(0, out, APW_JOURNAL_BLOCK - 4), 4);
}

static bool
all_zero(const uint8_t *p, size_t n)
{
	while (n-- > 0)
		if (*p++ != 0)
			return false;
	return true;
}

static void
decode_fields(const uint8_t *p, struct apw_journal_record *r)
{
	size_t	i;

	r->state = (enum apw_journal_state)get(&p, 4);
	r->seq = get(&p, 8);
	r->flags = (uint32_t)get(&p, 4);
	r->release = (uint32_t)get(&p, 4);
	get_bytes(&p, r->boot_id, sizeof(r->boot_id));
	get_bytes(&p, r->scope, sizeof(r->scope));
	r->taken_boot_ms = (int64_t)get(&p, 8);
	r->taken_wall_ms = (int64_t)get(&p, 8);
	r->until_boot_ms = (int64_t)get(&p, 8);
	r->until_wall_ms = (int64_t)get(&p, 8);
	r->begun_boot_ms = (int64_t)get(&p, 8);
	r->request_n = get(&p, 8);
	r->report_n = get(&p, 8);
	r->complete_n = get(&p, 8);
	r->request_crc = (uint32_t)get(&p, 4);
	r->result_crc = (uint32_t)get(&p, 4);
	r->crashes = (uint32_t)get(&p, 4);
	get_text(&p, r->phase, sizeof(r->phase));
	for (i = 0; i < APW_COUNT(r->crash); i++) {
		get_text(&p, r->crash[i].phase, sizeof(r->crash[i].phase));
		r->crash[i].ran_ms = (uint32_t)get(&p, 4);
	}
}

/* A checksum is no signature: numbers are bounded all the same. */
static bool
record_sane(const struct apw_journal_record *r)
{
	const int64_t	max = INT64_MAX / 4;

	return r->state <= APW_JOURNAL_RESULT &&
	    r->request_n <= APW_JOURNAL_TEXT_MAX &&
	    r->report_n <= APW_JOURNAL_TEXT_MAX &&
	    r->complete_n <= APW_JOURNAL_TEXT_MAX &&
	    r->taken_boot_ms >= 0 && r->taken_boot_ms < max &&
	    r->taken_wall_ms >= 0 && r->taken_wall_ms < max &&
	    r->until_boot_ms >= 0 && r->until_boot_ms < max &&
	    r->until_wall_ms >= 0 && r->until_wall_ms < max &&
	    r->begun_boot_ms >= 0 && r->begun_boot_ms < max &&
	    r->crashes <= 1000;
}

enum apw_journal_found
apw_journal_decode(const uint8_t in[APW_JOURNAL_BLOCK],
    struct apw_journal_record *r)
{
	const uint8_t	*p = in + sizeof(journal_magic);
	const uint8_t	*end = in + APW_JOURNAL_BLOCK - 4;
	uint32_t	 version;

	memset(r, 0, sizeof(*r));
	if (all_zero(in, APW_JOURNAL_BLOCK))
		return APW_JOURNAL_BLANK;
	if (memcmp(in, journal_magic, sizeof(journal_magic)) != 0)
		return APW_JOURNAL_FOREIGN;
	/* first: where another version has its checksum nobody knows */
	version = (uint32_t)get(&p, 4);
	if (version != JOURNAL_VERSION)
		return APW_JOURNAL_VERSION;
	if (get(&end, 4) != apw_journal_crc(0, in, APW_JOURNAL_BLOCK - 4))
		return APW_JOURNAL_TORN;
	decode_fields(p, r);
	if (record_sane(r))
		return APW_JOURNAL_GOOD;
	memset(r, 0, sizeof(*r));
	return APW_JOURNAL_TORN;
}

/* Neither is good: the worse news counts, so that what is not ours is never
 * taken for our own ruins. */
enum apw_journal_found
apw_journal_choose(const uint8_t in[2 * APW_JOURNAL_BLOCK],
    struct apw_journal_record *r)
{
	static const int		worse[] = { [APW_JOURNAL_GOOD] = 0,
	    [APW_JOURNAL_BLANK] = 1, [APW_JOURNAL_TORN] = 2,
	    [APW_JOURNAL_FOREIGN] = 3, [APW_JOURNAL_VERSION] = 4 };
	struct apw_journal_record	second;
	enum apw_journal_found		a, b;

	a = apw_journal_decode(in, r);
	b = apw_journal_decode(in + APW_JOURNAL_BLOCK, &second);
	if (a == APW_JOURNAL_VERSION || b == APW_JOURNAL_VERSION) {
		memset(r, 0, sizeof(*r));
		return APW_JOURNAL_VERSION;
	}
	if (b == APW_JOURNAL_GOOD &&
	    (a != APW_JOURNAL_GOOD || second.seq > r->seq)) {
		*r = second;
		return b;
	}
	if (a == APW_JOURNAL_GOOD)
		return a;
	return worse[a] > worse[b] ? a : b;
}

/* The app's lock runs on the app's time: ours must not have stood still.  On
 * another boot of the host nothing but the wall clock is left, and it counts
 * only if the kernel called it right then and now; and only a record that was
 * on the disk before anything followed tells how far the job was. */
int64_t
apw_journal_left_ms(const struct apw_journal_record *r,
    const struct apw_journal_clock *now, const char **why)
{
	int64_t	left;

	if (memcmp(r->boot_id, now->boot_id, sizeof(r->boot_id)) == 0) {
		*why = "it is from the future";
		if (now->boot_ms < r->taken_boot_ms)
			return 0;
		left = r->until_boot_ms - now->boot_ms;
	} else {
		*why = "the host was restarted since, and its journal was "
		    "not kept in step with the disk (journal sync)";
		if ((r->flags & APW_JOURNAL_DURABLE) == 0)
			return 0;
		*why = "the host was restarted since, and its clock is not "
		    "known to be right";
		if ((r->flags & APW_JOURNAL_CLOCK_GOOD) == 0 || !now->good ||
		    now->wall_ms < r->taken_wall_ms)
			return 0;
		left = r->until_wall_ms - now->wall_ms;
	}
	if (left > JOURNAL_LEFT_MAX_MS) {
		*why = "it claims to last for hours";
		return 0;
	}
	*why = left > 0 ? "" : "its lock has run out";
	return left > 0 ? left : 0;
}
