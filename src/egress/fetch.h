/* Bytes fetched from, or put to, a URL that the app itself named (where it
 * keeps a flow's bundle).  Room: egress, in a slot.
 *
 * The app is trusted with this as with the job: its store may well be in a
 * private network, so addresses are not filtered here.  What users name goes
 * through post.h.  No redirects; the answer is bounded. */
#ifndef APW_EGRESS_FETCH_H
#define APW_EGRESS_FETCH_H

#include <event2/event.h>
#include <stdbool.h>

#include "core/apw_str.h"

struct apw_fetcher;		/* one a slot: what fetches have in common */
struct apw_fetch;

struct apw_fetcher *apw_fetcher_new(struct event_base *);
/* Fetches under way are given up without a callback. */
void	apw_fetcher_free(struct apw_fetcher *);

struct apw_fetch_order {
	const char	*url;		/* copied */
	bool		 put;		/* else GET */
	struct apw_str	 body;		/* copied; of a PUT */
	size_t		 max_bytes;	/* of the answer's body */
	int64_t		 timeout_ms;	/* for all of it */
};

/* Once, from the loop.  error NULL: the status was 2xx, and this is the
 * body (borrowed). */
typedef void apw_fetch_fn(void *arg, struct apw_str body, const char *error);

/* NULL: out of memory. */
struct apw_fetch *apw_fetch(struct apw_fetcher *,
	    const struct apw_fetch_order *, apw_fetch_fn *, void *arg);
void	apw_fetch_cancel(struct apw_fetch *);	/* no callback; NULL: nothing */

#endif
