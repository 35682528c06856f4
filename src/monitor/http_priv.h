/* The monitor's HTTP server: GET, small heads, no bodies.  Room monitor
 * only. */
#ifndef APW_MONITOR_HTTP_PRIV_H
#define APW_MONITOR_HTTP_PRIV_H

#include <stdbool.h>

#include <event2/event.h>

#include "core/apw_buf.h"
#include "core/apw_err.h"
#include "core/apw_str.h"

struct mon_http;

struct mon_reply {
	int		 status;
	const char	*type;		/* NULL: no body, no Content-Type */
	struct apw_buf	 body;		/* freed by the server */
};

/* Fill in the reply (404 without a body when nothing is done). */
typedef void mon_page_fn(void *arg, struct apw_str method,
    struct apw_str target, struct mon_reply *);

struct mon_http *mon_http_new(struct event_base *, const int *listen_fds,
	    size_t nfds, mon_page_fn *, void *arg, struct apw_err *);
/* Accept no more; idle connections are closed, the others after their
 * answer; then done(arg). */
void	mon_http_drain(struct mon_http *, void (*done)(void *), void *arg);
void	mon_http_free(struct mon_http *);

#endif
