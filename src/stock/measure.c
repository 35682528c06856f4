/* How much disk the stock takes, and which entries could be given back.
 * Room: stock, keeper (the janitor).  Hard links are counted once. */
#include "stock/stock_priv.h"

#include "core/apw_find.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define MEASURE_DEPTH_MAX	100

struct inodes {
	uint64_t	*v;		/* owned; 0: free */
	size_t		 n, cap;
};

struct measure {
	struct stock_keeper	*k;	/* borrowed */
	struct inodes		 seen;
	uint64_t		 bytes;
};

static int
inodes_grow(struct inodes *set)
{
	struct inodes	more = { .cap = set->cap == 0 ? 4096 : set->cap * 2 };
	size_t		i, at;

	more.v = calloc(more.cap, sizeof(*more.v));
	if (more.v == NULL)
		return -1;
	for (i = 0; i < set->cap; i++) {
		if (set->v[i] == 0)
			continue;
		for (at = set->v[i] * 2654435761U % more.cap;
		    more.v[at] != 0; at = (at + 1) % more.cap)
			;
		more.v[at] = set->v[i];
	}
	more.n = set->n;
	free(set->v);
	*set = more;
	return 0;
}

/* false: it was there already (or there is no memory to know). */
static bool
inodes_add(struct inodes *set, uint64_t ino)
{
	size_t	at;

	if (set->n * 2 >= set->cap && inodes_grow(set) == -1)
		return true;
	for (at = ino * 2654435761U % set->cap; set->v[at] != 0;
	    at = (at + 1) % set->cap)
		if (set->v[at] == ino)
			return false;
	set->v[at] = ino;
	set->n++;
	return true;
}

static void
measure_tree(struct measure *m, int dir_fd, const char *name, unsigned depth)
{
	DIR		*dir = apw_opendirat(dir_fd, name);
	struct dirent	*e;
	struct stat	 st;

	if (dir == NULL)
		return;
	while (!m->k->cancelled && (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 || fstatat(dirfd(dir),
		    e->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		if (S_ISDIR(st.st_mode) || st.st_nlink < 2 ||
		    inodes_add(&m->seen, st.st_ino))
			m->bytes += (uint64_t)st.st_blocks * 512;
		if (S_ISDIR(st.st_mode) && depth < MEASURE_DEPTH_MAX)
			measure_tree(m, dirfd(dir), e->d_name, depth + 1);
	}
	closedir(dir);
	if (depth < 4)	/* often enough to be stopped soon */
		stock_keeper_sleep(m->k, 0);
}

uint64_t
stock_measure(struct stock_keeper *k)
{
	struct measure	m = { .k = k };

	measure_tree(&m, k->stock->root_fd, ".", 0);
	free(m.seen.v);
	return m.bytes;
}

static void
entries_add(struct stock_entries *list, const char *path, int64_t used)
{
	struct stock_entry	*v = list->v;
	size_t			 cap;

	if (list->n == list->cap) {
		cap = list->cap == 0 ? 256 : list->cap * 2;
		v = reallocarray(list->v, cap, sizeof(*v));
		if (v == NULL)
			return;
		list->v = v;
		list->cap = cap;
	}
	if ((v[list->n].path = strdup(path)) != NULL)
		v[list->n++].used = used;
}

/* A folder with one of the marks is an entry; else look into it. */
static void
find(struct stock_keeper *k, const char *path, const char *mark,
    unsigned depth, struct stock_entries *list)
{
	char		 rel[2 * STOCK_PATH_BYTES];
	int		 fd;
	DIR		*dir;
	struct dirent	*e;
	struct stat	 st;

	if (depth == 1 && strcmp(path, "codes/" STOCK_ACTIONS) == 0)
		depth++;
	snprintf(rel, sizeof(rel), "%s/%s", path, mark);
	if (fstatat(k->stock->root_fd, rel, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		entries_add(list, path, st.st_mtime);
		return;
	}
	/* of a volume that a Node worker had; nobody will use it as it is */
	if (depth == 0 && strncmp(path, "codes/", 6) == 0 &&
	    fstatat(k->stock->root_fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(st.st_mode))
		entries_add(list, path, st.st_mtime);
	fd = depth == 0 ? -1 : stock_open(k->stock->root_fd, path,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	dir = fd == -1 ? NULL : fdopendir(fd);
	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' || strlen(path) +
		    strlen(e->d_name) + 2 > STOCK_PATH_BYTES)
			continue;
		snprintf(rel, sizeof(rel), "%s/%s", path, e->d_name);
		find(k, rel, mark, depth - 1, list);
	}
	closedir(dir);
}

/* A folder with texts in it is an entry, whoever wrote them. */
static void
find_texts(struct stock_keeper *k, const char *path, unsigned depth,
    struct stock_entries *list)
{
	char		 rel[2 * STOCK_PATH_BYTES];
	int		 fd = stock_open(k->stock->root_fd, path,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
	DIR		*dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent	*e;
	struct stat	 st;
	int64_t		 used = -1;

	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' || strlen(path) +
		    strlen(e->d_name) + 2 > STOCK_PATH_BYTES ||
		    fstatat(dirfd(dir), e->d_name, &st,
		    AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		if (S_ISREG(st.st_mode) && st.st_mtime > used)
			used = st.st_mtime;
		if (!S_ISDIR(st.st_mode) || depth == 0)
			continue;
		snprintf(rel, sizeof(rel), "%s/%s", path, e->d_name);
		find_texts(k, rel, depth - 1, list);
	}
	closedir(dir);
	if (used != -1 && strchr(path, '/') != NULL)
		entries_add(list, path, used);
}

static int
by_use(const void *a, const void *b)
{
	const struct stock_entry	*x = a, *y = b;

	return x->used < y->used ? -1 : x->used > y->used;
}

void
stock_entries_find(struct stock_keeper *k, struct stock_entries *list)
{
	*list = (struct stock_entries){ .n = 0 };
	find(k, "codes", STOCK_MARK, 2, list);
	find(k, "common/pieces", "ready", 2, list);
	find(k, "custom_pieces", "ready", 4, list);
	find_texts(k, "flows", 1, list);
	find_texts(k, "pieces-metadata", 2, list);
	if (list->n > 0)
		qsort(list->v, list->n, sizeof(*list->v), by_use);
}

void
stock_entries_free(struct stock_entries *list)
{
	while (list->n > 0)
		free(list->v[--list->n].path);
	free(list->v);
}
