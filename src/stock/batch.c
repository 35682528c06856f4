/* One run of the installer for some pieces of one root.  Room: stock, keeper.
 * bun works in a workspace of its own below the staging directory, with the
 * isolated linker, which makes node_modules/NAME in each piece's folder; what
 * came out is checked there, then merged into the root's package store, and
 * the pieces' folders are renamed into place last.  npm, the fallback, makes
 * each piece's folder self-contained. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"

struct batch {
	struct stock_keeper			*k;	/* borrowed */
	const struct apw_stock_piece *const	*pieces;
	size_t					 n;
	bool					 per_platform;
	struct stock_staging			 st;
	char		root[STOCK_PATH_BYTES];		/* "common", ... */
};

/* "pieces/NAME-VERSION", the same in the workspace and in the root. */
static void
folder_of(const struct apw_stock_piece *p, char *buf, size_t size)
{
	snprintf(buf, size, "pieces/%s-%s", p->name, p->version);
}

static bool
is_archive(const struct apw_stock_piece *p)
{
	return p->package_type != NULL && strcmp(p->package_type,
	    "ARCHIVE") == 0;
}

/* The package that the caller has put there; a link costs no copy.  1: there is
 * none, and the registry has it. */
static int
take_archive(struct batch *b, const struct apw_stock_piece *p, int to_fd,
    const char *file, struct apw_err *err)
{
	char		folder[STOCK_PATH_BYTES];
	apw_autofd int	from_fd = -1;

	stock_piece_folder(p, b->per_platform, folder, sizeof(folder));
	from_fd = stock_open(b->k->stock->root_fd, folder,
	    O_RDONLY | O_DIRECTORY);
	if (from_fd != -1 && linkat(from_fd, file, to_fd, file, 0) == 0)
		return 0;
	if (!is_archive(p))
		return 1;
	return apw_err_set(err, errno, "archive %s of piece %s was not "
	    "fetched", p->archive_id, p->name);
}

static int
write_piece(struct batch *b, const struct apw_stock_piece *p,
    struct apw_err *err)
{
	struct apw_buf	text = APW_BUF_INIT(8192);
	char		folder[STOCK_PATH_BYTES], file[300];
	apw_autofd int	fd = -1;
	int		rc, taken;

	folder_of(p, folder, sizeof(folder));
	stock_archive_name(p, file, sizeof(file));
	fd = stock_mkdirs(b->st.fd, folder, err);
	if (fd == -1 || (taken = take_archive(b, p, fd, file, err)) == -1)
		return -1;
	apw_buf_printf(&text, "{\"name\":\"%s-%s\",\"version\":\"%s\","
	    "\"dependencies\":{\"%s\":", p->name, p->version, p->version,
	    p->name);
	if (taken == 0)
		apw_buf_printf(&text, "\"file:./%s\"}}", file);
	else
		apw_buf_printf(&text, "\"%s\"}}", p->version);
	rc = text.failed ? apw_err_set(err, ENOMEM, "package.json") :
	    stock_write(fd, "package.json", apw_buf_view(&text), err);
	apw_buf_free(&text);
	return rc;
}

static bool
uses_npm(const struct batch *b)
{
	return b->k->stock->cycle->stock.installer == APW_INSTALLER_NPM;
}

static int
write_workspace(struct batch *b, struct apw_err *err)
{
	struct apw_buf	text = APW_BUF_INIT(65536);
	char		folder[STOCK_PATH_BYTES];
	size_t		i;
	int		rc = 0;

	apw_buf_puts(&text, "{\"name\":\"fast-workspace\","
	    "\"version\":\"1.0.0\",\"workspaces\":[");
	for (i = 0; rc == 0 && i < b->n; i++) {
		folder_of(b->pieces[i], folder, sizeof(folder));
		if (i > 0)
			apw_buf_put(&text, ",", 1);
		apw_buf_json_c(&text, folder);
		rc = write_piece(b, b->pieces[i], err);
	}
	apw_buf_puts(&text, "]}\n");
	if (rc == 0 && text.failed)
		rc = apw_err_set(err, ENOMEM, "package.json");
	/* npm would take a piece's folder for a part of it */
	if (rc == 0 && !uses_npm(b))
		rc = stock_write(b->st.fd, "package.json", apw_buf_view(&text),
		    err);
	apw_buf_free(&text);
	return rc;
}

static int
run_installer(struct batch *b, enum apw_stock_fault *fault,
    struct apw_err *err)
{
	char	folder[STOCK_PATH_BYTES];
	size_t	i;

	if (!uses_npm(b))
		return stock_install(b->k, &b->st, ".", true, fault, err);
	for (i = 0; i < b->n; i++) {
		folder_of(b->pieces[i], folder, sizeof(folder));
		if (stock_install(b->k, &b->st, folder, false, fault,
		    err) == -1)
			return -1;
	}
	return 0;
}

/* An installer that ends well has not always done its work. */
static int
check_piece(struct batch *b, const struct apw_stock_piece *p,
    enum apw_stock_fault *fault, struct apw_err *err)
{
	char	folder[STOCK_PATH_BYTES], rel[2 * STOCK_PATH_BYTES];

