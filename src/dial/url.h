/* The parts of a URL: whom to dial, what to ask for.  Room: dial.  The one
 * reader of URLs that something is sent to; they are never logged, as they
 * may hold keys. */
#ifndef APW_DIAL_URL_H
#define APW_DIAL_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "core/apw_str.h"

#define APW_HOST_SIZE	256	/* a host's text and its NUL */

/* Slices borrow from the text that was read. */
struct apw_url {
	bool		tls;			/* https or wss */
	char		host[APW_HOST_SIZE];	/* a name as it was written, or
						 * a plain address; without
						 * brackets */
	uint16_t	port;
	struct apw_str	user;			/* "user:password" as written,
						 * a secret; p NULL: none */
	struct apw_str	path;			/* up to the query; or empty */
	struct apw_str	query;			/* with its '?'; or empty */
	bool		fragment;		/* there is one */
};

/* http, https, ws or wss, in letters of either case.  NULL: good; else why
 * not, a literal that can follow "it is no URL that can be used: ".  NULL as
 * text is no URL. */
const char *apw_url_read(struct apw_url *, const char *text);

/* The user part in plain: "%40" is '@'.  -1: too long, or a NUL in it. */
int	apw_url_user(const struct apw_url *, char *out, size_t size);

/* "HOST", "HOST:PORT" or "[V6]:PORT" for a Host header or a message: the port
 * where it is not the usual one of the scheme. */
#define APW_AUTHORITY_SIZE	(APW_HOST_SIZE + 8)
const char *apw_url_authority(const struct apw_url *,
	    char out[APW_AUTHORITY_SIZE]);

struct apw_buf;
/* The URL that a Location of an answer of base's means, made absolute; nothing
 * is appended when base is no URL. */
void	apw_url_join(const char *base, struct apw_str location,
	    struct apw_buf *out);

#endif
