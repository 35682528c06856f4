/* Limits of a tool: those the kernel keeps for one process, and those of its
 * whole tree, which are looked at while it runs.  Room: stock; the first in
 * the tool's own process, the rest in the keeper.  Where a box holds the
 * builder its group's limits strike first, and harder. */
#include "stock/stock_priv.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define LIMIT_FILE_BYTES	((rlim_t)2 << 30)	/* one file of a tool */
#define LIMIT_NOFILE		8192
#define LIMIT_USER_THREADS	8192	/* all of our user's; not of root's */
#define LIMIT_PROCESSES		256	/* of the tree */
#define LIMIT_LOOK_MAX		1024	/* processes that one look counts */

static void
limit(int what, rlim_t value)
{
	struct rlimit	rl;

	if (getrlimit(what, &rl) == -1)
		return;
	if (value > rl.rlim_max)
		value = rl.rlim_max;
	rl.rlim_cur = rl.rlim_max = value;
	setrlimit(what, &rl);
}

void
stock_limit_set(int64_t timeout_ms)
{
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_FSIZE, LIMIT_FILE_BYTES);
	limit(RLIMIT_NOFILE, LIMIT_NOFILE);
	limit(RLIMIT_NPROC, LIMIT_USER_THREADS);
	/* wall time is watched; this catches one that burns all cores */
	limit(RLIMIT_CPU, timeout_ms / 1000 * 4 + 10);
}

static ssize_t
read_proc(pid_t pid, const char *name, char *buf, size_t size)
{
	char		path[64];
	apw_autofd int	fd = -1;
	ssize_t		n;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd == -1 ? -1 : read(fd, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
	return n;
}

static uint64_t
resident_bytes(pid_t pid)
{
	unsigned long long	pages = 0;
	char			text[128];

	if (read_proc(pid, "statm", text, sizeof(text)) > 0)
		sscanf(text, "%*u %llu", &pages);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The tree below us, the keeper, is the tool's: strays come to us.  In a box
 * it is what is below its first process. */
static size_t
look(pid_t top, pid_t *pids, size_t max)
{
	char	text[8192], name[64], *p, *end;
	size_t	n = 1, at;
	long	pid;

	pids[0] = top;
	for (at = 0; at < n; at++) {
		snprintf(name, sizeof(name), "task/%d/children",
		    (int)pids[at]);
		if (read_proc(pids[at], name, text, sizeof(text)) <= 0)
			continue;
		for (p = text; n < max && (pid = strtol(p, &end, 10)) > 0 &&
		    end != p; p = end)
			pids[n++] = (pid_t)pid;
	}
	return n;
}

const char *
stock_limit_exceeded(const struct apw_stock *stock, pid_t top)
{
	uint64_t	max = stock->cycle->stock.build_memory, sum = 0;
	pid_t		pids[LIMIT_LOOK_MAX];
	size_t		n = look(top, pids, APW_COUNT(pids)), i;

	if (n > LIMIT_PROCESSES + 1)
		return "too many processes";
	for (i = 1; i < n; i++)
		sum += resident_bytes(pids[i]);
	return max > 0 && sum > max ? "more memory than build_memory" : NULL;
}
