/* The engine in the stock: its files in common/engine/HASH, and links to them in
 * common, put there from the configured bundle's folder by content.  Room:
 * stock; looked at by the slot, made by a keeper.  Another content is another
 * generation; engines that run keep the files of theirs. */
#include "stock/stock_priv.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define ENGINE_KEY		"engine"
#define ENGINE_MARK		"common/" STOCK_MARK
#define ENGINE_MARK_BYTES	512
#define ENGINE_LOCK_MS		120000
#define ENGINE_FOLDER		"engine"	/* below common */
#define ENGINE_LINK_BYTES	128
#define ENGINE_KEPT		8	/* generations beside the newest */
#define ENGINE_KEPT_S		86400	/* after they were replaced */

/* What the mark says: the content, the installed files, and the files they came
 * from, so that a fresh process need not read any of them again. */
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

/* The installed files are those that the mark speaks of, and the link leads to
 * them. */
static bool
installed(struct apw_stock *stock, struct engine_mark *mark)
{
	struct stock_engine_files	*f = &stock->engine.installed;
	apw_autofree char		*path = NULL;
	struct stock_stamp		 now;
	char				 link[ENGINE_LINK_BYTES],
					 want[ENGINE_LINK_BYTES];
	ssize_t				 n;
	bool				 same;

	if (mark_read(stock, mark) == -1)
		return false;
	n = readlinkat(stock->root_fd, "common/main.js", link,
	    sizeof(link) - 1);
	if (n == -1)
		return false;
	link[n] = '\0';
	snprintf(want, sizeof(want), ENGINE_FOLDER "/%s/main.js", mark->hash);
	if (strcmp(link, want) != 0 || asprintf(&path, "%s/common/%s",
	    stock->root, want) == -1 ||
	    stock_engine_files_look(f, path, NULL) == -1)
		return false;
	same = stock_engine_files_stamp(f, &now, NULL) == 0 &&
	    stock_stamp_eq(&now, &mark->stamp);
	stock_engine_files_close(f);
	return same;
}

/* Which script of a code step does this bundle load?  Read once a bundle. */
static void
engine_scan(struct apw_stock *stock, const struct stat *st)
{
	struct stock_engine	*e = &stock->engine;
	struct stock_stamp	 now;

	stock_stamp(st, &now);
	if (stock_stamp_eq(&now, &e->scanned))
		return;
	e->scanned = now;
	e->loads_source = stock_engine_files_say(&e->files, "index.ts") == 1;
}

int
stock_engine_source(struct apw_stock *stock, struct stock_stamp *stamp,
    struct apw_err *err)
{
	struct stock_engine_files	*f = &stock->engine.files;
	const char			*bundle = stock->cycle->engine.bundle;
	struct stat			 st;
	int				 rc;

