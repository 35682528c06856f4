/* The lease journal: its codec, what a record is worth at which time, and a
 * file that was cut, spoilt, or written by others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "job/journal.h"

#define BLOCK	APW_JOURNAL_BLOCK
#define TOKEN	"secret-engine-token"

static struct apw_cycle	cycle;
static char		state[64], leases[80];

static struct apw_journal_record
a_record(void)
{
	return (struct apw_journal_record){ .seq = 7,
	    .state = APW_JOURNAL_RUN, .flags = APW_JOURNAL_LEFT,
	    .boot_id = "boot", .scope = "scope", .taken_boot_ms = 1000000,
	    .taken_wall_ms = 5000000, .until_boot_ms = 1120000,
	    .until_wall_ms = 5120000, .begun_boot_ms = 1000001,
	    .release = 85, .crashes = 2, .request_n = 100,
	    .request_crc = 0x12345678, .phase = "run",
	    .crash = { { "boot", 12 }, { "run", 3456 } } };
}

static void
test_codec(void **arg)
{
	struct apw_journal_record	r = a_record(), back;
	uint8_t				block[BLOCK], bad[BLOCK];
	size_t				i;

	(void)arg;
	apw_journal_encode(&r, block);
	assert_int_equal(apw_journal_decode(block, &back), APW_JOURNAL_GOOD);
	assert_memory_equal(&r, &back, sizeof(r));
	for (i = 0; i < BLOCK; i++) {
		memcpy(bad, block, BLOCK);
		bad[i] ^= 0x40;
		assert_int_not_equal(apw_journal_decode(bad, &back),
		    APW_JOURNAL_GOOD);
	}
	assert_int_equal(apw_journal_crc(0, "123456789", 9), 0xe3069283);
	assert_int_equal(apw_journal_crc(apw_journal_crc(0, "12345", 5),
	    "6789", 4), 0xe3069283);
	/* whoever counts, and from wherever */
	for (i = 0; i < 40; i++) {
		assert_int_equal(apw_journal_crc(i, block + i, BLOCK - i),
		    apw_journal_crc_table(i, block + i, BLOCK - i));
		assert_int_equal(apw_journal_crc(i, block + i, i),
		    apw_journal_crc_table(i, block + i, i));
	}
}

/* The newer block is cut at every byte: the older one holds. */
static void
test_torn(void **arg)
{
	struct apw_journal_record	old = a_record(), new = a_record(), r;
	uint8_t				in[2 * BLOCK], was[BLOCK];
	size_t				i;

	(void)arg;
	new.seq = 8;
	new.state = APW_JOURNAL_RESULT;
	for (i = 0; i <= BLOCK; i++) {
		apw_journal_encode(&old, in + BLOCK);
		apw_journal_encode(&new, in);
		/* what was there before was two writes older */
		old.seq = 6;
		apw_journal_encode(&old, was);
		old.seq = 7;
		memcpy(in + i, was + i, BLOCK - i);
		assert_int_equal(apw_journal_choose(in, &r),
		    APW_JOURNAL_GOOD);
		assert_true(r.seq == 7 || r.seq == 8);
		if (i < 20)
			assert_int_equal(r.seq, 7);
		if (i == BLOCK)
			assert_int_equal(r.seq, 8);
	}
	memset(in, 0, sizeof(in));
	assert_int_equal(apw_journal_choose(in, &r), APW_JOURNAL_BLANK);
	memset(in, 'x', sizeof(in));
	assert_int_equal(apw_journal_choose(in, &r), APW_JOURNAL_FOREIGN);
	apw_journal_encode(&new, in);
	apw_journal_encode(&old, in + BLOCK);
	in[BLOCK + 8] = 2;
	assert_int_equal(apw_journal_choose(in, &r), APW_JOURNAL_VERSION);
}

#define BOOT	.boot_id = "boot"
#define OTHER	.boot_id = "other"
#define KEPT	(APW_JOURNAL_DURABLE | APW_JOURNAL_CLOCK_GOOD)

