/* How much memory an engine has: its own process and all below it, pieces that
 * run in children included.  Room: slot.  It is shown to people, so a process
 * that comes or goes meanwhile is left out, and a large tree is not walked to
 * its end. */
#include "slot/weigh.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define WEIGH_PROCESSES	64	/* of a tree */
#define WEIGH_BYTES	8192	/* of a list of children */

struct weigh {
	pid_t	 pids[WEIGH_PROCESSES];
	size_t	 n;
};

static size_t
weigh_read(const char *path, char *text, size_t size)
{
	apw_autofd int	fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t		len = 0;
	ssize_t		n;

	while (fd != -1 && len < size - 1 &&
	    (n = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return len;
}

static uint64_t
weigh_one(pid_t pid)
{
	char			path[64], text[128];
	unsigned long long	pages;

	snprintf(path, sizeof(path), "/proc/%ld/statm", (long)pid);
	if (weigh_read(path, text, sizeof(text)) == 0 ||
	    sscanf(text, "%*u %llu", &pages) != 1)
		return 0;
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* The kernel lists children by the thread that made them. */
static void
weigh_children(struct weigh *w, pid_t pid)
{
	static char	 text[WEIGH_BYTES];
	char		 path[96], *p, *end;
	struct dirent	*entry;
	long		 child;
	DIR		*dir;

	snprintf(path, sizeof(path), "/proc/%ld/task", (long)pid);
	if ((dir = opendir(path)) == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%ld/task/%.20s/children",
		    (long)pid, entry->d_name);
		if (weigh_read(path, text, sizeof(text)) == 0)
			continue;
		for (p = text; w->n < WEIGH_PROCESSES &&
		    (child = strtol(p, &end, 10)) > 0; p = end)
			w->pids[w->n++] = (pid_t)child;
	}
	closedir(dir);
}

uint64_t
apw_weigh(pid_t pid)
{
	struct weigh	w = { { pid }, pid > 0 };
	uint64_t	bytes = 0;
	size_t		i;

	for (i = 0; i < w.n; i++) {
		bytes += weigh_one(w.pids[i]);
		weigh_children(&w, w.pids[i]);
	}
	return bytes;
}
