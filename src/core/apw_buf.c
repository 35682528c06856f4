/* Bounded byte buffers.  Room: any. */
#include "core/apw_buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define BUF_MAX_DEFAULT	((size_t)256 << 20)

int
apw_buf_reserve(struct apw_buf *b, size_t more)
{
	size_t	 max = b->max == 0 ? BUF_MAX_DEFAULT : b->max, cap;
	char	*data;

	if (b->failed || more > max || b->len > max - more) {
		b->failed = true;
		return -1;
	}
	if (b->len + more + 1 <= b->cap)
		return 0;
	cap = b->cap < 256 ? 256 : b->cap;
	while (cap < b->len + more + 1)
		cap += cap / 2;
	if (cap > max + 1)
		cap = max + 1;
	data = realloc(b->data, cap);
	if (data == NULL) {
		b->failed = true;
		return -1;
	}
	b->data = data;
	b->cap = cap;
	return 0;
}

int
apw_buf_put(struct apw_buf *b, const void *p, size_t n)
{
	if (apw_buf_reserve(b, n) == -1)
		return -1;
	if (n != 0)
		memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int
apw_buf_puts(struct apw_buf *b, const char *s)
{
	return apw_buf_put(b, s, strlen(s));
}

int
apw_buf_str(struct apw_buf *b, struct apw_str s)
{
	return apw_buf_put(b, s.p, s.n);
}

int
apw_buf_printf(struct apw_buf *b, const char *fmt, ...)
{
	va_list	 ap;
	int	 n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0 || apw_buf_reserve(b, n) == -1) {
		b->failed = true;
		return -1;
	}
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, n + 1, fmt, ap);
	va_end(ap);
	b->len += n;
	return 0;
}

static int
buf_json_escape(struct apw_buf *b, unsigned char c)
{
	switch (c) {
	case '"':
		return apw_buf_put(b, "\\\"", 2);
	case '\\':
		return apw_buf_put(b, "\\\\", 2);
	case '\n':
		return apw_buf_put(b, "\\n", 2);
	case '\r':
		return apw_buf_put(b, "\\r", 2);
	case '\t':
		return apw_buf_put(b, "\\t", 2);
	default:
		return apw_buf_printf(b, "\\u%04x", c);
	}
}

int
apw_buf_json(struct apw_buf *b, struct apw_str s)
{
	size_t	i, from = 0;

	apw_buf_put(b, "\"", 1);
	for (i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f)
			continue;
		apw_buf_put(b, s.p + from, i - from);
		buf_json_escape(b, c);
		from = i + 1;
	}
	apw_buf_put(b, s.p + from, s.n - from);
	return apw_buf_put(b, "\"", 1);
}

int
apw_buf_json_c(struct apw_buf *b, const char *s)
{
	return apw_buf_json(b, apw_str_c(s));
}

void
apw_buf_drain(struct apw_buf *b, size_t n)
{
	if (n >= b->len) {
		apw_buf_reset(b);
		return;
	}
	memmove(b->data, b->data + n, b->len - n + 1);
	b->len -= n;
}

void
apw_buf_reset(struct apw_buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data != NULL)
		b->data[0] = '\0';
}

void
apw_buf_free(struct apw_buf *b)
{
	free(b->data);
	*b = (struct apw_buf){ .max = b->max };
}
