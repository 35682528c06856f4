/*
 * HTTP/1.1 heads and queries, as much as Engine.IO needs: strict, bounded,
 * in place.  Room: proto.
 */
#ifndef APW_PROTO_HTTP_H
#define APW_PROTO_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/apw_err.h"
#include "core/apw_str.h"

/* A head larger than this is refused (Node's own limit). */
#define APW_HTTP_HEAD_MAX	16384
#define APW_HTTP_HEADERS_MAX	64

struct apw_http_header {
	struct apw_str	name;		/* as sent */
	struct apw_str	value;		/* trimmed */
};

/* All slices borrow from the head's text. */
struct apw_http_head {
	/* requests */
	struct apw_str	method;
	struct apw_str	path;		/* of the target, before '?' */
	struct apw_str	query;		/* behind '?', may be empty */
	/* responses */
	int		status;
	/* both */
	int		minor;		/* of HTTP/1.x: 0 or 1 */
	bool		keep_alive;
	bool		chunked;
	int64_t		content_length;	/* -1: not told */
	size_t		nheaders;
	struct apw_http_header headers[APW_HTTP_HEADERS_MAX];
};

/* Length of the head, its empty line included; 0: not complete yet; -1: it
 * can never be one (too long, or starts with nonsense). */
ssize_t	apw_http_head_length(struct apw_str);

int	apw_http_request(struct apw_str head, struct apw_http_head *,
	    struct apw_err *);
/* As above, as a proxy gets it: the target may have any form and is the
 * caller's to read; path and query are empty. */
int	apw_http_proxy_request(struct apw_str head, struct apw_http_head *,
	    struct apw_str *target, struct apw_err *);
int	apw_http_response(struct apw_str head, struct apw_http_head *,
	    struct apw_err *);

/*
 * The head of an answer at the beginning of what has come in: its length,
 * with the head read; 0: not complete yet; -1 and err set: it is none.
 * Interim answers (1xx, RFC 9110 15.2; not 101) in front of it are skipped and
 * counted in: no more than APW_HTTP_INTERIM_MAX, all within
 * APW_HTTP_HEAD_MAX bytes.
 */
#define APW_HTTP_INTERIM_MAX	8
ssize_t	apw_http_answer(struct apw_str, struct apw_http_head *,
	    struct apw_err *);
/* The length alone, nothing but the status looked at. */
ssize_t	apw_http_heads_length(struct apw_str);

/* The one header of this name; p is NULL when absent.  Of repeated headers
 * the first. */
struct apw_str
	apw_http_header(const struct apw_http_head *, const char *name);

/* Is the token in the comma-separated list?  Case does not matter. */
bool	apw_http_has_token(struct apw_str list, const char *token);

/*
 * The value of a query key, percent-decoded and NUL-terminated in out: 1; 0
 * when the key is absent; -1 when it repeats, is broken or does not fit.
 */
int	apw_http_query(struct apw_str query, const char *key, char *out,
	    size_t size);

#endif
