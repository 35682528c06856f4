/* Bytes fetched from, or put to, a URL that the app itself named (where it
 * keeps a flow's bundle, or a piece's package), or an address of the app's.
 * Room: egress, in a slot.
 *
 * The app is trusted with this as with the job: its store may well be in a
 * private network, so the addresses that it names are not filtered here.  Where
 * a redirect leads to another server, the rules for the daemon's own requests
 * decide, as for post.h; the token stays behind, and TLS is not left for
 * something less.  The answer is bounded. */
#ifndef APW_EGRESS_FETCH_H
#define APW_EGRESS_FETCH_H

#include <event2/event.h>
#include <stdbool.h>

#include "core/apw_str.h"

struct apw_fetcher;		/* one a slot: what fetches have in common */
struct apw_fetch;

struct apw_egress_rules;
struct apw_resolver;

/* A reference to the rules is taken; the resolver is borrowed: both for
 * redirects to other servers. */
struct apw_fetcher *apw_fetcher_new(struct event_base *,
	    struct apw_egress_rules *, struct apw_resolver *);
/* Fetches under way are given up without a callback. */
void	apw_fetcher_free(struct apw_fetcher *);

struct apw_fetch_order {
	const char	*url;		/* copied */
	bool		 put;		/* else GET */
	struct apw_str	 body;		/* copied; of a PUT */
	size_t		 max_bytes;	/* of the answer's body */
	int64_t		 timeout_ms;	/* for all of it */
	const char	*bearer;	/* copied; NULL: none.  A secret, for the
					 * server of url and no other */
	unsigned	 hops;		/* redirects of a GET that are followed */
	/* Asked before a redirect is followed; true: it is not, and the fetch
	 * ends as `left`.  NULL: all are followed. */
	bool		 (*leave)(void *arg, const char *url);
};

/* How it ended; everything is borrowed until the callback returns. */
struct apw_fetched {
	const char	*error;		/* NULL: the status was 2xx, or it was
					 * left */
	int		 status;	/* the last one; -1: no answer */
	struct apw_str	 body;		/* of a 2xx, whole */
	bool		 left;
};

/* Once, from the loop. */
typedef void apw_fetch_fn(void *arg, const struct apw_fetched *);

/* NULL: out of memory. */
struct apw_fetch *apw_fetch(struct apw_fetcher *,
	    const struct apw_fetch_order *, apw_fetch_fn *, void *arg);
void	apw_fetch_cancel(struct apw_fetch *);	/* no callback; NULL: nothing */

/* Did the server of this URL give no answer at all, a few minutes ago? */
bool	apw_fetch_unanswered(const struct apw_fetcher *, const char *url);

#endif
