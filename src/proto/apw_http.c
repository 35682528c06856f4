/*
 * HTTP/1.1 heads and queries; see apw_http.h.  Room: proto.
 *
 * Must never be lenient about where a request ends: two readings of one
 * byte stream are how requests get smuggled.
 */
#include "config.h"

#include "proto/apw_http.h"

#include <string.h>
#include <strings.h>

static bool
is_token(unsigned char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
	    (c >= 'a' && c <= 'z'))
		return true;
	return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static bool
same_word(struct apw_str a, const char *b)
{
	return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

ssize_t
apw_http_head_length(struct apw_str text)
{
	const char	*at;

	if (text.n > 0 && !is_token((unsigned char)text.p[0]))
		return -1;
	at = memmem(text.p, text.n, "\r\n\r\n", 4);
	if (at == NULL)
		return text.n >= APW_HTTP_HEAD_MAX ? -1 : 0;
	if (at + 4 - text.p > APW_HTTP_HEAD_MAX)
		return -1;
	return at + 4 - text.p;
}

/* Take one line off the head; -1 when it does not end in CR LF. */
static int
take_line(struct apw_str *head, struct apw_str *line)
{
	const char	*lf = memchr(head->p, '\n', head->n);

	if (lf == NULL || lf == head->p || lf[-1] != '\r')
		return -1;
	*line = (struct apw_str){ head->p, lf - 1 - head->p };
	head->n -= lf + 1 - head->p;
	head->p = lf + 1;
	return memchr(line->p, '\r', line->n) == NULL ? 0 : -1;
}

static struct apw_str
take_word(struct apw_str *line)
{
	const char	*at = memchr(line->p, ' ', line->n);
	struct apw_str	 word = *line;

	if (at == NULL) {
		line->p += line->n;
		line->n = 0;
		return word;
	}
	word.n = at - line->p;
	line->n -= word.n + 1;
	line->p = at + 1;
	return word;
}

static int
take_version(struct apw_str v, struct apw_http_head *h)
{
	if (v.n != 8 || memcmp(v.p, "HTTP/1.", 7) != 0 ||
	    (v.p[7] != '0' && v.p[7] != '1'))
		return -1;
	h->minor = v.p[7] - '0';
	return 0;
}

static int
take_header(struct apw_str line, struct apw_http_header *out)
{
	const char	*colon = memchr(line.p, ':', line.n);
	size_t		 i;

	if (colon == NULL || colon == line.p)
		return -1;
	out->name = (struct apw_str){ line.p, colon - line.p };
	for (i = 0; i < out->name.n; i++)
		if (!is_token((unsigned char)out->name.p[i]))
			return -1;
	out->value = (struct apw_str){ colon + 1,
	    line.n - out->name.n - 1 };
	while (out->value.n > 0 && (out->value.p[0] == ' ' ||
	    out->value.p[0] == '\t')) {
		out->value.p++;
		out->value.n--;
	}
	while (out->value.n > 0 && (out->value.p[out->value.n - 1] == ' ' ||
	    out->value.p[out->value.n - 1] == '\t'))
		out->value.n--;
	for (i = 0; i < out->value.n; i++) {
		unsigned char c = (unsigned char)out->value.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return -1;
	}
	return 0;
}

static int
take_content_length(struct apw_str v, struct apw_http_head *h)
{
	int64_t	n = 0;
	size_t	i;

	if (h->content_length != -1 || v.n == 0 || v.n > 15)
		return -1;
	for (i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return -1;
		n = n * 10 + (v.p[i] - '0');
	}
	h->content_length = n;
	return 0;
}

/* Headers up to the empty line, and what they say about the body. */
static int
take_headers(struct apw_str head, struct apw_http_head *h,
    struct apw_err *err)
{
	struct apw_http_header	*one;
	struct apw_str		 line;

	h->content_length = -1;
	h->keep_alive = h->minor == 1;
	for (;;) {
		if (take_line(&head, &line) == -1)
			return apw_err_set(err, 0, "broken line in head");
		if (line.n == 0)
			break;
		if (h->nheaders == APW_HTTP_HEADERS_MAX)
			return apw_err_set(err, 0, "too many headers");
		one = &h->headers[h->nheaders];
		if (take_header(line, one) == -1)
			return apw_err_set(err, 0, "broken header");
		h->nheaders++;
		if (same_word(one->name, "content-length")) {
			if (take_content_length(one->value, h) == -1)
				return apw_err_set(err, 0,
				    "broken Content-Length");
		} else if (same_word(one->name, "transfer-encoding")) {
			if (h->chunked || !same_word(one->value, "chunked"))
				return apw_err_set(err, 0,
				    "unknown Transfer-Encoding");
			h->chunked = true;
		} else if (same_word(one->name, "connection")) {
			if (apw_http_has_token(one->value, "close"))
				h->keep_alive = false;
			else if (h->minor == 0 &&
			    apw_http_has_token(one->value, "keep-alive"))
				h->keep_alive = true;
		}
	}
	if (head.n != 0)
		return apw_err_set(err, 0, "bytes behind the head");
	if (h->chunked && h->content_length != -1)
		return apw_err_set(err, 0, "two lengths of one body");
	return 0;
}

static int
take_target(struct apw_str target, struct apw_http_head *h)
{
	const char	*at;
	size_t		 i;

	if (target.n == 0 || target.p[0] != '/')
		return -1;
	for (i = 0; i < target.n; i++)
		if ((unsigned char)target.p[i] <= ' ' ||
		    (unsigned char)target.p[i] >= 0x7f)
			return -1;
	at = memchr(target.p, '?', target.n);
	h->path = (struct apw_str){ target.p,
	    at == NULL ? target.n : (size_t)(at - target.p) };
	h->query = at == NULL ? (struct apw_str){ "", 0 } :
	    (struct apw_str){ at + 1, target.n - h->path.n - 1 };
	return 0;
}

int
apw_http_proxy_request(struct apw_str head, struct apw_http_head *h,
    struct apw_str *target, struct apw_err *err)
{
	struct apw_str	line;
	size_t		i, hosts = 0;

	memset(h, 0, offsetof(struct apw_http_head, headers));
	if (take_line(&head, &line) == -1)
		return apw_err_set(err, 0, "broken request line");
	h->method = take_word(&line);
	*target = take_word(&line);
	for (i = 0; i < h->method.n; i++)
		if (!is_token((unsigned char)h->method.p[i]))
			return apw_err_set(err, 0, "broken method");
	if (h->method.n == 0 || h->method.n > 16 ||
	    take_version(line, h) == -1)
		return apw_err_set(err, 0, "broken request line");
	if (take_headers(head, h, err) == -1)
		return -1;
	for (i = 0; i < h->nheaders; i++)
		hosts += same_word(h->headers[i].name, "host");
	if (hosts > 1 || (hosts == 0 && h->minor == 1))
		return apw_err_set(err, 0, "not exactly one Host");
	return 0;
}

int
apw_http_request(struct apw_str head, struct apw_http_head *h,
    struct apw_err *err)
{
	struct apw_str	target;

	if (apw_http_proxy_request(head, h, &target, err) == -1)
		return -1;
	if (take_target(target, h) == -1)
		return apw_err_set(err, 0, "broken request target");
	return 0;
}

int
apw_http_response(struct apw_str head, struct apw_http_head *h,
    struct apw_err *err)
{
	struct apw_str	line, status;
	size_t		i;

	memset(h, 0, offsetof(struct apw_http_head, headers));
	if (take_line(&head, &line) == -1 ||
	    take_version(take_word(&line), h) == -1)
		return apw_err_set(err, 0, "not an HTTP response");
	status = take_word(&line);
	if (status.n != 3)
		return apw_err_set(err, 0, "not an HTTP response");
	for (i = 0; i < 3; i++) {
		if (status.p[i] < '0' || status.p[i] > '9')
			return apw_err_set(err, 0, "not an HTTP response");
		h->status = h->status * 10 + (status.p[i] - '0');
	}
	return take_headers(head, h, err);
}

/* "HTTP/1.1 103 ": another answer follows.  101 is the last of HTTP. */
static bool
is_interim(struct apw_str head)
{
	return head.n > 12 && memcmp(head.p + 8, " 1", 2) == 0 &&
	    head.p[10] >= '0' && head.p[10] <= '9' &&
	    head.p[11] >= '0' && head.p[11] <= '9' &&
	    memcmp(head.p + 9, "101", 3) != 0;
}

/* The heads in front of the final one, and that one: its length in *last. */
static ssize_t
heads_length(struct apw_str text, size_t *last)
{
	struct apw_str	rest = text;
	unsigned	interim;
	ssize_t		n;

	for (interim = 0; rest.n > 0; interim++) {
		if (interim > APW_HTTP_INTERIM_MAX)
			return -1;
		n = apw_http_head_length(rest);
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		*last = (size_t)n;
		rest.p += n;
		rest.n -= (size_t)n;
		if (!is_interim((struct apw_str){ rest.p - n, (size_t)n }))
			return rest.p - text.p;
	}
	return text.n >= APW_HTTP_HEAD_MAX ? -1 : 0;
}

ssize_t
apw_http_heads_length(struct apw_str text)
{
	size_t	last;

	return heads_length(text, &last);
}

ssize_t
apw_http_answer(struct apw_str text, struct apw_http_head *h,
    struct apw_err *err)
{
	size_t	last = 0;
	ssize_t	n = heads_length(text, &last);

	if (n == -1)
		return apw_err_set(err, 0, "not an HTTP answer");
	if (n > 0 && apw_http_response((struct apw_str){ text.p + n - last,
	    last }, h, err) == -1)
		return -1;
	return n;
}

struct apw_str
apw_http_header(const struct apw_http_head *h, const char *name)
{
	size_t	i;

	for (i = 0; i < h->nheaders; i++)
		if (same_word(h->headers[i].name, name))
			return h->headers[i].value;
	return (struct apw_str){ NULL, 0 };
}

bool
apw_http_has_token(struct apw_str list, const char *token)
{
	const char	*p = list.p, *end, *from;
	struct apw_str	 word;

	if (list.n == 0)
		return false;
	end = list.p + list.n;
	while (p < end) {
		while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
			p++;
		from = p;
		while (p < end && *p != ',')
			p++;
		word = (struct apw_str){ from, p - from };
		while (word.n > 0 && (word.p[word.n - 1] == ' ' ||
		    word.p[word.n - 1] == '\t'))
			word.n--;
		if (same_word(word, token))
			return true;
	}
	return false;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decode into out, NUL-terminated; its length, -1 when broken or too long. */
static ssize_t
decode_component(struct apw_str s, char *out, size_t size)
{
	size_t	i, n = 0;
	int	high, low;
	char	c;

	for (i = 0; i < s.n; i++) {
		c = s.p[i];
		if (c == '+')
			c = ' ';
		else if (c == '%') {
			if (s.n - i < 3 ||
			    (high = hex_digit(s.p[i + 1])) == -1 ||
			    (low = hex_digit(s.p[i + 2])) == -1)
				return -1;
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0' || n + 1 >= size)
			return -1;
		out[n++] = c;
	}
	out[n] = '\0';
	return (ssize_t)n;
}

int
apw_http_query(struct apw_str query, const char *key, char *out, size_t size)
{
	const char	*p = query.p, *end = query.p + query.n, *amp, *eq;
	char		 name[32];
	int		 found = 0;

	for (; p < end; p = amp + 1) {
		amp = memchr(p, '&', end - p);
		if (amp == NULL)
			amp = end;
		eq = memchr(p, '=', amp - p);
		if (eq == NULL)
			eq = amp;
		/* a key that cannot be decoded is none of ours */
		if (decode_component((struct apw_str){ p, eq - p }, name,
		    sizeof(name)) == -1 || strcmp(name, key) != 0)
			continue;
		if (found++ > 0)
			return -1;
		if (eq < amp)
			eq++;
		if (decode_component((struct apw_str){ eq, amp - eq }, out,
		    size) == -1)
			return -1;
	}
	return found;
}
