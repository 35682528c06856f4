/* What comes of a job in the spool: its result folder, made in tmp/ and
 * published by one rename.  Room: source, in a slot. */
#include "modules/source/spool_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_find.h"
#include "core/apw_log.h"
#include "modules/source/spool_files.h"

int
spool_write_file(int dir_fd, const char *name, struct apw_str text,
    struct apw_err *err)
{
	apw_autofd int	 fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL |
			    O_NOFOLLOW | O_CLOEXEC, 0640);
	size_t		 done = 0;
	ssize_t		 n;

	if (fd == -1)
		return apw_err_set(err, errno, "cannot make %s", name);
	while (done < text.n) {
		n = write(fd, text.p + done, text.n - done);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return apw_err_set(err, errno, "cannot write %s", name);
		done += n;
	}
	if (fsync(fd) == -1)
		return apw_err_set(err, errno, "cannot sync %s", name);
	return 0;
}

static void
spool_receipt(struct apw_buf *b, const char *id, unsigned attempt,
    int64_t claimed_wall_ms, const struct spool_outcome *o)
{
	int64_t	now = apw_wall_ms();
	char	t[APW_ISO8601_SIZE];

	apw_buf_puts(b, "{\"id\":");
	apw_buf_json_c(b, id);
	apw_buf_puts(b, ",\"status\":");
	apw_buf_json_c(b, o->status);
	if (o->job_status != NULL) {
		apw_buf_puts(b, ",\"jobStatus\":");
		apw_buf_json_c(b, o->job_status);
	}
	if (o->error != NULL) {
		apw_buf_puts(b, ",\"error\":");
		apw_buf_json_c(b, o->error);
	}
	if (o->network.n != 0) {
		apw_buf_puts(b, ",\"network\":");
		apw_buf_str(b, o->network);
	}
	apw_buf_printf(b, ",\"attempts\":%u,\"slot\":%u", attempt, o->slot);
	apw_buf_printf(b, ",\"startTime\":\"%s\"",
	    apw_iso8601(claimed_wall_ms, t));
	apw_buf_printf(b, ",\"finishTime\":\"%s\",\"durationMs\":%lld}\n",
	    apw_iso8601(now, t), (long long)(now - claimed_wall_ms));
}

/* Fill a folder in tmp/ with all of it; its name is left in folder. */
static int
spool_compose(struct spool *sp, const char *id, unsigned attempt,
    int64_t claimed_wall_ms, const struct spool_outcome *o,
    char folder[NAME_MAX], struct apw_err *err)
{
	struct apw_buf	receipt = APW_BUF_INIT(1 << 20);
	int		dir_fd, rc = -1;

	snprintf(folder, NAME_MAX, "%s.%ld.%lld", id, (long)getpid(),
	    (long long)apw_now_us());
	if (mkdirat(sp->dir_fd[SPOOL_TMP], folder, 0750) == -1)
		return apw_err_set(err, errno, "cannot make %s/tmp/%s",
		    sp->path, folder);
	dir_fd = openat(sp->dir_fd[SPOOL_TMP], folder,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir_fd == -1)
		return apw_err_set(err, errno, "cannot open %s/tmp/%s",
		    sp->path, folder);
	/* locked until it is published: whoever finds it otherwise has found
	 * what a dead slot left */
	flock(dir_fd, LOCK_EX | LOCK_NB);
	sp->making_fd = dir_fd;
	spool_receipt(&receipt, id, attempt, claimed_wall_ms, o);
	if (spool_write_file(dir_fd, "result.json", apw_buf_view(&receipt),
	    err) == -1)
		goto out;
	if (o->run.n != 0 && spool_write_file(dir_fd, "run.json", o->run, err) == -1)
		goto out;
	if (o->output.n != 0 &&
	    spool_write_file(dir_fd, "output.json", o->output, err) == -1)
		goto out;
	if (o->payloads.n != 0 &&
	    spool_write_file(dir_fd, "payloads.json", o->payloads, err) == -1)
		goto out;
	if (o->log.n != 0 && spool_write_file(dir_fd, "log", o->log, err) == -1)
		goto out;
	if (spool_files_save(o->files, dir_fd, err) == -1)
		goto out;
	rc = 0;
out:
	apw_buf_free(&receipt);
	return rc;
}

