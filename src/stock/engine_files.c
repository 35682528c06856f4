/* The files of an engine: the configured bundle and the scripts and maps beside
 * it.  Room: stock.  A bundle loads some of them later (piece-child.js from
 * release 0.88.3 on), so all of them are one generation. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define FILES_BYTES	((off_t)512 << 20)	/* all files of an engine */
#define FILES_FNV	1099511628211u

/* What a bundle asks for by this name must be there. */
static const char *const files_needed[] = { "piece-child.js" };

static bool
files_wanted(const char *name)
{
	static const char *const	ends[] = { ".js", ".cjs", ".mjs",
					    ".js.map", ".cjs.map", ".mjs.map" };
	size_t				n = strlen(name), i, end;

	for (i = 0; name[0] != '.' && i < APW_COUNT(ends); i++) {
		end = strlen(ends[i]);
		if (n > end && strcmp(name + n - end, ends[i]) == 0)
			return true;
	}
	return false;
}

/* What a file beside the bundle is called in the stock.  The bundle is main.js
 * there, whatever it is called here, and its map goes with it.  NULL: the name
 * is the bundle's there, and no other file's. */
static const char *
files_as(const char *bundle, const char *name)
{
	size_t	n = strlen(bundle);

	if (strncmp(name, bundle, n) == 0 && strcmp(name + n, ".map") == 0)
		return "main.js.map";
	if (strcmp(name, "main.js") == 0 || strcmp(name, "main.js.map") == 0)
		return NULL;
	return name;
}

static int
files_order(const void *a, const void *b)
{
	const struct stock_engine_file	*x = a, *y = b;

	return strcmp(x->as, y->as);
}

static int
files_add(struct stock_engine_files *f, const char *from, const char *as,
    struct apw_err *err)
{
	struct stock_engine_file	*file;

	if (f->n == APW_COUNT(f->v))
		return apw_err_set(err, E2BIG, "more than %zu scripts beside "
		    "the engine bundle: the engine's files belong into a "
		    "folder of their own", APW_COUNT(f->v));
	file = &f->v[f->n++];
	snprintf(file->from, sizeof(file->from), "%s", from);
	snprintf(file->as, sizeof(file->as), "%s", as);
	return 0;
}

static int
files_read(struct stock_engine_files *f, const char *bundle,
    struct apw_err *err)
{
	struct dirent	*e;
	const char	*as;
	DIR		*dir;
	int		 rc = 0, fd;

	f->n = 0;
	fd = openat(f->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || (dir = fdopendir(fd)) == NULL) {
		apw_err_set(err, errno, "cannot read the engine's folder");
		if (fd != -1)
			close(fd);
		return -1;
	}
	/* a bundle may have any name */
	rc = files_add(f, bundle, "main.js", err);
	while (rc == 0 && (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, bundle) != 0 && files_wanted(e->d_name) &&
		    (as = files_as(bundle, e->d_name)) != NULL)
			rc = files_add(f, e->d_name, as, err);
	closedir(dir);
	qsort(f->v, f->n, sizeof(f->v[0]), files_order);
	return rc;
}

/* A folder whose own time is what it was has the same names. */
int
stock_engine_files_look(struct stock_engine_files *f, const char *path,
    struct apw_err *err)
{
	const char		*slash = strrchr(path, '/');
	apw_autofree char	*folder = slash == NULL ? strdup(".") :
				    strndup(path, slash - path + 1);
	struct stock_stamp	 now;
	struct stat		 st;
	int			 fd;

	fd = folder == NULL ? -1 : open(folder, O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	if (fd == -1 || fstat(fd, &st) == -1) {
		apw_err_set(err, errno, "engine bundle %s", path);
		if (fd != -1)
			close(fd);
		return -1;
	}
	stock_engine_files_close(f);
	f->dir_fd = fd;
	stock_stamp(&st, &now);
	if (f->n > 0 && stock_stamp_eq(&now, &f->folder))
		return 0;
	if (files_read(f, slash == NULL ? path : slash + 1, err) == -1) {
		f->n = 0;
		return -1;
	}
	f->folder = now;
	return 0;
}

void
stock_engine_files_close(struct stock_engine_files *f)
{
	if (f->dir_fd > 0)
		close(f->dir_fd);
	f->dir_fd = 0;
}

/* Stamps of all in one: another file, another stamp. */
int
stock_engine_files_stamp(const struct stock_engine_files *f,
    struct stock_stamp *all, struct apw_err *err)
{
	struct stock_stamp	one;
	struct stat		st;
	size_t			i;