	if (bundle == NULL)
		return apw_err_set(err, 0, "no engine bundle is configured");
	if (stat(bundle, &st) == -1)
		return apw_err_set(err, errno, "engine bundle %s", bundle);
	if (!S_ISREG(st.st_mode))
		return apw_err_set(err, 0, "engine bundle %s is no file",
		    bundle);
	if (stock_engine_files_look(f, bundle, err) == -1)
		return -1;
	rc = stock_engine_files_stamp(f, stamp, err);
	engine_scan(stock, &st);
	stock_engine_files_close(f);
	return rc;
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

bool
apw_stock_engine_has_children(const struct apw_stock *stock)
{
	return stock_engine_files_have(&stock->engine.files, "piece-child.js");
}

/* NAME in common leads to the file of this generation.  Node looks for what it
 * loads later in the folder that the link leads to. */
static int
engine_link(const struct stock_staging *st, int common_fd, const char *hash,
    const char *name, struct apw_err *err)
{
	char	link[ENGINE_LINK_BYTES + NAME_MAX];

	snprintf(link, sizeof(link), ENGINE_FOLDER "/%s/%s", hash, name);
	unlinkat(st->fd, "link", 0);
	if (symlinkat(link, st->fd, "link") == -1 ||
	    renameat(st->fd, "link", common_fd, name) == -1)
		return apw_err_set(err, errno, "cannot link %s", name);
	return 0;
}

/* main.js comes last: with it the engine is the new one. */
static int
engine_links(const struct stock_staging *st, int common_fd,
    const struct stock_engine_files *f, const char *hash, struct apw_err *err)
{
	size_t	i;

	for (i = 0; i < f->n; i++)
		if (strcmp(f->v[i].as, "main.js") != 0 &&
		    engine_link(st, common_fd, hash, f->v[i].as, err) == -1)
			return -1;
	if (engine_link(st, common_fd, hash, "main.js", err) == -1)
		return -1;
	return fsync(common_fd) == 0 ? 0 : apw_err_set(err, errno,
	    "cannot sync the engine's link");
}

/* Names that this generation does not have: whoever follows one would get a file
 * of another generation. */
static void
engine_unlink_others(int common_fd, const struct stock_engine_files *f)
{
	static const char	ours[] = ENGINE_FOLDER "/";
	int			 fd = openat(common_fd, ".", O_RDONLY |
				    O_DIRECTORY | O_CLOEXEC);
	DIR			*dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent		*e;
	char			 to[ENGINE_LINK_BYTES + NAME_MAX];

	if (dir == NULL && fd != -1)
		close(fd);
	while (dir != NULL && (e = readdir(dir)) != NULL)
		if (readlinkat(common_fd, e->d_name, to, sizeof(to)) >=
		    (ssize_t)sizeof(ours) &&
		    memcmp(to, ours, sizeof(ours) - 1) == 0 &&
		    !stock_engine_files_have(f, e->d_name))
			unlinkat(common_fd, e->d_name, 0);
	if (dir != NULL)
		closedir(dir);
}

/* Engines that run may still load files of theirs: what was replaced stays for
 * a day, and a few of them at most. */
static void
engine_sweep(const struct stock_staging *st, int gens_fd, const char *keep)
{
	int		 fd = openat(gens_fd, ".", O_RDONLY | O_DIRECTORY |
			    O_CLOEXEC);
	DIR		*dir = fd == -1 ? NULL : fdopendir(fd);
	struct dirent	*e;
	struct stat	 s;
	unsigned	 n = 0;
	time_t		 old = time(NULL) - ENGINE_KEPT_S;

	if (dir == NULL && fd != -1)
		close(fd);
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.' || strcmp(e->d_name, keep) == 0 ||
		    fstatat(gens_fd, e->d_name, &s, AT_SYMLINK_NOFOLLOW) == -1)
			continue;
		if (++n < ENGINE_KEPT && s.st_mtime > old)
			continue;
		if (renameat(gens_fd, e->d_name, st->fd, "old") == 0)
			stock_tree_remove(st->fd, "old");
	}
	if (dir != NULL)
		closedir(dir);
}

/* What was there until now was replaced now. */
static void
engine_mark_replaced(const struct apw_stock *stock, int gens_fd)
{
	struct engine_mark	last;

	if (mark_read(stock, &last) == 0)
		utimensat(gens_fd, last.hash, NULL, AT_SYMLINK_NOFOLLOW);
}

