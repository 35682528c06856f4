/* What a control group has counted of a box: the evidence of its end.  Room:
 * broker.  The files are opened once and read again from their start: opening
 * them took longer than all else that the end of a box takes. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "broker/cgroup_priv.h"

struct cgroup_count {
	enum cgroup_name	 of;
	const char		*name[2];	/* v1, v2 */
	const char		*key[2];	/* of its line; NULL: all of it */
};

static const struct cgroup_count cgroup_counts[CGROUP_NCOUNTS] = {
	[CGROUP_COUNT_OOM] = { CGROUP_MEMORY, { "memory.oom_control",
	    "memory.events" }, { "oom_kill", "oom_kill" } },
	[CGROUP_COUNT_PIDS] = { CGROUP_PIDS, { "pids.events",
	    "pids.events" }, { "max", "max" } },
	[CGROUP_COUNT_PEAK] = { CGROUP_MEMORY, { "memory.max_usage_in_bytes",
	    "memory.peak" }, { NULL, NULL } },
	[CGROUP_COUNT_TIME] = { CGROUP_CPU, { "cpuacct.usage", "cpu.stat" },
	    { NULL, "usage_usec" } },
};

void
cgroup_count_open(struct cgroup *g)
{
	const struct cgroup_count	*c;
	enum cgroup_count_file		 i;

	for (i = 0; i < CGROUP_NCOUNTS; i++) {
		c = &cgroup_counts[i];
		g->count_fd[i] = g->dir_fd[c->of] == -1 ? -1 :
		    openat(g->dir_fd[c->of], c->name[g->version - 1],
		    (i == CGROUP_COUNT_PEAK && g->version == 1 ? O_RDWR :
		    O_RDONLY) | O_CLOEXEC);
	}
}

void
cgroup_count_close(struct cgroup *g)
{
	enum cgroup_count_file	i;

	for (i = 0; i < CGROUP_NCOUNTS; i++) {
		if (g->count_fd[i] != -1)
			close(g->count_fd[i]);
		g->count_fd[i] = -1;
	}
}

/* The number behind "key " at the start of a line. */
uint64_t
cgroup_keyed(const char *text, const char *key)
{
	const char	*p = text;
	size_t		 n = strlen(key);

	for (; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, key, n) == 0 && p[n] == ' ')
			return strtoull(p + n + 1, NULL, 10);
	}
	return 0;
}

static uint64_t
cgroup_count_read(const struct cgroup *g, enum cgroup_count_file i)
{
	const char	*key = cgroup_counts[i].key[g->version - 1];
	char		 text[4096];
	ssize_t		 n = g->count_fd[i] == -1 ? -1 :
			    pread(g->count_fd[i], text, sizeof(text) - 1, 0);

	if (n < 0)
		return 0;
	text[n] = '\0';
	return key == NULL ? strtoull(text, NULL, 10) :
	    cgroup_keyed(text, key);
}

static void
cgroup_count(const struct cgroup *g, struct apw_box_end *now)
{
	now->oom_kills = cgroup_count_read(g, CGROUP_COUNT_OOM);
	now->pids_denied = cgroup_count_read(g, CGROUP_COUNT_PIDS);
	now->memory_peak_bytes = cgroup_count_read(g, CGROUP_COUNT_PEAK);
	/* microseconds in v2, nanoseconds in v1 */
	now->cpu_ms = cgroup_count_read(g, CGROUP_COUNT_TIME) /
	    (g->version == 2 ? 1000 : 1000000);
}

void
cgroup_mark(struct cgroup *g)
{
	if (g == NULL)
		return;
	if (g->version == 1 && g->count_fd[CGROUP_COUNT_PEAK] != -1 &&
	    pwrite(g->count_fd[CGROUP_COUNT_PEAK], "0", 1, 0) == -1) {
		/* an old peak is told, then */
	}
	/* between boxes there is nobody but the broker, which reads little */
	if (!g->counted)
		cgroup_count(g, &g->mark);
}

void
cgroup_mark_memory(struct cgroup *g)
{
	if (g != NULL)
		g->mark.oom_kills = cgroup_count_read(g, CGROUP_COUNT_OOM);
}

void
cgroup_evidence(struct cgroup *g, struct apw_box_end *end)
{
	struct apw_box_end	now = { 0 };

	if (g == NULL)
		return;
	cgroup_count(g, &now);
	end->oom_kills = now.oom_kills - g->mark.oom_kills;
	end->pids_denied = now.pids_denied - g->mark.pids_denied;
	end->cpu_ms = now.cpu_ms - g->mark.cpu_ms;
	end->oom_known = g->dir_fd[CGROUP_MEMORY] != -1;
	/* v2 keeps the highest of all boxes: only a new one is this box's */
	if (g->version == 1 || now.memory_peak_bytes >
	    g->mark.memory_peak_bytes)
		end->memory_peak_bytes = now.memory_peak_bytes;
	g->mark = now;
	g->counted = true;
}