/* What a result was that could not be made: it would only fill the disk. */
static void
spool_undo_in(int at, const char *name, unsigned depth)
{
	DIR		*dir = apw_opendirat(at, name);
	struct dirent	*e;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 &&
		    unlinkat(dirfd(dir), e->d_name, 0) == -1 && depth > 0)
			spool_undo_in(dirfd(dir), e->d_name, depth - 1);
	if (dir != NULL)
		closedir(dir);
	unlinkat(at, name, AT_REMOVEDIR);
}

/* It is published, or given up. */
static void
spool_made(struct spool *sp)
{
	if (sp->making_fd > 0)
		close(sp->making_fd);
	sp->making_fd = -1;
}

static void
spool_undo(struct spool *sp, const char *folder)
{
	spool_made(sp);
	if (folder[0] != '\0')
		spool_undo_in(sp->dir_fd[SPOOL_TMP], folder, 2);
}

/* Put the folder where it is seen.  A second job of the same id gets a name
 * of its own beside the first. */
static int
spool_publish(struct spool *sp, const char *folder, enum spool_dir to,
    const char *id, struct apw_err *err)
{
	char	name[NAME_MAX];
	int	i;

	snprintf(name, sizeof(name), "%s", id);
	for (i = 2; i < 1000; i++) {
		if (renameat2(sp->dir_fd[SPOOL_TMP], folder, sp->dir_fd[to],
		    name, RENAME_NOREPLACE) == 0)
			return fsync(sp->dir_fd[to]) == -1 ?
			    apw_err_set(err, errno, "cannot sync %s/%s",
			    sp->path, spool_dirs[to]) : 0;
		if (errno != EEXIST)
			break;
		snprintf(name, sizeof(name), "%s~%d", id, i);
	}
	return apw_err_set(err, errno, "cannot put the result at %s/%s/%s",
	    sp->path, spool_dirs[to], name);
}

void
spool_run_name(char name[NAME_MAX], const char *id, unsigned attempt)
{
	snprintf(name, NAME_MAX, "%s.%u.json", id, attempt);
}

/* The job's file goes along; until the folder is published a crash leaves
 * job.json in tmp/, so it is linked, then unlinked.  When run/ has gone, what
 * was read of the file goes along. */
static void
spool_keep_job(struct spool *sp, const struct spool_job *job,
    const char *from, const char *folder)
{
	struct apw_err	err = APW_ERR_NONE;
	char		kept[NAME_MAX * 2];

	snprintf(kept, sizeof(kept), "%s/job.json", folder);
	if (linkat(sp->dir_fd[SPOOL_RUN], from, sp->dir_fd[SPOOL_TMP], kept,
	    0) == -1 && (errno != ENOENT || spool_write_file(sp->making_fd,
	    "job.json", apw_buf_view(&job->text), &err) == -1))
		apw_warn("cannot keep the job's file with its result",
		    APW_S("id", job->id), APW_S("error", err.text[0] != '\0' ?
		    err.text : strerror(errno)));
}

int
spool_settle(struct spool *sp, struct spool_job *job,
    const struct spool_outcome *o, struct apw_err *err)
{
	enum spool_dir	to = o->ok ? SPOOL_DONE : SPOOL_FAILED;
	char		folder[NAME_MAX], from[NAME_MAX];

	folder[0] = '\0';
	if (spool_follow(sp, err) == -1)
		return -1;
	if (spool_compose(sp, job->id, job->attempt, job->claimed_wall_ms, o,
	    folder, err) == -1) {
		spool_undo(sp, folder);
		return -1;
	}
	spool_run_name(from, job->id, job->attempt);
	spool_keep_job(sp, job, from, folder);
	if (spool_publish(sp, folder, to, job->id, err) == -1) {
		spool_undo(sp, folder);	/* the job's file is still in run/ */
		return -1;
	}
	spool_made(sp);
	if (unlinkat(sp->dir_fd[SPOOL_RUN], from, 0) == -1 && errno != ENOENT)
		return apw_err_set(err, errno, "cannot remove %s/run/%s",
		    sp->path, from);
	return 0;
}

