/* Claiming a job: from new/, or from a slot that died.  Room: source, in a
 * slot.  A file is looked at closely before anything of it is believed. */
#include "modules/source/spool_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_find.h"
#include "core/apw_log.h"
#include "proto/apw_raw.h"

#define SPOOL_NAMES_MAX	4096	/* of new/, remembered at once */

static int
name_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of a folder, sorted; the caller frees each and the list. */
static int
spool_list(struct spool *sp, enum spool_dir d, char ***names, size_t *n,
    struct apw_err *err)
{
	DIR		*dir = apw_opendirat(sp->dir_fd[d], ".");
	struct dirent	*e;
	struct apw_str	 id;

	*names = NULL;
	*n = 0;
	if (dir == NULL)
		return apw_err_set(err, errno, "cannot read %s/%s", sp->path,
		    spool_dirs[d]);
	*names = calloc(SPOOL_NAMES_MAX, sizeof(**names));
	while (*names != NULL && *n < SPOOL_NAMES_MAX &&
	    (e = readdir(dir)) != NULL) {
		if (!spool_name_stem(e->d_name, &id))
			continue;
		(*names)[*n] = strdup(e->d_name);
		if ((*names)[*n] == NULL)
			break;
		(*n)++;
	}
	closedir(dir);
	if (*names == NULL)
		return apw_err_set(err, ENOMEM, "spool");
	qsort(*names, *n, sizeof(**names), name_order);
	return 0;
}

static int
spool_parse(struct spool_job *job, struct apw_err *err)
{
	struct apw_str	text = apw_buf_view(&job->text), v;

	if (text.n == 0)
		return apw_err_set(err, 0, "found an empty file; expected a "
		    "JSON object");
	if (apw_raw_check(text, APW_RAW_UTF8) == -1)
		return apw_err_set(err, 0, "found text that is not JSON "
		    "(truncated, or not UTF-8); expected a JSON object");
	if (apw_raw_type(text) != APW_RAW_OBJECT)
		return apw_err_set(err, 0, "found a JSON value that is no "
		    "object; expected {\"jobData\":{...}}");
	if (apw_raw_member(text, "jobData", &v) != 1 ||
	    apw_raw_type(v) != APW_RAW_OBJECT)
		return apw_err_set(err, 0, "found no object \"jobData\"; "
		    "expected the job's data as the app sends it");
	job->job_data = apw_raw_trim(v);
	if (apw_raw_member(text, "flowVersion", &v) == 1 &&
	    apw_raw_type(v) != APW_RAW_NULL) {
		if (apw_raw_type(v) != APW_RAW_OBJECT)
			return apw_err_set(err, 0, "found a \"flowVersion\" "
			    "that is no object");
		job->flow_version = apw_raw_trim(v);
	}
	if (apw_raw_member(text, "engineToken", &v) == 1 &&
	    apw_raw_type(v) == APW_RAW_STRING)
		job->engine_token = apw_raw_trim(v);
	return 0;
}

static bool
spool_is_settled(struct spool *sp, const char *id)
{
	return faccessat(sp->dir_fd[SPOOL_DONE], id, F_OK, 0) == 0 ||
	    faccessat(sp->dir_fd[SPOOL_FAILED], id, F_OK, 0) == 0;
}

static struct spool_job *
spool_job_new(struct apw_str id, unsigned attempt, int *fd)
{
	struct spool_job	*job = calloc(1, sizeof(*job));

	if (job == NULL)
		return NULL;
	memcpy(job->id, id.p, id.n);
	job->attempt = attempt;
	job->lock_fd = apw_take_fd(fd);
	job->claimed_wall_ms = apw_wall_ms();
	return job;
}

void
spool_job_free(struct spool_job *job)
{
	if (job == NULL)
		return;
	close(job->lock_fd);
	apw_buf_free(&job->text);
	free(job);
}

/* Read and check a job that is ours; a bad one is settled here. */
static int
spool_load(struct spool *sp, struct spool_job **jobp, struct apw_err *err)
{
	struct spool_job	*job = *jobp;
	struct spool_outcome	 o = { .ok = false, .status = "REJECTED" };
	struct apw_err		 why = APW_ERR_NONE;
	struct stat		 st;
	int			 rc;

	job->text.max = sp->max_job_bytes;
	if (fstat(job->lock_fd, &st) == 0 &&
	    spool_read_all(job->lock_fd, st.st_size, &job->text) == 0 &&
	    spool_parse(job, &why) == 0)
		return 1;
	if (why.text[0] == '\0')
		apw_err_set(&why, errno, "cannot read the job");
	apw_error("job in the spool rejected", APW_S("id", job->id),
	    APW_S("reason", why.text));
	o.error = why.text;
	rc = spool_settle(sp, job, &o, err);
	spool_job_free(job);
	*jobp = NULL;
	return rc;
}

