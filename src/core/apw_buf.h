/* A growing byte buffer with a bound.  Running over the bound, or out of
 * memory, marks the buffer failed; writers may go on and check once. */
#ifndef APW_BUF_H
#define APW_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "core/apw_str.h"

struct apw_buf {
	char	*data;		/* owned; NUL follows len when not NULL */
	size_t	 len;
	size_t	 cap;
	size_t	 max;		/* 0: 256 MiB */
	bool	 failed;
};

#define APW_BUF_INIT(max_bytes)	{ .max = (max_bytes) }

int	apw_buf_reserve(struct apw_buf *, size_t more);
int	apw_buf_put(struct apw_buf *, const void *, size_t);
int	apw_buf_puts(struct apw_buf *, const char *);
int	apw_buf_str(struct apw_buf *, struct apw_str);
int	apw_buf_printf(struct apw_buf *, const char *fmt, ...)
	    __attribute__((format(printf, 2, 3)));
/* A JSON string literal, quotes included; bytes above 0x7f pass through,
 * '/' is not escaped. */
int	apw_buf_json(struct apw_buf *, struct apw_str);
int	apw_buf_json_c(struct apw_buf *, const char *);
/* Forget the first n bytes. */
void	apw_buf_drain(struct apw_buf *, size_t n);
void	apw_buf_reset(struct apw_buf *);	/* len 0, memory kept */
void	apw_buf_free(struct apw_buf *);		/* memory gone, max kept */

static inline struct apw_str
apw_buf_view(const struct apw_buf *b)
{
	return (struct apw_str){ b->data == NULL ? "" : b->data, b->len };
}

#endif
