/* The files of one job on disk; see spool_store.h.  Room: source. */
#include "modules/source/spool_store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_find.h"
#include "core/apw_log.h"

#define STORE_PREFIX	".files-"
#define STORE_TRIES	8
#define NAME_SIZE	16	/* of a number */

static const char *
name_of(unsigned number, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%u", number);
	return name;
}

/* --- the folder --- */

static void
folder_remove(int tmp_fd, const char *name)
{
	DIR		*dir = apw_opendirat(tmp_fd, name);
	struct dirent	*e;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
	unlinkat(tmp_fd, name, AT_REMOVEDIR);
}

/* Those of slots that died. */
static void
folders_sweep(int tmp_fd)
{
	DIR		*dir = apw_opendirat(tmp_fd, ".");
	struct dirent	*e;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL) {
		apw_autofd int fd = -1;

		if (strncmp(e->d_name, STORE_PREFIX,
		    sizeof(STORE_PREFIX) - 1) != 0)
			continue;
		fd = openat(tmp_fd, e->d_name, O_RDONLY | O_DIRECTORY |
		    O_NOFOLLOW | O_CLOEXEC);
		if (fd != -1 && flock(fd, LOCK_EX | LOCK_NB) == 0)
			folder_remove(tmp_fd, e->d_name);
	}
	closedir(dir);
}

/* Is what we have locked still there by its name?  Another slot may have
 * swept it away in between. */
static bool
folder_is(int tmp_fd, const char *name, int fd)
{
	struct stat	a, b;

	return fstat(fd, &a) == 0 &&
	    fstatat(tmp_fd, name, &b, AT_SYMLINK_NOFOLLOW) == 0 &&
	    a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int
spool_store_open(struct spool_store *st, int tmp_fd, unsigned slot,
    struct apw_err *err)
{
	int	i;

	*st = (struct spool_store){ .dir_fd = -1, .last = st->last };
	/* the spool may close its own while we are here */
	st->tmp_fd = fcntl(tmp_fd, F_DUPFD_CLOEXEC, 0);
	STAILQ_INIT(&st->files);
	LIST_INIT(&st->uploads);
	folders_sweep(tmp_fd);
	snprintf(st->name, sizeof(st->name), STORE_PREFIX "%u-%ld", slot,
	    (long)getpid());
	for (i = 0; i < STORE_TRIES; i++) {
		apw_autofd int fd = -1;

		if (mkdirat(tmp_fd, st->name, 0700) == -1 && errno != EEXIST)
			break;
		fd = openat(tmp_fd, st->name, O_RDONLY | O_DIRECTORY |
		    O_NOFOLLOW | O_CLOEXEC);
		if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == -1 ||
		    !folder_is(tmp_fd, st->name, fd))
			continue;
		st->dir_fd = apw_take_fd(&fd);
		return 0;
	}
	apw_err_set(err, errno, "cannot make the spool's tmp/%s", st->name);
	close(apw_take_fd(&st->tmp_fd));
	return -1;
}

void
spool_store_close(struct spool_store *st)
{
	if (st->dir_fd == -1)
		return;
	spool_store_empty(st);
	folder_remove(st->tmp_fd, st->name);
	close(apw_take_fd(&st->dir_fd));
	close(apw_take_fd(&st->tmp_fd));
}

int
spool_store_follow(struct spool_store *st, int tmp_fd, unsigned slot,
    struct apw_err *err)
{
	if (st->dir_fd != -1 && folder_is(tmp_fd, st->name, st->dir_fd))
		return 0;
	spool_store_close(st);
	return spool_store_open(st, tmp_fd, slot, err);
}

/* --- files --- */

static struct spool_file *
store_find(const struct spool_store *st, struct apw_str id)
{
	struct spool_file	*f;

	STAILQ_FOREACH(f, &st->files, entry)
		if (apw_str_is(id, f->id))
			return f;
	return NULL;
}

static void
file_forget(struct spool_store *st, struct spool_file *f)
{
	char	name[NAME_SIZE];

	unlinkat(st->dir_fd, name_of(f->number, name), 0);
	st->bytes -= f->bytes;
}

void
spool_store_empty(struct spool_store *st)
{
	struct spool_file	*f;

	while (!LIST_EMPTY(&st->uploads))
		spool_store_drop(st, LIST_FIRST(&st->uploads));
	while ((f = STAILQ_FIRST(&st->files)) != NULL) {
		STAILQ_REMOVE_HEAD(&st->files, entry);
		file_forget(st, f);
		free(f);
	}
	st->nfiles = 0;
}

