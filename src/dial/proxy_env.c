/* The proxy that the environment names; see proxy_env.h.  Room: dial. */
#include "dial/proxy_env.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/apw_cycle.h"
#include "dial/addr.h"
#include "dial/resolver.h"
#include "dial/url.h"

static const char *
env_either(const char *lower, const char *upper, const char **name)
{
	const char	*v = getenv(lower);

	if (name != NULL)
		*name = lower;
	if (v != NULL && v[0] != '\0')
		return v;
	if (name != NULL)
		*name = upper;
	v = getenv(upper);
	return v != NULL && v[0] != '\0' ? v : NULL;
}

/* Cuts ":PORT" off; false: it is another port's. */
static bool
entry_port(char *entry, uint16_t port)
{
	char	*close = entry[0] == '[' ? strchr(entry, ']') : NULL;
	char	*colon = strchr(close != NULL ? close : entry, ':'), *end;

	/* several colons outside of brackets are an address */
	if (colon == NULL || (close == NULL && strchr(colon + 1, ':') != NULL))
		return true;
	if (strtoul(colon + 1, &end, 10) != port || end == colon + 1 ||
	    *end != '\0')
		return false;
	*colon = '\0';
	return true;
}

static bool
entry_names(const char *entry, const char *host)
{
	size_t	n, length = strlen(host);

	if (entry[0] == '*' && entry[1] == '.')
		entry++;
	if (entry[0] == '.')
		entry++;
	n = strlen(entry);
	if (n > 1 && entry[n - 1] == '.')
		n--;
	if (n == 0 || n > length || strncasecmp(host + length - n, entry, n) != 0)
		return false;
	return n == length || host[length - n - 1] == '.';
}

static bool
entry_matches(char *entry, const char *host, const struct apw_addr *addr,
    uint16_t port)
{
	struct apw_strlist	one = { &entry, 1 };
	char			*close;

	if (strcmp(entry, "*") == 0)
		return true;
	if (!entry_port(entry, port))
		return false;
	if (addr == NULL)
		return entry_names(entry, host);
	if (entry[0] == '[' && (close = strchr(entry, ']')) != NULL) {
		memmove(close, close + 1, strlen(close));
		entry++;
	}
	return apw_addr_listed(addr, &one);
}

static bool
is_loopback(const char *host, const struct apw_addr *addr)
{
	const char	*what;

	if (addr == NULL)
		return apw_is_localhost(host);
	what = apw_addr_blocked(addr);
	return what != NULL && strcmp(what, "loopback") == 0;
}

bool
apw_no_proxy(const char *list, const char *host, uint16_t port)
{
	char		 entry[APW_HOST_SIZE + 16], name[APW_HOST_SIZE];
	struct apw_addr	 addr;
	bool		 numeric = apw_addr_parse(host, &addr) == 0;
	size_t		 n = strlen(host);

	/* a proxy somewhere else cannot mean our loopback */
	if (is_loopback(host, numeric ? &addr : NULL))
		return true;
	if (n > 1 && host[n - 1] == '.')
		n--;
	if (n >= sizeof(name))
		return false;
	memcpy(name, host, n);
	name[n] = '\0';
	for (; list != NULL && *list != '\0'; list += n) {
		list += strspn(list, ", \t");
		n = strcspn(list, ", \t");
		if (n == 0 || n >= sizeof(entry))
			continue;
		memcpy(entry, list, n);
		entry[n] = '\0';
		if (entry_matches(entry, name, numeric ? &addr : NULL, port))
			return true;
	}
	return false;
}

const char *
apw_proxy_env(bool tls, const char *host, uint16_t port, const char **name)
{
	if (apw_no_proxy(env_either("no_proxy", "NO_PROXY", NULL), host, port))
		return NULL;
	return tls ? env_either("https_proxy", "HTTPS_PROXY", name) :
	    env_either("http_proxy", "HTTP_PROXY", name);
}
