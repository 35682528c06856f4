/* Where the daemon itself lives in a tree of version 2, and which folders of
 * it are ours to divide.  Room: broker; the master moves once, at its start.
 *
 * A folder that hands controllers down holds no processes: a daemon that was
 * started in what has been delegated to it goes one down, and brokers make
 * theirs beside it.  What a service manager has not delegated it may change
 * at any time: there we hand nothing down. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "broker/cgroup_priv.h"
#include "core/apw_auto.h"

#define HOME_MANAGER	"/run/systemd/system"	/* sd_booted(3) */

static bool
home_marked(int fd)
{
	static const char *const names[] = { "user.delegate",
	    "trusted.delegate" };
	char	value[2];
	size_t	i;

	for (i = 0; i < 2; i++)
		if (fgetxattr(fd, names[i], value, sizeof(value)) == 1 &&
		    value[0] == '1')
			return true;
	return false;
}

/* Whose name is a unit's is the manager's. */
static bool
home_is_unit(const char *path)
{
	static const char *const kinds[] = { ".slice", ".service", ".scope" };
	size_t	n = strlen(path), len, i;

	for (i = 0; i < 3; i++) {
		len = strlen(kinds[i]);
		if (n > len && strcmp(path + n - len, kinds[i]) == 0)
			return true;
	}
	return false;
}

/* The highest folder that can be seen: a container's, or the host's, which
 * alone has no type. */
static bool
home_is_top(int fd)
{
	return faccessat(fd, "../cgroup.procs", F_OK, 0) == -1;
}

bool
cgroup_delegated(const char *path)
{
	apw_autofd int	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return false;
	return access(HOME_MANAGER, F_OK) == -1 || home_marked(fd) ||
	    (!home_is_unit(path) && !home_is_top(fd));
}

void
cgroup_hand_down(int fd, bool down)
{
	enum cgroup_name	which;
	char			text[16];

	for (which = 0; which < CGROUP_NNAMES; which++) {
		snprintf(text, sizeof(text), "%c%s", down ? '+' : '-',
		    cgroup_names[which]);
		/* what counts threads the kernel hands down even where
		 * processes are; nothing below is a group for processes then */
		if (cgroup_write(fd, "cgroup.subtree_control", text) == -1 &&
		    which == CGROUP_MEMORY)
			return;
	}
}

/* Nobody is in it but us, and the first process of a container. */
static bool
home_is_alone(int fd)
{
	char	text[4096], *p, *next;
	long	pid;

	if (cgroup_read(fd, "cgroup.procs", text, sizeof(text)) == -1)
		return false;
	for (p = text; (pid = strtol(p, &next, 10)), next != p; p = next)
		if (pid != getpid() && pid != 1)
			return false;
	return true;
}

static int
home_move(int from_fd, int to_fd)
{
	char	text[4096], pid[16], *p, *next;
	long	n;

	if (cgroup_read(from_fd, "cgroup.procs", text, sizeof(text)) == -1)
		return -1;
	for (p = text; (n = strtol(p, &next, 10)), next != p; p = next) {
		snprintf(pid, sizeof(pid), "%ld", n);
		if (cgroup_write(to_fd, "cgroup.procs", pid) == -1)
			return -1;
	}
	return 0;
}

/* What has been given to us as a whole, and we are in; -1: nothing. */
static int
home_given(void)
{
	char		path[PATH_MAX];
	apw_autofd int	fd = -1;

	if (cgroup_find_v2(path, sizeof(path)) == -1 ||
	    (fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	if (!home_marked(fd) && (!home_is_top(fd) ||
	    access(HOME_MANAGER, F_OK) == 0))
		return -1;
	/* the host's own can be divided with processes in it */
	if (faccessat(fd, "cgroup.type", F_OK, 0) == -1 ||
	    faccessat(fd, "cgroup.procs", W_OK, AT_EACCESS) == -1 ||
	    !home_is_alone(fd))
		return -1;
	return apw_take_fd(&fd);
}

int
apw_broker_home(void)
{
	apw_autofd int	given = home_given();
	apw_autofd int	home = -1;

	if (given == -1)
		return -1;
	mkdirat(given, CGROUP_HOME, 0755);
	home = openat(given, CGROUP_HOME, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (home == -1 || home_move(given, home) == -1)
		return -1;
	cgroup_hand_down(given, true);
	return apw_take_fd(&given);
}

void
apw_broker_home_leave(int given_fd)
{
	apw_autofd int	given = given_fd;
	apw_autofd int	home = given == -1 ? -1 : openat(given, CGROUP_HOME,
			    O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (home == -1)
		return;
	cgroup_hand_down(given, false);
	if (home_move(home, given) == 0)
		unlinkat(given, CGROUP_HOME, AT_REMOVEDIR);
}
