/* Where a process' control groups are, from /proc/self/mountinfo and
 * /proc/self/cgroup.  Room: broker.  Pure text work but for two reads. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "broker/cgroup_priv.h"
#include "core/apw_auto.h"

#define FIND_BYTES	(256 * 1024)

bool
cgroup_word(const char *text, const char *word)
{
	size_t	n = strlen(word), len;

	for (; *text != '\0'; text += len) {
		text += strspn(text, ", \n");
		len = strcspn(text, ", \n");
		if (len == n && memcmp(text, word, n) == 0)
			return true;
	}
	return false;
}

/* One line of /proc/self/cgroup, "N:controllers:/path"; v2's controllers are
 * empty.  Returns the path's length, 0 when it is not this one. */
static size_t
find_group(const char *line, const char *controller, const char **path)
{
	const char	*names = strchr(line, ':'), *end;
	char		 text[256];

	if (names == NULL || (end = strchr(++names, ':')) == NULL ||
	    (size_t)(end - names) >= sizeof(text))
		return 0;
	memcpy(text, names, (size_t)(end - names));
	text[end - names] = '\0';
	if (*controller == '\0' ? *text != '\0' :
	    !cgroup_word(text, controller))
		return 0;
	*path = end + 1;
	return strcspn(end + 1, "\n");
}

/* One line of mountinfo: "id parent dev ROOT POINT options … - TYPE source
 * OPTIONS". */
static int
find_mount(const char *line, const char *controller, char root[1024],
    char point[1024])
{
	const char	*end = strchr(line, '\n'), *dash = strstr(line, " - ");
	char		 type[32], options[512];

	if (dash == NULL || (end != NULL && dash > end) ||
	    sscanf(dash, " - %31s %*s %511s", type, options) != 2 ||
	    sscanf(line, "%*s %*s %*s %1023s %1023s", root, point) != 2)
		return -1;
	if (*controller == '\0')
		return strcmp(type, "cgroup2") == 0 ? 0 : -1;
	return strcmp(type, "cgroup") == 0 &&
	    cgroup_word(options, controller) ? 0 : -1;
}

int
cgroup_find(const char *mountinfo, const char *groups, const char *controller,
    char *path, size_t size)
{
	const char	*line, *group = NULL;
	char		 root[1024], point[1024];
	size_t		 n = 0, len;

	for (line = groups; n == 0 && line != NULL;
	    line = strchr(line, '\n')) {
		line += *line == '\n';
		n = find_group(line, controller, &group);
	}
	if (n == 0)
		return -1;
	for (line = mountinfo; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (find_mount(line, controller, root, point) == -1)
			continue;
		/* what is mounted may itself be a part of the tree */
		len = strcmp(root, "/") == 0 ? 0 : strlen(root);
		if (len > n || strncmp(group, root, len) != 0)
			len = 0;
		group += len;
		n -= len;
		while (n > 0 && group[n - 1] == '/')
			n--;
		if ((size_t)snprintf(path, size, "%s%.*s", point, (int)n,
		    group) >= size)
			return -1;
		return 0;
	}
	return -1;
}

static char *
find_read(const char *path)
{
	apw_autofd int	 fd = open(path, O_RDONLY | O_CLOEXEC);
	char		*text = fd == -1 ? NULL : malloc(FIND_BYTES);
	size_t		 len = 0;
	ssize_t		 n;

	if (text == NULL)
		return NULL;
	while (len < FIND_BYTES - 1 &&
	    (n = read(fd, text + len, FIND_BYTES - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	return text;
}

int
cgroup_find_v1(const char *controller, char *path, size_t size)
{
	apw_autofree char	*mounts = find_read("/proc/self/mountinfo");
	apw_autofree char	*groups = find_read("/proc/self/cgroup");

	if (mounts == NULL || groups == NULL)
		return -1;
	return cgroup_find(mounts, groups, controller, path, size);
}

int
cgroup_find_v2(char *path, size_t size)
{
	return cgroup_find_v1("", path, size);
}
