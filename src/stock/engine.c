/* The engine in the stock: common/main.js, put there from the configured
 * bundle by content.  Room: stock; looked at by the slot, made by a keeper.
 * Running engines keep the old file; a new content is a new generation. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "core/apw_auto.h"

#define ENGINE_KEY		"engine"
#define ENGINE_MARK		"common/" STOCK_MARK
#define ENGINE_MARK_BYTES	512
#define ENGINE_LOCK_MS		120000
#define ENGINE_MAP_BYTES	((off_t)512 << 20)

/* What the mark says: the content, the installed file, and the bundle it came
 * from, so that a fresh process need not read either of them again. */
struct engine_mark {
	char			hash[STOCK_HASH_SIZE];
	struct stock_stamp	stamp;
	struct stock_stamp	source;
};

#define STAMP_SCAN	" %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNd64
#define STAMP_PRINT	" %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRId64
#define STAMP_REFS(s)	&(s).dev, &(s).ino, &(s).size, &(s).mtime_ns
#define STAMP_VALUES(s)	(s).dev, (s).ino, (s).size, (s).mtime_ns

static int
mark_read(const struct apw_stock *stock, struct engine_mark *mark)
{
	struct apw_buf	text = APW_BUF_INIT(ENGINE_MARK_BYTES);
	int		n = 0;

	if (stock_read(stock->root_fd, ENGINE_MARK, &text, NULL) == 1)
		n = sscanf(text.data, "engine %64[0-9a-f]" STAMP_SCAN
		    STAMP_SCAN, mark->hash, STAMP_REFS(mark->stamp),
		    STAMP_REFS(mark->source));
	apw_buf_free(&text);
	return n == 9 && strlen(mark->hash) == 64 ? 0 : -1;
}

static int
mark_write(int common_fd, const struct engine_mark *mark, struct apw_err *err)
{
	struct apw_buf	text = APW_BUF_INIT(ENGINE_MARK_BYTES);
	int		rc;

	apw_buf_printf(&text, "engine %s" STAMP_PRINT STAMP_PRINT "\n",
	    mark->hash, STAMP_VALUES(mark->stamp),
	    STAMP_VALUES(mark->source));
	rc = stock_replace(common_fd, STOCK_MARK, apw_buf_view(&text), true,
	    err);
	apw_buf_free(&text);
	return rc;
}

/* The installed file is the one that the mark speaks of. */
static bool
installed(const struct apw_stock *stock, struct engine_mark *mark)
{
	struct stock_stamp	now;
	struct stat		st;

	if (mark_read(stock, mark) == -1 || fstatat(stock->root_fd,
	    "common/main.js", &st, AT_SYMLINK_NOFOLLOW) == -1)
		return false;
	stock_stamp(&st, &now);
	return stock_stamp_eq(&now, &mark->stamp);
}

int
stock_engine_source(const struct apw_stock *stock, struct stock_stamp *stamp,
    struct apw_err *err)
{
	const char	*bundle = stock->cycle->engine.bundle;
	struct stat	 st;

	if (bundle == NULL)
		return apw_err_set(err, 0, "no engine bundle is configured");
	if (stat(bundle, &st) == -1)
		return apw_err_set(err, errno, "engine bundle %s", bundle);
	if (!S_ISREG(st.st_mode))
		return apw_err_set(err, 0, "engine bundle %s is no file",
		    bundle);
	stock_stamp(&st, stamp);
	return 0;
}

static uint64_t
generation_of(const char *hash)
{
	char		head[17];
	uint64_t	n;

	memcpy(head, hash, 16);
	head[16] = '\0';
	n = strtoull(head, NULL, 16);
	return n == 0 ? 1 : n;
}

bool
stock_engine_present(struct apw_stock *stock)
{
	struct stock_engine	*e = &stock->engine;
	struct stock_stamp	 source;
	struct engine_mark	 mark;

	if (stock_engine_source(stock, &source, NULL) == -1 ||
	    !installed(stock, &mark))
		return false;
	if (stock_stamp_eq(&source, &mark.source)) {
		e->source = source;
		memcpy(e->hash, mark.hash, sizeof(e->hash));
	} else if (!stock_stamp_eq(&source, &e->source) ||
	    strcmp(mark.hash, e->hash) != 0)
		return false;
	e->generation = generation_of(mark.hash);
	return true;
}

void
stock_engine_learn(struct apw_stock *stock, const struct stock_stamp *source)
{
	struct engine_mark	mark;

	if (!installed(stock, &mark))
		return;
	stock->engine.source = *source;
	memcpy(stock->engine.hash, mark.hash, sizeof(mark.hash));
	stock->engine.generation = generation_of(mark.hash);
}

