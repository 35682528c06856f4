/* Texts kept on disk with their length and hash in front, so that a torn or
 * foreign file is a miss and never an answer.  Room: stock, slot.  No fsync:
 * what is lost is asked for again. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <stdio.h>

#include "core/apw_auto.h"

#define TEXT_MAGIC	"apworkerd-text "
#define TEXT_BYTES	((size_t)64 << 20)

int
stock_text_get(struct apw_stock *stock, const char *folder, const char *name,
    struct apw_buf *out, struct apw_err *err)
{
	struct apw_buf	file = APW_BUF_INIT(TEXT_BYTES + 128);
	char		rel[2 * STOCK_PATH_BYTES], hash[STOCK_HASH_SIZE];
	struct apw_str	text;
	char		*line_end;
	int		rc;

	snprintf(rel, sizeof(rel), "%s/%s", folder, name);
	rc = stock_read(stock->root_fd, rel, &file, err);
	if (rc == 1) {
		rc = 0;
		line_end = memchr(file.data, '\n', file.len);
		if (line_end == NULL || line_end - file.data !=
		    sizeof(TEXT_MAGIC) - 1 + 64 || memcmp(file.data,
		    TEXT_MAGIC, sizeof(TEXT_MAGIC) - 1) != 0)
			goto out;
		text.p = line_end + 1;
		text.n = file.data + file.len - text.p;
		if (stock_hash(hash, &text, 1) == -1 || memcmp(hash,
		    line_end - 64, 64) != 0)
			goto out;
		rc = apw_buf_str(out, text) == 0 ? 1 : apw_err_set(err, ENOMEM,
		    "%s", rel);
	}
out:
	apw_buf_free(&file);
	return rc;
}

int
stock_text_put(struct apw_stock *stock, const char *folder, const char *name,
    struct apw_str text, struct apw_err *err)
{
	struct apw_buf	file = APW_BUF_INIT(TEXT_BYTES + 128);
	char		hash[STOCK_HASH_SIZE];
	apw_autofd int	fd = -1;
	int		rc = -1;

	if (text.n > TEXT_BYTES || stock_hash(hash, &text, 1) == -1)
		return apw_err_set(err, EFBIG, "%s", folder);
	fd = stock_mkdirs(stock->root_fd, folder, err);
	if (fd == -1)
		return -1;
	apw_buf_printf(&file, TEXT_MAGIC "%s\n", hash);
	apw_buf_str(&file, text);
	if (file.failed)
		apw_err_set(err, ENOMEM, "%s", folder);
	else
		rc = stock_replace(fd, name, apw_buf_view(&file), false, err);
	if (rc == 0)
		stock->new_texts++;
	apw_buf_free(&file);
	return rc;
}
