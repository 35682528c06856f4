/* The table of addresses that are not public; see addr.h.  Room: dial.
 *
 * Pure: no look-ups, no sockets.  A range is added here and nowhere else. */
#include "dial/addr.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_auto.h"

#define ADDR_TEXT_MAX	128

struct addr_range {
	uint8_t		 net[16];
	unsigned	 bits;
	const char	*what;
};

static const struct addr_range addr_v4[] = {
	{ { 0 }, 8, "unspecified" },
	{ { 10 }, 8, "private" },
	{ { 100, 64 }, 10, "carrier NAT" },
	{ { 127 }, 8, "loopback" },
	{ { 169, 254 }, 16, "link local" },
	{ { 172, 16 }, 12, "private" },
	{ { 192, 0, 0 }, 24, "reserved" },
	{ { 192, 0, 2 }, 24, "documentation" },
	{ { 192, 31, 196 }, 24, "AS112" },
	{ { 192, 52, 193 }, 24, "AMT" },
	{ { 192, 88, 99 }, 24, "6to4 relay" },
	{ { 192, 168 }, 16, "private" },
	{ { 192, 175, 48 }, 24, "AS112" },
	{ { 198, 18 }, 15, "benchmarking" },
	{ { 198, 51, 100 }, 24, "documentation" },
	{ { 203, 0, 113 }, 24, "documentation" },
	{ { 224 }, 4, "multicast" },
	{ { 240 }, 4, "reserved" },
};

/* The order matters for the words only: the first that fits. */
static const struct addr_range addr_v6[] = {
	{ { [15] = 1 }, 128, "loopback" },
	{ { 0 }, 128, "unspecified" },
	{ { 0 }, 96, "IPv4-compatible" },
	{ { [8] = 0xff, 0xff }, 96, "IPv4-translated" },
	{ { 0, 0x64, 0xff, 0x9b }, 96, "NAT64" },
	{ { 0, 0x64, 0xff, 0x9b, 0, 1 }, 48, "NAT64" },
	{ { 0x01 }, 64, "discard" },
	{ { 0x20, 0x01 }, 23, "reserved" },
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32, "documentation" },
	{ { 0x20, 0x02 }, 16, "6to4" },
	{ { 0x26, 0x20, 0, 0x4f, 0x80 }, 48, "AS112" },
	{ { 0x3f, 0xff }, 20, "documentation" },
	{ { 0x5f }, 16, "segment routing" },
	{ { 0xfc }, 7, "unique local" },
	{ { 0xfe, 0x80 }, 10, "link local" },
	{ { 0xfe, 0xc0 }, 10, "site local" },
	{ { 0xff }, 8, "multicast" },
};

/* All that is given out to networks so far. */
static const struct addr_range addr_v6_global = { { 0x20 }, 3, NULL };
static const uint8_t addr_v6_mapped[12] = { [10] = 0xff, 0xff };

static bool
addr_in(const uint8_t *b, const uint8_t *net, unsigned bits)
{
	unsigned	whole = bits / 8, rest = bits % 8;
	uint8_t		mask = (uint8_t)(0xff00 >> rest);

	return memcmp(b, net, whole) == 0 &&
	    (rest == 0 || ((b[whole] ^ net[whole]) & mask) == 0);
}

static const char *
addr_find(const uint8_t *b, const struct addr_range *r, size_t n)
{
	for (; n > 0; n--, r++)
		if (addr_in(b, r->net, r->bits))
			return r->what;
	return NULL;
}

const char *
apw_addr_blocked(const struct apw_addr *a)
{
	const char	*what;

	if (a->family == AF_INET)
		return addr_find(a->b, addr_v4, APW_COUNT(addr_v4));
	if (a->family != AF_INET6)
		return "no address";
	/* IPv4 in IPv6's clothes is what it is underneath */
	if (memcmp(a->b, addr_v6_mapped, sizeof(addr_v6_mapped)) == 0)
		return addr_find(a->b + 12, addr_v4, APW_COUNT(addr_v4));
	what = addr_find(a->b, addr_v6, APW_COUNT(addr_v6));
	if (what == NULL &&
	    !addr_in(a->b, addr_v6_global.net, addr_v6_global.bits))
		what = "not given out";
	return what;
}

