/* What a client of the proxy asks for; see request.h.  Room: egress. */
#include "egress/request.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/apw_auto.h"

static int
refuse(struct apw_egress_refusal *no, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static int
refuse(struct apw_egress_refusal *no, int status, const char *fmt, ...)
{
	va_list	ap;

	no->status = status;
	va_start(ap, fmt);
	vsnprintf(no->text, sizeof(no->text), fmt, ap);
	va_end(ap);
	return -1;
}

static bool
same_word(struct apw_str a, const char *b)
{
	return a.n == strlen(b) && strncasecmp(a.p, b, a.n) == 0;
}

/* --- targets --- */

/* For an answer: printable, and not endless. */
static int
refuse_target(struct apw_egress_refusal *no, struct apw_str target)
{
	char	text[96];
	size_t	i, n = target.n < sizeof(text) - 1 ? target.n :
		    sizeof(text) - 1;

	for (i = 0; i < n; i++)
		text[i] = isprint((unsigned char)target.p[i]) ? target.p[i] :
		    '?';
	text[n] = '\0';
	return refuse(no, 400, "Target \"%s\" could not be parsed", text);
}

/* Names: letters, digits, '-', '_' in labels; lower case from here on. */
static int
read_name(struct apw_str s, struct apw_egress_request *rq)
{
	size_t	i, label = 0;
	char	c;

	if (s.n == 0 || s.n > 254)
		return -1;
	for (i = 0; i < s.n; i++) {
		c = s.p[i];
		if (c == '.') {
			if (label == 0)
				return -1;
			label = 0;
		} else if (!(isalnum((unsigned char)c) || c == '-' ||
		    c == '_') || ++label > 63)
			return -1;
		rq->host[i] = (char)tolower((unsigned char)c);
	}
	rq->host[s.n] = '\0';
	return 0;
}

/* "host", "[v6]"; addresses in every spelling become plain ones, so that no
 * resolver has an opinion of its own on them. */
static int
read_host(struct apw_str s, struct apw_egress_request *rq)
{
	bool	v6 = s.n > 2 && s.p[0] == '[' && s.p[s.n - 1] == ']';

	if (v6) {
		if (s.n - 2 >= APW_ADDR_TEXT_SIZE ||
		    strspn(s.p + 1, "0123456789abcdefABCDEF:.") < s.n - 2)
			return -1;
		memcpy(rq->host, s.p + 1, s.n - 2);
		rq->host[s.n - 2] = '\0';
		if (strchr(rq->host, ':') == NULL)
			return -1;
	} else if (read_name(s, rq) == -1)
		return -1;
	rq->numeric = apw_addr_parse(rq->host, &rq->addr) == 0;
	if (rq->numeric) {
		char	text[APW_ADDR_TEXT_SIZE];

		strcpy(rq->host, apw_addr_text(&rq->addr, text));
	}
	return v6 && !rq->numeric ? -1 : 0;
}

/* "host", "host:port"; port 0: there must be one. */
static int
read_authority(struct apw_str s, unsigned port,
    struct apw_egress_request *rq)
{
	const char	*end = s.p + s.n, *colon, *p;
	unsigned	 value = 0;

	colon = s.n > 0 && s.p[0] == '[' ? memchr(s.p, ']', s.n) : s.p;
	if (colon == NULL)
		return -1;
	colon = memchr(colon, ':', (size_t)(end - colon));
	if (colon != NULL) {
		if (colon + 1 == end || end - colon > 6)
			return -1;
		for (p = colon + 1; p < end; p++) {
			if (*p < '0' || *p > '9')
				return -1;
			value = value * 10 + (unsigned)(*p - '0');
		}
		if (value == 0 || value > 65535)
			return -1;
		port = value;
		s.n = (size_t)(colon - s.p);
	}
	rq->port = (uint16_t)port;
	return port == 0 ? -1 : read_host(s, rq);
}

static int
read_scheme(struct apw_str target, struct apw_egress_refusal *no)
{
	const char	*colon = memchr(target.p, ':', target.n);
	size_t		 i, n = colon == NULL ? 0 :
			    (size_t)(colon - target.p);

	if (n == 0 || n > 16 || target.n < n + 4 ||
	    memcmp(colon, "://", 3) != 0)
		return refuse_target(no, target);
	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)target.p[i]))
			return refuse_target(no, target);
	if (n != 4 || strncasecmp(target.p, "http", 4) != 0)
		return refuse(no, 400, "Only HTTP protocol is supported "
		    "(was %.*s:)", (int)n, target.p);
	return 0;
}