static const struct {
	const char			*name;
	uint32_t			 flags;
	struct apw_journal_clock	 now;
	int64_t				 left;
} worth[] = {
	{ "at once", 0, { BOOT, 1000000, 5000000, true }, 120000 },
	{ "near the end", 0, { BOOT, 1119999, 5119999, true }, 1 },
	{ "over", 0, { BOOT, 1120000, 5000000, true }, 0 },
	{ "wall clock set back", 0, { BOOT, 1060000, 1, true }, 60000 },
	{ "wall clock set forward", 0, { BOOT, 1060000, 1 << 30, false },
	    60000 },
	{ "before it was taken", 0, { BOOT, 999999, 5000000, true }, 0 },
	{ "another boot", APW_JOURNAL_CLOCK_GOOD,
	    { OTHER, 10000, 5010000, true }, 0 },
	{ "another boot, journal sync", KEPT,
	    { OTHER, 10000, 5010000, true }, 110000 },
	{ "the same, over", KEPT, { OTHER, 10000, 5120000, true }, 0 },
	{ "the same, clock of now not good", KEPT,
	    { OTHER, 10000, 5010000, false }, 0 },
	{ "the same, clock of then not good", APW_JOURNAL_DURABLE,
	    { OTHER, 10000, 5010000, true }, 0 },
	{ "the same, wall clock before it", KEPT,
	    { OTHER, 10000, 4999999, true }, 0 },
};

static void
test_worth(void **arg)
{
	struct apw_journal_record	r;
	const char			*why;
	size_t				i;

	(void)arg;
	for (i = 0; i < APW_COUNT(worth); i++) {
		r = a_record();
		r.flags = worth[i].flags;
		if (apw_journal_left_ms(&r, &worth[i].now, &why) !=
		    worth[i].left)
			fail_msg("%s: %s", worth[i].name, why);
		assert_true((worth[i].left > 0) == (*why == '\0'));
	}
	r = a_record();
	r.until_boot_ms += INT64_C(4000000000);
	assert_int_equal(apw_journal_left_ms(&r, &worth[0].now, &why), 0);
}

/* Files. */

static void
nothing(void *arg)
{
	(void)arg;
}

static void
stop_loop(evutil_socket_t fd, short what, void *base)
{
	(void)fd;
	(void)what;
	event_base_loopbreak(base);
}

static struct apw_journals *
open_as(struct event_base *base, unsigned slot)
{
	struct apw_journals	*js;
	struct apw_err		 err = APW_ERR_NONE;

	if (apw_journals_open(&js, base, &cycle, slot, nothing, NULL,
	    &err) == -1 && js == NULL)
		fail_msg("%s", err.text);
	return js;
}

static void
clean(void)
{
	char	command[256];

	snprintf(command, sizeof(command), "rm -rf %s && mkdir -m 0700 %s",
	    leases, leases);
	assert_int_equal(system(command), 0);
}

static void
begin(struct apw_journal *j, const char *request)
{
	struct apw_journal_lease	lease = { .scope = "s", .release = 85,
	    .until_boot_ms = apw_boot_ms() + 120000 };

	apw_journal_begin(j, apw_str_c(request), &lease);
}

/* All bytes of the directory: is the token in there? */
static bool
has_token(void)
{
	char	command[160];

	snprintf(command, sizeof(command), "grep -rqs " TOKEN " %s", leases);
	return system(command) == 0;
}

