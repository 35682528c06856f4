/* App link: where a URL points.  Room: link. */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "link/app_link_priv.h"

void
app_target_free(struct app_target *t)
{
	free(t->host);
	free(t->host_header);
	free(t->request_path);
	*t = (struct app_target){ .host = NULL };
}

/* What may stand in a request line or header as it is. */
static bool
is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

/* "host", "host:port", "[v6]:port"; n bytes at s. */
static int
parse_authority(const char *s, size_t n, uint16_t port, struct app_target *t)
{
	const char	*end = s + n, *host = s, *host_end, *p;
	unsigned long	 v;
	char		*stop;

	if (n > 0 && *s == '[') {
		host++;
		host_end = memchr(host, ']', end - host);
		if (host_end == NULL)
			return -1;
		p = host_end + 1;
	} else {
		host_end = memchr(s, ':', n);
		if (host_end == NULL)
			host_end = end;
		p = host_end;
	}
	if (host_end == host || host_end - host > 255 ||
	    memchr(s, '@', n) != NULL)
		return -1;
	t->port = port;
	if (p < end) {
		if (*p != ':' || p + 1 == end || p[1] < '0' || p[1] > '9')
			return -1;
		v = strtoul(p + 1, &stop, 10);
		if (stop != end || v == 0 || v > 65535)
			return -1;
		t->port = (uint16_t)v;
	}
	t->host = strndup(host, host_end - host);
	/* as it was written, but without a default port */
	if (asprintf(&t->host_header, "%.*s", t->port == port ?
	    (int)(p - s) : (int)n, s) == -1)
		t->host_header = NULL;
	return t->host == NULL || t->host_header == NULL ? -1 : 0;
}

static const char *
parse_scheme(const char *url, bool *tls)
{
	static const struct { const char *name; bool tls; } schemes[] = {
		{ "http://", false }, { "https://", true },
		{ "ws://", false }, { "wss://", true },
	};
	size_t	i, n;

	for (i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		n = strlen(schemes[i].name);
		if (strncasecmp(url, schemes[i].name, n) == 0) {
			*tls = schemes[i].tls;
			return url + n;
		}
	}
	return NULL;
}

int
app_target_parse(const char *url, const char *path, struct app_target *t,
    struct apw_err *err)
{
	const char	*p = parse_scheme(url, &t->tls), *end;
	size_t		 prefix, n;

	if (p == NULL || !is_plain(url))
		return apw_err_set(err, 0, "\"%s\" is not an http or https "
		    "URL", url);
	end = p + strcspn(p, "/?#");
	if (end[strcspn(end, "?#")] != '\0')
		return apw_err_set(err, 0, "URL \"%s\" has a query or "
		    "fragment", url);
	if (parse_authority(p, end - p, t->tls ? 443 : 80, t) == -1)
		return apw_err_set(err, 0, "URL \"%s\" has no good host", url);
	if (!is_plain(path) || path[0] != '/' || path[strcspn(path, "?#")])
		return apw_err_set(err, 0, "bad path \"%s\"", path);
	/* the URL's own path goes in front; exactly one slash at the end */
	for (prefix = strlen(end); prefix > 0 && end[prefix - 1] == '/'; )
		prefix--;
	for (n = strlen(path); n > 0 && path[n - 1] == '/'; )
		n--;
	if (asprintf(&t->request_path, "%.*s%.*s/", (int)prefix, end, (int)n,
	    path) == -1) {
		t->request_path = NULL;
		return apw_err_set(err, ENOMEM, "URL");
	}
	return 0;
}

int
app_target_proxy(const char *url, struct app_target *t, char **auth,
    struct apw_err *err)
{
	const char	*p = parse_scheme(url, &t->tls), *end, *at;

	/* no URL in these messages: it may hold a password */
	if (p == NULL)
		p = url;
	if (t->tls || !is_plain(url))
		return apw_err_set(err, 0, "proxy: only http:// is known");
	end = p + strcspn(p, "/?#");
	at = memrchr(p, '@', end - p);
	if (at != NULL) {
		*auth = strndup(p, at - p);
		if (*auth == NULL)
			return apw_err_set(err, ENOMEM, "proxy");
		p = at + 1;
	}
	if (parse_authority(p, end - p, 80, t) == -1)
		return apw_err_set(err, 0, "proxy: no good host");
	return 0;
}