/* http://host[:port][/path][?query], and what is asked of the origin. */
static int
read_absolute(struct apw_str target, struct apw_egress_request *rq,
    struct apw_str *path, struct apw_egress_refusal *no)
{
	const char	*from = target.p + 7, *end = target.p + target.n, *p;

	if (read_scheme(target, no) == -1)
		return -1;
	for (p = from; p < end && *p != '/' && *p != '?'; p++)
		continue;
	/* '@' and '#' are no letters of a host: user names and fragments do
	 * not get through */
	if (read_authority((struct apw_str){ from, (size_t)(p - from) }, 80,
	    rq) == -1)
		return refuse_target(no, target);
	*path = (struct apw_str){ p, (size_t)(end - p) };
	for (; p < end; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p >= 0x7f ||
		    *p == '#')
			return refuse_target(no, target);
	return 0;
}

/* --- heads --- */

/* What speaks of one connection only. */
static bool
is_hop(struct apw_str name, const struct apw_http_head *h)
{
	static const char *const	names[] = { "connection", "keep-alive",
	    "proxy-connection", "proxy-authenticate", "proxy-authorization",
	    "te", "trailer", "upgrade", "http2-settings" };
	char				token[64];
	size_t				i;

	for (i = 0; i < APW_COUNT(names); i++)
		if (same_word(name, names[i]))
			return true;
	if (name.n >= sizeof(token))
		return false;
	memcpy(token, name.p, name.n);
	token[name.n] = '\0';
	for (i = 0; i < h->nheaders; i++)
		if (same_word(h->headers[i].name, "connection") &&
		    apw_http_has_token(h->headers[i].value, token))
			return true;
	return false;
}

/* "Connection: content-length" would take away what says where a body ends,
 * behind the back of who counted on it. */
static bool
drops_frame(const struct apw_http_head *h)
{
	static const char *const	names[] = { "host", "content-length",
					    "transfer-encoding" };
	size_t				i, j;

	for (i = 0; i < h->nheaders; i++)
		if (same_word(h->headers[i].name, "connection"))
			for (j = 0; j < APW_COUNT(names); j++)
				if (apw_http_has_token(h->headers[i].value,
				    names[j]))
					return true;
	return false;
}

static void
put_headers(struct apw_buf *out, const struct apw_http_head *h)
{
	size_t	i;

	for (i = 0; i < h->nheaders; i++) {
		if (is_hop(h->headers[i].name, h) ||
		    same_word(h->headers[i].name, "host"))
			continue;
		apw_buf_str(out, h->headers[i].name);
		apw_buf_puts(out, ": ");
		apw_buf_str(out, h->headers[i].value);
		apw_buf_puts(out, "\r\n");
	}
	/* one request a connection, on both sides */
	apw_buf_puts(out, "Connection: close\r\n\r\n");
}

/* The origin gets the Host that was checked; a different one is a request
 * that means two things. */
static int
check_host(const struct apw_http_head *h, const struct apw_egress_request *rq,
    struct apw_egress_refusal *no)
{
	struct apw_str			host = apw_http_header(h, "host");
	struct apw_egress_request	said;

	if (host.p == NULL)
		return 0;
	if (read_authority(host, 80, &said) == -1 ||
	    said.port != rq->port || strcmp(said.host, rq->host) != 0)
		return refuse(no, 400, "Host is not the target's");
	return 0;
}

