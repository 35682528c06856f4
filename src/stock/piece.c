/* Pieces: ROOT/pieces/NAME-VERSION/node_modules/NAME, as the engine resolves
 * them.  Room: stock; looked at by the slot, made by a keeper.  ROOT is
 * `common`, or `custom_pieces/PLATFORM` for a platform's own pieces in the
 * modes that show each platform only its own. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"

#define PIECE_PACKAGE_BYTES	((size_t)1 << 20)
#define PIECE_MARK_BYTES	512
#define PIECE_BATCH_MAX		32
#define PIECE_LOCK_SPARE_MS	60000

static bool
is_archive(const struct apw_stock_piece *p)
{
	return p->package_type != NULL && strcmp(p->package_type,
	    "ARCHIVE") == 0;
}

static bool
is_custom(const struct apw_stock_piece *p)
{
	return is_archive(p) || (p->piece_type != NULL &&
	    strcmp(p->piece_type, "CUSTOM") == 0 && p->platform_id != NULL);
}

int
stock_piece_check(const struct apw_stock_piece *p, bool per_platform,
    struct apw_err *err)
{
	if (p->name == NULL || !stock_is_package(apw_str_c(p->name)))
		return apw_err_set(err, 0, "\"%.200s\" is not the name of a "
		    "piece", p->name == NULL ? "" : p->name);
	if (!stock_is_exact(p->version))
		return apw_err_set(err, 0, "piece %s: \"%.100s\" is not an "
		    "exact version", p->name, p->version == NULL ? "" :
		    p->version);
	if (is_archive(p) && !apw_str_is_segment(apw_str_c(p->archive_id)))
		return apw_err_set(err, 0, "piece %s: bad archive id",
		    p->name);
	if (per_platform && is_custom(p) && !apw_str_is_segment(
	    apw_str_c(p->platform_id)))
		return apw_err_set(err, 0, "piece %s: bad platform id",
		    p->name);
	return 0;
}

bool
apw_stock_piece_ok(const struct apw_stock_piece *p, bool per_platform)
{
	return stock_piece_check(p, per_platform, NULL) == 0;
}

/* "common" or "custom_pieces/PLATFORM". */
static int
piece_root(const struct apw_stock_piece *p, bool per_platform, char *buf,
    size_t size)
{
	int	n;

	if (per_platform && is_custom(p))
		n = snprintf(buf, size, "custom_pieces/%s", p->platform_id);
	else
		n = snprintf(buf, size, "common");
	return n < 0 || (size_t)n >= size ? -1 : 0;
}

int
stock_piece_folder(const struct apw_stock_piece *p, bool per_platform,
    char *buf, size_t size)
{
	char	root[STOCK_PATH_BYTES];
	int	n;

	if (stock_piece_check(p, per_platform, NULL) == -1 ||
	    piece_root(p, per_platform, root, sizeof(root)) == -1)
		return -1;
	n = snprintf(buf, size, "%s/pieces/%s-%s", root, p->name, p->version);
	return n < 0 || (size_t)n >= size ? -1 : 0;
}

/* package.json's "main", if it names a file inside the package. */
static bool
main_loads(int dir_fd, const char *package)
{
	struct apw_buf	text = APW_BUF_INIT(PIECE_PACKAGE_BYTES);
	char		rel[2 * STOCK_PATH_BYTES];
	json_t		*root = NULL;
	const char	*name;
	bool		loads = false;

	snprintf(rel, sizeof(rel), "%s/package.json", package);
	if (stock_read(dir_fd, rel, &text, NULL) == 1)
		root = json_loadb(text.data, text.len, 0, NULL);
	name = json_string_value(json_object_get(root, "main"));
	if (name == NULL)
		name = "index.js";
	if (snprintf(rel, sizeof(rel), "%s/%s", package, name) <
	    (int)sizeof(rel))
		loads = stock_exists(dir_fd, rel);
	json_decref(root);
	apw_buf_free(&text);
	return root != NULL && loads;
}

/* What the engine will require: node_modules/NAME, links included, must lead
 * to a file beneath dir_fd. */
bool
stock_piece_loads(int dir_fd, const char *folder, const char *name)
{
	char	rel[STOCK_PATH_BYTES];

	if (snprintf(rel, sizeof(rel), "%s/node_modules/%s/src/index.js",
	    folder, name) >= (int)sizeof(rel))
		return false;
	if (stock_exists(dir_fd, rel))
		return true;
	*strstr(rel, "/src/index.js") = '\0';
	snprintf(rel, sizeof(rel), "%s/node_modules/%s", folder, name);
	return main_loads(dir_fd, rel);
}

