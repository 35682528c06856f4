/* App link: where a URL points.  Room: link. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link/app_link_priv.h"

void
app_target_free(struct app_target *t)
{
	free(t->request_path);
	t->request_path = NULL;
}

int
app_target_parse(const char *url, const char *path, struct app_target *t,
    struct apw_err *err)
{
	struct apw_url	 u;
	const char	*why = apw_url_read(&u, url), *c;
	size_t		 n = strlen(path);

	if (why != NULL)
		return apw_err_set(err, 0, "\"%s\" cannot be used: %s; "
		    "expected an http or https URL", url, why);
	if (u.user.p != NULL)	/* may be a password: not repeated */
		return apw_err_set(err, 0, "the URL has a user name in it");
	if (u.query.n > 0 || u.fragment)
		return apw_err_set(err, 0, "URL \"%s\" has a query or "
		    "fragment", url);
	for (c = path; *c > ' ' && *c < 0x7f && *c != '?' && *c != '#'; c++)
		;
	if (*c != '\0' || path[0] != '/')
		return apw_err_set(err, 0, "bad path \"%s\"", path);
	t->tls = u.tls;
	t->port = u.port;
	memcpy(t->host, u.host, sizeof(t->host));
	apw_url_authority(&u, t->host_header);
	/* the URL's own path goes in front; exactly one slash at the end */
	for (t->prefix = u.path.n; t->prefix > 0 &&
	    u.path.p[t->prefix - 1] == '/'; )
		t->prefix--;
	while (n > 0 && path[n - 1] == '/')
		n--;
	if (asprintf(&t->request_path, "%.*s%.*s/", (int)t->prefix, u.path.p,
	    (int)n, path) == -1) {
		t->request_path = NULL;
		return apw_err_set(err, ENOMEM, "URL");
	}
	return 0;
}

/* The URL that led there, if it is the same path on another host. */
static bool
moved_base(const struct app_target *t, const char *location, char *out,
    size_t size)
{
	const char	*tail = t->request_path + t->prefix;
	size_t		 n = strlen(tail);
	char		 authority[APW_AUTHORITY_SIZE];
	struct apw_url	 u;

	if (apw_url_read(&u, location) != NULL)
		return false;
	/* the slash at the end may have got lost */
	if (u.path.n >= n && memcmp(u.path.p + u.path.n - n, tail, n) == 0)
		u.path.n -= n;
	else if (u.path.n >= n - 1 &&
	    memcmp(u.path.p + u.path.n - (n - 1), tail, n - 1) == 0)
		u.path.n -= n - 1;
	snprintf(out, size, "%s://%s%.*s", u.tls ? "https" : "http",
	    apw_url_authority(&u, authority),
	    (int)(u.path.n < 200 ? u.path.n : 200), u.path.p);
	return true;
}

void
app_target_moved(const struct app_target *t, int status,
    struct apw_str location, char *out, size_t size)
{
	char	text[512], base[512];
	size_t	i;

	/* what is behind a '?' may be a secret, and is of no use */
	for (i = 0; i < location.n && i < 300 && location.p[i] > ' ' &&
	    location.p[i] < 0x7f && location.p[i] != '?' &&
	    location.p[i] != '#'; i++)
		text[i] = location.p[i];
	text[i] = '\0';
	if (moved_base(t, text, base, sizeof(base)))
		snprintf(out, size, "HTTP status %d, a redirect to %s; if that "
		    "is the app, it is what \"url\" should be", status, base);
	else
		snprintf(out, size, "HTTP status %d, a redirect to \"%s\", "
		    "instead of 101", status,
		    strchr(text, '@') != NULL ? "***" : text);
}