static void
put_request(struct apw_buf *out, const struct apw_http_head *h,
    const struct apw_egress_request *rq, struct apw_str path)
{
	bool	v6 = strchr(rq->host, ':') != NULL;

	apw_buf_printf(out, "%s %s", rq->method,
	    path.n == 0 || path.p[0] != '/' ? "/" : "");
	apw_buf_str(out, path);
	apw_buf_printf(out, " HTTP/1.%d\r\nHost: %s%s%s", rq->minor,
	    v6 ? "[" : "", rq->host, v6 ? "]" : "");
	apw_buf_printf(out, rq->port != 80 ? ":%u\r\n" : "\r\n", rq->port);
	put_headers(out, h);
}

static void
frame_of(const struct apw_http_head *h, struct apw_egress_framing *f)
{
	memset(f, 0, sizeof(*f));
	if (h->chunked)
		f->frame = APW_EGRESS_CHUNKED;
	else if (h->content_length > 0) {
		f->frame = APW_EGRESS_LENGTH;
		f->left = (uint64_t)h->content_length;
	} else {
		f->frame = APW_EGRESS_NONE;
		f->done = true;
	}
}

int
apw_egress_request_read(struct apw_str head, struct apw_egress_request *rq,
    struct apw_buf *out, struct apw_egress_refusal *no)
{
	struct apw_http_head	 h;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_str		 target, path = APW_STR("");

	memset(rq, 0, sizeof(*rq));
	if (apw_http_proxy_request(head, &h, &target, &err) == -1)
		return refuse(no, 400, "Bad request: %s", err.text);
	snprintf(rq->method, sizeof(rq->method), "%.*s", (int)h.method.n,
	    h.method.p);
	rq->minor = h.minor;
	rq->connect = strcmp(rq->method, "CONNECT") == 0;
	rq->head = strcmp(rq->method, "HEAD") == 0;
	if (rq->connect) {
		if (read_authority(target, 0, rq) == -1)
			return refuse_target(no, target);
		if (h.chunked || h.content_length > 0)
			return refuse(no, 400, "CONNECT has no body");
		return 0;
	}
	if (read_absolute(target, rq, &path, no) == -1 ||
	    check_host(&h, rq, no) == -1)
		return -1;
	if (drops_frame(&h) || (h.chunked && h.minor == 0))
		return refuse(no, 400, "Bad request: unclear body");
	frame_of(&h, &rq->body);
	put_request(out, &h, rq, path);
	return out->failed ? refuse(no, 431, "Head is too large") : 0;
}

int
apw_egress_answer_read(struct apw_str head,
    const struct apw_egress_request *rq, struct apw_buf *out,
    struct apw_egress_framing *body, struct apw_err *err)
{
	struct apw_http_head	 h;
	const char		*line = memchr(head.p, '\r', head.n);

	if (apw_http_response(head, &h, err) == -1)
		return -1;
	/* nothing was asked to be upgraded */
	if (h.status < 100 || h.status == 101 || h.status > 599)
		return apw_err_set(err, 0, "status %d", h.status);
	if (drops_frame(&h) || (h.chunked && h.minor == 0))
		return apw_err_set(err, 0, "unclear body");
	apw_buf_put(out, head.p, (size_t)(line - head.p));
	apw_buf_puts(out, "\r\n");
	put_headers(out, &h);
	if (out->failed)
		return apw_err_set(err, 0, "head is too large");
	frame_of(&h, body);
	if (h.status / 100 == 1)
		return 1;
	if (rq->head || h.status == 204 || h.status == 304) {
		body->frame = APW_EGRESS_NONE;
		body->done = true;
	} else if (!h.chunked && h.content_length == -1) {
		body->frame = APW_EGRESS_UNTIL_END;
		body->done = false;
	}
	return 0;
}
