/* HTTP requests of the daemon's own: one exchange on a connection of its own.
 * Room: dial, in an event loop.
 *
 *	url ─ dial ─ TLS ─ request ─ head of the answer ─ its body
 *
 * One deadline over all of it.  Interim answers (1xx) are skipped; redirects
 * are the caller's.  URLs are never logged: they may hold keys. */
#ifndef APW_DIAL_ASK_H
#define APW_DIAL_ASK_H

#include <event2/event.h>

#include "dial/dial.h"

struct apw_asker;		/* what the requests of one caller share */
struct apw_ask;

/* resolver is borrowed; rules are copied, what they point to is borrowed.
 * Without rules (NULL) all is open, by the proxies that the environment names
 * (proxy_env.h).  NULL: out of memory. */
struct apw_asker *
	apw_asker_new(struct event_base *, struct apw_resolver *,
	    const struct apw_dial_rules *, int64_t connect_timeout_ms);
/* Requests under way are given up without a callback.  NULL is fine. */
void	apw_asker_free(struct apw_asker *);

/* How the connection came about, before all else is told. */
typedef void apw_ask_dialled_fn(void *arg, const struct apw_url *,
	    const struct apw_dialled *);

struct apw_answer {
	const char	*error;		/* NULL: there is an answer */
	int		 status;
	struct apw_str	 location;	/* of its head; p NULL: none */
	struct apw_str	 body;		/* of a 2xx, when it was wanted */
};

/* Once, from the loop; everything is borrowed until it returns.  The request
 * is over and freed. */
typedef void apw_ask_fn(void *arg, const struct apw_answer *);

struct apw_ask_order {
	const char	*method;	/* a literal */
	const char	*url;		/* copied */
	const char	*head;		/* a literal: more lines of the head,
					 * each with its end */
	struct apw_str	 body;		/* copied; p NULL: no body */
	bool		 wanted;	/* the body of the answer is read: */
	size_t		 max_bytes;	/* no more than that */
	int64_t		 timeout_ms;
	apw_ask_dialled_fn *dialled;	/* NULL: nobody wants to know */
	apw_ask_fn	*done;
	void		*arg;		/* borrowed */
};

/* NULL: out of memory. */
struct apw_ask *
	apw_ask(struct apw_asker *, const struct apw_ask_order *);
/* Give up; no callback.  NULL is fine. */
void	apw_ask_cancel(struct apw_ask *);

#endif