/* The id under which this job is run: its name, or, when there is a result of
 * that name already, "NAME~2", "NAME~3", ...: results are never mixed up. */
static struct apw_str
spool_free_id(struct spool *sp, struct apw_str id, char own[SPOOL_ID_SIZE])
{
	int	i;

	snprintf(own, SPOOL_ID_SIZE, "%.*s", (int)id.n, id.p);
	for (i = 2; spool_is_settled(sp, own) && i < 1000; i++)
		snprintf(own, SPOOL_ID_SIZE, "%.*s~%d", (int)id.n, id.p, i);
	return apw_str_c(own);
}

/* Claim new/NAME: 1 ours, 0 not (gone, somebody's, rejected). */
static int
spool_claim_new(struct spool *sp, const char *name, struct spool_job **job,
    struct apw_err *err)
{
	apw_autofd int	 fd = -1;
	struct apw_err	 why = APW_ERR_NONE;
	struct apw_str	 id;
	struct stat	 st, now;
	char		 to[NAME_MAX], own[SPOOL_ID_SIZE];

	if (!spool_name_stem(name, &id))
		return 0;
	if (!spool_id_ok(id)) {
		apw_err_set(&why, 0, "found a file name with other than "
		    "letters, digits, '.', '_', '-', or longer than %d",
		    SPOOL_ID_MAX);
		spool_reject(sp, name, &why);
		return 0;
	}
	fd = openat(sp->dir_fd[SPOOL_NEW], name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1 && errno == ENOENT)
		return 0;
	/* not the file's fault */
	if (fd == -1 && (errno == EMFILE || errno == ENFILE ||
	    errno == ENOMEM || errno == EIO))
		return apw_err_set(err, errno, "cannot open %s", name);
	if (fd == -1)
		apw_err_set(&why, errno, "%s", errno == ELOOP ?
		    "found a symbolic link; expected a file" :
		    "cannot open it");
	if (fd == -1 || spool_check_file(sp, fd, &st, &why) == -1) {
		spool_reject(sp, name, &why);
		return 0;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == -1 ||
	    fstatat(sp->dir_fd[SPOOL_NEW], name, &now,
	    AT_SYMLINK_NOFOLLOW) == -1 || now.st_ino != st.st_ino)
		return 0;
	id = spool_free_id(sp, id, own);
	spool_run_name(to, own, 1);
	if (renameat2(sp->dir_fd[SPOOL_NEW], name, sp->dir_fd[SPOOL_RUN], to,
	    RENAME_NOREPLACE) == -1) {
		if (errno != EEXIST)
			return apw_err_set(err, errno, "cannot claim %s", name);
		apw_err_set(&why, 0, "a job of this name is being run");
		spool_reject(sp, name, &why);
		return 0;
	}
	*job = spool_job_new(id, 1, &fd);
	if (*job == NULL)
		return apw_err_set(err, ENOMEM, "spool");
	return spool_load(sp, job, err);
}

int
spool_put_back(struct spool *sp, struct spool_job *job, struct apw_err *err)
{
	char	from[NAME_MAX], to[NAME_MAX];

	spool_run_name(from, job->id, job->attempt);
	snprintf(to, sizeof(to), "%.*s.json", (int)strcspn(job->id, "~"),
	    job->id);
	/* who is woken by its name finds no lock.  One that looks among the
	 * dead ones' in this moment has it: that will do as well */
	flock(job->lock_fd, LOCK_UN);
	if (renameat2(sp->dir_fd[SPOOL_RUN], from, sp->dir_fd[SPOOL_NEW], to,
	    RENAME_NOREPLACE) == 0 || errno == ENOENT)
		return 0;
	apw_err_set(err, errno, "cannot put %s back", job->id);
	return flock(job->lock_fd, LOCK_EX | LOCK_NB) == -1 ? 0 : -1;
}

