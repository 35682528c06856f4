/* The URL of an upstream proxy; see upstream.h.  Room: dial. */
#include "dial/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/apw_auto.h"

/* "HOST:PORT" alone is an http proxy, as other programs have it. */
static char *
with_scheme(const char *url)
{
	char	*text = NULL;

	if (strstr(url, "://") != NULL)
		return strdup(url);
	return asprintf(&text, "http://%s", url) == -1 ? NULL : text;
}

int
apw_upstream_read(struct apw_upstream *up, const char *url,
    struct apw_err *err)
{
	char		*text = with_scheme(url);
	const char	*why;
	struct apw_url	 u;
	int		 rc = -1;

	memset(up, 0, sizeof(*up));
	why = apw_url_read(&u, text);
	if (text == NULL)
		apw_err_set(err, 0, "upstream proxy: out of memory");
	else if (strncasecmp(text, "http", 4) != 0)
		apw_err_set(err, 0, "upstream proxy: only http:// and "
		    "https:// are known");
	else if (why != NULL)
		apw_err_set(err, 0, "upstream proxy: %s", why);
	else if (apw_url_user(&u, up->auth, sizeof(up->auth)) == -1)
		apw_err_set(err, 0, "upstream proxy: its user name or "
		    "password is too long");
	else {
		rc = 0;
		memcpy(up->host, u.host, sizeof(up->host));
		up->port = u.port;
		up->tls = u.tls;
	}
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
	return rc;
}
