/* Package facts of pieces: pieces-metadata/NAME-VERSION-PLATFORM/.  Room:
 * stock, slot.  Only exact versions are kept: the answer for a range changes
 * with every release of the piece. */
#include "stock/stock_priv.h"

#include <stdio.h>

#define META_NAME	"apw-piece.json"

/* 1: a place, 0: not to be kept, -1: bad name. */
int
stock_meta_folder(const char *name, const char *version,
    const char *platform_id, char *folder, size_t size, struct apw_err *err)
{
	int	n;

	if (platform_id == NULL || platform_id[0] == '\0')
		platform_id = "any";
	if (name == NULL || !stock_is_package(apw_str_c(name)) ||
	    !apw_str_is_segment(apw_str_c(platform_id)))
		return apw_err_set(err, 0, "bad piece name");
	if (!stock_is_exact(version) || strpbrk(version, "-+") != NULL)
		return 0;
	n = snprintf(folder, size, "pieces-metadata/%s-%s-%s", name, version,
	    platform_id);
	return n < 0 || (size_t)n >= size ? 0 : 1;
}

int
apw_stock_piece_get(struct apw_stock *stock, const char *name,
    const char *version, const char *platform_id, struct apw_buf *out,
    struct apw_err *err)
{
	char	folder[STOCK_PATH_BYTES], rel[STOCK_PATH_BYTES + 32];
	int	rc = stock_meta_folder(name, version, platform_id, folder,
	    sizeof(folder), err);

	if (rc != 1)
		return rc;
	rc = stock_text_get(stock, folder, META_NAME, out, err);
	if (rc == 1 && snprintf(rel, sizeof(rel), "%s/" META_NAME, folder) > 0)
		stock_use_touch(stock, rel);
	return rc;
}

int
apw_stock_piece_put(struct apw_stock *stock, const char *name,
    const char *version, const char *platform_id, struct apw_str json,
    struct apw_err *err)
{
	char	folder[STOCK_PATH_BYTES];
	int	rc = stock_meta_folder(name, version, platform_id, folder,
	    sizeof(folder), err);

	if (rc != 1)
		return rc;
	return stock_text_put(stock, folder, META_NAME, json, err);
}
