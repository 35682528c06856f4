/* The kernel's count of memory kills; see oom.h.  Room: slot.
 *
 * A SIGKILL by the kernel looks like any other to a parent: the counter is
 * the only evidence a plain child leaves. */
#include "slot/oom.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define OOM_TEXT_BYTES	16384

static int
oom_read(const char *path, char text[OOM_TEXT_BYTES])
{
	apw_autofd int	fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t		len = 0;
	ssize_t		n;

	if (fd == -1)
		return -1;
	while (len < OOM_TEXT_BYTES - 1 &&
	    (n = read(fd, text + len, OOM_TEXT_BYTES - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return 0;
}

/* The number behind "oom_kill " at the start of a line. */
static int
oom_count(const char *path, uint64_t *count)
{
	char		 text[OOM_TEXT_BYTES];
	const char	*p = text;

	if (oom_read(path, text) == -1)
		return -1;
	for (; p != NULL; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, "oom_kill ", 9) == 0) {
			*count = strtoull(p + 9, NULL, 10);
			return 0;
		}
	}
	return -1;
}

/* Our group's folder of one hierarchy: the line "N:what:/path". */
static int
oom_group(const char *groups, const char *what, char *path, size_t size)
{
	const char	*line = groups, *p, *end;

	for (; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if ((p = strchr(line, ':')) == NULL ||
		    strncmp(p, what, strlen(what)) != 0)
			continue;
		p += strlen(what);
		end = p + strcspn(p, "\n");
		if ((size_t)(end - p) >= size)
			return -1;
		memcpy(path, p, (size_t)(end - p));
		path[end - p] = '\0';
		return 0;
	}
	return -1;
}

uint64_t
apw_oom_kills(void)
{
	static const struct { const char *what, *root, *file; } trees[] = {
		{ "::", "/sys/fs/cgroup", "memory.events" },
		{ ":memory:", "/sys/fs/cgroup/memory", "memory.oom_control" },
	};
	char		groups[OOM_TEXT_BYTES], group[1024], path[2048];
	uint64_t	count;
	size_t		i;

	if (oom_read("/proc/self/cgroup", groups) == 0)
		for (i = 0; i < APW_COUNT(trees); i++) {
			if (oom_group(groups, trees[i].what, group,
			    sizeof(group)) == -1)
				continue;
			snprintf(path, sizeof(path), "%s%s/%s", trees[i].root,
			    group, trees[i].file);
			if (oom_count(path, &count) == 0)
				return count;
		}
	return oom_count("/proc/vmstat", &count) == 0 ? count : 0;
}
