/* Archives of pieces that are not in a registry: the caller fetches them from
 * the app and puts them beside the piece, where the installer takes them.
 * Room: stock, slot. */
#include "stock/stock_priv.h"

#include <stdio.h>

#include "core/apw_auto.h"

#define ARCHIVE_BYTES	((size_t)256 << 20)

bool
apw_stock_archive_has(struct apw_stock *stock, const struct apw_stock_piece *p,
    bool per_platform)
{
	char	folder[STOCK_PATH_BYTES], rel[2 * STOCK_PATH_BYTES];

	if (stock_piece_folder(p, per_platform, folder, sizeof(folder)) == -1)
		return false;
	if (p->archive_id == NULL ||
	    stock_piece_present(stock, p, per_platform))
		return true;
	snprintf(rel, sizeof(rel), "%s/%s.tgz", folder, p->archive_id);
	return stock_exists(stock->root_fd, rel);
}

int
apw_stock_archive_put(struct apw_stock *stock, const struct apw_stock_piece *p,
    bool per_platform, struct apw_str tgz, struct apw_err *err)
{
	char		folder[STOCK_PATH_BYTES], name[300];
	apw_autofd int	fd = -1;

	if (stock_piece_check(p, per_platform, err) == -1)
		return -1;
	if (p->archive_id == NULL || stock_piece_folder(p, per_platform,
	    folder, sizeof(folder)) == -1)
		return apw_err_set(err, 0, "piece %s has no archive", p->name);
	if (tgz.n == 0 || tgz.n > ARCHIVE_BYTES)
		return apw_err_set(err, 0, "archive of piece %s has %zu bytes",
		    p->name, tgz.n);
	fd = stock_mkdirs(stock->root_fd, folder, err);
	if (fd == -1)
		return -1;
	snprintf(name, sizeof(name), "%.200s.tgz", p->archive_id);
	return stock_replace(fd, name, tgz, false, err);
}