/* An archive of the same name and version may be another one. */
static bool
same_archive(const struct apw_stock *stock, const char *folder,
    const struct apw_stock_piece *p)
{
	struct apw_buf	mark = APW_BUF_INIT(PIECE_MARK_BYTES);
	char		rel[STOCK_PATH_BYTES + 16];
	bool		same = false;

	snprintf(rel, sizeof(rel), "%s/" STOCK_MARK, folder);
	if (stock_read(stock->root_fd, rel, &mark, NULL) == 1)
		same = apw_str_is(apw_buf_view(&mark), p->archive_id);
	apw_buf_free(&mark);
	return same;
}

bool
stock_piece_present(const struct apw_stock *stock,
    const struct apw_stock_piece *p, bool per_platform)
{
	char	folder[STOCK_PATH_BYTES], rel[STOCK_PATH_BYTES + 16];

	if (stock_piece_folder(p, per_platform, folder, sizeof(folder)) == -1)
		return false;
	snprintf(rel, sizeof(rel), "%s/ready", folder);
	if (!stock_exists(stock->root_fd, rel) ||
	    !stock_piece_loads(stock->root_fd, folder, p->name) ||
	    (is_archive(p) && !same_archive(stock, folder, p)))
		return false;
	stock_use_touch(stock, rel);
	return true;
}

/* Failures of some pieces, and what they say together. */
struct failures {
	enum apw_stock_fault	fault;
	struct apw_err		*err;
	unsigned		n;
};

static void
add_failure(struct failures *f, const struct apw_stock_piece *p,
    enum apw_stock_fault fault, const struct apw_err *why)
{
	struct apw_err	before = *f->err;

	if (f->n++ == 0)
		apw_err_set(f->err, 0, "piece %s@%s: %s", p->name, p->version,
		    why->text);
	else
		apw_err_set(f->err, 0, "piece %s@%s; %.900s", p->name,
		    p->version, before.text);
	if (fault == APW_STOCK_OURS || f->fault == APW_STOCK_OK)
		f->fault = fault;
}

static void
failed_key(const struct apw_stock_piece *p, bool per_platform, char *buf,
    size_t size)
{
	char	folder[STOCK_PATH_BYTES] = "";

	stock_piece_folder(p, per_platform, folder, sizeof(folder));
	snprintf(buf, size, "%s %s", folder, is_archive(p) ? p->archive_id :
	    "");
}

/* What the app gave of a piece of the registry may be no good: then the
 * registry has the last word. */
static enum apw_stock_fault
install_one(struct stock_keeper *k, const struct apw_stock_piece *p,
    bool per_platform, struct apw_err *err)
{
	enum apw_stock_fault	fault;

	fault = stock_batch_install(k, &p, 1, per_platform, err);
	if (fault == APW_STOCK_OK || k->cancelled || is_archive(p) ||
	    !stock_archive_there(k->stock, p, per_platform))
		return fault;
	apw_notice("the package that the app gave of a piece cannot be "
	    "installed: the registry is asked", APW_S("piece", p->name),
	    APW_S("version", p->version), APW_E(err));
	stock_archive_drop(k->stock, p, per_platform);
	return stock_batch_install(k, &p, 1, per_platform, err);
}

/* The batch at once; when it fails, one by one, so that one bad piece does
 * not take the others with it. */
static void
install_some(struct stock_keeper *k, const struct apw_stock_piece *const *some,
    size_t n, bool per_platform, struct failures *f)
{
	enum apw_stock_fault	fault;
	struct apw_err		err = APW_ERR_NONE;
	char			key[STOCK_PATH_BYTES + 300];
	size_t			i;

	if (n > 1 && stock_batch_install(k, some, n, per_platform, &err) ==
	    APW_STOCK_OK)
		return;
	for (i = 0; i < n && !k->cancelled; i++) {
		fault = install_one(k, some[i], per_platform, &err);
		if (fault == APW_STOCK_OK)
			continue;
		add_failure(f, some[i], fault, &err);
		failed_key(some[i], per_platform, key, sizeof(key));
		/* a job shall try for itself */
		if (!k->cancelled && !k->background)
			stock_failed_put(k->stock, key, fault, &err);
	}
}

/* Under the locks: leave out what is there now or is known to fail. */
static size_t
still_missing(struct stock_keeper *k, const struct apw_stock_piece **some,
    size_t n, bool per_platform, struct failures *f)
{
	enum apw_stock_fault	fault;
	struct apw_err		err;
	char			key[STOCK_PATH_BYTES + 300];
	size_t			i, left = 0;

	for (i = 0; i < n; i++) {
		if (stock_piece_present(k->stock, some[i], per_platform))
			continue;
		failed_key(some[i], per_platform, key, sizeof(key));
		if (stock_failed_get(k->stock, key, &fault, &err))
			add_failure(f, some[i], fault, &err);
		else
			some[left++] = some[i];
	}
	return left;
}

