/* Nothing survives an engine; see tree.h.  Room: slot.
 *
 * Processes are found through the kernel's list of our children and told
 * from our own by apw_child.h: never by name, never by a pid that was
 * remembered after its process was reaped. */
#include "slot/tree.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_child.h"

#define TREE_LIST_BYTES	65536		/* pids of one pass */

int
apw_tree_init(struct apw_err *err)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == -1)
		return apw_err_set(err, errno, "cannot become a subreaper");
	return 0;
}

/* 1 when something may still be there. */
static unsigned
tree_bury(pid_t pid, bool do_kill)
{
	if (pid <= 1 || apw_child_owned(pid))
		return 0;
	if (waitpid(pid, NULL, WNOHANG) != 0)	/* reaped, or not ours */
		return 0;
	/* it is our child and not reaped: the pid cannot be another's */
	if (do_kill)
		kill(pid, SIGKILL);
	return 1;
}

/* Without the kernel's list: every process says who its parent is. */
static unsigned
tree_sweep_proc(bool do_kill)
{
	char		 path[64], text[512], *p;
	struct dirent	*entry;
	unsigned	 left = 0;
	ssize_t		 n;
	int		 ppid;
	DIR		*dir;

	if ((dir = opendir("/proc")) == NULL)
		return 0;
	while ((entry = readdir(dir)) != NULL) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.20s/stat", entry->d_name);
		apw_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd == -1 || (n = read(fd, text, sizeof(text) - 1)) <= 0)
			continue;
		text[n] = '\0';
		/* the name may hold anything: fields follow its last ')' */
		if ((p = strrchr(text, ')')) == NULL ||
		    sscanf(p + 1, " %*c %d", &ppid) != 1 || ppid != getpid())
			continue;
		left += tree_bury(atoi(entry->d_name), do_kill);
	}
	closedir(dir);
	return left;
}

unsigned
apw_tree_sweep(bool do_kill)
{
	static char	 list[TREE_LIST_BYTES];
	char		 path[64], *p, *end;
	unsigned	 left = 0;
	size_t		 len = 0;
	ssize_t		 n;
	long		 pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children",
	    (int)getpid());
	apw_autofd int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		return tree_sweep_proc(do_kill);
	while (len < sizeof(list) - 1 &&
	    (n = read(fd, list + len, sizeof(list) - 1 - len)) > 0)
		len += (size_t)n;
	list[len] = '\0';
	for (p = list; (pid = strtol(p, &end, 10)) > 0; p = end)
		left += tree_bury((pid_t)pid, do_kill);
	return left;
}
