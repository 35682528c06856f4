/* The control group of a broker and its boxes.  Room: broker.
 *
 * The broker moves into a group of its own once, at birth, and boxes are
 * born in it: moving a process later would cost each of them milliseconds.
 * v1: one folder in each hierarchy that is there and writable; v2: one
 * folder beside or below our own, where that has been delegated.  The
 * broker holds a lock on its folders while it lives: a folder without a
 * lock is a leftover of an earlier life, and is swept. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "broker/cgroup_priv.h"
#include "core/apw_auto.h"
#include "core/apw_clock.h"

#define CGROUP_TCP_SHARE	4	/* of the memory, for sockets, beside it */
#define CGROUP_YIELD	5	/* a fifth of the others' weight */

const char *const cgroup_names[] = { CGROUP_NAMES(CGROUP_NAME) };

/* A folder of our own below `parent`, with us in it. */
static int
cgroup_enter(struct cgroup *g, enum cgroup_name which, const char *parent)
{
	char		pid[16];
	apw_autofd int	up = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	apw_autofd int	fd = -1;
	int		rc;

	if (up == -1)
		return -1;
	if (cgroup_turn(up))
		cgroup_sweep(up);
	if (mkdirat(up, g->name, 0755) == -1)
		return -1;
	fd = openat(up, g->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	rc = fd == -1 ? -1 : flock(fd, LOCK_EX | LOCK_NB);
	flock(up, LOCK_UN);
	if (rc == 0 && g->version == 1)
		rc = cgroup_write(fd, "cgroup.procs", pid);
	if (rc == -1) {
		unlinkat(up, g->name, AT_REMOVEDIR);
		return -1;
	}
	g->up_fd[which] = apw_take_fd(&up);
	g->dir_fd[which] = apw_take_fd(&fd);
	return 0;
}

static void
cgroup_open_v1(struct cgroup *g)
{
	char			path[PATH_MAX];
	enum cgroup_name	which;

	g->version = 1;
	for (which = 0; which < CGROUP_NNAMES; which++)
		if (cgroup_find_v1(cgroup_names[which], path,
		    sizeof(path)) == 0)
			cgroup_enter(g, which, path);
}

/* Nothing is held any more: another place may be tried. */
static void
cgroup_forget(struct cgroup *g)
{
	enum cgroup_name	which;

	for (which = 0; which < CGROUP_NNAMES; which++) {
		if (g->dir_fd[which] != -1)
			close(g->dir_fd[which]);
		if (g->up_fd[which] != -1)
			close(g->up_fd[which]);
		g->dir_fd[which] = g->up_fd[which] = -1;
	}
	if (g->back_fd != -1)
		close(g->back_fd);
	g->back_fd = -1;
	cgroup_count_close(g);
}

/* v2: one folder is all three; it can hold what its parent hands down. */
static int
cgroup_try_v2(struct cgroup *g, const char *parent)
{
	char			text[512], pid[16];
	apw_autofd int		up = open(parent, O_RDONLY | O_DIRECTORY |
				    O_CLOEXEC);

	if (up == -1)
		return -1;
	if (cgroup_delegated(parent))
		cgroup_hand_down(up, true);
	if (cgroup_read(up, "cgroup.subtree_control", text,
	    sizeof(text)) == -1 || !cgroup_word(text, "memory"))
		return -1;
	g->version = 2;
	if (cgroup_enter(g, CGROUP_MEMORY, parent) == -1)
		return -1;
	if (cgroup_word(text, "pids"))
		g->dir_fd[CGROUP_PIDS] = dup(g->dir_fd[CGROUP_MEMORY]);
	if (cgroup_word(text, "cpu"))
		g->dir_fd[CGROUP_CPU] = dup(g->dir_fd[CGROUP_MEMORY]);
	/* where to go back to: a folder with limits holds no processes */
	g->back_fd = open(g->own, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (cgroup_write(g->dir_fd[CGROUP_MEMORY], "cgroup.procs", pid) == -1) {
		cgroup_leave(g);
		cgroup_forget(g);
		return -1;
	}
	return 0;
}

static int
cgroup_open_v2(struct cgroup *g)
{
	char	 parent[PATH_MAX], *slash;

	if (cgroup_find_v2(g->own, sizeof(g->own)) == -1)
		return -1;
	if (cgroup_try_v2(g, g->own) == 0)
		return 0;
	snprintf(parent, sizeof(parent), "%s", g->own);
	slash = strrchr(parent, '/');
	if (slash == NULL || slash == parent)
		return -1;
	*slash = '\0';
	return cgroup_try_v2(g, parent);
}

struct cgroup *
cgroup_open(const struct broker *b)
{
	struct cgroup		*g = calloc(1, sizeof(*g));
	enum cgroup_name	 which;
	enum cgroup_count_file	 count;

	if (g == NULL)
		return NULL;
	for (which = 0; which < CGROUP_NNAMES; which++)
		g->dir_fd[which] = g->up_fd[which] = -1;
	for (count = 0; count < CGROUP_NCOUNTS; count++)
		g->count_fd[count] = -1;
	g->back_fd = -1;
	snprintf(g->name, sizeof(g->name), CGROUP_PREFIX "%u.%d",
	    b->conf->slot, (int)getpid());
	if (cgroup_open_v2(g) == -1)
		cgroup_open_v1(g);
	cgroup_count_open(g);
	for (which = 0; which < CGROUP_NNAMES; which++)
		if (g->dir_fd[which] != -1)
			return g;
	free(g);
	return NULL;
}

/* Out of our folders and the folders away: whoever is left in them would
 * keep them, so this comes last. */
void
cgroup_leave(struct cgroup *g)
{
	int64_t			end = apw_now_ms() + CGROUP_RMDIR_MS;
	enum cgroup_name	which;
	char			pid[16];
	int			back;

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	for (which = 0; which < CGROUP_NNAMES; which++) {
		if (g->up_fd[which] == -1)
			continue;
		back = g->version == 2 ? g->back_fd : g->up_fd[which];
		cgroup_write(back, "cgroup.procs", pid);
		while (unlinkat(g->up_fd[which], g->name, AT_REMOVEDIR) == -1
		    && errno == EBUSY && apw_now_ms() < end)
			usleep(1000);
		/* those of brokers that could not: nobody may come after us */
		if (cgroup_turn(g->up_fd[which]))
			cgroup_sweep(g->up_fd[which]);
		flock(g->up_fd[which], LOCK_UN);
	}
}

void
cgroup_close(struct cgroup *g)
{
	if (g == NULL)
		return;
	cgroup_leave(g);
	cgroup_forget(g);
	free(g);
}

bool
cgroup_holds(const struct cgroup *g, const char *controller)
{
	enum cgroup_name	which;

	for (which = 0; g != NULL && which < CGROUP_NNAMES; which++)
		if (strcmp(cgroup_names[which], controller) == 0)
			return g->dir_fd[which] != -1;
	return false;
}

static int
cgroup_set(const struct cgroup *g, enum cgroup_name which, const char *file,
    const char *text, struct apw_err *err)
{
	if (g->dir_fd[which] == -1 ||
	    cgroup_write(g->dir_fd[which], file, text) == 0)
		return 0;
	return apw_err_set(err, errno, "cannot set %s to %s", file, text);
}

/* v1 counts what is in sockets of TCP and UDP apart, and not without a limit;
 * v2 with all else.  Not there: a kernel that does not count it at all. */
static void
cgroup_limit_tcp(int fd, uint64_t bytes)
{
	char	text[32];

	snprintf(text, sizeof(text), "%lld", bytes == 0 ? -1LL :
	    (long long)bytes / CGROUP_TCP_SHARE);
	cgroup_write(fd, "memory.kmem.tcp.limit_in_bytes", text);
}

static int
cgroup_limit_memory(const struct cgroup *g, uint64_t bytes,
    struct apw_err *err)
{
	char	text[32];
	int	fd = g->dir_fd[CGROUP_MEMORY];

	if (fd == -1)
		return 0;
	if (g->version == 1)
		cgroup_limit_tcp(fd, bytes);
	snprintf(text, sizeof(text), "%lld", bytes == 0 ? -1LL :
	    (long long)bytes);
	if (g->version == 2) {
		/* not there without swap accounting */
		cgroup_write(fd, "memory.swap.max", bytes == 0 ? "max" : "0");
		return cgroup_set(g, CGROUP_MEMORY, "memory.max",
		    bytes == 0 ? "max" : text, err);
	}
	/* swap counts too, where it does at all; the order depends on which
	 * way the limit moves */
	cgroup_write(fd, "memory.memsw.limit_in_bytes", "-1");
	if (cgroup_set(g, CGROUP_MEMORY, "memory.limit_in_bytes", text,
	    err) == -1)
		return -1;
	if (bytes != 0)
		cgroup_write(fd, "memory.memsw.limit_in_bytes", text);
	return 0;
}

/* None is written only where there was one. */
static int
cgroup_limit_quota(const struct cgroup *g, const struct apw_box_limits *l,
    struct apw_err *err)
{
	char	text[64];

	if (l->cpu_percent == 0 && (g->limits == NULL ||
	    g->limits->cpu_percent == 0))
		return 0;
	if (g->version == 2) {
		if (l->cpu_percent == 0)
			strcpy(text, "max");
		else
			snprintf(text, sizeof(text), "%u 100000",
			    l->cpu_percent * 1000);
		return cgroup_set(g, CGROUP_CPU, "cpu.max", text, err);
	}
	if (g->dir_fd[CGROUP_CPU] == -1)
		return 0;
	cgroup_write(g->dir_fd[CGROUP_CPU], "cpu.cfs_period_us", "100000");
	snprintf(text, sizeof(text), "%d", l->cpu_percent == 0 ? -1 :
	    (int)l->cpu_percent * 1000);
	return cgroup_set(g, CGROUP_CPU, "cpu.cfs_quota_us", text, err);
}

static int
cgroup_limit_cpu(const struct cgroup *g, const struct apw_box_limits *l,
    struct apw_err *err)
{
	unsigned	weight = l->cpu_weight;
	char		text[64];

	if (cgroup_limit_quota(g, l, err) == -1)
		return -1;
	if (weight == 0 && g->limits != NULL && g->limits->cpu_weight != 0)
		weight = 100;
	if (weight == 0)
		return 0;
	/* v1 counts to 1024 where v2 counts to 100 */
	snprintf(text, sizeof(text), "%u", g->version == 2 ? weight :
	    weight * 1024 / 100 + 2);
	return cgroup_set(g, CGROUP_CPU, g->version == 2 ? "cpu.weight" :
	    "cpu.shares", text, err);
}

/* The limits must stay where they are: they are told by their address. */
int
cgroup_limit(struct cgroup *g, const struct apw_box_limits *l,
    uint64_t memory_bytes, struct apw_err *err)
{
	char	text[32];

	if (g == NULL || (g->limits == l && g->memory_bytes == memory_bytes))
		return 0;
	/* the broker and init are in it too */
	snprintf(text, sizeof(text), "%u", l->pids + 2);
	if (cgroup_limit_memory(g, memory_bytes, err) == -1 ||
	    cgroup_set(g, CGROUP_PIDS, "pids.max", l->pids == 0 ? "max" : text,
	    err) == -1 || cgroup_limit_cpu(g, l, err) == -1)
		return -1;
	g->limits = l;
	g->memory_bytes = memory_bytes;
	return 0;
}

void
cgroup_yield(struct cgroup *g, bool yield)
{
	unsigned	weight;
	char		text[16];

	if (g == NULL || g->yields == yield || g->dir_fd[CGROUP_CPU] == -1)
		return;
	weight = g->limits != NULL && g->limits->cpu_weight != 0 ?
	    g->limits->cpu_weight : 100;
	/* the broker is in the group, too, and has to hear who comes next */
	if (yield)
		weight = weight / CGROUP_YIELD + 1;
	snprintf(text, sizeof(text), "%u", g->version == 2 ? weight :
	    weight * 1024 / 100 + 2);
	if (cgroup_write(g->dir_fd[CGROUP_CPU], g->version == 2 ?
	    "cpu.weight" : "cpu.shares", text) == 0)
		g->yields = yield;
}

void
cgroup_describe(const struct cgroup *g, char *text, size_t size)
{
	enum cgroup_name	which;
	size_t			n;

	if (g == NULL) {
		snprintf(text, size, "rlimits only");
		return;
	}
	snprintf(text, size, "cgroup v%d:", g->version);
	for (which = 0; which < CGROUP_NNAMES; which++) {
		n = strlen(text);
		if (g->dir_fd[which] != -1)
			snprintf(text + n, size - n, " %s",
			    cgroup_names[which]);
	}
	n = strlen(text);
	snprintf(text + n, size - n, "; rlimits");
}
