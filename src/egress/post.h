/* HTTP requests of the daemon itself (event destinations, the on-call page):
 * POST of a JSON text to a URL that a user chose.  Room: egress, in a slot.
 *
 * It goes the way that flows go under strict (dial.h), whatever the network
 * mode: one look-up, every address checked, only checked ones connected to; a
 * redirect is a new look-up and check.  The answer's body is not read. */
#ifndef APW_EGRESS_POST_H
#define APW_EGRESS_POST_H

#include <event2/event.h>

#include "core/apw_score.h"
#include "core/apw_str.h"
#include "dial/resolver.h"
#include "egress/rules.h"

#define APW_POST_HOPS	5	/* redirects that are followed */

struct apw_poster;		/* one a slot: what posts have in common */

/* A reference to the rules is taken; resolver and score (which counts each
 * decision; or NULL) are borrowed. */
struct apw_poster *apw_poster_new(struct event_base *,
	    struct apw_egress_rules *, struct apw_resolver *,
	    struct apw_score_slot *);
/* Nothing is under way. */
bool	apw_poster_idle(const struct apw_poster *);
/* Posts under way are given up without a callback. */
void	apw_poster_free(struct apw_poster *);

struct apw_post_order {
	const char	*url;		/* copied */
	struct apw_str	 body;		/* copied */
	int64_t		 timeout_ms;	/* for all of it, redirects too */
	const char	*what;		/* a literal, for the log */
};

/* Once, from the loop: the HTTP status, or -1 and why there is none. */
typedef void apw_post_fn(void *arg, int status, const char *error);

/* The outcome is logged here.  done may be NULL.  NULL: out of memory. */
struct apw_post *apw_post(struct apw_poster *, const struct apw_post_order *,
	    apw_post_fn *done, void *arg);
/* Give up; no callback. */
void	apw_post_cancel(struct apw_post *);

#endif
