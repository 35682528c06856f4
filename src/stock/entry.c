/* One entry of the stock: its lock (shared by slots and daemons of the host),
 * a staging directory to make it in, the rename that publishes it, and the
 * memory of a failure.  Room: stock, keeper.  Half-done is never visible: an
 * entry's own name appears by rename only. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <time.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"

/* Lock files are never removed (a removed lock is no lock), so their number
 * is fixed: an entry's key picks one.  Two entries that share one wait for
 * each other now and then, which costs time and nothing else. */
#define STRIPES			1024
#define STAGING_GRACE_S		60	/* between mkdir and flock */
#define LOCK_POLL_MIN_MS	5
#define LOCK_POLL_MAX_MS	100
#define STAGING_DIR		".staging"
#define LOCKS_DIR		".locks"
#define FAILED_DIR		".failed"
#define FAILED_BYTES		4096
#define FAILED_KEEP_S		86400	/* the longest negative_ttl */

unsigned
stock_stripe(const char *key)
{
	char		hash[STOCK_HASH_SIZE];
	struct apw_str	part = apw_str_c(key);
	unsigned	n = 0;

	if (stock_hash(hash, &part, 1) == 0)
		sscanf(hash, "%8x", &n);
	return n % STRIPES;
}

int
stock_lock_stripe(struct stock_keeper *k, unsigned stripe, int64_t timeout_ms,
    int *out, struct apw_err *err)
{
	int64_t		end_ms = apw_now_ms() + timeout_ms;
	int64_t		nap_ms = LOCK_POLL_MIN_MS;
	char		name[32];
	apw_autofd int	fd = -1, dir = -1;

	dir = stock_mkdirs(k->stock->root_fd, LOCKS_DIR, err);
	if (dir == -1)
		return -1;
	snprintf(name, sizeof(name), "%03x", stripe);
	fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		return apw_err_set(err, errno, "cannot open lock %s", name);
	while (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return apw_err_set(err, errno, "cannot lock %s", name);
		stock_hurry_call(k);
		if (apw_now_ms() >= end_ms)
			return apw_err_set(err, 0, "another process is busy "
			    "with it for more than %lld ms",
			    (long long)timeout_ms);
		if (stock_keeper_sleep(k, nap_ms) == -1)
			return apw_err_set(err, 0, "cancelled");
		if ((nap_ms *= 2) > LOCK_POLL_MAX_MS)
			nap_ms = LOCK_POLL_MAX_MS;
	}
	*out = apw_take_fd(&fd);
	return 0;
}

int
stock_lock(struct stock_keeper *k, const char *key, int64_t timeout_ms,
    int *fd, struct apw_err *err)
{
	return stock_lock_stripe(k, stock_stripe(key), timeout_ms, fd, err);
}

int
stock_staging_begin(struct stock_keeper *k, struct stock_staging *st,
    struct apw_err *err)
{
	uint64_t	 random = 0;

	*st = (struct stock_staging){ .fd = -1, .parent_fd = -1 };
	st->parent_fd = stock_mkdirs(k->stock->root_fd, STAGING_DIR, err);
	if (st->parent_fd == -1)
		return -1;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = apw_now_us();
	snprintf(st->name, sizeof(st->name), "%d-%016llx", (int)getpid(),
	    (unsigned long long)random);
	if (mkdirat(st->parent_fd, st->name, 0700) == -1)
		apw_err_set(err, errno, "cannot make a staging directory");
	else if ((st->fd = openat(st->parent_fd, st->name, O_RDONLY |
	    O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) == -1 ||
	    flock(st->fd, LOCK_EX | LOCK_NB) == -1)
		apw_err_set(err, errno, "cannot open a staging directory");
	else
		return 0;
	stock_staging_end(st);
	return -1;
}

void
stock_staging_end(struct stock_staging *st)
{
	if (st->parent_fd != -1) {
		if (st->name[0] != '\0')
			stock_tree_remove(st->parent_fd, st->name);
		close(st->parent_fd);
	}
	if (st->fd != -1)
		close(st->fd);
	st->fd = st->parent_fd = -1;
}

static void
staging_sweep_one(int parent_fd, const char *name)
{
	apw_autofd int	fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY |
	    O_NOFOLLOW | O_CLOEXEC);
	struct stat	st;

	if (fd == -1 || fstat(fd, &st) == -1 ||
	    st.st_mtime > time(NULL) - STAGING_GRACE_S ||
	    flock(fd, LOCK_EX | LOCK_NB) == -1)
		return;
	stock_tree_remove(parent_fd, name);
}

static void
failed_sweep_one(int parent_fd, const char *name)
{
	struct stat	st;

	if (fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtime < time(NULL) - FAILED_KEEP_S)
		unlinkat(parent_fd, name, 0);
}