static void
test_life(void **arg)
{
	struct event_base	*base = event_base_new();
	struct apw_journals	*a, *b;
	struct apw_journal	*j;
	struct apw_buf		 request = APW_BUF_INIT(0), report =
	    APW_BUF_INIT(0), complete = APW_BUF_INIT(0);
	struct apw_err		 err = APW_ERR_NONE;

	(void)arg;
	clean();
	a = open_as(base, 1);
	b = open_as(base, 1);		/* as during a reload */
	assert_non_null(apw_journals_own(a));
	assert_non_null(apw_journals_own(b));
	assert_null(apw_journals_take(a));
	j = apw_journals_own(a);
	begin(j, "{\"t\":\"" TOKEN "\"}");
	assert_true(has_token());
	assert_null(apw_journals_own(a));	/* has its job */
	assert_null(apw_journals_take(b));
	apw_journal_phase(j, "run");
	event_base_once(base, -1, EV_TIMEOUT, stop_loop, base,
	    &(struct timeval){ 0, 100000 });
	event_base_dispatch(base);
	apw_journals_close(a);		/* dies: the record stays */

	a = open_as(base, 2);
	j = apw_journals_take(a);
	assert_non_null(j);
	assert_true(j != apw_journals_own(a));
	assert_ptr_equal(j, apw_journals_take(a));
	assert_string_equal(apw_journal_record(j)->phase, "run");
	assert_int_equal(apw_journal_read(j, &request, &report, &complete,
	    &err), 0);
	assert_string_equal(request.data, "{\"t\":\"" TOKEN "\"}");
	apw_journal_again(j, true);
	assert_int_equal(apw_journal_record(j)->crashes, 1);
	assert_string_equal(apw_journal_record(j)->crash[0].phase, "run");
	apw_journal_result(j, APW_STR("{\"r\":1}"), APW_STR("{\"c\":2}"));
	apw_journals_close(a);

	a = open_as(base, 1);		/* finds it as its own */
	j = apw_journals_take(a);
	assert_non_null(j);
	assert_int_equal(apw_journal_record(j)->state, APW_JOURNAL_RESULT);
	assert_int_equal(apw_journal_read(j, &request, &report, &complete,
	    &err), 0);
	assert_string_equal(report.data, "{\"r\":1}");
	assert_string_equal(complete.data, "{\"c\":2}");
	apw_journal_close(j);
	apw_journal_done(a, j);
	assert_false(has_token());
	assert_null(apw_journals_take(a));
	apw_journals_close(a);
	apw_journals_close(b);
	apw_buf_free(&request);
	apw_buf_free(&report);
	apw_buf_free(&complete);
	event_base_free(base);
}

static void
write_at(const char *name, const char *data, size_t n, size_t at, mode_t mode)
{
	char		path[128];
	apw_autofd int	fd = -1;

	snprintf(path, sizeof(path), "%s/%s", leases, name);
	fd = open(path, O_WRONLY | O_CREAT, mode);
	assert_int_not_equal(fd, -1);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(pwrite(fd, data, n, (off_t)at), n);
}

static off_t
size_of(const char *name)
{
	char		path[128];
	struct stat	st;

	snprintf(path, sizeof(path), "%s/%s", leases, name);
	return lstat(path, &st) == -1 ? -1 : st.st_size;
}

/* A file that ends at any byte: the record is whole, or nothing. */
static void
test_cut(void **arg)
{
	struct event_base	*base = event_base_new();
	struct apw_journals	*js;
	struct apw_journal	*j;
	struct apw_buf		 request = APW_BUF_INIT(0), none =
	    APW_BUF_INIT(0);
	struct apw_err		 err;
	char			 path[128], file[2048];
	size_t			 n, whole = 0;
	int			 fd;

	(void)arg;
	clean();
	js = open_as(base, 5);
	begin(apw_journals_own(js), "{\"t\":\"" TOKEN "\"}");
	snprintf(path, sizeof(path), "%s/5.0", leases);
	fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, file, sizeof(file)), sizeof(file));
	close(fd);
	apw_journals_close(js);
	/* only where something is: the rest is zeroes */
	for (n = 0; n < APW_JOURNAL_TEXTS + 64;
	    n += n < APW_JOURNAL_TEXTS ? 31 : 1) {
		clean();
		write_at("7.0", file, n, 0, 0600);
		js = open_as(base, 9);
		j = apw_journals_take(js);
		err = (struct apw_err)APW_ERR_NONE;
		if (j != NULL && apw_journal_read(j, &request, &none, &none,
		    &err) == 0) {
			assert_string_equal(request.data,
			    "{\"t\":\"" TOKEN "\"}");
			whole++;
		}
		if (j != NULL)
			apw_journal_close(j);
		apw_journals_close(js);
		assert_false(has_token());
	}
	assert_true(whole > 0 && whole < 64);
	apw_buf_free(&request);
	apw_buf_free(&none);
	event_base_free(base);
}

