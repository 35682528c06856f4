/* inotify, and words for its limits; see apw_watch.h.  Room: core. */
#include "core/apw_watch.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define WATCH_LINK	"anon_inode:inotify"

/* The value of a sysctl, "fs.inotify.max_user_watches"; -1: not known. */
static long
watch_sysctl(const char *name)
{
	char		path[128], text[32], *p;
	apw_autofd int	fd = -1;
	ssize_t		n;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	for (p = path + sizeof("/proc/sys/") - 1; *p != '\0'; p++)
		if (*p == '.')
			*p = '/';
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1 || (n = read(fd, text, sizeof(text) - 1)) <= 0)
		return -1;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

/* The host's limit, or the lower one of our user namespace. */
static long
watch_lower(const char *host, const char *space, const char **name)
{
	long	a = watch_sysctl(host), b = watch_sysctl(space);

	*name = b >= 0 && (a < 0 || b < a) ? space : host;
	return *name == space ? b : a;
}

long
apw_watch_limit(const char **sysctl)
{
	return watch_lower("fs.inotify.max_user_instances",
	    "user.max_inotify_instances", sysctl);
}

static int
watch_refused(const char *what, long limit, const char *sysctl,
    struct apw_err *err)
{
	return apw_err_set(err, 0, "uid %lu has no inotify %s left: %s is %ld, "
	    "for all processes and containers of that uid; raise it (sysctl "
	    "-w %s=%ld)", (unsigned long)geteuid(), what, sysctl, limit,
	    sysctl, limit < 512 ? 1024 : 2 * limit);
}

int
apw_watch_open(struct apw_err *err)
{
	int		 fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), code = errno;
	int		 other;
	const char	*name;
	long		 limit;

	if (fd != -1)
		return fd;
	/* one errno for two limits: is a descriptor to be had? */
	other = code == EMFILE ? dup(STDERR_FILENO) : -1;
	if (other == -1)
		return apw_err_set(err, code, code == EMFILE ?
		    "no descriptor is left for inotify (RLIMIT_NOFILE)" :
		    code == ENFILE ? "no descriptor is left on this host "
		    "(fs.file-max)" : "inotify");
	close(other);
	limit = apw_watch_limit(&name);
	return watch_refused("instance", limit, name, err);
}

int
apw_watch_add(int fd, const char *path, uint32_t mask, struct apw_err *err)
{
	int		 wd = inotify_add_watch(fd, path, mask);
	const char	*name;
	long		 limit;

	if (wd != -1)
		return wd;
	if (errno != ENOSPC)
		return apw_err_set(err, errno, "cannot watch %s", path);
	limit = watch_lower("fs.inotify.max_user_watches",
	    "user.max_inotify_watches", &name);
	return watch_refused("watch", limit, name, err);
}

/* The instances that a process has; a thread group shares them. */
static unsigned long
watch_used_by(const char *pid)
{
	char		 path[64], target[64];
	DIR		*dir;
	struct dirent	*e;
	unsigned long	 used = 0;
	ssize_t		 n;

	snprintf(path, sizeof(path), "/proc/%.16s/fd", pid);
	if ((dir = opendir(path)) == NULL)
		return 0;
	while ((e = readdir(dir)) != NULL) {
		n = readlinkat(dirfd(dir), e->d_name, target, sizeof(target));
		used += n == (ssize_t)(sizeof(WATCH_LINK) - 1) &&
		    memcmp(target, WATCH_LINK, (size_t)n) == 0;
	}
	closedir(dir);
	return used;
}

unsigned long
apw_watch_used(void)
{
	DIR		*dir = opendir("/proc");
	struct dirent	*e;
	struct stat	 st;
	unsigned long	 used = 0;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]) &&
		    fstatat(dirfd(dir), e->d_name, &st, 0) == 0 &&
		    st.st_uid == geteuid())
			used += watch_used_by(e->d_name);
	if (dir != NULL)
		closedir(dir);
	return used;
}
