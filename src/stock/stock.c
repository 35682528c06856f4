/* The stock of a slot: opened once, closed with the slot.  Room: stock. */
#include "stock/stock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "core/apw_auto.h"
#include "stock/stock_priv.h"

#define STOCK_MAGIC	0x53544f4b	/* "STOK" */

/* Engines in boxes of another user read what is mounted for them (below
 * common and codes); what tells of flows is nobody else's. */
static const struct stock_folder {
	const char	*name;
	mode_t		 mode;
} stock_folders[] = {
	{ "common", 0755 }, { "codes", 0755 }, { "pieces-metadata", 0755 },
	{ "flows", 0700 }, { ".staging", 0700 }, { ".locks", 0755 },
	{ ".cache", 0700 },
};

/* Where it is ours; a shared stock may be another user's. */
static void
narrow(int fd, mode_t mode)
{
	struct stat	st;

	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	    (st.st_mode & 07777 & ~mode) != 0)
		fchmod(fd, st.st_mode & mode);
}

/* A stock that others may write would hand their code to our engines. */
static int
check_owner(int fd, const char *path, struct apw_err *err)
{
	struct stat	st;

	if (fstat(fd, &st) == -1)
		return apw_err_set(err, errno, "stock %s", path);
	if (st.st_mode & S_IWOTH && !(st.st_mode & S_ISVTX))
		return apw_err_set(err, 0, "stock %s can be written by "
		    "everybody; chmod o-w it", path);
	return 0;
}

static int
make_root(struct apw_stock *stock, struct apw_err *err)
{
	const char		*path = stock->cycle->stock.path;
	apw_autofree char	*real = NULL;
	apw_autofd int		 fd = -1, sub = -1;
	size_t			 i;

	if (path == NULL)
		return apw_err_set(err, 0, "the stock has no path");
	if (mkdir(path, 0755) == -1 && errno != EEXIST)
		return apw_err_set(err, errno, "cannot make stock %s", path);
	/* tools must not see a way that changes under them */
	real = realpath(path, NULL);
	fd = real == NULL ? -1 : open(real, O_RDONLY | O_DIRECTORY |
	    O_CLOEXEC);
	if (fd == -1)
		return apw_err_set(err, errno, "cannot open stock %s", path);
	if (check_owner(fd, path, err) == -1 ||
	    (stock->root_fd = stock_mkdirs(fd, STOCK_VERSION, err)) == -1)
		return -1;
	for (i = 0; i < APW_COUNT(stock_folders); i++) {
		sub = stock_mkdirs(stock->root_fd, stock_folders[i].name, err);
		if (sub == -1)
			return apw_err_wrap(err, "stock %s", path);
		narrow(sub, stock_folders[i].mode);
		close(apw_take_fd(&sub));
	}
	if (asprintf(&stock->root, "%s/" STOCK_VERSION, real) == -1)
		stock->root = NULL;
	return stock->root == NULL ? apw_err_set(err, ENOMEM, "stock") : 0;
}

int
apw_stock_remake(const struct apw_stock *stock, struct apw_err *err)
{
	struct apw_stock	next = { .cycle = stock->cycle,
				    .root_fd = -1 };
	int			rc = make_root(&next, err);

	if (next.root_fd != -1)
		close(next.root_fd);
	free(next.root);
	return rc;
}

bool
apw_stock_writable(const struct apw_stock *stock)
{
	return stock->writable;
}

/* Said once, rather than with each install that fails. */
static void
check_way(const struct apw_stock *stock)
{
	struct apw_err		err = APW_ERR_NONE;
	struct stock_way	way;

	if (stock_way_find(&stock->cycle->stock, &way, &err) == -1 ||
	    stock_way_check(&way, &err) == -1)
		apw_warn("installers have no way", APW_E(&err));
	stock_way_free(&way);
	err = (struct apw_err)APW_ERR_NONE;
	if (stock_npmrc_check(stock->cycle->stock.npmrc, &err) == -1)
		apw_warn("the npmrc is not whole", APW_E(&err));
}

struct apw_stock *
apw_stock_open(struct event_base *base, const struct apw_cycle *cycle,
    struct apw_err *err)
{
	struct apw_stock	*stock = calloc(1, sizeof(*stock));

	if (stock == NULL) {
		apw_err_set(err, ENOMEM, "stock");
		return NULL;
	}
	stock->magic = STOCK_MAGIC;
	stock->base = base;
	stock->cycle = cycle;
	stock->root_fd = stock->use_fd = stock->use_lock_fd = -1;
	TAILQ_INIT(&stock->tickets);
	apw_stock_release(stock, NULL);
	if (make_root(stock, err) == -1)
		goto fail;
	if (asprintf(&stock->engine_path, "%s/common/main.js",
	    stock->root) == -1)
		stock->engine_path = NULL;
	if (asprintf(&stock->codes_path, "%s/codes", stock->root) == -1)
		stock->codes_path = NULL;
	if (stock->engine_path == NULL || stock->codes_path == NULL) {
		apw_err_set(err, ENOMEM, "stock");
		goto fail;
	}
	if (stock_use_open(stock, err) == -1)
		goto fail;
	stock_health_open(stock);
	stock_tools_find(stock);
	check_way(stock);
	stock_ahead_open(stock);
	stock_actions_open(stock);
	stock_engine_present(stock);	/* generation, if it is there */
	return stock;
fail:
	apw_stock_close(stock);
	return NULL;
}

void
apw_stock_close(struct apw_stock *stock)
{
	if (stock == NULL)
		return;
	APW_ASSERT(stock->magic == STOCK_MAGIC);
	stock_actions_close(stock);
	stock_tickets_end(stock);
	stock_use_close(stock);
	stock_tool_free(&stock->node);
	stock_tool_free(&stock->installer);
	stock_tool_free(&stock->bundler);
	if (stock->root_fd != -1)
		close(stock->root_fd);
	free(stock->root);
	free(stock->engine_path);
	free(stock->codes_path);
	stock->magic = 0;
	free(stock);
}

const char *
apw_stock_engine(const struct apw_stock *stock)
{
	return stock->engine_path;
}

const char *
apw_stock_codes(const struct apw_stock *stock)
{
	return stock->codes_path;
}

uint64_t
apw_stock_generation(const struct apw_stock *stock)
{
	return stock->engine.generation;
}
