/* Is the stock still there, and can it be written?  Room: stock, slot.  Who
 * removes a stock under a running daemon takes away what boxes have mounted,
 * too: made anew it is another one. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define HEALTH_BYTES	65536	/* so much must go in */

/* Those that boxes are made of. */
static const char *const health_folders[STOCK_HELD] = { "common", "codes" };

static bool
health_same(const struct stat *st, const struct stock_held *was)
{
	return st->st_dev == was->dev && st->st_ino == was->ino;
}

/* Asked at each start, so nothing is written for it; a disk that is full is
 * told when it matters. */
static bool
health_may_write(const struct apw_stock *stock)
{
	apw_autofd int	dir = stock_mkdirs(stock->root_fd, ".staging", NULL);

	return dir != -1 && faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) == 0;
}

void
stock_health_open(struct apw_stock *stock)
{
	struct stat	st;
	size_t		i;

	for (i = 0; i < STOCK_HELD; i++)
		if (fstatat(stock->root_fd, health_folders[i], &st, 0) == 0)
			stock->held[i] = (struct stock_held){ st.st_dev,
			    st.st_ino };
	stock->writable = health_may_write(stock);
}

static int
health_one(const struct stat *st, int rc, const struct stock_held *was,
    const char *root, const char *name, struct apw_err *err)
{
	if (rc == 0 && health_same(st, was))
		return 0;
	apw_err_set(err, rc == -1 ? errno : 0, "the stock's folder %s%s%s was "
	    "%s", root, name[0] == '\0' ? "" : "/", name, rc == -1 ?
	    "taken away" : "replaced");
	return apw_err_blame(err, APW_FAULT_HOST);
}

int
apw_stock_look(const struct apw_stock *stock, struct apw_err *err)
{
	struct stock_held	root;
	struct stat		st;
	size_t			i;
	int			rc;

	if (fstat(stock->root_fd, &st) == -1)
		return 0;
	root = (struct stock_held){ st.st_dev, st.st_ino };
	rc = stat(stock->root, &st);
	if (health_one(&st, rc, &root, stock->root, "", err) == -1)
		return -1;
	for (i = 0; i < STOCK_HELD; i++) {
		rc = fstatat(stock->root_fd, health_folders[i], &st, 0);
		if (health_one(&st, rc, &stock->held[i], stock->root,
		    health_folders[i], err) == -1)
			return -1;
	}
	return 0;
}

static int
health_write(int fd)
{
	static const char	zeroes[4096];
	int			i;

	for (i = 0; i < HEALTH_BYTES / (int)sizeof(zeroes); i++)
		if (write(fd, zeroes, sizeof(zeroes)) !=
		    (ssize_t)sizeof(zeroes))
			return -1;
	return 0;
}

int
apw_stock_try(const struct apw_stock *stock, struct apw_err *err)
{
	apw_autofd int	dir = stock_mkdirs(stock->root_fd, ".staging", err);
	apw_autofd int	fd = -1;
	char		name[32];
	int		rc;

	snprintf(name, sizeof(name), ".try-%d", (int)getpid());
	if (dir == -1)
		goto fail;
	unlinkat(dir, name, 0);
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, 0600);
	rc = fd == -1 ? -1 : health_write(fd);
	if (rc == -1)
		apw_err_set(err, errno, "nothing can be written to the stock "
		    "%s", stock->root);
	if (fd != -1)
		unlinkat(dir, name, 0);
	if (rc == 0)
		return 0;
fail:
	return apw_err_blame(err, APW_FAULT_HOST);
}

/* Of what a keeper says: does it speak of this host, not of what was to be
 * installed? */
bool
stock_host_fault(struct apw_stock *stock, const struct apw_err *err)
{
	static const int	ours[] = { ENOSPC, EDQUOT, EMFILE, ENFILE,
				    EAGAIN, ENOMEM, EIO, ESTALE };
	struct stock_stamp	stamp;
	size_t			i;

	for (i = 0; i < APW_COUNT(ours); i++)
		if (err->code == ours[i])
			return true;
	return stock_engine_source(stock, &stamp, NULL) == -1 ||
	    apw_stock_look(stock, NULL) == -1 ||
	    (stock->writable && apw_stock_try(stock, NULL) == -1);
}
