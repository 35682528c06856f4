/* From a host and a port to a connection: the one way out, for the app link,
 * for flows (the egress proxy), for installers (their gate) and for the
 * daemon's own requests.  Room: dial, in an event loop.
 *
 *	rules ─ look-up ─ every address checked ─ connect to one of those
 *
 * Through an upstream proxy the last step is a tunnel (CONNECT): with rules to
 * the address that was checked, without any to the name. */
#ifndef APW_DIAL_DIAL_H
#define APW_DIAL_DIAL_H

#include <event2/event.h>

#include "dial/addr.h"
#include "dial/resolver.h"
#include "dial/upstream.h"

struct apw_dial;

/* What may be reached, and which way.  Every function is needed. */
struct apw_dial_rules {
	const void	*arg;		/* borrowed until the dial's end */
	/* NULL: open; else why not, "" where it is the port itself */
	const char	*(*closed)(const void *arg, const char *host,
			    uint16_t port);
	/* for an address that host stands for.  NULL: it may be connected to;
	 * else what it is ("private") */
	const char	*(*refused)(const void *arg, const char *host,
			    uint16_t port, const struct apw_addr *);
	/* 1: by this proxy; 0: straight; -1: err says why neither */
	int		 (*upstream)(const void *arg, const char *host,
			    uint16_t port, struct apw_upstream *,
			    struct apw_err *);
};

struct apw_dial_conf {
	const char	*host;		/* copied: a name, or an address as
					 * apw_addr_text() writes it (others
					 * are read, too) */
	uint16_t	 port;
	int64_t		 timeout_ms;	/* for all of it; 0: the caller's */
	const struct apw_dial_rules *rules;	/* copied; NULL: all is open */
	const struct apw_upstream *upstream;	/* copied; where there are no
						 * rules; NULL: straight */
	bool		 whole;		/* a proxy may be given the request as
					 * it is, by the host's name, in the
					 * place of a tunnel */
};

enum apw_dial_end {
	APW_DIAL_DONE,		/* fd is connected */
	APW_DIAL_PORT,		/* the rules keep it closed */
	APW_DIAL_ADDRESS,	/* an address was refused */
	APW_DIAL_NAME,		/* it has no address */
	APW_DIAL_CONNECT,	/* nobody answers there */
	APW_DIAL_TIME,		/* timeout_ms is over */
	APW_DIAL_UPSTREAM	/* the proxy cannot be reached, or says no */
};

struct apw_dialled {
	enum apw_dial_end	 end;
	int			 fd;		/* the callee's; or -1 */
	char			 address[APW_ADDR_TEXT_SIZE]; /* connected, or
						 * refused; or "" */
	char			 why[256];	/* for the log; "" when done
						 * without a word */
	bool			 whole;		/* fd leads to a proxy that
						 * wants the whole request */
	char			 auth[256];	/* then: "user:password", or
						 * ""; a secret */
};

/* Once, from the loop, never from within new(). */
typedef void apw_dial_fn(void *arg, const struct apw_dialled *);

/* The resolver is borrowed until the end, and for as long as a connection
 * through an https proxy lasts.  NULL: out of memory. */
struct apw_dial *
	apw_dial_new(struct event_base *, struct apw_resolver *,
	    const struct apw_dial_conf *, apw_dial_fn *, void *arg);
/* Give up; no callback.  NULL is fine. */
void	apw_dial_cancel(struct apw_dial *);

/* Why there is no connection to host, in words for a message. */
void	apw_dial_why(const struct apw_dialled *, const char *host, char *out,
	    size_t size);

#endif
