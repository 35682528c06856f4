/* Finding things on disk; see apw_find.h.  Room: any.  It looks and starts
 * nothing. */
#include "core/apw_find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool
apw_is_program(const char *path)
{
	struct stat	st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    access(path, X_OK) == 0;
}

char *
apw_find_program(const char *name)
{
	const char	*p = getenv("PATH");
	char		 path[PATH_MAX];
	size_t		 n;

	if (p == NULL || *p == '\0')
		p = "/usr/local/bin:/usr/bin:/bin";
	for (; *p != '\0'; p += n + (p[n] == ':')) {
		n = strcspn(p, ":");
		if (n == 0 || *p != '/' || n > INT_MAX)
			continue;
		snprintf(path, sizeof(path), "%.*s/%s", (int)n, p, name);
		if (apw_is_program(path))
			return strdup(path);
	}
	return NULL;
}

DIR *
apw_opendirat(int dir_fd, const char *name)
{
	int	 fd = openat(dir_fd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR	*dir;
	int	 saved;

	if (fd == -1)
		return NULL;
	dir = fdopendir(fd);
	if (dir == NULL) {
		saved = errno;
		close(fd);
		errno = saved;
	}
	return dir;
}