int
spool_store_read(const struct spool_store *st, struct apw_str id,
    uint64_t *bytes)
{
	const struct spool_file	*f = store_find(st, id);
	char			 name[NAME_SIZE];

	if (f == NULL)
		return -1;
	*bytes = f->bytes;
	return openat(st->dir_fd, name_of(f->number, name),
	    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

/* --- uploads --- */

/* Would so many bytes more of this file be too many? */
static bool
store_full(const struct spool_store *st, struct apw_str id, uint64_t had,
    uint64_t more)
{
	const struct spool_file	*old = store_find(st, id);
	uint64_t		 bytes = st->bytes + st->coming -
				    (old == NULL ? 0 : old->bytes);

	return more > SPOOL_STORE_FILE - had ||
	    bytes > SPOOL_STORE_BYTES || more > SPOOL_STORE_BYTES - bytes;
}

static int
store_status(void)
{
	return errno == ENOSPC || errno == EDQUOT ? 507 : 500;
}

struct spool_upload *
spool_store_begin(struct spool_store *st, struct apw_str id, uint64_t bytes,
    int *status)
{
	struct spool_upload	*u;
	char			 name[NAME_SIZE];

	if (st->nuploads >= SPOOL_STORE_UPLOADS || store_full(st, id, 0,
	    bytes) || (store_find(st, id) == NULL &&
	    st->nfiles + st->nuploads >= SPOOL_STORE_FILES)) {
		*status = 413;
		return NULL;
	}
	if (id.n > SPOOL_ID_MAX || (u = calloc(1, sizeof(*u))) == NULL) {
		*status = 500;
		return NULL;
	}
	memcpy(u->id, id.p, id.n);
	u->counted = bytes;
	u->number = ++st->last;
	u->fd = openat(st->dir_fd, name_of(u->number, name), O_RDWR |
	    O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	if (u->fd == -1) {
		*status = store_status();
		free(u);
		return NULL;
	}
	LIST_INSERT_HEAD(&st->uploads, u, entry);
	st->nuploads++;
	st->coming += u->counted;
	return u;
}

int
spool_store_write(struct spool_store *st, struct spool_upload *u,
    struct apw_str data)
{
	uint64_t	bytes = u->bytes + data.n;
	size_t		done = 0;
	ssize_t		n;

	if (bytes > u->counted) {
		if (store_full(st, apw_str_c(u->id), u->counted,
		    bytes - u->counted))
			return 413;
		st->coming += bytes - u->counted;
		u->counted = bytes;
	}
	while (done < data.n) {
		n = write(u->fd, data.p + done, data.n - done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return store_status();
		done += (size_t)n;
		u->bytes += (size_t)n;
	}
	return 0;
}

/* The upload's memory alone; its file is somebody's, or gone. */
static void
upload_end(struct spool_store *st, struct spool_upload *u)
{
	LIST_REMOVE(u, entry);
	st->nuploads--;
	st->coming -= u->counted;
	close(u->fd);
	free(u);
}

int
spool_store_keep(struct spool_store *st, struct spool_upload *u)
{
	struct spool_file	*f = store_find(st, apw_str_c(u->id));

	if (f != NULL) {
		file_forget(st, f);
	} else {
		if ((f = calloc(1, sizeof(*f))) == NULL) {
			spool_store_drop(st, u);
			return 500;
		}
		memcpy(f->id, u->id, sizeof(f->id));
		STAILQ_INSERT_TAIL(&st->files, f, entry);
		st->nfiles++;
	}
	f->number = u->number;
	f->bytes = u->bytes;
	st->bytes += f->bytes;
	upload_end(st, u);
	return 0;
}

void
spool_store_drop(struct spool_store *st, struct spool_upload *u)
{
	char	name[NAME_SIZE];

	unlinkat(st->dir_fd, name_of(u->number, name), 0);
	upload_end(st, u);
}

/* --- the result --- */

static int
file_copy(int from, int to_fd, const char *name, struct apw_err *err)
{
	apw_autofd int	to = openat(to_fd, name, O_WRONLY | O_CREAT |
			    O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
	static char	part[65536];
	ssize_t		n, done, w;
	off_t		at = 0;

	if (to == -1)
		return apw_err_set(err, errno, "cannot make %s", name);
	while ((n = pread(from, part, sizeof(part), at)) > 0) {
		for (done = 0; done < n; done += w)
			if ((w = write(to, part + done,
			    (size_t)(n - done))) == -1)
				return apw_err_set(err, errno,
				    "cannot write %s", name);
		at += n;
	}
	if (n == -1 || fsync(to) == -1)
		return apw_err_set(err, errno, "cannot write %s", name);
	return 0;
}

static int
file_save(const struct spool_store *st, const struct spool_file *f,
    int to_fd, struct apw_err *err)
{
	char		name[NAME_SIZE];
	apw_autofd int	fd = openat(st->dir_fd, name_of(f->number, name),
			    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd == -1 && errno == ENOENT) {
		apw_warn("a file of the engine was removed from the spool's "
		    "tmp", APW_S("file", f->id));
		return 0;
	}
	if (fd == -1 || fsync(fd) == -1)
		return apw_err_set(err, errno, "cannot sync the engine's "
		    "file %s", f->id);
	if (linkat(st->dir_fd, name, to_fd, f->id, 0) == 0)
		return 0;
	/* not every file system has links */
	return file_copy(fd, to_fd, f->id, err);
}

int
spool_store_save(const struct spool_store *st, int to_fd,
    struct apw_err *err)
{
	const struct spool_file	*f;

	STAILQ_FOREACH(f, &st->files, entry)
		if (file_save(st, f, to_fd, err) == -1)
			return -1;
	return 0;
}
