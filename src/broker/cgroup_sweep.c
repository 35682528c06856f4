/* Control groups that brokers have left: who was killed could not take his
 * away.  Room: broker, and the master at its end.
 *
 * A broker that lives holds its folder by flock; a folder that nobody holds
 * is a leftover. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "broker/cgroup_priv.h"
#include "core/apw_auto.h"
#include "core/apw_clock.h"

#define CGROUP_TURN_MS	1000	/* who holds it may wait for what it has killed */

/* Kill what is in a leftover; it goes when that has ended. */
static void
cgroup_sweep_one(int parent_fd, const char *name)
{
	int64_t		end = apw_now_ms() + CGROUP_RMDIR_MS;
	char		text[4096], *p, *next;
	long		pid;
	apw_autofd int	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY |
			    O_CLOEXEC);

	if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == -1)
		return;
	while (unlinkat(parent_fd, name, AT_REMOVEDIR) == -1 &&
	    errno == EBUSY && apw_now_ms() < end) {
		/* v2, from 5.14 on: all at once, forks included */
		cgroup_write(fd, "cgroup.kill", "1");
		if (cgroup_read(fd, "cgroup.procs", text, sizeof(text)) == -1)
			return;
		for (p = text; (pid = strtol(p, &next, 10)) > 1; p = next)
			if (pid != getpid())
				kill((pid_t)pid, SIGKILL);
		usleep(2000);
	}
}

void
cgroup_sweep(int parent_fd)
{
	apw_autofd int	 fd = openat(parent_fd, ".", O_RDONLY | O_DIRECTORY |
			     O_CLOEXEC);
	DIR		*dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent	*e;

	if (dir == NULL)
		return;
	(void)apw_take_fd(&fd);
	while ((e = readdir(dir)) != NULL)
		if (strncmp(e->d_name, CGROUP_PREFIX,
		    strlen(CGROUP_PREFIX)) == 0)
			cgroup_sweep_one(parent_fd, e->d_name);
	closedir(dir);
}

bool
cgroup_turn(int up_fd)
{
	int64_t	end = apw_now_ms() + CGROUP_TURN_MS;

	while (flock(up_fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK || apw_now_ms() >= end)
			return false;
		usleep(1000);
	}
	return true;
}

static void
cgroup_sweep_at(const char *parent)
{
	apw_autofd int	up = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (up != -1 && cgroup_turn(up))
		cgroup_sweep(up);
}

void
apw_broker_sweep(void)
{
	char			 path[PATH_MAX], *slash;
	enum cgroup_name	 which;

	for (which = 0; which < CGROUP_NNAMES; which++)
		if (cgroup_find_v1(cgroup_names[which], path,
		    sizeof(path)) == 0)
			cgroup_sweep_at(path);
	if (cgroup_find_v2(path, sizeof(path)) == -1)
		return;
	cgroup_sweep_at(path);
	slash = strrchr(path, '/');
	if (slash == NULL || slash == path)
		return;
	*slash = '\0';
	cgroup_sweep_at(path);
}
