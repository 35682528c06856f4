/* Reading a request; see httpd.h.  Room: http.
 *
 * Must never be lenient about where a request ends, nor read one target in
 * two ways. */
#include "http/httpd_priv.h"

#include <string.h>
#include <strings.h>

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A line feed of its own is a head's end to some and nothing to others. */
static bool
has_bare_lf(struct apw_str s)
{
	const char	*p = s.p, *end = s.p + s.n, *lf;

	for (; p < end && (lf = memchr(p, '\n', (size_t)(end - p))) != NULL;
	    p = lf + 1)
		if (lf == s.p || lf[-1] != '\r')
			return true;
	return false;
}

/* http://host:port/path: which host does not matter, there is one only. */
static int
take_absolute(struct apw_str *target)
{
	const char	*p = target->p + 7, *end = target->p + target->n,
			*from = p;

	if (target->n < 8 || strncasecmp(target->p, "http://", 7) != 0)
		return -1;
	for (; p < end && *p != '/' && *p != '?'; p++)
		if (*p == '@')
			return -1;
	if (p == from)
		return -1;
	*target = (struct apw_str){ p, (size_t)(end - p) };
	return 0;
}

static int
decode_path(struct apw_str raw, struct apw_httpd_request *rq)
{
	size_t	i, n = 0;
	int	high, low;
	char	c;

	for (i = 0; i < raw.n; i++) {
		if ((c = raw.p[i]) == '%') {
			if (raw.n - i < 3 ||
			    (high = hex_value(raw.p[i + 1])) == -1 ||
			    (low = hex_value(raw.p[i + 2])) == -1)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0')
			return -1;
		rq->path_text[n++] = c;
	}
	rq->path = (struct apw_str){ rq->path_text, n };
	return 0;
}

/* The status to refuse it with, or 0. */
static int
read_target(struct apw_str target, struct apw_httpd_request *rq)
{
	struct apw_str	path = target;
	const char	*at;
	size_t		 i;

	for (i = 0; i < target.n; i++)
		if ((unsigned char)target.p[i] <= ' ' ||
		    (unsigned char)target.p[i] >= 0x7f || target.p[i] == '#')
			return 400;
	if (target.n == 0 ||
	    (target.p[0] != '/' && take_absolute(&target) == -1))
		return 400;
	path = target;
	rq->query = APW_STR("");
	if (target.n > 0 &&
	    (at = memchr(target.p, '?', target.n)) != NULL) {
		path.n = (size_t)(at - target.p);
		rq->query = (struct apw_str){ at + 1, target.n - path.n - 1 };
	}
	if (path.n == 0)
		path = APW_STR("/");
	if (path.n > sizeof(rq->path_text))
		return 414;
	return decode_path(path, rq) == -1 ? 400 : 0;
}

static int
read_body(struct apw_httpd_request *rq)
{
	struct apw_str	expect = apw_http_header(&rq->head, "expect");

	if (rq->head.chunked && rq->head.minor == 0)
		return 400;
	rq->body_bytes = rq->head.chunked ? -1 :
	    rq->head.content_length > 0 ? rq->head.content_length : 0;
	rq->expects = false;
	if (expect.p == NULL || rq->head.minor == 0)
		return 0;
	if (expect.n != 12 || strncasecmp(expect.p, "100-continue", 12) != 0)
		return 417;
	rq->expects = rq->body_bytes != 0;
	return 0;
}

ssize_t
httpd_request_read(struct apw_str in, size_t head_max,
    struct apw_httpd_request *rq, int *status)
{
	struct apw_str	text = in, target;
	size_t		skipped = 0;
	ssize_t		n;

	*status = 400;
	/* one empty line in front of a request is let pass, as RFC 9112 has
	 * it: old clients put one behind a body */
	if (text.n > 0 && text.p[0] == '\r') {
		if (text.n < 2)
			return 0;
		if (text.p[1] != '\n')
			return -1;
		skipped = 2;
		text.p += 2;
		text.n -= 2;
	}
	if (text.n == 0)
		return 0;
	n = apw_http_head_length(text);
	if (n == -1 || (n == 0 && text.n >= head_max) ||
	    (n > 0 && (size_t)n > head_max))
		return -1;
	if (n > 0)
		text.n = (size_t)n;
	if (has_bare_lf(text))
		return -1;
	if (n == 0)
		return 0;
	if (apw_http_proxy_request(text, &rq->head, &target, NULL) == -1)
		return -1;
	rq->method = rq->head.method;
	rq->reads = apw_str_is(rq->method, "GET") ||
	    apw_str_is(rq->method, "HEAD");
	if ((*status = read_target(target, rq)) != 0 ||
	    (*status = read_body(rq)) != 0)
		return -1;
	return n + (ssize_t)skipped;
}
