/* The one folder a hardened engine may write to: of the slot, below the state
 * directory, empty for each engine.  Room: modules/sandbox.
 *
 * What an engine left may be millions of files, or folders deeper than a path
 * can say, and the slot has a loop to turn: so the folder is put aside as a
 * whole, under another name, and a process of its own (the remover) removes
 * what was put aside.  There is one at most; it ends with its slot, and the
 * next slot's goes on. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_child.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "modules/sandbox/plain.h"
#include "stock/stock.h"

#define TMP_ASIDE	".old-"

static struct {
	pid_t	pid;		/* of the remover; 0: none */
	bool	more;		/* something was put aside since it started */
	bool	looked;		/* for what a slot before this one left */
} tmp;

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

/* "tmp.3.old-...", of all seats: "tmp.3.1.old-..." */
static bool
tmp_is_aside(const char *name, unsigned slot)
{
	char	mine[32];
	size_t	n = (size_t)snprintf(mine, sizeof(mine), "tmp.%u", slot);

	return strncmp(name, mine, n) == 0 && name[n] == '.' &&
	    strstr(name + n, TMP_ASIDE) != NULL;
}

/* One of those that were put aside; false: there is none. */
static bool
tmp_next(int state_fd, unsigned slot, char name[NAME_MAX + 1])
{
	int		 copy = openat(state_fd, ".", O_RDONLY | O_DIRECTORY |
			     O_CLOEXEC);
	DIR		*dir = copy == -1 ? NULL : fdopendir(copy);
	struct dirent	*e;
	bool		 found = false;

	if (dir == NULL) {
		if (copy != -1)
			close(copy);
		return false;
	}
	while (!found && (e = readdir(dir)) != NULL)
		if ((found = tmp_is_aside(e->d_name, slot)))
			snprintf(name, NAME_MAX + 1, "%s", e->d_name);
	closedir(dir);
	return found;
}

_Noreturn static void
tmp_remover(const char *state, unsigned slot, pid_t parent)
{
	char	name[NAME_MAX + 1], last[NAME_MAX + 1] = "";
	int	fd, keep[] = { -1 };

	prctl(PR_SET_NAME, "apw-empty");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
	apw_child_signals();
	/* a socket of the slot's that lived on would hide its death */
	apw_child_close_others(keep, APW_COUNT(keep));
	fd = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* one that cannot be removed is tried again by the next remover */
	while (fd != -1 && tmp_next(fd, slot, name) &&
	    strcmp(name, last) != 0) {
		apw_stock_tree_remove(fd, name);
		strcpy(last, name);
	}
	_exit(0);
}

static void
tmp_remove(void)
{
	const struct apw_cycle	*cycle;
	unsigned		 slot = apw_sandbox_slot(&cycle);
	pid_t			 parent = getpid();
	sigset_t		 all, old;

	if (tmp.pid != 0 && waitpid(tmp.pid, NULL, WNOHANG) != 0) {
		apw_child_disown(tmp.pid);
		tmp.pid = 0;
	}
	if (cycle == NULL || tmp.pid != 0 || !tmp.more)
		return;
	/* no handler of ours may run in the child: it would write into our
	 * own loop's pipe */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	if ((tmp.pid = fork()) == 0)
		tmp_remover(cycle->main.state_path, slot, parent);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (tmp.pid == -1)
		tmp.pid = 0;		/* with the next engine, then */
	else if (apw_child_own(tmp.pid) == -1)
		tmp.pid = 0;		/* and it is swept */
	else
		tmp.more = false;
}

static bool
tmp_is_empty(int fd)
{
	int		 copy = openat(fd, ".", O_RDONLY | O_DIRECTORY |
			     O_CLOEXEC);
	DIR		*dir = copy == -1 ? NULL : fdopendir(copy);
	struct dirent	*e;
	bool		 empty = dir != NULL;

	if (dir == NULL) {
		if (copy != -1)
			close(copy);
		return false;
	}
	while (empty && (e = readdir(dir)) != NULL)
		empty = strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0;
	closedir(dir);
	return empty;
}

/* 1: put aside; 0: it was empty; -1. */
static int
tmp_aside(const char *path, struct apw_err *err)
{
	static unsigned	n;
	char		to[PATH_MAX + 64];
	struct stat	st;
	apw_autofd int	fd = -1;

	if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
	    st.st_uid == geteuid() && chmod(path, 0700) == -1)
		return apw_err_set(err, errno, "%s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1 || st.st_uid != geteuid())
		return apw_err_set(err, fd == -1 ? errno : EPERM, "%s", path);
	if (tmp_is_empty(fd))
		return 0;
	snprintf(to, sizeof(to), "%s" TMP_ASIDE "%d-%lld-%u", path,
	    (int)getpid(), (long long)apw_now_ms(), n++);
	if (rename(path, to) == -1)
		return apw_err_set(err, errno, "cannot put what an engine left "
		    "in %s aside", path);
	tmp.more = true;
	return 1;
}

const char *
apw_plain_tmp(unsigned seat, struct apw_err *err)
{
	static char		 path[PATH_MAX];
	const struct apw_cycle	*cycle;
	int			 rc;

	if (apw_plain_tmp_path(seat, path, sizeof(path), err) == -1)
		return NULL;
	tmp.more |= !tmp.looked;
	tmp.looked = true;
	/* the state directory may have been taken away under us */
	apw_sandbox_slot(&cycle);
	if (mkdir(path, 0700) == -1 && (errno != ENOENT ||
	    mkdir(cycle->main.state_path, 0750) == -1 ||
	    mkdir(path, 0700) == -1) && errno != EEXIST) {
		apw_err_set(err, errno, "cannot make %s", path);
		return NULL;
	}
	if ((rc = tmp_aside(path, err)) == 1 && mkdir(path, 0700) == -1)
		rc = apw_err_set(err, errno, "cannot make %s", path);
	tmp_remove();
	return rc == -1 ? NULL : path;
}

void
apw_plain_tmp_end(unsigned seat)
{
	char		path[PATH_MAX];
	struct apw_err	err = APW_ERR_NONE;

	if (apw_plain_tmp_path(seat, path, sizeof(path), &err) == -1)
		return;
	if (tmp_aside(path, &err) == -1 && err.code != ENOENT)
		apw_warn("what an engine left is not removed", APW_E(&err));
	tmp_remove();
}
