/* The URL of an upstream proxy; see upstream.h.  Room: egress. */
#include "egress/upstream.h"

#include <event2/http.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "user:p%40ss": what a URL cannot hold is written so. */
static int
upstream_auth(struct apw_egress_upstream *up, const char *auth)
{
	size_t	 n = 0;
	char	*plain = evhttp_uridecode(auth, 0, &n);
	int	 rc = -1;

	/* it goes into a header as base64, so any byte but NUL may be in it */
	if (plain != NULL && n < sizeof(up->auth) && strlen(plain) == n) {
		memcpy(up->auth, plain, n + 1);
		rc = 0;
	}
	if (plain != NULL)
		explicit_bzero(plain, n);
	free(plain);
	return rc;
}

static int
upstream_host(struct apw_egress_upstream *up, const char *host)
{
	size_t	n = strlen(host);

	if (*host == '[') {		/* brackets are a URL's */
		n = strcspn(++host, "]");
		if (host[n] == '\0')
			return -1;
	}
	if (n == 0 || n >= sizeof(up->host))
		return -1;
	memcpy(up->host, host, n);
	up->host[n] = '\0';
	return 0;
}

int
apw_egress_upstream_read(struct apw_egress_upstream *up, const char *url,
    struct apw_err *err)
{
	struct evhttp_uri	*uri = evhttp_uri_parse(url);
	const char		*scheme, *host, *auth;
	int			 port, rc = -1;

	memset(up, 0, sizeof(*up));
	scheme = uri == NULL ? NULL : evhttp_uri_get_scheme(uri);
	host = uri == NULL ? NULL : evhttp_uri_get_host(uri);
	auth = uri == NULL ? NULL : evhttp_uri_get_userinfo(uri);
	port = uri == NULL ? 0 : evhttp_uri_get_port(uri);
	up->tls = scheme != NULL && strcasecmp(scheme, "https") == 0;
	if (port == -1)
		port = up->tls ? 443 : 80;
	if (scheme == NULL || host == NULL)
		apw_err_set(err, 0, "upstream proxy: its URL is not good");
	else if (!up->tls && strcasecmp(scheme, "http") != 0)
		apw_err_set(err, 0, "upstream proxy: only http:// and "
		    "https:// are known");
	else if (port == 0 || port > 65535 || upstream_host(up, host) == -1 ||
	    (auth != NULL && upstream_auth(up, auth) == -1))
		apw_err_set(err, 0, "upstream proxy: no good host");
	else {
		rc = 0;
		up->port = (uint16_t)port;
	}
	if (uri != NULL)
		evhttp_uri_free(uri);
	return rc;
}
