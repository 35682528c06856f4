/* The proxy between this host and the outside: what its URL says.  Room:
 * dial. */
#ifndef APW_DIAL_UPSTREAM_H
#define APW_DIAL_UPSTREAM_H

#include <stdbool.h>
#include <stdint.h>

#include "core/apw_err.h"
#include "dial/url.h"

/* auth is a secret. */
struct apw_upstream {
	char		host[APW_HOST_SIZE];	/* no brackets */
	uint16_t	port;
	bool		tls;			/* it is spoken to in TLS */
	char		auth[256];		/* "user:password", or "" */
	bool		names;			/* may get names to look up */
	const char	*ca_file;		/* borrowed; NULL: the system's
						 * authorities alone */
};

/* "[http://][USER[:PASSWORD]@]HOST[:PORT][/]", or https.  names and ca_file
 * are the caller's to set afterwards.  -1: err says what is wrong, without
 * the URL, which may hold a password. */
int	apw_upstream_read(struct apw_upstream *, const char *url,
	    struct apw_err *);

#endif
