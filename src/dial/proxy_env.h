/* The proxy that the environment names, and whom it is not for.  Room: dial.
 * The one reader of HTTPS_PROXY, HTTP_PROXY and NO_PROXY. */
#ifndef APW_DIAL_PROXY_ENV_H
#define APW_DIAL_PROXY_ENV_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The proxy for host:port: HTTPS_PROXY where tls, else HTTP_PROXY; the
 * variable in lower case goes before the one in upper case, and an empty one
 * counts as not set.  NULL: none is named, or NO_PROXY names the host.  Owned
 * by the environment; it may hold a password.  name, if not NULL, gets the
 * variable's name, a literal.
 */
const char *apw_proxy_env(bool tls, const char *host, uint16_t port,
	    const char **name);

/*
 * Does a list like NO_PROXY name host:port?  As curl and Go have it: entries
 * are parted by commas or blanks, letters of either case are the same, and so
 * are names with and without the root's dot.
 *
 *	*			all
 *	example.com		itself and all below it; likewise .example.com
 *				and *.example.com
 *	10.0.0.1  [::1]  ::1	this address, if the host is given as one
 *	10.0.0.0/8  fd00::/8	these, likewise
 *	ENTRY:PORT  [V6]:PORT	at this port only
 *
 * The loopback of this host ("localhost", names below it, 127.0.0.0/8, ::1) is
 * always named.  No name is looked up.
 */
bool	apw_no_proxy(const char *list, const char *host, uint16_t port);

#endif
