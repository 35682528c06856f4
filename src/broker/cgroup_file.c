/* The files of a control group.  Room: broker. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "broker/cgroup_priv.h"
#include "core/apw_auto.h"

int
cgroup_read(int dir_fd, const char *file, char *text, size_t size)
{
	apw_autofd int	fd = openat(dir_fd, file, O_RDONLY | O_CLOEXEC);
	ssize_t		n = fd == -1 ? -1 : read(fd, text, size - 1);

	if (n < 0)
		return -1;
	text[n] = '\0';
	return 0;
}

int
cgroup_write(int dir_fd, const char *file, const char *text)
{
	apw_autofd int	fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC);
	size_t		n = strlen(text);

	return fd != -1 && write(fd, text, n) == (ssize_t)n ? 0 : -1;
}
