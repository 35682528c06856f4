/* Makes a keeper of the stock stop itself at a named moment of its work, so
 * that a test can kill it just there.  Linked into the daemon and into
 * stock-tool with --wrap: the code under test knows nothing of it.
 *
 * When APW_STOPS names a folder, and the file `at` in there has the name of
 * the moment, whoever reaches it first removes the file, writes its pid to
 * `stopped`, and stops.  The moments, in their order:
 *
 *	lock		an entry's lock was taken
 *	staging		the staging directory was made
 *	tool		an installer or bundler has ended
 *	verify		before the first look at what it made
 *	flush		before the first fsync or syncfs
 *	merge		before the packages go into the store
 *	package		one of them is there
 *	publish		before the entry gets its name
 *	published	after that
 *	tidy		before the staging directory is removed
 *	engine		before the engine's file is replaced
 *	mark		it is there, and not marked yet
 *
 * and one of a slot, which does not stop then, but hangs:
 *
 *	hang		before a job begins
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "job/job.h"
#include "stock/stock_priv.h"

static char	folder[512];

static void __attribute__((constructor))
stops_read(void)
{
	const char	*dir = getenv("APW_STOPS");

	if (dir != NULL)
		snprintf(folder, sizeof(folder), "%s", dir);
}

static bool
reached(const char *moment)
{
	char	at[600], temp[600], to[600], word[64] = "";
	FILE	*f;

	snprintf(at, sizeof(at), "%s/at", folder);
	if (folder[0] == '\0' || (f = fopen(at, "re")) == NULL)
		return false;
	(void)!fscanf(f, "%63s", word);
	fclose(f);
	if (strcmp(word, moment) != 0 || unlink(at) == -1)
		return false;
	snprintf(temp, sizeof(temp), "%s/stopped.new", folder);
	snprintf(to, sizeof(to), "%s/stopped", folder);
	if ((f = fopen(temp, "we")) != NULL) {
		fprintf(f, "%d\n", (int)getpid());
		fclose(f);
		rename(temp, to);
	}
	return true;
}

static void
stop_at(const char *moment)
{
	if (reached(moment))
		raise(SIGSTOP);
}

/* A slot whose loop does not turn any more: handlers run, nothing else. */
void	__real_apw_job_begin(struct apw_job *);
void	__wrap_apw_job_begin(struct apw_job *);
void
__wrap_apw_job_begin(struct apw_job *job)
{
	if (reached("hang"))
		for (;;)
			pause();
	__real_apw_job_begin(job);
}

int	__real_stock_lock(struct stock_keeper *, const char *, int64_t, int *,
	    struct apw_err *);
int	__wrap_stock_lock(struct stock_keeper *, const char *, int64_t, int *,
	    struct apw_err *);
int
__wrap_stock_lock(struct stock_keeper *k, const char *key, int64_t ms,
    int *fd, struct apw_err *err)
{
	int	rc = __real_stock_lock(k, key, ms, fd, err);

	if (rc == 0)
		stop_at("lock");
	return rc;
}

int	__real_stock_lock_stripe(struct stock_keeper *, unsigned, int64_t,
	    int *, struct apw_err *);
int	__wrap_stock_lock_stripe(struct stock_keeper *, unsigned, int64_t,
	    int *, struct apw_err *);
int
__wrap_stock_lock_stripe(struct stock_keeper *k, unsigned stripe, int64_t ms,
    int *fd, struct apw_err *err)
{
	int	rc = __real_stock_lock_stripe(k, stripe, ms, fd, err);

	if (rc == 0)
		stop_at("lock");
	return rc;
}

int	__real_stock_staging_begin(struct stock_keeper *,
	    struct stock_staging *, struct apw_err *);
int	__wrap_stock_staging_begin(struct stock_keeper *,
	    struct stock_staging *, struct apw_err *);
int
__wrap_stock_staging_begin(struct stock_keeper *k, struct stock_staging *st,
    struct apw_err *err)
{
	int	rc = __real_stock_staging_begin(k, st, err);

	stop_at("staging");
	return rc;
}

void	__real_stock_staging_end(struct stock_staging *);
void	__wrap_stock_staging_end(struct stock_staging *);
void
__wrap_stock_staging_end(struct stock_staging *st)
{
	stop_at("tidy");
	__real_stock_staging_end(st);
}

int	__real_stock_builder_run(struct stock_keeper *,
	    const struct stock_run *, struct stock_outcome *, struct apw_err *);
int	__wrap_stock_builder_run(struct stock_keeper *,
	    const struct stock_run *, struct stock_outcome *, struct apw_err *);
int
__wrap_stock_builder_run(struct stock_keeper *k, const struct stock_run *run,
    struct stock_outcome *outcome, struct apw_err *err)
{
	int	rc = __real_stock_builder_run(k, run, outcome, err);

	stop_at("tool");
	return rc;
}

bool	__real_stock_piece_loads(int, const char *, const char *);
bool	__wrap_stock_piece_loads(int, const char *, const char *);
bool
__wrap_stock_piece_loads(int dir_fd, const char *where, const char *name)
{
	stop_at("verify");
	return __real_stock_piece_loads(dir_fd, where, name);
}

int	__real_stock_sync(int, const char *, struct apw_err *);
int	__wrap_stock_sync(int, const char *, struct apw_err *);
int
__wrap_stock_sync(int dir_fd, const char *rel, struct apw_err *err)
{
	stop_at("flush");
	return __real_stock_sync(dir_fd, rel, err);
}

int	__real_syncfs(int);
int	__wrap_syncfs(int);
int
__wrap_syncfs(int fd)
{
	stop_at("flush");
	return __real_syncfs(fd);
}

int	__real_stock_store_merge(struct stock_staging *, int,
	    struct apw_err *);
int	__wrap_stock_store_merge(struct stock_staging *, int,
	    struct apw_err *);
int
__wrap_stock_store_merge(struct stock_staging *st, int fd, struct apw_err *err)
{
	stop_at("merge");
	return __real_stock_store_merge(st, fd, err);
}

int	__real_stock_publish(struct stock_staging *, const char *, int,
	    const char *, struct apw_err *);
int	__wrap_stock_publish(struct stock_staging *, const char *, int,
	    const char *, struct apw_err *);
int
__wrap_stock_publish(struct stock_staging *st, const char *from, int to_fd,
    const char *to, struct apw_err *err)
{
	bool	entry = strcmp(from, "step") == 0 ||
	    strncmp(from, "pieces/", 7) == 0;
	int	rc;

	if (entry)
		stop_at("publish");
	rc = __real_stock_publish(st, from, to_fd, to, err);
	stop_at(entry ? "published" : "package");
	return rc;
}

int	__real_renameat(int, const char *, int, const char *);
int	__wrap_renameat(int, const char *, int, const char *);
int
__wrap_renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	if (strcmp(to, "main.js") == 0)
		stop_at("engine");
	return __real_renameat(from_fd, from, to_fd, to);
}

int	__real_stock_replace(int, const char *, struct apw_str, bool,
	    struct apw_err *);
int	__wrap_stock_replace(int, const char *, struct apw_str, bool,
	    struct apw_err *);
int
__wrap_stock_replace(int dir_fd, const char *name, struct apw_str data,
    bool sync, struct apw_err *err)
{
	if (strcmp(name, STOCK_MARK) == 0)
		stop_at("mark");
	return __real_stock_replace(dir_fd, name, data, sync, err);
}