	*all = (struct stock_stamp){ 0 };
	for (i = 0; i < f->n; i++) {
		if (fstatat(f->dir_fd, f->v[i].from, &st, 0) == -1)
			return apw_err_set(err, errno, "engine file %s",
			    f->v[i].from);
		if (!S_ISREG(st.st_mode))
			return apw_err_set(err, 0, "engine file %s is no file",
			    f->v[i].from);
		stock_stamp(&st, &one);
		all->dev = all->dev * FILES_FNV + one.dev;
		all->ino = all->ino * FILES_FNV + one.ino;
		all->size += one.size;
		all->mtime_ns = (int64_t)((uint64_t)all->mtime_ns * FILES_FNV +
		    (uint64_t)one.mtime_ns);
	}
	return (off_t)all->size <= FILES_BYTES ? 0 : apw_err_set(err, EFBIG,
	    "the engine's files");
}

static int
files_open(const struct stock_engine_files *f, size_t i, struct apw_err *err)
{
	int	fd = openat(f->dir_fd, f->v[i].from, O_RDONLY | O_CLOEXEC |
		    O_NONBLOCK | O_NOCTTY);

	return fd != -1 ? fd : apw_err_set(err, errno, "engine file %s",
	    f->v[i].from);
}

int
stock_engine_files_hash(const struct stock_engine_files *f,
    char out[STOCK_HASH_SIZE], struct apw_err *err)
{
	char		hashes[STOCK_ENGINE_FILES_MAX][STOCK_HASH_SIZE];
	struct apw_str	parts[2 * STOCK_ENGINE_FILES_MAX];
	size_t		i;

	for (i = 0; i < f->n; i++) {
		apw_autofd int fd = files_open(f, i, err);

		if (fd == -1 || stock_hash_file(fd, hashes[i], err) == -1)
			return -1;
		parts[2 * i] = apw_str_c(f->v[i].as);
		parts[2 * i + 1] = apw_str_c(hashes[i]);
	}
	return stock_hash(out, parts, 2 * f->n) == 0 ? 0 :
	    apw_err_set(err, 0, "cannot hash the engine's files");
}

static int
files_copy_one(int from, int dir_fd, const char *name, struct apw_err *err)
{
	static char	block[65536];
	apw_autofd int	to = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0644);
	off_t		at = 0;
	ssize_t		n, done;

	if (to == -1)
		return apw_err_set(err, errno, "cannot write %s", name);
	while ((n = pread(from, block, sizeof(block), at)) > 0) {
		for (done = 0; done < n;) {
			ssize_t w = write(to, block + done, n - done);

			if (w == -1 && errno != EINTR)
				return apw_err_set(err, errno,
				    "cannot write %s", name);
			done += w > 0 ? w : 0;
		}
		if ((at += n) > FILES_BYTES)
			return apw_err_set(err, EFBIG, "engine file %s", name);
	}
	if (n == -1 || fsync(to) == -1)
		return apw_err_set(err, errno, "cannot copy to %s", name);
	return 0;
}

int
stock_engine_files_copy(const struct stock_engine_files *f, int dir_fd,
    struct apw_err *err)
{
	size_t	i;

	for (i = 0; i < f->n; i++) {
		apw_autofd int from = files_open(f, i, err);

		if (from == -1 || files_copy_one(from, dir_fd, f->v[i].as,
		    err) == -1)
			return -1;
	}
	return fsync(dir_fd) == 0 ? 0 : apw_err_set(err, errno,
	    "cannot sync the engine's files");
}

bool
stock_engine_files_have(const struct stock_engine_files *f, const char *name)
{
	size_t	i;

	for (i = 0; i < f->n; i++)
		if (strcmp(f->v[i].as, name) == 0)
			return true;
	return false;
}

/* Is the word in the file?  Literals survive minification. */
int
stock_engine_file_says(int fd, const char *word)
{
	static char	block[2 * 65536];
	size_t		have = 0, n = strlen(word);
	off_t		at = 0;
	ssize_t		r;

	while ((r = pread(fd, block + have, sizeof(block) - have, at)) > 0) {
		have += (size_t)r;
		at += r;
		if (memmem(block, have, word, n) != NULL)
			return 1;
		if (have >= n) {
			memmove(block, block + have - (n - 1), n - 1);
			have = n - 1;
		}
	}
	return r == 0 ? 0 : -1;
}

/* The bundle itself: main.js is always one of them. */
static size_t
files_main(const struct stock_engine_files *f)
{
	size_t	i = 0;

	while (i + 1 < f->n && strcmp(f->v[i].as, "main.js") != 0)
		i++;
	return i;
}

int
stock_engine_files_say(const struct stock_engine_files *f, const char *word)
{
	apw_autofd int	fd = f->n == 0 ? -1 : files_open(f, files_main(f),
			    NULL);

	return fd == -1 ? -1 : stock_engine_file_says(fd, word);
}

int
stock_engine_files_check(const struct stock_engine_files *f,
    struct apw_err *err)
{
	size_t	i, main = files_main(f);

	for (i = 0; i < APW_COUNT(files_needed); i++) {
		if (stock_engine_files_have(f, files_needed[i]))
			continue;
		apw_autofd int fd = files_open(f, main, err);

		if (fd == -1)
			return -1;
		if (stock_engine_file_says(fd, files_needed[i]) == 1)
			return apw_err_set(err, ENOENT, "engine bundle %s "
			    "starts %s, which is not beside it: copy all files "
			    "of the release's engine folder there",
			    f->v[main].from, files_needed[i]);
	}
	return 0;
}
