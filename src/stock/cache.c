/* The installers' download caches.  Room: stock, keeper.  A build has one of
 * its own while it runs, the first that is free, so that what is new in there
 * is its own doing, and counts for it; the next build finds it warm. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_find.h"

#define CACHES_MAX	64	/* builds at the same time */
#define CACHES_WAIT_MS	5

/* The janitor must not take them from under a running installer. */
static int
caches_hold(struct stock_keeper *k, struct apw_err *err)
{
	apw_autofd int	fd = stock_mkdirs(k->stock->root_fd, ".cache", err);

	if (fd == -1)
		return -1;
	while (flock(fd, LOCK_SH | LOCK_NB) == -1)
		if (errno != EWOULDBLOCK ||
		    stock_keeper_sleep(k, CACHES_WAIT_MS) == -1)
			return apw_err_set(err, errno, "cannot lock .cache");
	return apw_take_fd(&fd);
}

/* 1: it is ours, 0: somebody else's, -1: an error. */
static int
cache_try(struct stock_cache *c, const char *tool, struct apw_err *err)
{
	char		rel[2 * sizeof(c->name)];
	apw_autofd int	fd = -1, tool_fd = -1;
	struct stat	st;

	snprintf(rel, sizeof(rel), "%s/%s", c->name, tool);
	if ((tool_fd = stock_mkdirs(c->all_fd, rel, err)) == -1)
		return -1;
	fd = stock_open(c->all_fd, c->name, O_RDONLY | O_DIRECTORY);
	if (fd == -1)
		return apw_err_set(err, errno, "cannot open .cache");
	if (flock(fd, LOCK_EX | LOCK_NB) == -1)
		return 0;
	/* the file system's own clock, as it will have it for what is new */
	if (futimens(fd, NULL) == -1 || fstat(fd, &st) == -1)
		return apw_err_set(err, errno, "cannot use .cache");
	c->from = st.st_ctim;
	c->fd = apw_take_fd(&fd);
	return 1;
}

int
stock_cache_take(struct stock_keeper *k, const char *tool,
    struct stock_cache *c, struct apw_err *err)
{
	unsigned	i;
	int		rc = 0;

	*c = (struct stock_cache){ .fd = -1, .tool = tool };
	if ((c->all_fd = caches_hold(k, err)) == -1)
		return -1;
	for (i = 0; rc == 0; i = (i + 1) % CACHES_MAX) {
		snprintf(c->name, sizeof(c->name), "%u", i);
		rc = cache_try(c, tool, err);
		if (rc == 0 && i == CACHES_MAX - 1 &&
		    stock_keeper_sleep(k, CACHES_WAIT_MS) == -1)
			rc = apw_err_set(err, 0, "cannot lock .cache");
	}
	if (rc == 1)
		return 0;
	close(c->all_fd);
	return -1;
}

void
stock_cache_give(struct stock_cache *c)
{
	close(c->fd);
	close(c->all_fd);
}

/* --- what is new --- */

struct look {
	struct timespec	from;
	uint64_t	max, bytes;
	bool		deep;		/* old folders may hold new files */
	bool		remove;
};

static bool
is_new(const struct look *l, const struct stat *st)
{
	return st->st_ctim.tv_sec > l->from.tv_sec ||
	    (st->st_ctim.tv_sec == l->from.tv_sec &&
	    st->st_ctim.tv_nsec > l->from.tv_nsec);
}

static void	look_into(struct look *, int dir_fd, const char *name,
		    unsigned depth);

static void
look_at(struct look *l, int dir_fd, const char *name, unsigned depth)
{
	struct stat	st;
	uint64_t	bytes;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return;
	if (S_ISDIR(st.st_mode) && (l->deep || is_new(l, &st)))
		look_into(l, dir_fd, name, depth + 1);
	if (!is_new(l, &st))
		return;
	/* one that is linked was there, or counts where it is linked to */
	bytes = (uint64_t)st.st_blocks * 512;
	if (S_ISDIR(st.st_mode) || st.st_nlink == 1)
		l->bytes += bytes < STOCK_DISK_ENTRY ? STOCK_DISK_ENTRY :
		    bytes;
	/* a folder that holds older things stays */
	if (l->remove && (S_ISDIR(st.st_mode) || st.st_nlink == 1))
		unlinkat(dir_fd, name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0);
}

static void
look_into(struct look *l, int dir_fd, const char *name, unsigned depth)
{
	DIR		*dir = depth > STOCK_DISK_DEPTH ? NULL :
			    apw_opendirat(dir_fd, name);
	struct dirent	*e;

	if (dir == NULL) {
		l->bytes += depth > STOCK_DISK_DEPTH ? l->max : 0;
		return;
	}
	while ((l->remove || l->bytes <= l->max) && (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			look_at(l, dirfd(dir), e->d_name, depth);
	closedir(dir);
}

/* bun unpacks packages into folders of their own, whose time tells; npm keeps
 * archives in folders by their hash. */
static uint64_t
cache_look(const struct stock_cache *c, uint64_t max, bool remove)
{
	struct look	l = { .from = c->from, .max = max, .remove = remove,
			    .deep = strcmp(c->tool, "bun") != 0 };

	look_into(&l, c->fd, c->tool, 0);
	return l.bytes;
}

uint64_t
stock_cache_bytes(const struct stock_cache *c, uint64_t max)
{
	return cache_look(c, max, false);
}

void
stock_cache_undo(const struct stock_cache *c)
{
	cache_look(c, 0, true);
}

/* --- the end --- */

void
stock_caches_drop(struct stock_keeper *k, struct stock_staging *st)
{
	apw_autofd int	 cache = stock_open(k->stock->root_fd, ".cache",
	    O_RDONLY | O_DIRECTORY), to = -1;
	DIR		*dir;
	struct dirent	*e;

	/* an installer that runs holds the lock */
	if (cache == -1 || flock(cache, LOCK_EX | LOCK_NB) == -1 ||
	    (to = stock_mkdirs(st->fd, "caches", NULL)) == -1)
		return;
	if ((dir = apw_opendirat(cache, ".")) != NULL) {
		while ((e = readdir(dir)) != NULL)
			if (e->d_name[0] != '.')
				renameat(cache, e->d_name, to, e->d_name);
		closedir(dir);
	}
	close(apw_take_fd(&cache));
	stock_tree_remove(st->fd, "caches");
}
