/* The one folder a hardened engine may write to: of the slot, below the state
 * directory, emptied before each engine.  Room: modules/sandbox. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "modules/sandbox/plain.h"

#define TMP_DEPTH_MAX	64	/* deeper ones stay: nobody's work is lost */

static void	tmp_empty(int dir_fd, unsigned depth);

/* What an engine left may be anything, but it is no way out: links are
 * unlinked, not followed. */
static void
tmp_remove(int dir_fd, const char *name, unsigned depth)
{
	apw_autofd int	fd = -1;

	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT ||
	    depth == TMP_DEPTH_MAX)
		return;
	fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
	    O_CLOEXEC);
	if (fd == -1 && errno == EACCES &&
	    fchmodat(dir_fd, name, 0700, 0) == 0)
		fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
		    O_CLOEXEC);
	if (fd == -1)
		return;
	fchmod(fd, 0700);
	tmp_empty(fd, depth + 1);
	unlinkat(dir_fd, name, AT_REMOVEDIR);
}

static void
tmp_empty(int dir_fd, unsigned depth)
{
	int		 copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY |
			     O_CLOEXEC);
	DIR		*dir = copy == -1 ? NULL : fdopendir(copy);
	struct dirent	*e;

	if (dir == NULL) {
		if (copy != -1)
			close(copy);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			tmp_remove(dir_fd, e->d_name, depth);
	closedir(dir);
}

int
apw_plain_tmp_path(unsigned seat, char *path, size_t size,
    struct apw_err *err)
{
	const struct apw_cycle	*cycle;
	unsigned		 slot = apw_sandbox_slot(&cycle);

	if (cycle == NULL)
		return apw_err_set(err, 0, "no slot, no folder for its "
		    "engine");
	return (size_t)snprintf(path, size, seat == 0 ? "%s/tmp.%u" :
	    "%s/tmp.%u.%u", cycle->main.state_path, slot, seat) < size ? 0 :
	    apw_err_set(err, ENAMETOOLONG, "%s", cycle->main.state_path);
}

const char *
apw_plain_tmp(unsigned seat, struct apw_err *err)
{
	static char		 path[PATH_MAX];
	apw_autofd int		 fd = -1;
	struct stat		 st;

	if (apw_plain_tmp_path(seat, path, sizeof(path), err) == -1)
		return NULL;
	if (mkdir(path, 0700) == -1 && errno != EEXIST) {
		apw_err_set(err, errno, "cannot make %s", path);
		return NULL;
	}
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1 || st.st_uid != geteuid()) {
		apw_err_set(err, fd == -1 ? errno : EPERM, "%s", path);
		return NULL;
	}
	tmp_empty(fd, 0);
	return path;
}
