/* The pidfile; see pidfile.h.  Room: master, used by ctl.  A pid in a file
 * proves nothing (the process may be dead and its number another's): the
 * record lock does, and names its holder. */
#include "master/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define PIDFILE_TRIES	5

/* The pid as text, for a holder in another PID namespace (lock says 0). */
static pid_t
pid_written(int fd)
{
	char	buf[32], *end;
	ssize_t	n = pread(fd, buf, sizeof(buf) - 1, 0);
	long	pid;

	if (n <= 0)
		return 0;
	buf[n] = '\0';
	pid = strtol(buf, &end, 10);
	return pid > 1 || (pid == 1 && getpid() != 1) ? (pid_t)pid : 0;
}

static int
lock_holder(int fd, pid_t *pid)
{
	struct flock	lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(fd, F_GETLK, &lock) == -1)
		return -1;
	*pid = lock.l_type == F_UNLCK ? -1 : lock.l_pid;
	return 0;
}

/* The file we hold may have been unlinked by its last owner meanwhile. */
static bool
still_at(const char *path, int fd)
{
	struct stat	there, held;

	return fstat(fd, &held) == 0 && lstat(path, &there) == 0 &&
	    held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

static int
refuse(const char *path, int fd, struct apw_err *err)
{
	pid_t	pid = -1;

	if (lock_holder(fd, &pid) == -1 || pid <= 0)
		pid = pid_written(fd);
	return apw_err_set(err, 0, "already running with pid %d (%s)",
	    (int)pid, path);
}

int
apw_pidfile_take(const char *path, int *out, struct apw_err *err)
{
	struct flock	lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct stat	st;
	int		tries;

	for (tries = 0; tries < PIDFILE_TRIES; tries++) {
		apw_autofd int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC |
		    O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0644);

		if (fd == -1)
			return apw_err_set(err, errno,
			    "cannot open pidfile %s", path);
		if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
			return apw_err_set(err, 0,
			    "pidfile %s is not a file", path);
		if (fcntl(fd, F_SETLK, &lock) == -1) {
			if (errno != EAGAIN && errno != EACCES)
				return apw_err_set(err, errno,
				    "cannot lock pidfile %s", path);
			return refuse(path, fd, err);
		}
		if (!still_at(path, fd))
			continue;
		if (ftruncate(fd, 0) == -1 ||
		    dprintf(fd, "%d\n", (int)getpid()) < 0)
			return apw_err_set(err, errno,
			    "cannot write pidfile %s", path);
		*out = apw_take_fd(&fd);
		return 0;
	}
	return apw_err_set(err, 0, "pidfile %s is made and removed by others",
	    path);
}

void
apw_pidfile_drop(const char *path, int fd)
{
	if (still_at(path, fd))
		unlink(path);
	close(fd);
}

int
apw_pidfile_owner(const char *path, pid_t *out, struct apw_err *err)
{
	apw_autofd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY |
	    O_NONBLOCK);
	pid_t	pid;

	if (fd == -1 && errno == ENOENT)
		return apw_err_set(err, 0, "not running: there is no %s", path);
	if (fd == -1)
		return apw_err_set(err, errno, "cannot open pidfile %s", path);
	if (lock_holder(fd, &pid) == -1)
		return apw_err_set(err, errno, "cannot read the lock of %s",
		    path);
	if (pid == -1)
		return apw_err_set(err, 0,
		    "not running: nobody holds pidfile %s", path);
	if (pid == 0 && (pid = pid_written(fd)) == 0)
		return apw_err_set(err, 0, "pidfile %s holds no pid", path);
	*out = pid;
	return 0;
}