/* A result that says no more than why. */
static void
spool_discard(struct spool *sp, const char *folder)
{
	char	name[NAME_MAX * 2];

	snprintf(name, sizeof(name), "%s/result.json", folder);
	unlinkat(sp->dir_fd[SPOOL_TMP], name, 0);
	unlinkat(sp->dir_fd[SPOOL_TMP], folder, AT_REMOVEDIR);
}

/* What lies in new/ and is no job: out of the way, with the reason. */
void
spool_reject(struct spool *sp, const char *name, const struct apw_err *why)
{
	struct spool_outcome	o = { .ok = false, .status = "REJECTED",
				    .error = why->text };
	struct apw_err		err = APW_ERR_NONE;
	struct apw_str		stem;
	char			id[SPOOL_ID_MAX + 1], folder[NAME_MAX];
	char			kept[NAME_MAX * 2];
	size_t			i;

	snprintf(id, sizeof(id), "%.*s", spool_name_stem(name, &stem) ?
	    (int)stem.n : SPOOL_ID_MAX, name);
	for (i = 0; id[i] != '\0'; i++)
		if (!spool_id_ok((struct apw_str){ id + i, 1 }) &&
		    (id[i] != '.' || i == 0))
			id[i] = '_';
	if (spool_compose(sp, id, 0, apw_wall_ms(), &o, folder, &err) == 0) {
		snprintf(kept, sizeof(kept), "%s/job.json", folder);
		if (renameat(sp->dir_fd[SPOOL_NEW], name,
		    sp->dir_fd[SPOOL_TMP], kept) == 0) {
			apw_error("file in the spool is no job, moved to "
			    "failed", APW_S("file", name), APW_S("reason",
			    why->text));
			spool_publish(sp, folder, SPOOL_FAILED, id, &err);
		} else if (errno == ENOENT)	/* another slot was faster */
			spool_discard(sp, folder);
		else
			apw_err_set(&err, errno, "cannot move it");
	}
	spool_made(sp);
	if (err.text[0] != '\0')
		apw_error("cannot put a rejected file away",
		    APW_S("file", name), APW_E(&err));
}

/* "ID.PID.MICROSECONDS", as spool_compose() makes it: the length of ID. */
static size_t
spool_tmp_id(const char *name)
{
	const char	*end = name + strlen(name), *p = end;
	int		 i;

	for (i = 0; i < 2; i++) {
		while (p > name && p[-1] >= '0' && p[-1] <= '9')
			p--;
		if (p == end || p == name || *--p != '.')
			return 0;
		end = p;
	}
	return p - name <= SPOOL_ID_SIZE - 1 ? (size_t)(p - name) : 0;
}

/* A result whose slot died before it was published: the job is still in run/
 * and is run or settled again, so it goes; but a file that was to be put away
 * as no job is nowhere else. */
static void
spool_sweep_one(struct spool *sp, const char *name, size_t id_n, int older_s)
{
	apw_autofd int	fd = openat(sp->dir_fd[SPOOL_TMP], name,
	    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct apw_err	err = APW_ERR_NONE;
	struct stat	st;
	char		id[SPOOL_ID_SIZE];

	if (fd == -1 || fstat(fd, &st) == -1 || st.st_uid != geteuid() ||
	    st.st_ctime > time(NULL) - older_s ||
	    flock(fd, LOCK_EX | LOCK_NB) == -1)
		return;
	snprintf(id, sizeof(id), "%.*s", (int)id_n, name);
	if (fstatat(fd, "job.json", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_nlink == 1)
		spool_publish(sp, name, SPOOL_FAILED, id, &err);
	else
		spool_undo_in(sp->dir_fd[SPOOL_TMP], name, 2);
}

void
spool_sweep_tmp(struct spool *sp, int older_s)
{
	DIR		*dir = apw_opendirat(sp->dir_fd[SPOOL_TMP], ".");
	struct dirent	*e;
	size_t		 n;

	while (dir != NULL && (e = readdir(dir)) != NULL)
		if ((n = spool_tmp_id(e->d_name)) > 0)
			spool_sweep_one(sp, e->d_name, n, older_s);
	if (dir != NULL)
		closedir(dir);
}