static int
by_stripe(const void *a, const void *b)
{
	unsigned	x = *(const unsigned *)a, y = *(const unsigned *)b;

	return x < y ? -1 : x > y;
}

/* All entries' locks in one order, so that two batches never wait for each
 * other in a circle. */
static int
lock_some(struct stock_keeper *k, const struct apw_stock_piece *const *some,
    size_t n, bool per_platform, int *locks, struct apw_err *err)
{
	const struct apw_stock_conf *conf = &k->stock->cycle->stock;
	unsigned	stripes[PIECE_BATCH_MAX];
	char		folder[STOCK_PATH_BYTES];
	size_t		i, held = 0;

	for (i = 0; i < n; i++) {
		stock_piece_folder(some[i], per_platform, folder,
		    sizeof(folder));
		stripes[i] = stock_stripe(folder);
	}
	qsort(stripes, n, sizeof(*stripes), by_stripe);
	for (i = 0; i < n; i++) {
		if (i > 0 && stripes[i] == stripes[i - 1])
			continue;
		if (stock_lock_stripe(k, stripes[i], 2 *
		    conf->install_timeout_ms + PIECE_LOCK_SPARE_MS,
		    &locks[held], err) == -1)
			return -1;
		held++;
	}
	return 0;
}

static void
make_some(struct stock_keeper *k, const struct apw_stock_piece **some,
    size_t n, bool per_platform, struct failures *f)
{
	int		locks[PIECE_BATCH_MAX];
	struct apw_err	err = APW_ERR_NONE;
	size_t		i;

	for (i = 0; i < PIECE_BATCH_MAX; i++)
		locks[i] = -1;
	if (lock_some(k, some, n, per_platform, locks, &err) == -1) {
		add_failure(f, some[0], APW_STOCK_OURS, &err);
	} else {
		n = still_missing(k, some, n, per_platform, f);
		if (n > 0)
			install_some(k, some, n, per_platform, f);
	}
	for (i = 0; i < PIECE_BATCH_MAX; i++)
		if (locks[i] != -1)
			close(locks[i]);
}

static bool
same_folder(const struct apw_stock_piece *a, const struct apw_stock_piece *b,
    bool per_platform)
{
	char	fa[STOCK_PATH_BYTES], fb[STOCK_PATH_BYTES];

	return stock_piece_folder(a, per_platform, fa, sizeof(fa)) == 0 &&
	    stock_piece_folder(b, per_platform, fb, sizeof(fb)) == 0 &&
	    strcmp(fa, fb) == 0;
}

/* Missing pieces of the order from `from` on that share the first one's root,
 * each once, at most a batch. */
static size_t
pick_some(struct stock_keeper *k, const struct apw_stock_order *order,
    bool *seen, const struct apw_stock_piece **some)
{
	char	root[STOCK_PATH_BYTES], other[STOCK_PATH_BYTES];
	size_t	i, j, n = 0;

	for (i = 0; i < order->npieces && n < PIECE_BATCH_MAX; i++) {
		const struct apw_stock_piece *p = &order->pieces[i];

		if (seen[i])
			continue;
		if (stock_piece_present(k->stock, p, order->per_platform)) {
			seen[i] = true;
			continue;
		}
		piece_root(p, order->per_platform, other, sizeof(other));
		if (n == 0)
			memcpy(root, other, sizeof(root));
		else if (strcmp(root, other) != 0)
			continue;
		seen[i] = true;
		for (j = 0; j < n && !same_folder(some[j], p,
		    order->per_platform); j++)
			;
		if (j == n)
			some[n++] = p;
	}
	return n;
}

enum apw_stock_fault
stock_pieces_make(struct stock_keeper *k, const struct apw_stock_order *order,
    struct apw_err *err)
{
	const struct apw_stock_piece	*some[PIECE_BATCH_MAX];
	struct failures			 f = { .fault = APW_STOCK_OK,
	    .err = err };
	bool				*seen;
	size_t				 n;

	if (order->npieces == 0)
		return APW_STOCK_OK;
	seen = calloc(order->npieces, sizeof(*seen));
	if (seen == NULL) {
		apw_err_set(err, ENOMEM, "pieces");
		return APW_STOCK_OURS;
	}
	while (!k->cancelled && (n = pick_some(k, order, seen, some)) > 0)
		make_some(k, some, n, order->per_platform, &f);
	free(seen);
	if (k->cancelled) {
		apw_err_set(err, 0, "cancelled");
		return APW_STOCK_OURS;
	}
	return f.fault;
}
