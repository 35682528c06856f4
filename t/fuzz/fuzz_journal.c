/* A lease journal as it may lie on a disk: whatever is in it, a record that is
 * believed has sane numbers, keeps its lease for an hour at most, and reads
 * the same when it is written again. */
#include "fuzz_main.h"

#include <string.h>

#include "job/journal.h"

#define BLOCKS	(2 * APW_JOURNAL_BLOCK)

/* With a checksum that fits, or nothing would ever get past it. */
static void
seal(uint8_t block[APW_JOURNAL_BLOCK])
{
	uint32_t	crc = apw_journal_crc(0, block, APW_JOURNAL_BLOCK - 4);
	size_t		i;

	for (i = 0; i < 4; i++)
		block[APW_JOURNAL_BLOCK - 4 + i] = crc >> 8 * i & 0xff;
}

static void
believe(const struct apw_journal_record *r)
{
	struct apw_journal_record	again;
	struct apw_journal_clock	now = { .boot_ms = r->taken_boot_ms,
	    .wall_ms = r->taken_wall_ms, .good = true };
	uint8_t				block[APW_JOURNAL_BLOCK];
	const char			*why;
	size_t				i;

	FUZZ_CHECK(r->state <= APW_JOURNAL_RESULT);
	FUZZ_CHECK(r->request_n <= APW_JOURNAL_TEXT_MAX &&
	    r->report_n <= APW_JOURNAL_TEXT_MAX &&
	    r->complete_n <= APW_JOURNAL_TEXT_MAX);
	FUZZ_CHECK(memchr(r->phase, 0, sizeof(r->phase)) != NULL);
	for (i = 0; i < APW_JOURNAL_CRASHES; i++)
		FUZZ_CHECK(memchr(r->crash[i].phase, 0,
		    sizeof(r->crash[i].phase)) != NULL);
	FUZZ_CHECK(apw_journal_left_ms(r, &now, &why) <= 3600000);
	memcpy(now.boot_id, r->boot_id, sizeof(now.boot_id));
	FUZZ_CHECK(apw_journal_left_ms(r, &now, &why) <= 3600000);
	apw_journal_encode(r, block);
	FUZZ_CHECK(apw_journal_decode(block, &again) == APW_JOURNAL_GOOD);
	FUZZ_CHECK(memcmp(r, &again, sizeof(again)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct apw_journal_record	r;
	uint8_t				in[BLOCKS] = { 0 };

	memcpy(in, data, n < BLOCKS ? n : BLOCKS);
	if (apw_journal_choose(in, &r) == APW_JOURNAL_GOOD)
		believe(&r);
	seal(in);
	seal(in + APW_JOURNAL_BLOCK);
	if (apw_journal_choose(in, &r) == APW_JOURNAL_GOOD)
		believe(&r);
	return 0;
}
