/* The package store of a root: node_modules/.bun/PACKAGE@VERSION..., made by
 * the isolated linker and shared by all pieces of the root, so that two
 * pieces of one framework version load one copy of it.  Room: stock, keeper.
 * Packages are added by rename, one at a time; a piece's folder, which makes
 * them reachable, comes after them.  One that is there and good is kept. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>

#include "core/apw_auto.h"

#define STORE_DIR	"node_modules/.bun"
#define HOISTED		"node_modules"	/* in the store: links for packages that
					 * do not say what they depend on */

/* What is known of the packages in the store, in one merge: names, and by the
 * same index whether one is bad. */
struct seen {
	struct stock_names	 names;
	bool			*bad;		/* owned */
	size_t			 cap;
	int			 store_fd;	/* borrowed */
};

static bool is_good(struct seen *, const char *name);

/* Finished by us, and so is all it leads to. */
static bool
look_deep(struct seen *seen, const char *name)
{
	char			rel[NAME_MAX + 32];
	struct stock_names	links = { .n = 0 };
	bool			good;
	size_t			i;

	snprintf(rel, sizeof(rel), "%.255s/" STOCK_MARK, name);
	if (!stock_exists(seen->store_fd, rel))
		return false;
	snprintf(rel, sizeof(rel), "%.255s/node_modules", name);
	good = stock_links_read(&links, seen->store_fd, rel) == 0;
	for (i = 0; good && i < links.n; i++)
		good = is_good(seen, links.v[i]);
	stock_names_free(&links);
	return good;
}

static bool
is_good(struct seen *seen, const char *name)
{
	size_t	 i, cap;
	bool	*bad, good;

	for (i = 0; i < seen->names.n; i++)
		if (strcmp(seen->names.v[i], name) == 0)
			return !seen->bad[i];
	if (stock_names_add(&seen->names, name) == -1)
		return false;
	if (i >= seen->cap) {
		cap = seen->cap == 0 ? 64 : seen->cap * 2;
		bad = reallocarray(seen->bad, cap, sizeof(*bad));
		if (bad == NULL) {
			free(seen->names.v[--seen->names.n]);
			return false;
		}
		seen->bad = bad;
		seen->cap = cap;
	}
	/* packages may depend on each other in a circle: good until shown */
	seen->bad[i] = false;
	good = look_deep(seen, name);
	seen->bad[i] = !good;
	return good;
}

static int
mark(int from_fd, const char *name, struct apw_err *err)
{
	apw_autofd int	fd = openat(from_fd, name, O_RDONLY | O_DIRECTORY |
	    O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1)
		return apw_err_set(err, errno, "cannot open %s", name);
	unlinkat(fd, STOCK_MARK, 0);
	return stock_write(fd, STOCK_MARK, APW_STR(""), err);
}

static int
merge_package(struct seen *seen, int from_fd, const char *name,
    struct apw_err *err)
{
	struct stock_staging	from = { .fd = from_fd, .parent_fd = -1 };

	if (is_good(seen, name))
		return 0;
	if (mark(from_fd, name, err) == -1)
		return -1;
	return stock_publish(&from, name, seen->store_fd, name, err);
}

static int
merge_packages(int from_fd, int store_fd, struct apw_err *err)
{
	struct seen	 seen = { .store_fd = store_fd };
	apw_autofd int	 copy = fcntl(from_fd, F_DUPFD_CLOEXEC, 3);
	DIR		*dir = copy == -1 ? NULL : fdopendir(copy);
	struct dirent	*e;
	int		 rc = 0;

	if (dir == NULL)
		return apw_err_set(err, errno, "cannot read the packages");
	copy = -1;		/* the stream's now */
	while (rc == 0 && (e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.' && strcmp(e->d_name, HOISTED) != 0)
			rc = merge_package(&seen, from_fd, e->d_name, err);
	closedir(dir);
	stock_names_free(&seen.names);
	free(seen.bad);
	return rc;
}

static int
merge_link(int from_fd, int to_fd, const char *name)
{
	char		target[PATH_MAX], temp[64];
	struct stat	st;
	unsigned	random = 0;
	ssize_t		n = readlinkat(from_fd, name, target,
	    sizeof(target) - 1);

	if (n <= 0 || fstatat(to_fd, name, &st, 0) == 0)
		return 0;	/* no link, or there is a good one */
	target[n] = '\0';
	(void)!getrandom(&random, sizeof(random), 0);
	snprintf(temp, sizeof(temp), ".link-%d-%08x", (int)getpid(), random);
	if (symlinkat(target, to_fd, temp) == -1)
		return -1;
	if (renameat(to_fd, temp, to_fd, name) == -1) {
		unlinkat(to_fd, temp, 0);
		return -1;
	}
	return 0;
}

/* The store's own node_modules: first come, first served. */
static int
merge_links(int from_fd, const char *from, int to_fd, const char *to,
    bool scope_too, struct apw_err *err)
{
	int		 fd = openat(from_fd, from, O_RDONLY | O_DIRECTORY |
	    O_NOFOLLOW | O_CLOEXEC);
	DIR		*dir = fd == -1 ? NULL : fdopendir(fd);
	apw_autofd int	 into = -1;
	struct dirent	*e;
	int		 rc = 0;

	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return 0;	/* another version of the linker */
	}
	into = stock_mkdirs(to_fd, to, err);
	if (into == -1)
		rc = -1;
	while (rc == 0 && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		if (e->d_name[0] == '@' && scope_too)
			rc = merge_links(dirfd(dir), e->d_name, into,
			    e->d_name, false, err);
		else if (merge_link(dirfd(dir), into, e->d_name) == -1)
			rc = apw_err_set(err, errno, "cannot link %s",
			    e->d_name);
	}
	closedir(dir);
	return rc;
}

int
stock_store_merge(struct stock_staging *st, int root_fd, struct apw_err *err)
{
	apw_autofd int	from_fd = stock_open(st->fd, STORE_DIR,
	    O_RDONLY | O_DIRECTORY);
	apw_autofd int	store_fd = -1;

	if (from_fd == -1)
		return errno == ENOENT ? 0 : apw_err_set(err, errno,
		    "cannot open the packages");	/* npm has no store */
	store_fd = stock_mkdirs(root_fd, STORE_DIR, err);
	if (store_fd == -1)
		return -1;
	if (merge_packages(from_fd, store_fd, err) == -1 ||
	    merge_links(from_fd, HOISTED, store_fd, HOISTED, true, err) == -1)
		return -1;
	return fsync(store_fd) == -1 ? apw_err_set(err, errno,
	    "cannot sync the packages") : 0;
}