static int
copy(int from_fd, int dir_fd, const char *name, struct apw_err *err)
{
	static char	block[65536];
	apw_autofd int	to = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0644);
	off_t		at = 0;
	ssize_t		n, done;

	if (to == -1)
		return apw_err_set(err, errno, "cannot write %s", name);
	while ((n = pread(from_fd, block, sizeof(block), at)) > 0) {
		for (done = 0; done < n;) {
			ssize_t w = write(to, block + done, n - done);

			if (w == -1 && errno != EINTR)
				return apw_err_set(err, errno,
				    "cannot write %s", name);
			done += w > 0 ? w : 0;
		}
		at += n;
	}
	if (n == -1 || fsync(to) == -1)
		return apw_err_set(err, errno, "cannot copy to %s", name);
	return 0;
}

/* The map is for stack traces only: its absence is no error. */
static int
copy_map(const char *bundle, int dir_fd, struct apw_err *err)
{
	apw_autofree char	*path = NULL;
	apw_autofd int		 fd = -1;
	struct stat		 st;

	if (asprintf(&path, "%s.map", bundle) == -1)
		return apw_err_set(err, ENOMEM, "engine map");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    st.st_size > ENGINE_MAP_BYTES)
		return 1;
	return copy(fd, dir_fd, "main.js.map", err);
}

static int
engine_install(struct stock_keeper *k, int from_fd, int common_fd,
    struct engine_mark *mark, struct apw_err *err)
{
	struct stock_staging	st;
	struct stat		now;
	int			rc = -1, map;

	if (stock_staging_begin(k, &st, err) == -1)
		return -1;
	if (copy(from_fd, st.fd, "main.js", err) == -1 ||
	    (map = copy_map(k->stock->cycle->engine.bundle, st.fd, err)) == -1)
		goto out;
	/* the mark goes first: without it nobody trusts the file */
	unlinkat(common_fd, STOCK_MARK, 0);
	if (map == 0)
		renameat(st.fd, "main.js.map", common_fd, "main.js.map");
	else
		unlinkat(common_fd, "main.js.map", 0);
	if (renameat(st.fd, "main.js", common_fd, "main.js") == -1 ||
	    fsync(common_fd) == -1 || fstatat(common_fd, "main.js", &now,
	    AT_SYMLINK_NOFOLLOW) == -1) {
		apw_err_set(err, errno, "cannot install the engine");
		goto out;
	}
	stock_stamp(&now, &mark->stamp);
	rc = mark_write(common_fd, mark, err);
	apw_info("engine installed", APW_S("sha256", mark->hash),
	    APW_I("bytes", mark->stamp.size));
out:
	stock_staging_end(&st);
	return rc;
}

/* A file of the same content that somebody else put there gets a mark. */
static bool
engine_adopt(int common_fd, struct engine_mark *mark)
{
	apw_autofd int	fd = openat(common_fd, "main.js", O_RDONLY |
	    O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	char		hash[STOCK_HASH_SIZE];
	struct stat	st;

	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    stock_hash_file(fd, hash, NULL) == -1 ||
	    strcmp(hash, mark->hash) != 0)
		return false;
	stock_stamp(&st, &mark->stamp);
	return mark_write(common_fd, mark, NULL) == 0;
}

enum apw_stock_fault
stock_engine_make(struct stock_keeper *k, struct apw_err *err)
{
	const char		*bundle = k->stock->cycle->engine.bundle;
	struct engine_mark	 want, have;
	apw_autofd int		 lock = -1, from = -1, common = -1;

	if (stock_engine_source(k->stock, &want.source, err) == -1)
		return APW_STOCK_OURS;
	from = open(bundle, O_RDONLY | O_CLOEXEC);
	if (from == -1 || stock_hash_file(from, want.hash, err) == -1) {
		apw_err_set(err, errno, "cannot read engine %s", bundle);
		return APW_STOCK_OURS;
	}
	if (installed(k->stock, &have) && strcmp(have.hash, want.hash) == 0)
		return APW_STOCK_OK;
	common = stock_mkdirs(k->stock->root_fd, "common", err);
	if (common == -1 || stock_lock(k, ENGINE_KEY, ENGINE_LOCK_MS, &lock,
	    err) == -1)
		return APW_STOCK_OURS;
	if (installed(k->stock, &have) && strcmp(have.hash, want.hash) == 0)
		return APW_STOCK_OK;
	if (engine_adopt(common, &want))
		return APW_STOCK_OK;
	if (engine_install(k, from, common, &want, err) == -1) {
		apw_err_wrap(err, "engine");
		return APW_STOCK_OURS;
	}
	return APW_STOCK_OK;
}
