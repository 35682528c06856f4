/* The spool directory; see spool.h.  Room: source, in a slot.  Every file is
 * reached through a descriptor of its folder, never through a path from the
 * job; links are not followed. */
#include "modules/source/spool_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_find.h"
#include "proto/apw_raw.h"

#define SPOOL_TMP_S	60	/* between a folder and its lock, at most */

const char *const spool_dirs[SPOOL_NDIRS] = {
	"new", "run", "done", "failed", "flows", "tmp",
};

bool
spool_id_ok(struct apw_str id)
{
	size_t	i;

	if (id.n == 0 || id.n > SPOOL_ID_MAX || id.p[0] == '.')
		return false;
	for (i = 0; i < id.n; i++)
		if (!((id.p[i] >= 'a' && id.p[i] <= 'z') ||
		    (id.p[i] >= 'A' && id.p[i] <= 'Z') ||
		    (id.p[i] >= '0' && id.p[i] <= '9') ||
		    strchr("._-", id.p[i]) != NULL))
			return false;
	return true;
}

static int
spool_open_dir(struct spool *sp, int root_fd, enum spool_dir d,
    struct apw_err *err)
{
	/* new/ takes jobs from whoever the operator lets into it */
	if (mkdirat(root_fd, spool_dirs[d], 0700) == -1 && errno != EEXIST)
		return apw_err_set(err, errno, "cannot make %s/%s", sp->path,
		    spool_dirs[d]);
	sp->dir_fd[d] = openat(root_fd, spool_dirs[d],
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (sp->dir_fd[d] == -1)
		return apw_err_set(err, errno, "cannot open %s/%s", sp->path,
		    spool_dirs[d]);
	return 0;
}

/* The alive files of slots that died are of no use to anybody. */
static void
spool_sweep_alive(struct spool *sp)
{
	DIR		*dir = apw_opendirat(sp->dir_fd[SPOOL_RUN], ".");
	struct dirent	*e;

	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL) {
		apw_autofd int alive = -1;

		if (strncmp(e->d_name, ".slot-", 6) != 0)
			continue;
		alive = openat(sp->dir_fd[SPOOL_RUN], e->d_name,
		    O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
		if (alive != -1 && flock(alive, LOCK_EX | LOCK_NB) == 0)
			unlinkat(sp->dir_fd[SPOOL_RUN], e->d_name, 0);
	}
	closedir(dir);
}

static int
spool_open_alive(struct spool *sp, struct apw_err *err)
{
	struct stat	st;
	int		tries;

	snprintf(sp->alive_name, sizeof(sp->alive_name), ".slot-%u-%ld.alive",
	    sp->slot, (long)getpid());
	for (tries = 0; tries < 5; tries++) {
		sp->alive_fd = openat(sp->dir_fd[SPOOL_RUN], sp->alive_name,
		    O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (sp->alive_fd == -1)
			return apw_err_set(err, errno, "cannot make %s/run/%s",
			    sp->path, sp->alive_name);
		/* somebody may have swept it before it had its lock */
		if (flock(sp->alive_fd, LOCK_EX | LOCK_NB) == 0 &&
		    fstat(sp->alive_fd, &st) == 0 && st.st_nlink != 0)
			break;
		close(apw_take_fd(&sp->alive_fd));
	}
	return sp->alive_fd != -1 ? 0 : apw_err_set(err, 0, "cannot lock "
	    "%s/run/%s", sp->path, sp->alive_name);
}

static int
spool_open_all(struct spool *sp, struct apw_err *err)
{
	apw_autofd int	 root_fd = -1;
	int		 d;

	sp->alive_fd = -1;
	for (d = 0; d < SPOOL_NDIRS; d++)
		sp->dir_fd[d] = -1;
	if (mkdir(sp->path, 0755) == -1 && errno != EEXIST)
		return apw_err_set(err, errno, "cannot make spool %s",
		    sp->path);
	root_fd = open(sp->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd == -1)
		return apw_err_set(err, errno, "cannot open spool %s",
		    sp->path);
	for (d = 0; d < SPOOL_NDIRS; d++)
		if (spool_open_dir(sp, root_fd, d, err) == -1)
			return -1;
	spool_sweep_alive(sp);
	spool_sweep_tmp(sp, SPOOL_TMP_S);
	return spool_open_alive(sp, err);
}

static void
spool_close_alive(struct spool *sp)
{
	if (sp->alive_fd == -1)
		return;
	unlinkat(sp->dir_fd[SPOOL_RUN], sp->alive_name, 0);
	close(apw_take_fd(&sp->alive_fd));
}

static void
spool_close_all(struct spool *sp)
{
	int	d;

	spool_close_alive(sp);
	for (d = 0; d < SPOOL_NDIRS; d++)
		if (sp->dir_fd[d] != -1)
			close(sp->dir_fd[d]);
}

int
spool_open(struct spool *sp, const char *path, unsigned slot,
    struct apw_err *err)
{
	sp->slot = slot;
	sp->path = strdup(path);
	if (sp->path == NULL)
		return apw_err_set(err, ENOMEM, "spool");
	return spool_open_all(sp, err);
}

bool
spool_moved(const struct spool *sp)
{
	char		path[PATH_MAX];
	struct stat	there, held;
	int		d;

	for (d = 0; d < SPOOL_NDIRS; d++) {
		snprintf(path, sizeof(path), "%s/%s", sp->path, spool_dirs[d]);
		if (fstat(sp->dir_fd[d], &held) == -1 ||
		    lstat(path, &there) == -1 ||
		    there.st_ino != held.st_ino || there.st_dev != held.st_dev)
			return true;
	}
	return false;
}

int
spool_follow(struct spool *sp, struct apw_err *err)
{
	struct spool	now;

	if (!spool_moved(sp))
		return 0;
	spool_close_alive(sp);	/* run/ itself may be the same */
	now = *sp;
	if (spool_open_all(&now, err) == -1) {
		spool_close_all(&now);
		return -1;
	}
	spool_close_all(sp);
	spool_forget_names(sp);
	now.names = NULL;
	now.nnames = now.next = 0;
	*sp = now;
	return 1;
}

void
spool_forget_names(struct spool *sp)
{
	for (; sp->next < sp->nnames; sp->next++)
		free(sp->names[sp->next]);
	free(sp->names);
	sp->names = NULL;
	sp->nnames = sp->next = 0;
}

void
spool_close(struct spool *sp)
{
	spool_close_all(sp);
	spool_forget_names(sp);
	free(sp->path);
	*sp = (struct spool){ .alive_fd = -1 };
}

/* "ID.json" -> ID. */
bool
spool_name_stem(const char *name, struct apw_str *id)
{
	size_t	n = strlen(name);

	if (name[0] == '.' || n <= 5 || strcmp(name + n - 5, ".json") != 0)
		return false;
	*id = (struct apw_str){ name, n - 5 };
	return true;
}

int
spool_read_all(int fd, size_t size, struct apw_buf *out)
{
	ssize_t	n;

	if (apw_buf_reserve(out, size) == -1)
		return -1;
	while (out->len < size) {
		n = pread(fd, out->data + out->len, size - out->len, out->len);
		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		out->len += n;
	}
	out->data[out->len] = '\0';
	return 0;
}

int
spool_check_file(struct spool *sp, int fd, struct stat *st,
    struct apw_err *err)
{
	if (fstat(fd, st) == -1)
		return apw_err_set(err, errno, "cannot look at it");
	if (!S_ISREG(st->st_mode))
		return apw_err_set(err, 0, "found something that is not a "
		    "regular file; expected a JSON file");
	if (st->st_nlink != 1)
		return apw_err_set(err, 0, "found %lu names (hard links) for "
		    "this file; expected one", (unsigned long)st->st_nlink);
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return apw_err_set(err, 0, "found a file of uid %lu; expected "
		    "one of uid %lu or of root", (unsigned long)st->st_uid,
		    (unsigned long)geteuid());
	if ((st->st_mode & S_IWOTH) != 0)
		return apw_err_set(err, 0, "found mode %04o: everybody may "
		    "write to it", (unsigned)st->st_mode & 07777);
	if ((uint64_t)st->st_size > sp->max_job_bytes)
		return apw_err_set(err, 0, "found %lld bytes; expected at most "
		    "%llu (max_job_size)", (long long)st->st_size,
		    (unsigned long long)sp->max_job_bytes);
	return 0;
}

int
spool_flow(struct spool *sp, struct apw_str id, struct apw_buf *out,
    struct apw_err *err)
{
	apw_autofd int	 fd = -1;
	struct stat	 st;
	char		 name[NAME_MAX];

	if (!spool_id_ok(id))
		return 0;
	snprintf(name, sizeof(name), "%.*s.json", (int)id.n, id.p);
	fd = openat(sp->dir_fd[SPOOL_FLOWS], name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1)
		return apw_err_set(err, errno, "cannot open flows/%s", name);
	if (spool_check_file(sp, fd, &st, err) == -1 ||
	    spool_read_all(fd, st.st_size, out) == -1)
		return apw_err_wrap(err, "flows/%s", name);
	if (apw_raw_check(apw_buf_view(out), APW_RAW_UTF8) == -1 ||
	    apw_raw_type(apw_buf_view(out)) != APW_RAW_OBJECT)
		return apw_err_set(err, 0, "flows/%s: found text that is no "
		    "JSON object", name);
	return 1;
}
