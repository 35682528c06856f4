/*
 * App link: the proxy that the environment names.  Room: link.
 * The usual variables in the usual reading: HTTPS_PROXY for https, HTTP_PROXY
 * for http, NO_PROXY for exceptions, in lower case first.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "link/app_link_priv.h"

static const char *
env_either(const char *lower, const char *upper)
{
	const char	*v = getenv(lower);

	if (v == NULL || v[0] == '\0')
		v = getenv(upper);
	return v != NULL && v[0] != '\0' ? v : NULL;
}

/* Does one entry of NO_PROXY mean this host?  "example.com" and
 * ".example.com" mean what is below as well; a port must be the same. */
static bool
entry_matches(const char *entry, size_t n, const struct app_target *t)
{
	const char	*colon = memchr(entry, ':', n), *tail;
	size_t		 host = strlen(t->host);

	if (n == 1 && *entry == '*')
		return true;
	/* one colon is a port, several are an address */
	if (colon != NULL && memchr(colon + 1, ':', n - (size_t)(colon + 1 -
	    entry)) == NULL) {
		if (strtoul(colon + 1, NULL, 10) != t->port)
			return false;
		n = (size_t)(colon - entry);
	}
	if (n > 1 && entry[0] == '*' && entry[1] == '.') {
		entry++;
		n--;
	}
	if (n > 0 && *entry == '.') {
		entry++;
		n--;
	}
	if (n == 0 || n > host)
		return false;
	tail = t->host + host - n;
	return strncasecmp(tail, entry, n) == 0 &&
	    (n == host || tail[-1] == '.');
}

static bool
is_excepted(const struct app_target *t)
{
	const char	*p = env_either("no_proxy", "NO_PROXY");
	size_t		 n;

	/* a proxy somewhere else cannot mean our loopback */
	if (strcasecmp(t->host, "localhost") == 0 ||
	    strncmp(t->host, "127.", 4) == 0 || strcmp(t->host, "::1") == 0)
		return true;
	for (; p != NULL && *p != '\0'; p += n) {
		p += strspn(p, ", \t");
		n = strcspn(p, ", \t");
		if (n > 0 && entry_matches(p, n, t))
			return true;
	}
	return false;
}

const char *
apw_app_link_proxy_env(const char *url)
{
	struct app_target	 t = { .host = NULL };
	const char		*proxy = NULL;

	if (app_target_parse(url, "/", &t, NULL) == 0 && !is_excepted(&t)) {
		if (t.tls)
			proxy = env_either("https_proxy", "HTTPS_PROXY");
		else
			proxy = env_either("http_proxy", "HTTP_PROXY");
	}
	app_target_free(&t);
	return proxy;
}