	folder_of(p, folder, sizeof(folder));
	if (stock_piece_loads(b->st.fd, folder, p->name))
		return 0;
	snprintf(rel, sizeof(rel), "%s/node_modules/%s/package.json", folder,
	    p->name);
	if (stock_exists(b->st.fd, rel)) {
		*fault = APW_STOCK_USER;
		return apw_err_set(err, 0, "package %s@%s is no piece: it has "
		    "neither src/index.js nor a main file", p->name,
		    p->version);
	}
	*fault = APW_STOCK_OURS;
	return apw_err_set(err, 0, "the installer ended well, but "
	    "node_modules/%s of %s-%s does not lead to the package", p->name,
	    p->name, p->version);
}

static int
mark_piece(struct batch *b, const struct apw_stock_piece *p,
    struct apw_err *err)
{
	char		folder[STOCK_PATH_BYTES];
	apw_autofd int	fd = -1;

	folder_of(p, folder, sizeof(folder));
	fd = stock_open(b->st.fd, folder, O_RDONLY | O_DIRECTORY);
	if (fd == -1)
		return apw_err_set(err, errno, "cannot open %s", folder);
	unlinkat(fd, STOCK_MARK, 0);
	unlinkat(fd, "ready", 0);
	if (stock_write(fd, STOCK_MARK, apw_str_c(is_archive(p) ?
	    p->archive_id : p->version), err) == -1)
		return -1;
	return stock_write(fd, "ready", APW_STR("true"), err);
}

static int
publish_piece(struct batch *b, const struct apw_stock_piece *p,
    struct apw_err *err)
{
	char		 folder[STOCK_PATH_BYTES];
	char		 to[2 * STOCK_PATH_BYTES], *slash;
	apw_autofd int	 to_fd = -1;

	folder_of(p, folder, sizeof(folder));
	snprintf(to, sizeof(to), "%s/%s", b->root, folder);
	slash = strrchr(to, '/');
	*slash = '\0';
	to_fd = stock_mkdirs(b->k->stock->root_fd, to, err);
	if (to_fd == -1 || stock_publish(&b->st, folder, to_fd, slash + 1,
	    err) == -1)
		return -1;
	fsync(to_fd);
	return 0;
}

/* From the first package to the last piece nothing may be found useless. */
static int
hold_store(struct batch *b, int root_fd, struct apw_err *err)
{
	apw_autofd int	fd = stock_mkdirs(root_fd, "node_modules/.bun", err);

	if (fd == -1)
		return -1;
	while (flock(fd, LOCK_SH | LOCK_NB) == -1)
		if (errno != EWOULDBLOCK || stock_keeper_sleep(b->k, 5) == -1)
			return apw_err_set(err, errno, "cannot lock the "
			    "packages");
	return apw_take_fd(&fd);
}

static int
publish(struct batch *b, struct apw_err *err)
{
	apw_autofd int	store_fd = -1;
	apw_autofd int	root_fd = stock_mkdirs(b->k->stock->root_fd, b->root,
	    err);
	size_t		i;

	if (root_fd == -1)
		return -1;
	for (i = 0; i < b->n; i++)
		if (mark_piece(b, b->pieces[i], err) == -1)
			return -1;
	/* thousands of small files: one flush of the file system is much
	 * cheaper than an fsync of each */
	if (syncfs(b->st.fd) == -1)
		return apw_err_set(err, errno, "cannot sync the pieces");
	if (!uses_npm(b) && (store_fd = hold_store(b, root_fd, err)) == -1)
		return -1;
	if (stock_store_merge(&b->st, root_fd, err) == -1)
		return -1;
	for (i = 0; i < b->n; i++)
		if (publish_piece(b, b->pieces[i], err) == -1)
			return -1;
	return 0;
}

static enum apw_stock_fault
batch_run(struct batch *b, struct apw_err *err)
{
	enum apw_stock_fault	fault = APW_STOCK_OURS;
	size_t			i;

	if (write_workspace(b, err) == -1)
		return APW_STOCK_OURS;
	if (run_installer(b, &fault, err) == -1)
		return fault;
	for (i = 0; i < b->n; i++)
		if (check_piece(b, b->pieces[i], &fault, err) == -1)
			return fault;
	return publish(b, err) == -1 ? APW_STOCK_OURS : APW_STOCK_OK;
}

enum apw_stock_fault
stock_batch_install(struct stock_keeper *k,
    const struct apw_stock_piece *const *pieces, size_t n, bool per_platform,
    struct apw_err *err)
{
	struct batch		b = { .k = k, .pieces = pieces, .n = n,
	    .per_platform = per_platform };
	enum apw_stock_fault	fault;
	int64_t			from_ms = apw_now_ms();
	size_t			i;

	stock_piece_folder(pieces[0], per_platform, b.root, sizeof(b.root));
	*strstr(b.root, "/pieces/") = '\0';
	if (stock_staging_begin(k, &b.st, err) == -1)
		return APW_STOCK_OURS;
	fault = batch_run(&b, err);
	stock_staging_end(&b.st);
	for (i = 0; fault == APW_STOCK_OK && i < n; i++)
		if (strchr(pieces[i]->version, '-') != NULL)
			apw_warn("a piece whose version has a \"-\" cannot be "
			    "loaded by engines", APW_S("piece",
			    pieces[i]->name), APW_S("version",
			    pieces[i]->version));
	if (fault == APW_STOCK_OK)
		apw_info("pieces installed", APW_I("count", n),
		    APW_S("first", pieces[0]->name),
		    APW_S("version", pieces[0]->version),
		    APW_I("took_ms", apw_now_ms() - from_ms));
	return fault;
}