/* What is not ours is left as it is, and does not keep a slot from a file. */
static void
test_others(void **arg)
{
	struct event_base		*base = event_base_new();
	struct apw_journals		*js;
	struct apw_journal_record	 r = a_record();
	uint8_t				 block[BLOCK];
	char				 path[128];

	(void)arg;
	clean();
	apw_journal_encode(&r, block);
	block[8] = 9;
	write_at("1.0", "#!/bin/sh\n", 10, 0, 0600);
	write_at("1.1", (char *)block, BLOCK, 0, 0600);
	write_at("1.2", "", 0, 0, 0644);
	write_at("target", "keep", 4, 0, 0600);
	snprintf(path, sizeof(path), "%s/1.3", leases);
	assert_int_equal(symlink("target", path), 0);
	snprintf(path, sizeof(path), "%s/1.4", leases);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%s/1.5", leases);
	assert_int_equal(mkdir(path, 0700), 0);
	js = open_as(base, 1);
	assert_non_null(apw_journals_own(js));
	assert_null(apw_journals_take(js));
	assert_true(size_of("1.6") > 4096);
	apw_journals_close(js);
	assert_int_equal(size_of("1.0"), 10);
	assert_int_equal(size_of("1.1"), BLOCK);
	assert_int_equal(size_of("1.2"), 0);
	assert_int_equal(size_of("target"), 4);
	assert_int_equal(size_of("1.6"), -1);
	event_base_free(base);
}

/* A directory that others may write in is none for secrets. */
static void
test_directory(void **arg)
{
	struct event_base	*base = event_base_new();
	struct apw_journals	*js;
	struct apw_err		 err = APW_ERR_NONE;

	(void)arg;
	clean();
	assert_int_equal(chmod(leases, 0777), 0);
	assert_int_equal(apw_journals_open(&js, base, &cycle, 1, nothing, NULL,
	    &err), -1);
	assert_null(js);
	assert_non_null(strstr(err.text, "others may write"));
	assert_int_equal(rmdir(leases), 0);
	assert_int_equal(apw_journals_open(&js, base, &cycle, 1, nothing, NULL,
	    &err), -1);
	assert_null(js);
	/* and none of these mind that there is none */
	assert_null(apw_journals_own(NULL));
	assert_null(apw_journals_take(NULL));
	apw_journal_done(NULL, NULL);
	begin(NULL, "{}");
	apw_journal_phase(NULL, "x");
	apw_journal_close(NULL);
	apw_journals_close(NULL);
	event_base_free(base);
}

/* A large request is taken whole, and its room is given back. */
static void
test_large(void **arg)
{
	struct event_base	*base = event_base_new();
	struct apw_journals	*js;
	struct apw_journal	*j;
	char			*text = malloc(3 << 20);
	off_t			 before;

	(void)arg;
	clean();
	memset(text, 'x', (3 << 20) - 1);
	text[(3 << 20) - 1] = '\0';
	memcpy(text, TOKEN, sizeof(TOKEN) - 1);
	js = open_as(base, 1);
	before = size_of("1.0");
	j = apw_journals_own(js);
	begin(j, text);
	assert_true(size_of("1.0") > 3 << 20);
	apw_journal_close(j);
	assert_int_equal(size_of("1.0"), before);
	assert_false(has_token());
	apw_journals_close(js);
	free(text);
	event_base_free(base);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_codec),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_worth),
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_directory),
		cmocka_unit_test(test_large),
	};
	char	command[256];
	int	rc;

	/* in memory where there is such a place: thousands of syncs */
	snprintf(state, sizeof(state), "%s/apw-journal-XXXXXX",
	    access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	if (mkdtemp(state) == NULL)
		return 1;
	snprintf(leases, sizeof(leases), "%s/leases", state);
	cycle.main.state_path = state;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(command, sizeof(command), "rm -rf %s", state);
	return system(command) == 0 ? rc : 1;
}
