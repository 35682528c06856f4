/* Which addresses may be reached: a classifier without sockets.  Room:
 * dial.  An address is blocked unless the allow list names it or it is a
 * public unicast address; what cannot be read is blocked. */
#ifndef APW_DIAL_ADDR_H
#define APW_DIAL_ADDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "core/apw_cycle.h"

struct apw_addr {
	int		family;		/* AF_INET or AF_INET6 */
	uint8_t		b[16];		/* network order; 4 or 16 used */
};

/* An address in any spelling that a resolver takes: the legacy ones of IPv4
 * ("127.1", "0x7f000001", "2130706433", "0177.0.0.1") too, IPv6 with or
 * without brackets and zone.  -1: it is none (a name). */
int	apw_addr_parse(const char *text, struct apw_addr *);
/* -1: neither IPv4 nor IPv6. */
int	apw_addr_of(const struct sockaddr *, struct apw_addr *);
#define APW_ADDR_TEXT_SIZE	46
const char *apw_addr_text(const struct apw_addr *,
	    char out[APW_ADDR_TEXT_SIZE]);

/* What kind of place a blocked address is ("loopback", "private", ...); NULL:
 * a public unicast address. */
const char *apw_addr_blocked(const struct apw_addr *);

/* Reads ADDRESS or NETWORK/BITS.  -1: no entry that could ever match. */
int	apw_addr_entry(const char *text, struct apw_addr *, unsigned *bits);

/* Does an entry (ADDRESS or NETWORK/BITS) of the list name it?  Entries match
 * addresses of their own family only; one that cannot be read matches
 * nothing. */
bool	apw_addr_listed(const struct apw_addr *, const struct apw_strlist *);

/* May it be reached?  NULL: yes; else what it is. */
const char *apw_addr_refused(const struct apw_addr *,
	    const struct apw_strlist *allow);

#endif