static void
sweep(struct apw_stock *stock, const char *folder,
    void (*one)(int parent_fd, const char *name))
{
	int		 fd = stock_open(stock->root_fd, folder,
	    O_RDONLY | O_DIRECTORY);
	DIR		*dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent	*e;

	if (dir == NULL) {
		if (fd != -1)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (e->d_name[0] != '.')
			one(dirfd(dir), e->d_name);
	closedir(dir);
}

/* What keepers of an earlier life left behind: a live one holds its lock. */
void
stock_sweep(struct apw_stock *stock)
{
	sweep(stock, STAGING_DIR, staging_sweep_one);
	sweep(stock, FAILED_DIR, failed_sweep_one);
	sweep(stock, ".use", stock_use_sweep_one);
}

static int
rename2(int from_fd, const char *from, int to_fd, const char *to,
    unsigned flags)
{
	return syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
}

int
stock_publish(struct stock_staging *st, const char *from, int to_fd,
    const char *to, struct apw_err *err)
{
	char		 old[64];
	uint64_t	 random = 0;

	if (rename2(st->fd, from, to_fd, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno == EEXIST &&
	    rename2(st->fd, from, to_fd, to, RENAME_EXCHANGE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS && errno != EEXIST)
		return apw_err_set(err, errno, "cannot publish %s", to);
	/* a file system without these: there is a moment without the entry,
	 * but never one with half of it */
	(void)!getrandom(&random, sizeof(random), 0);
	snprintf(old, sizeof(old), "old-%016llx", (unsigned long long)random);
	renameat(to_fd, to, st->fd, old);
	if (renameat(st->fd, from, to_fd, to) == -1)
		return apw_err_set(err, errno, "cannot publish %s", to);
	return 0;
}

static void
failed_name(const char *key, char name[STOCK_HASH_SIZE])
{
	struct apw_str	part = apw_str_c(key);

	stock_hash(name, &part, 1);
}

bool
stock_failed_get(struct apw_stock *stock, const char *key,
    enum apw_stock_fault *fault, struct apw_err *err)
{
	struct apw_buf	text = APW_BUF_INIT(FAILED_BYTES);
	char		name[STOCK_HASH_SIZE];
	apw_autofd int	dir = stock_open(stock->root_fd, FAILED_DIR,
	    O_RDONLY | O_DIRECTORY);
	struct stat	st;
	int64_t		age_ms;
	bool		known = false;

	failed_name(key, name);
	if (dir == -1 || fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	age_ms = apw_wall_ms() - (st.st_mtim.tv_sec * INT64_C(1000) +
	    st.st_mtim.tv_nsec / 1000000);
	/* a negative age: the clock was set back; do not trust it */
	if (age_ms < -1000 || age_ms > stock->cycle->stock.negative_ttl_ms) {
		unlinkat(dir, name, 0);
		return false;
	}
	if (stock_read(dir, name, &text, NULL) == 1 && text.len > 2) {
		*fault = text.data[0] == 'u' ? APW_STOCK_USER : APW_STOCK_OURS;
		apw_err_set(err, 0, "%s (failed %lld s ago; tried again after "
		    "%lld s)", text.data + 2, (long long)age_ms / 1000,
		    (long long)stock->cycle->stock.negative_ttl_ms / 1000);
		known = true;
	}
	apw_buf_free(&text);
	return known;
}

void
stock_failed_put(struct apw_stock *stock, const char *key,
    enum apw_stock_fault fault, const struct apw_err *cause)
{
	struct apw_buf	text = APW_BUF_INIT(FAILED_BYTES);
	char		name[STOCK_HASH_SIZE];
	apw_autofd int	dir = -1;

	/* a missing tool is seen at once, and may be there a moment later */
	if (stock->cycle->stock.negative_ttl_ms <= 0 ||
	    stock->installer.path == NULL || stock->bundler.path == NULL)
		return;
	dir = stock_mkdirs(stock->root_fd, FAILED_DIR, NULL);
	failed_name(key, name);
	apw_buf_printf(&text, "%c %s", fault == APW_STOCK_USER ? 'u' : 'o',
	    cause->text);
	if (dir != -1 && !text.failed)
		stock_replace(dir, name, apw_buf_view(&text), false, NULL);
	apw_buf_free(&text);
}

void
stock_failed_clear(struct apw_stock *stock, const char *key)
{
	char		name[STOCK_HASH_SIZE];
	apw_autofd int	dir = stock_open(stock->root_fd, FAILED_DIR,
	    O_RDONLY | O_DIRECTORY);

	failed_name(key, name);
	if (dir != -1)
		unlinkat(dir, name, 0);
}
