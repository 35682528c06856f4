/* URLs of the daemon's own requests; see url.h.  Room: egress. */
#include "egress/url.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config.h"
#include "egress/addr.h"

void
apw_egress_url_free(struct apw_egress_url *u)
{
	if (u->uri != NULL)
		evhttp_uri_free(u->uri);
	u->uri = NULL;
}

/* Addresses in any spelling become plain ones, so that no resolver has an
 * opinion of its own on them. */
static int
url_host(struct apw_egress_url *u, const char *host)
{
	char		text[APW_ADDR_TEXT_SIZE];
	struct apw_addr	addr;

	if (apw_addr_parse(host, &addr) == 0)
		host = apw_addr_text(&addr, text);
	if (*host == '\0' || strlen(host) >= sizeof(u->host) ||
	    strpbrk(host, "%[]") != NULL)
		return -1;
	snprintf(u->host, sizeof(u->host), "%s", host);
	return 0;
}

const char *
apw_egress_url_read(struct apw_egress_url *u, const char *text)
{
	const char	*scheme, *host;
	int		 port;

	apw_egress_url_free(u);
	u->uri = text == NULL ? NULL : evhttp_uri_parse(text);
	if (u->uri == NULL)
		return "it is not a URL";
	scheme = evhttp_uri_get_scheme(u->uri);
	host = evhttp_uri_get_host(u->uri);
	port = evhttp_uri_get_port(u->uri);
	if (scheme == NULL || (strcasecmp(scheme, "http") != 0 &&
	    strcasecmp(scheme, "https") != 0))
		return "its URL is neither http nor https";
	if (evhttp_uri_get_userinfo(u->uri) != NULL)
		return "its URL has a user name in it";
	u->secure = strcasecmp(scheme, "https") == 0;
	if (host == NULL || url_host(u, host) == -1 || port == 0 ||
	    port > 65535)
		return "its URL has no good host";
	u->port = port == -1 ? (u->secure ? 443 : 80) : (uint16_t)port;
	return NULL;
}

void
apw_egress_url_ask(const struct apw_egress_url *u, const char *method,
    int minor, struct evbuffer *out)
{
	const char	*path = evhttp_uri_get_path(u->uri);
	const char	*query = evhttp_uri_get_query(u->uri);
	bool		 v6 = strchr(u->host, ':') != NULL;

	evbuffer_add_printf(out, "%s %s%s%s%s HTTP/1.%d\r\nHost: %s%s%s",
	    method, path != NULL && *path == '/' ? "" : "/",
	    path != NULL ? path : "", query != NULL ? "?" : "",
	    query != NULL ? query : "", minor, v6 ? "[" : "", u->host,
	    v6 ? "]" : "");
	if (u->port != (u->secure ? 443 : 80))
		evbuffer_add_printf(out, ":%u", u->port);
	evbuffer_add_printf(out, "\r\nUser-Agent: " PACKAGE_NAME "/"
	    PACKAGE_VERSION "\r\nConnection: close\r\n");
}