/* Into a folder of its own, then whole into its place. */
static int
engine_copy(const struct stock_staging *st, int gens_fd,
    const struct stock_engine_files *f, const char *hash, struct apw_err *err)
{
	apw_autofd int	to = -1;
	char		have[STOCK_HASH_SIZE];
	struct stock_engine_files copied = { .n = 0 };
	int		rc;

	if (mkdirat(st->fd, "engine", 0755) == -1 || (to = openat(st->fd,
	    "engine", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) == -1)
		return apw_err_set(err, errno, "cannot make the engine's "
		    "folder");
	if (stock_engine_files_copy(f, to, err) == -1)
		return -1;
	/* they may have been replaced meanwhile: half of each is none */
	copied = *f;
	copied.dir_fd = to;
	for (size_t i = 0; i < copied.n; i++)
		memcpy(copied.v[i].from, copied.v[i].as,
		    sizeof(copied.v[i].from));
	rc = stock_engine_files_hash(&copied, have, err);
	if (rc == 0 && strcmp(have, hash) != 0)
		rc = apw_err_set(err, EAGAIN, "the engine's files changed "
		    "while they were copied");
	if (rc == -1)
		return -1;
	/* what bears this name is not what it should be */
	if (renameat(gens_fd, hash, st->fd, "broken") == -1 && errno != ENOENT)
		return apw_err_set(err, errno, "cannot replace the engine");
	if (renameat(st->fd, "engine", gens_fd, hash) == -1 ||
	    fsync(gens_fd) == -1)
		return apw_err_set(err, errno, "cannot install the engine");
	return 0;
}

/* The files of this generation, as they are in the stock; -1: not, or others. */
static int
engine_there(const struct apw_stock *stock, struct engine_mark *mark)
{
	struct stock_engine_files	f = { .n = 0 };
	apw_autofree char		*path = NULL;
	char				 hash[STOCK_HASH_SIZE];
	int				 rc;

	if (asprintf(&path, "%s/common/" ENGINE_FOLDER "/%s/main.js",
	    stock->root, mark->hash) == -1 ||
	    stock_engine_files_look(&f, path, NULL) == -1)
		return -1;
	rc = stock_engine_files_stamp(&f, &mark->stamp, NULL) == 0 &&
	    stock_engine_files_hash(&f, hash, NULL) == 0 &&
	    strcmp(hash, mark->hash) == 0 ? 0 : -1;
	stock_engine_files_close(&f);
	return rc;
}

static int
engine_install(struct stock_keeper *k, const struct stock_engine_files *f,
    int common_fd, struct engine_mark *mark, struct apw_err *err)
{
	struct stock_staging	st;
	apw_autofd int		gens = stock_mkdirs(common_fd, ENGINE_FOLDER,
				    err);
	bool			there = engine_there(k->stock, mark) == 0;
	int			rc = -1;

	if (gens == -1 || stock_staging_begin(k, &st, err) == -1)
		return -1;
	if (!there && (engine_copy(&st, gens, f, mark->hash, err) == -1 ||
	    engine_there(k->stock, mark) == -1))
		goto out;
	engine_mark_replaced(k->stock, gens);
	/* the mark goes first: without it nobody trusts the link */
	unlinkat(common_fd, STOCK_MARK, 0);
	if (engine_links(&st, common_fd, f, mark->hash, err) == -1)
		goto out;
	engine_unlink_others(common_fd, f);
	rc = mark_write(common_fd, mark, err);
	engine_sweep(&st, gens, mark->hash);
	if (rc == 0)
		apw_info("engine installed", APW_S("sha256", mark->hash),
		    APW_I("files", f->n), APW_I("bytes", mark->stamp.size));
out:
	stock_staging_end(&st);
	return rc;
}

/* Under the lock: somebody else may have installed it meanwhile. */
static int
engine_make(struct stock_keeper *k, struct stock_engine_files *f,
    struct engine_mark *want, struct apw_err *err)
{
	struct engine_mark	have;
	apw_autofd int		lock = -1, common = -1;

	if (stock_engine_files_check(f, err) == -1 ||
	    stock_engine_files_hash(f, want->hash, err) == -1)
		return -1;
	if (installed(k->stock, &have) && strcmp(have.hash, want->hash) == 0)
		return 0;
	common = stock_mkdirs(k->stock->root_fd, "common", err);
	if (common == -1 || stock_lock(k, ENGINE_KEY, ENGINE_LOCK_MS, &lock,
	    err) == -1)
		return -1;
	if (installed(k->stock, &have) && strcmp(have.hash, want->hash) == 0)
		return 0;
	return engine_install(k, f, common, want, err);
}

enum apw_stock_fault
stock_engine_make(struct stock_keeper *k, struct apw_err *err)
{
	struct stock_engine_files	*f = &k->stock->engine.files;
	const char			*bundle = k->stock->cycle->engine.bundle;
	struct engine_mark		 want;
	int				 rc;

	if (stock_engine_source(k->stock, &want.source, err) == -1 ||
	    stock_engine_files_look(f, bundle, err) == -1)
		return APW_STOCK_OURS;
	rc = engine_make(k, f, &want, err);
	stock_engine_files_close(f);
	if (rc == 0)
		return APW_STOCK_OK;
	apw_err_wrap(err, "engine");
	return APW_STOCK_OURS;
}
