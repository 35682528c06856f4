/* The rules of strict: where flows, and the daemon's own requests, may
 * connect to.  Room: egress.
 *
 * A snapshot: made from the configuration and the app's settings, never
 * changed afterwards, shared by counting.  It holds no socket and looks
 * nothing up; who asks has the addresses already:
 *
 *	rules_port()		before the look-up: is the port open?
 *	rules_refused()		for each address that came out of it
 */
#ifndef APW_EGRESS_RULES_H
#define APW_EGRESS_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include "core/apw_cycle.h"
#include "core/apw_err.h"
#include "dial/addr.h"
#include "dial/dial.h"
#include "dial/upstream.h"

struct apw_egress_limits {
	unsigned	connections;		/* at a time, of one proxy */
	uint64_t	bytes;			/* of one run; 0: no limit */
	int64_t		head_ms;		/* a request's head */
	int64_t		connect_ms;		/* look-up and connect */
	int64_t		idle_ms;		/* nothing either way */
};

/* A host and its port; nothing beside it. */
struct apw_egress_place {
	char		host[APW_HOST_SIZE];	/* no brackets */
	uint16_t	port;
};

struct apw_egress_rules_conf {
	const struct apw_network_conf	*network;
	const struct apw_strlist	*app_allow;	/* SSRF_ALLOW_LIST of the
							 * settings, or NULL */
	const char			*api_url;	/* internalApiUrl, or NULL */
	const struct apw_egress_place	*only;		/* or NULL: no rule but that
							 * these, wherever they
							 * are, are open, and
							 * nothing else is */
	size_t				 nonly;
	bool				 app_only;	/* nothing but api_url */
	const char			*upstream_ca;	/* or NULL: authorities for an
							 * https upstream proxy,
							 * beside the system's */
};

struct apw_egress_rules;	/* counted */

/* Everything is copied.  Entries of the app's list that cannot be read match
 * nothing (the configuration's own were checked when it was read).  NULL and
 * err: api_url is no URL, or out of memory. */
struct apw_egress_rules *
	apw_egress_rules_new(const struct apw_egress_rules_conf *,
	    struct apw_err *);
struct apw_egress_rules *
	apw_egress_rules_ref(struct apw_egress_rules *);
void	apw_egress_rules_unref(struct apw_egress_rules *);	/* NULL is fine */

const struct apw_egress_limits *
	apw_egress_rules_limits(const struct apw_egress_rules *);
/* Do engines get HTTP_PROXY and its like? */
bool	apw_egress_rules_http_proxy(const struct apw_egress_rules *);
/* The app's API as clients write it, "host:port" or "[v6]:port", in small
 * letters; "": none.  Owned by the rules. */
const char *apw_egress_rules_app(const struct apw_egress_rules *);
/* Name servers; an empty list means the system's. */
const struct apw_strlist *
	apw_egress_rules_resolver(const struct apw_egress_rules *);

/* May an upstream proxy find out for itself where plain HTTP goes? */
bool	apw_egress_rules_whole(const struct apw_egress_rules *);

/* Why ports are not open, for the log: "" where it is the port itself. */
const char *apw_egress_rules_closed(const struct apw_egress_rules *);

/* Is the port open?  host as below.  The app's is, whatever "ports" says. */
bool	apw_egress_rules_port(const struct apw_egress_rules *,
	    const char *host, uint16_t port);

/* May the address that `host` was found to stand for be connected to?  NULL:
 * yes; else what kind of place it is ("private", "loopback").  host is what
 * was asked for: a name, or an address as apw_addr_text() writes it.
 *
 * Open are: public unicast addresses; addresses in the allow list; private
 * ones (RFC 1918, RFC 6598, unique local) that a name in the allow list
 * stands for; and the app's API, by its name or address *and its port*. */
const char *
	apw_egress_rules_refused(const struct apw_egress_rules *,
	    const char *host, uint16_t port, const struct apw_addr *);

/* Which one leads to host:port?  1: *up is filled; 0: none; -1: the one that
 * is named is no good, err says why (without its password). */
int	apw_egress_rules_upstream(const struct apw_egress_rules *,
	    const char *host, uint16_t port, struct apw_upstream *up,
	    struct apw_err *);

/* The same, as dials ask for it; the rules are borrowed. */
struct apw_dial_rules
	apw_egress_rules_dial(const struct apw_egress_rules *);

/* All rules in one line a kind, for status and log; two snapshots with the
 * same text decide the same.  Owned by the rules. */
const char *
	apw_egress_rules_text(const struct apw_egress_rules *);

#endif