/* One part of a legacy spelling: decimal, octal (0…), hexadecimal (0x…). */
static int
addr_part(const char **p, uint64_t *out)
{
	const char	*s = *p;
	char		*end;
	int		 base = 10;

	if (s[0] == '0' && (s[1] == 'x' || s[1] == 'X')) {
		base = 16;
		s += 2;
		if (*s == '.' || *s == '\0') {	/* "0x" is zero to some */
			*out = 0;
			*p = s;
			return 0;
		}
	} else if (s[0] == '0')
		base = 8;
	if (!isxdigit((unsigned char)*s))
		return -1;
	errno = 0;
	*out = strtoull(s, &end, base);
	if (errno != 0 || end == s || *out > UINT32_MAX)
		return -1;
	*p = end;
	return 0;
}

/* "a", "a.b", "a.b.c", "a.b.c.d": the last part fills what is left. */
static int
addr_parse_v4(const char *text, struct apw_addr *a)
{
	uint64_t	parts[4], sum;
	unsigned	n = 0, i;

	for (;;) {
		if (n == 4 || addr_part(&text, &parts[n++]) == -1)
			return -1;
		if (*text == '\0')
			break;
		if (*text++ != '.')
			return -1;
		if (*text == '\0' && n > 0)	/* a name's root dot */
			break;
	}
	sum = parts[n - 1];
	if (sum >> (8 * (5 - n)) != 0)
		return -1;
	for (i = 0; i + 1 < n; i++) {
		if (parts[i] > 255)
			return -1;
		sum |= parts[i] << (24 - 8 * i);
	}
	a->family = AF_INET;
	for (i = 0; i < 4; i++)
		a->b[i] = (uint8_t)(sum >> (24 - 8 * i));
	return 0;
}

int
apw_addr_parse(const char *text, struct apw_addr *a)
{
	char	buf[ADDR_TEXT_MAX];
	size_t	n = strlen(text);
	char	*zone;

	memset(a, 0, sizeof(*a));
	if (n > 1 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	}
	if (n == 0 || n >= sizeof(buf))
		return -1;
	memcpy(buf, text, n);
	buf[n] = '\0';
	if (strchr(buf, ':') == NULL)
		return addr_parse_v4(buf, a);
	if ((zone = strchr(buf, '%')) != NULL)
		*zone = '\0';
	a->family = AF_INET6;
	return inet_pton(AF_INET6, buf, a->b) == 1 ? 0 : -1;
}

int
apw_addr_of(const struct sockaddr *sa, struct apw_addr *a)
{
	memset(a, 0, sizeof(*a));
	a->family = sa->sa_family;
	if (sa->sa_family == AF_INET)
		memcpy(a->b, &((const struct sockaddr_in *)sa)->sin_addr, 4);
	else if (sa->sa_family == AF_INET6)
		memcpy(a->b, &((const struct sockaddr_in6 *)sa)->sin6_addr,
		    16);
	else
		return -1;
	return 0;
}

const char *
apw_addr_text(const struct apw_addr *a, char out[APW_ADDR_TEXT_SIZE])
{
	if (inet_ntop(a->family, a->b, out, APW_ADDR_TEXT_SIZE) == NULL)
		snprintf(out, APW_ADDR_TEXT_SIZE, "?");
	return out;
}

int
apw_addr_entry(const char *text, struct apw_addr *a, unsigned *bits)
{
	const char	*slash = strchr(text, '/');
	char		 buf[ADDR_TEXT_MAX], *end;
	size_t		 n = slash == NULL ? strlen(text) :
			    (size_t)(slash - text);
	unsigned	 max;
	long		 value;

	if (n >= sizeof(buf))
		return -1;
	memcpy(buf, text, n);
	buf[n] = '\0';
	if (apw_addr_parse(buf, a) == -1)
		return -1;
	*bits = max = a->family == AF_INET ? 32 : 128;
	if (slash == NULL)
		return 0;
	if (!isdigit((unsigned char)slash[1]))
		return -1;
	value = strtol(slash + 1, &end, 10);
	if (*end != '\0' || value < 0 || value > (long)max)
		return -1;
	*bits = (unsigned)value;
	return 0;
}

bool
apw_addr_listed(const struct apw_addr *a, const struct apw_strlist *list)
{
	struct apw_addr	entry;
	unsigned	bits;
	size_t		i;

	for (i = 0; i < list->n; i++)
		if (apw_addr_entry(list->v[i], &entry, &bits) == 0 &&
		    entry.family == a->family &&
		    addr_in(a->b, entry.b, bits))
			return true;
	return false;
}

const char *
apw_addr_refused(const struct apw_addr *a, const struct apw_strlist *allow)
{
	const char	*what = apw_addr_blocked(a);

	return what != NULL && apw_addr_listed(a, allow) ? NULL : what;
}
