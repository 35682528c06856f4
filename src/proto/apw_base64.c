/* Base64; see apw_base64.h.  Room: proto. */
#include "proto/apw_base64.h"

#include <stdint.h>

size_t
apw_base64_bytes(size_t n)
{
	return (n + 2) / 3 * 4;
}

void
apw_base64_encode(char *out, const void *data, size_t n)
{
	static const char	 digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	    "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char	*p = data;

	for (; n >= 3; n -= 3, p += 3) {
		*out++ = digits[p[0] >> 2];
		*out++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
		*out++ = digits[(p[1] & 15) << 2 | p[2] >> 6];
		*out++ = digits[p[2] & 63];
	}
	if (n == 0)
		return;
	*out++ = digits[p[0] >> 2];
	if (n == 1) {
		*out++ = digits[(p[0] & 3) << 4];
		*out++ = '=';
	} else {
		*out++ = digits[(p[0] & 3) << 4 | p[1] >> 4];
		*out++ = digits[(p[1] & 15) << 2];
	}
	*out = '=';
}

ssize_t
apw_base64_plain(struct apw_str text)
{
	size_t	n = text.n / 4 * 3;

	if (text.n % 4 != 0)
		return -1;
	if (text.n > 0 && text.p[text.n - 1] == '=')
		n--;
	if (text.n > 0 && text.p[text.n - 2] == '=')
		n--;
	return (ssize_t)n;
}

static int
base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int
apw_base64_decode(struct apw_buf *out, struct apw_str text)
{
	ssize_t		 size = apw_base64_plain(text);
	size_t		 digits, i;
	uint32_t	 bits = 0;
	char		*to;
	int		 v;

	if (size == -1 || apw_buf_reserve(out, (size_t)size) == -1)
		return -1;
	digits = text.n - (text.n / 4 * 3 - (size_t)size);
	if (size == 0)
		return digits == 0 ? 0 : -1;
	to = out->data + out->len;
	for (i = 0; i < digits; i++) {
		if ((v = base64_value((unsigned char)text.p[i])) == -1)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		if (i % 4 == 3) {
			*to++ = (char)(bits >> 16);
			*to++ = (char)(bits >> 8);
			*to++ = (char)bits;
			bits = 0;
		}
	}
	if (digits % 4 == 2) {
		if ((bits & 15) != 0)
			return -1;
		*to++ = (char)(bits >> 4);
	} else if (digits % 4 == 3) {
		if ((bits & 3) != 0)
			return -1;
		*to++ = (char)(bits >> 10);
		*to++ = (char)(bits >> 2);
	}
	out->len += (size_t)size;
	out->data[out->len] = '\0';
	return 0;
}
