/* The URL of a request of the daemon's own: whom to dial, what to ask for.
 * Room: egress.  URLs are never logged: they may hold keys. */
#ifndef APW_EGRESS_URL_H
#define APW_EGRESS_URL_H

#include <event2/buffer.h>
#include <event2/http.h>
#include <stdbool.h>
#include <stdint.h>

struct apw_egress_url {
	struct evhttp_uri	*uri;		/* owned */
	char			 host[256];	/* as it is dialled: a name, or an
						 * address without brackets */
	uint16_t		 port;
	bool			 secure;	/* https */
};

/* NULL: good; else why it is not, a literal.  NULL as text is no URL.  What
 * was in it before is freed. */
const char *apw_egress_url_read(struct apw_egress_url *, const char *text);
void	apw_egress_url_free(struct apw_egress_url *);

/* The beginning of a request's head: "METHOD PATH HTTP/1.minor", Host,
 * User-Agent and "Connection: close"; its end is up to the caller. */
void	apw_egress_url_ask(const struct apw_egress_url *, const char *method,
	    int minor, struct evbuffer *);

#endif
