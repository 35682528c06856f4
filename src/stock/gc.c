/* Removal of packages that no piece leads to any more.  Room: stock, keeper
 * (the janitor).  A root's store is closed for new packages meanwhile. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_find.h"

#define STORE_DIR	"node_modules/.bun"
#define HOISTED		"node_modules"

/* The pieces' folders below pieces/, scoped ones one deeper. */
static void
mark_pieces(int dir_fd, const char *name, unsigned depth,
    struct stock_names *names)
{
	DIR		*dir = apw_opendirat(dir_fd, name);
	struct dirent	*e;

	if (dir == NULL)
		return;
	if (faccessat(dirfd(dir), "node_modules", F_OK, 0) == 0)
		stock_links_read(names, dirfd(dir), "node_modules");
	else
		while (depth > 0 && (e = readdir(dir)) != NULL)
			if (e->d_name[0] != '.')
				mark_pieces(dirfd(dir), e->d_name, depth - 1,
				    names);
	closedir(dir);
}

static bool
has(const struct stock_names *names, const char *name)
{
	size_t	i;

	for (i = 0; i < names->n; i++)
		if (strcmp(names->v[i], name) == 0)
			return true;
	return false;
}

/* All that the marked ones lead to, in place; -1: not known for sure. */
static int
mark_all(int store_fd, struct stock_names *names)
{
	struct stock_names	links, unique = { .n = 0 };
	char			rel[NAME_MAX + 32];
	size_t			i, at;
	int			rc = 0;

	for (i = 0; rc == 0 && i < names->n; i++)
		if (!has(&unique, names->v[i]))
			rc = stock_names_add(&unique, names->v[i]);
	for (at = 0; rc == 0 && at < unique.n; at++) {
		links = (struct stock_names){ .n = 0 };
		snprintf(rel, sizeof(rel), "%.255s/node_modules",
		    unique.v[at]);
		stock_links_read(&links, store_fd, rel);
		for (i = 0; rc == 0 && i < links.n; i++)
			if (!has(&unique, links.v[i]))
				rc = stock_names_add(&unique, links.v[i]);
		stock_names_free(&links);
	}
	stock_names_free(names);
	*names = unique;
	return rc;
}

static void
sweep_packages(int to_fd, int store_fd, const struct stock_names *names)
{
	int		 fd = openat(store_fd, ".", O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	DIR		*dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent	*e;

	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, HOISTED) == 0 ||
		    has(names, e->d_name))
			continue;
		renameat(store_fd, e->d_name, to_fd, e->d_name);
	}
	closedir(dir);
}

/* Links of the store's own node_modules that lead nowhere now. */
static void
sweep_links(int dir_fd, const char *name, bool scope_too)
{
	DIR		*dir = apw_opendirat(dir_fd, name);
	struct dirent	*e;
	struct stat	 st;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		if (e->d_name[0] == '@' && scope_too)
			sweep_links(dirfd(dir), e->d_name, false);
		else if (fstatat(dirfd(dir), e->d_name, &st, 0) == -1)
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	closedir(dir);
}

static void
gc_root(struct stock_keeper *k, struct stock_staging *st, const char *root)
{
	struct stock_names	names = { .n = 0 };
	apw_autofd int		root_fd = stock_open(k->stock->root_fd, root,
	    O_RDONLY | O_DIRECTORY);
	apw_autofd int		store_fd = root_fd == -1 ? -1 :
	    stock_open(root_fd, STORE_DIR, O_RDONLY | O_DIRECTORY);
	apw_autofd int		to_fd = stock_mkdirs(st->fd, "packages", NULL);

	/* installers hold it from their first package to their last piece */
	if (store_fd == -1 || to_fd == -1 ||
	    flock(store_fd, LOCK_EX | LOCK_NB) == -1)
		return;
	mark_pieces(root_fd, "pieces", 2, &names);
	if (mark_all(store_fd, &names) == 0) {
		sweep_packages(to_fd, store_fd, &names);
		sweep_links(store_fd, HOISTED, true);
	}
	stock_names_free(&names);
	close(apw_take_fd(&store_fd));
	stock_tree_remove(st->fd, "packages");
}

void
stock_gc(struct stock_keeper *k, struct stock_staging *st)
{
	int		 fd = stock_open(k->stock->root_fd, "custom_pieces",
	    O_RDONLY | O_DIRECTORY);
	DIR		*dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent	*e;
	char		 root[STOCK_PATH_BYTES];

	gc_root(k, st, "common");
	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(root, sizeof(root), "custom_pieces/%s", e->d_name);
		gc_root(k, st, root);
	}
	closedir(dir);
}
