/*
 * Raw JSON text: string literals, UTF-8.  Room: proto.
 *
 * Must never put anything into a literal that another parser could read as
 * more than one string.
 */
#include "proto/apw_raw.h"

#include <string.h>

#include "proto/apw_raw_priv.h"

/*
 * Length of the well-formed UTF-8 sequence at p, 0 when there is none
 * (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF).
 */
size_t
apw_raw_utf8_length(const char *s, const char *end)
{
	const unsigned char	*p = (const unsigned char *)s;
	size_t			 n, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if ((size_t)(end - s) < n)
		return 0;
	for (i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

typedef uint64_t wide __attribute__((vector_size(16)));
#define NOT_ASCII	UINT64_C(0x8080808080808080)

/* Are all of these 64 bytes ASCII? */
static inline bool
ascii(const char *p)
{
	wide	a, b, c, d;

	memcpy(&a, p, sizeof(a));
	memcpy(&b, p + sizeof(a), sizeof(b));
	memcpy(&c, p + 2 * sizeof(a), sizeof(c));
	memcpy(&d, p + 3 * sizeof(a), sizeof(d));
	a |= b | c | d;
	return ((a[0] | a[1]) & NOT_ASCII) == 0;
}

bool
apw_raw_utf8(struct apw_str text)
{
	const char	*p = text.p, *end = text.p + text.n;
	uint64_t	 few;
	size_t		 n;

	while (p < end) {
		while (end - p >= 64 && ascii(p))
			p += 64;
		for (; end - p >= 8; p += 8) {
			memcpy(&few, p, sizeof(few));
			if ((few & NOT_ASCII) != 0)
				break;
		}
		if (p == end)
			break;
		/* who writes one such letter writes more of them */
		do {
			if ((n = apw_raw_utf8_length(p, end)) == 0)
				return false;
			p += n;
		} while (p < end && (unsigned char)*p >= 0x80);
	}
	return true;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* The code unit of the \uXXXX at p, or -1. */
static int
escape_unit(const char *p, const char *end)
{
	int	unit = 0, i, h;

	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (i = 2; i < 6; i++) {
		if ((h = hex_value(p[i])) == -1)
			return -1;
		unit = unit << 4 | h;
	}
	return unit;
}

static size_t
utf8_put(char out[4], uint32_t c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return 3;
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return 4;
}

/*
 * Decode the escape at *p (a backslash), move *p behind it; number of bytes
 * written to out, 0 on a broken one.
 */
static size_t
decode_escape(const char **p, const char *end, char out[4])
{
	static const char	from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char		*at;
	int			 unit, low;

	if (end - *p < 2)
		return 0;
	if ((*p)[1] != 'u') {
		if ((*p)[1] == '\0' || (at = strchr(from, (*p)[1])) == NULL)
			return 0;
		*p += 2;
		out[0] = to[at - from];
		return 1;
	}
	if ((unit = escape_unit(*p, end)) == -1)
		return 0;
	*p += 6;
	if (unit >= 0xd800 && unit < 0xdc00) {
		low = escape_unit(*p, end);
		if (low >= 0xdc00 && low < 0xe000) {
			*p += 6;
			return utf8_put(out, 0x10000U +
			    (((uint32_t)unit - 0xd800) << 10) +
			    ((uint32_t)low - 0xdc00));
		}
	}
	if (unit >= 0xd800 && unit < 0xe000)
		unit = 0xfffd;
	return utf8_put(out, (uint32_t)unit);
}

bool
apw_raw_equals(struct apw_str literal, const char *s)
{
	const char	*p = literal.p, *end;
	size_t		 left = strlen(s), n;
	char		 out[4];

	if (literal.n < 2 || *p != '"' || p[literal.n - 1] != '"')
		return false;
	end = p + literal.n - 1;
	/* without escapes, as nearly all are, it is a comparison */
	if (literal.n - 2 == left && memcmp(p + 1, s, left) == 0 &&
	    memchr(s, '\\', left) == NULL)
		return true;
	for (p++; p < end; s += n, left -= n) {
		if (*p == '\\') {
			n = decode_escape(&p, end, out);
			if (n == 0 || n > left || memcmp(out, s, n) != 0)
				return false;
		} else {
			n = 1;
			if (left == 0 || *p++ != *s)
				return false;
		}
	}
	return left == 0;
}

int
apw_raw_decode(struct apw_buf *out, struct apw_str literal)
{
	const char	*p, *end, *from;
	char		 bytes[4];
	size_t		 n;

	literal = apw_raw_trim(literal);
	p = literal.p;
	end = p + literal.n;
	if (literal.n < 2 || *p != '"' || end[-1] != '"')
		return -1;
	for (p++, end--; p < end; ) {
		from = p;
		p = apw_raw_plain(p, end);
		if (apw_buf_put(out, from, p - from) == -1)
			return -1;
		if (p == end)
			break;
		if (*p != '\\' || (n = decode_escape(&p, end, bytes)) == 0 ||
		    apw_buf_put(out, bytes, n) == -1)
			return -1;
	}
	return 0;
}

static int
quote_control(struct apw_buf *out, unsigned char c)
{
	static const char	hex[] = "0123456789abcdef";
	char			escape[6] = { '\\', 'u', '0', '0' };

	switch (c) {
	case '"':
		return apw_buf_put(out, "\\\"", 2);
	case '\\':
		return apw_buf_put(out, "\\\\", 2);
	case '\b':
		return apw_buf_put(out, "\\b", 2);
	case '\f':
		return apw_buf_put(out, "\\f", 2);
	case '\n':
		return apw_buf_put(out, "\\n", 2);
	case '\r':
		return apw_buf_put(out, "\\r", 2);
	case '\t':
		return apw_buf_put(out, "\\t", 2);
	}
	escape[4] = hex[c >> 4];
	escape[5] = hex[c & 15];
	return apw_buf_put(out, escape, 6);
}

int
apw_raw_quote(struct apw_buf *out, struct apw_str text)
{
	const char	*p = text.p, *end = text.p + text.n, *from;
	size_t		 n;

	apw_buf_put(out, "\"", 1);
	while (p < end) {
		from = p;
		while (p < end && *p != '"' && *p != '\\' &&
		    (unsigned char)*p >= 0x20 &&
		    (n = apw_raw_utf8_length(p, end)) != 0)
			p += n;
		apw_buf_put(out, from, p - from);
		if (p == end)
			break;
		if ((unsigned char)*p >= 0x80)
			apw_buf_put(out, "\xef\xbf\xbd", 3);
		else
			quote_control(out, (unsigned char)*p);
		p++;
	}
	apw_buf_put(out, "\"", 1);
	return out->failed ? -1 : 0;
}
