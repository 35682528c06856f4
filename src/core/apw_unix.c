/* Addresses of socket files; see apw_unix.h.  Room: any. */
#include "core/apw_unix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_auto.h"

const char *
apw_unix_path(const char *name)
{
	static const size_t	n = sizeof(APW_UNIX_PREFIX) - 1;

	return strncmp(name, APW_UNIX_PREFIX, n) == 0 ? name + n : NULL;
}

static int
by_folder(const char *path, struct sockaddr_un *sun, int *dir_fd,
    struct apw_err *err)
{
	const char		*file = strrchr(path, '/');
	apw_autofree char	*dir = NULL;
	apw_autofd int		 fd = -1;

	if (file == NULL || (dir = strndup(path, (size_t)(file - path))) ==
	    NULL)
		return apw_err_set(err, ENAMETOOLONG, "%s", path);
	fd = open(*dir == '\0' ? "/" : dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return apw_err_set(err, errno, "%s", dir);
	if ((size_t)snprintf(sun->sun_path, sizeof(sun->sun_path),
	    "/proc/self/fd/%d%s", fd, file) >= sizeof(sun->sun_path))
		return apw_err_set(err, ENAMETOOLONG, "%s", path);
	if (access("/proc/self/fd", X_OK) == -1)
		return apw_err_set(err, 0, "%s: a socket's path has at most "
		    "%zu bytes where no /proc is mounted", path,
		    sizeof(sun->sun_path) - 1);
	*dir_fd = apw_take_fd(&fd);
	return 0;
}

int
apw_unix_address(const char *path, struct sockaddr_un *sun, int *dir_fd,
    struct apw_err *err)
{
	*sun = (struct sockaddr_un){ .sun_family = AF_UNIX };
	*dir_fd = -1;
	if (strlen(path) >= sizeof(sun->sun_path))
		return by_folder(path, sun, dir_fd, err);
	strcpy(sun->sun_path, path);
	return 0;
}
