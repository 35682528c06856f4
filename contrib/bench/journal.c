/* What one journalled job costs its slot: begin, the steps of a warm job, the
 * result, the end.  Build it against a tree without --enable-developer:
 *
 *	cc -O2 -D_GNU_SOURCE -Isrc contrib/bench/journal.c libapw.a \
 *	    -levent -lcrypto -o /tmp/bench-journal && /tmp/bench-journal DIR
 *
 * DIR is on the disk in question. */
#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/apw_clock.h"
#include "job/journal.h"

static void
nobody(void *arg)
{
	(void)arg;
}

static void
life(struct apw_journal *j, struct apw_str request, struct apw_str complete)
{
	static const char *const	steps[] = { "flow version", "pieces",
	    "archives", "stock", "boot", "run", "report", "complete" };
	struct apw_journal_lease	lease = { .release = 85,
	    .until_boot_ms = apw_boot_ms() + 120000 };
	size_t				i;

	apw_journal_begin(j, request, &lease);
	for (i = 0; i < 6; i++)
		apw_journal_phase(j, steps[i]);
	apw_journal_result(j, APW_STR(""), complete);
	for (; i < 8; i++)
		apw_journal_phase(j, steps[i]);
	apw_journal_close(j);
}

static void
measure(const char *dir, enum apw_journal_mode mode, size_t n, int rounds)
{
	static struct apw_cycle	 cycle;
	struct event_base	*base = event_base_new();
	struct apw_journals	*js;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_str		 request, complete = APW_STR("{\"jobId\":\"x\","
	    "\"token\":\"t\",\"queueName\":\"q\",\"status\":\"OK\"}");
	char			*text = malloc(n);
	int64_t			 us;
	int			 i;

	memset(text, 'x', n);
	request = (struct apw_str){ text, n };
	cycle.main.state_path = (char *)(uintptr_t)dir;
	cycle.main.journal = mode;
	if (apw_journals_open(&js, base, &cycle, 1, nobody, NULL, &err) == -1) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	for (i = 0; i < 3; i++)
		life(apw_journals_own(js), request, complete);
	us = apw_now_us();
	for (i = 0; i < rounds; i++)
		life(apw_journals_own(js), request, complete);
	us = apw_now_us() - us;
	printf("journal %-4s  request %9zu bytes  %10.1f us a job\n",
	    mode == APW_JOURNAL_ON ? "on" : "sync", n, (double)us / rounds);
	apw_journals_close(js);
	event_base_free(base);
	free(text);
}

int
main(int argc, char **argv)
{
	char	path[512];

	if (argc != 2) {
		fprintf(stderr, "usage: bench-journal DIR\n");
		return 2;
	}
	snprintf(path, sizeof(path), "%s/leases", argv[1]);
	if (mkdir(path, 0700) == -1 && errno != EEXIST) {
		perror(path);
		return 1;
	}
	measure(argv[1], APW_JOURNAL_ON, 2000, 20000);
	measure(argv[1], APW_JOURNAL_ON, 64 << 10, 5000);
	measure(argv[1], APW_JOURNAL_ON, 10 << 20, 20);
	measure(argv[1], APW_JOURNAL_ON, 100 << 20, 4);
	measure(argv[1], APW_JOURNAL_SYNC, 2000, 100);
	return 0;
}