/* A job whose slot died too often is not given another one. */
static int
spool_give_up(struct spool *sp, struct spool_job *job, struct apw_err *err)
{
	struct spool_outcome	o = { .ok = false, .status = "INTERNAL_ERROR" };
	char			text[128];

	snprintf(text, sizeof(text), "its slot died %u times while it had "
	    "this job", job->attempt);
	o.error = text;
	apw_error("job given up", APW_S("id", job->id),
	    APW_I("attempts", job->attempt));
	return spool_settle(sp, job, &o, err);
}

/* An id as spool_free_id() makes it. */
static bool
spool_run_id_ok(struct apw_str id)
{
	const char	*tilde = memchr(id.p, '~', id.n);

	return id.n < SPOOL_ID_SIZE && spool_id_ok((struct apw_str){ id.p,
	    tilde == NULL ? id.n : (size_t)(tilde - id.p) });
}

/* Take over run/NAME when its slot is dead: 1 ours, 0 not. */
static int
spool_claim_run(struct spool *sp, const char *name, struct spool_job **job,
    struct apw_err *err)
{
	apw_autofd int	 fd = -1;
	struct apw_str	 stem, id;
	unsigned long	 attempt;
	char		 to[NAME_MAX], *end;
	const char	*dot;
	int		 rc;

	if (!spool_name_stem(name, &stem) ||
	    (dot = memrchr(stem.p, '.', stem.n)) == NULL)
		return 0;
	id = (struct apw_str){ stem.p, dot - stem.p };
	attempt = strtoul(dot + 1, &end, 10);
	if (!spool_run_id_ok(id) || end != stem.p + stem.n || attempt > 1000)
		return 0;
	fd = openat(sp->dir_fd[SPOOL_RUN], name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1 || flock(fd, LOCK_EX | LOCK_NB) == -1 ||
	    faccessat(sp->dir_fd[SPOOL_RUN], name, F_OK, 0) == -1)
		return 0;
	*job = spool_job_new(id, attempt, &fd);
	if (*job == NULL)
		return apw_err_set(err, ENOMEM, "spool");
	if (spool_is_settled(sp, (*job)->id)) {
		/* it died between the result and this */
		unlinkat(sp->dir_fd[SPOOL_RUN], name, 0);
		rc = 0;
	} else if (attempt >= sp->attempts) {
		rc = spool_give_up(sp, *job, err);
	} else {
		spool_run_name(to, (*job)->id, attempt + 1);
		if (renameat(sp->dir_fd[SPOOL_RUN], name,
		    sp->dir_fd[SPOOL_RUN], to) == -1) {
			rc = apw_err_set(err, errno, "cannot take over %s",
			    name);
		} else {
			(*job)->attempt = attempt + 1;
			apw_notice("took over a job from a slot that died",
			    APW_S("id", (*job)->id),
			    APW_I("attempt", attempt + 1));
			return spool_load(sp, job, err);
		}
	}
	spool_job_free(*job);
	*job = NULL;
	return rc;
}

static int
spool_claim_orphan(struct spool *sp, struct spool_job **job,
    struct apw_err *err)
{
	char	**names;
	size_t	  n, i;
	int	  rc;

	if (spool_list(sp, SPOOL_RUN, &names, &n, err) == -1)
		return -1;
	for (rc = 0, i = 0; i < n; i++) {
		if (rc == 0)
			rc = spool_claim_run(sp, names[i], job, err);
		free(names[i]);
	}
	free(names);
	return rc;
}

int
spool_claim(struct spool *sp, struct spool_job **job, struct apw_err *err)
{
	bool	fresh;
	int	rc;

	*job = NULL;
	if (spool_follow(sp, err) == -1)
		return -1;
	rc = spool_claim_orphan(sp, job, err);
	if (rc != 0)
		return rc;
	/* The remembered names may be older than what woke us: when they come
	 * to nothing, the folder is read anew before we sleep again. */
	for (fresh = false;; fresh = true) {
		while (sp->next < sp->nnames) {
			char *name = sp->names[sp->next++];

			rc = spool_claim_new(sp, name, job, err);
			free(name);
			if (rc != 0)
				return rc;
		}
		if (fresh)
			return 0;
		spool_forget_names(sp);
		if (spool_list(sp, SPOOL_NEW, &sp->names, &sp->nnames,
		    err) == -1)
			return -1;
	}
}
