/* URLs, lists like NO_PROXY, redirects of the handshake, and answers with
 * interim ones in front.  The first line is a URL, the second a list, the
 * third a host; all of it is an answer, too. */
#include "fuzz_main.h"

#include "dial/proxy_env.h"
#include "dial/upstream.h"
#include "link/app_link_priv.h"
#include "proto/apw_http.h"

/* What was read is read again from what is said of it. */
static void
url(const char *text)
{
	char		authority[APW_AUTHORITY_SIZE], user[256];
	char		again[APW_AUTHORITY_SIZE + 16];
	struct apw_url	u, v;

	if (apw_url_read(&u, text) != NULL)
		return;
	FUZZ_CHECK(u.host[0] != '\0' && u.port != 0);
	FUZZ_CHECK(strlen(u.host) < sizeof(u.host));
	if (apw_url_user(&u, user, sizeof(user)) == 0)
		FUZZ_CHECK(strlen(user) <= u.user.n);
	snprintf(again, sizeof(again), "%s://%s", u.tls ? "https" : "http",
	    apw_url_authority(&u, authority));
	FUZZ_CHECK(apw_url_read(&v, again) == NULL);
	FUZZ_CHECK(strcmp(u.host, v.host) == 0 && u.port == v.port);
	FUZZ_CHECK(v.user.p == NULL && v.path.n == 0 && !v.fragment);
}

static void
upstream(const char *text)
{
	struct apw_upstream	up;
	struct apw_err		err = APW_ERR_NONE;

	if (apw_upstream_read(&up, text, &err) == -1)
		FUZZ_CHECK(err.text[0] != '\0');
	else
		FUZZ_CHECK(up.host[0] != '\0' && up.port != 0);
}

static void
moved(struct apw_str location)
{
	struct app_target	t = { .host = "" };
	char			text[600];
	size_t			i;

	FUZZ_CHECK(app_target_parse("http://app.test/p", "/api/socket.io", &t,
	    NULL) == 0);
	app_target_moved(&t, 301, location, text, sizeof(text));
	for (i = 0; text[i] != '\0'; i++)
		FUZZ_CHECK(text[i] >= ' ' && text[i] < 0x7f);
	app_target_free(&t);
}

/* The end is found where it is, however the bytes arrive. */
static void
answer(struct apw_str text)
{
	struct apw_http_head	head;
	struct apw_err		err = APW_ERR_NONE;
	ssize_t			whole = apw_http_heads_length(text);
	size_t			i;

	for (i = 0; whole > 0 && i < (size_t)whole && i < 2048; i++)
		FUZZ_CHECK(apw_http_heads_length((struct apw_str){ text.p,
		    i }) == 0);
	if (apw_http_answer(text, &head, &err) > 0)
		FUZZ_CHECK(whole > 0 && (head.status / 100 != 1 ||
		    head.status == 101));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char	*text = malloc(n + 1), *next, *line, *list, *host;

	answer((struct apw_str){ (const char *)data, n });
	memcpy(text, data, n);
	text[n] = '\0';
	next = text;
	line = strsep(&next, "\n");
	list = strsep(&next, "\n");
	host = strsep(&next, "\n");
	url(line);
	upstream(line);
	moved(apw_str_c(line));
	if (list != NULL)
		apw_no_proxy(list, host != NULL ? host : "a.test", 443);
	free(text);
	return 0;
}
