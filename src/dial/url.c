/* The parts of a URL; see url.h.  Room: dial. */
#include "dial/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "dial/addr.h"

static const struct url_scheme { const char *name; bool tls; } schemes[] = {
	{ "http://", false }, { "https://", true },
	{ "ws://", false }, { "wss://", true },
};

/* What may stand in a request line and in a header as it is. */
static bool
is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 0x7f)
			return false;
	return true;
}

static const char *
take_scheme(const char *text, bool *tls)
{
	size_t	i, n;

	for (i = 0; i < APW_COUNT(schemes); i++) {
		n = strlen(schemes[i].name);
		if (strncasecmp(text, schemes[i].name, n) == 0) {
			*tls = schemes[i].tls;
			return text + n;
		}
	}
	return NULL;
}

/* Addresses in any spelling become plain ones, so that no resolver has an
 * opinion of its own on them. */
static int
take_host(struct apw_url *u, const char *p, size_t n)
{
	char		text[APW_ADDR_TEXT_SIZE];
	struct apw_addr	addr;

	if (n == 0 || n >= sizeof(u->host))
		return -1;
	memcpy(u->host, p, n);
	u->host[n] = '\0';
	if (strpbrk(u->host, "%[]@<>\"\\^`{|}") != NULL)
		return -1;
	if (apw_addr_parse(u->host, &addr) == 0)
		snprintf(u->host, sizeof(u->host), "%s",
		    apw_addr_text(&addr, text));
	else if (strchr(u->host, ':') != NULL)
		return -1;
	return 0;
}

/* ":8080" or nothing; ":" alone is nothing, too. */
static int
take_port(struct apw_url *u, const char *p, const char *end)
{
	unsigned long	 v = 0;

	u->port = u->tls ? 443 : 80;
	if (p == end)
		return 0;
	if (*p++ != ':')
		return -1;
	if (p == end)
		return 0;
	for (; p < end; p++) {
		if (*p < '0' || *p > '9' || v > 65535)
			return -1;
		v = v * 10 + (unsigned long)(*p - '0');
	}
	u->port = (uint16_t)v;
	return v == 0 || v > 65535 ? -1 : 0;
}

static int
take_authority(struct apw_url *u, const char *p, const char *end)
{
	const char	*at = memrchr(p, '@', (size_t)(end - p)), *stop;

	if (at != NULL) {
		u->user = (struct apw_str){ p, (size_t)(at - p) };
		p = at + 1;
	}
	if (p < end && *p == '[') {
		p++;
		stop = memchr(p, ']', (size_t)(end - p));
		if (stop == NULL ||
		    memchr(p, ':', (size_t)(stop - p)) == NULL)
			return -1;
		return take_host(u, p, (size_t)(stop - p)) == -1 ? -1 :
		    take_port(u, stop + 1, end);
	}
	stop = memchr(p, ':', (size_t)(end - p));
	if (stop == NULL)
		stop = end;
	return take_host(u, p, (size_t)(stop - p)) == -1 ? -1 :
	    take_port(u, stop, end);
}

const char *
apw_url_read(struct apw_url *u, const char *text)
{
	const char	*p, *end;

	*u = (struct apw_url){ .user = { NULL, 0 } };
	if (text == NULL || !is_plain(text) || strstr(text, "://") == NULL)
		return "it is not a URL";
	if ((p = take_scheme(text, &u->tls)) == NULL)
		return "its URL is neither http nor https";
	end = p + strcspn(p, "/?#");
	if (take_authority(u, p, end) == -1)
		return "its URL has no good host";
	u->path = (struct apw_str){ end, strcspn(end, "?#") };
	end += u->path.n;
	u->query = (struct apw_str){ end, strcspn(end, "#") };
	u->fragment = end[u->query.n] != '\0';
	return NULL;
}

static int
hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* What is no escape stays, as clients have it. */
int
apw_url_user(const struct apw_url *u, char *out, size_t size)
{
	size_t	i, n = 0;
	int	high, low;
	char	c;

	for (i = 0; i < u->user.n; i++) {
		c = u->user.p[i];
		if (c == '%' && u->user.n - i > 2 &&
		    (high = hex_digit(u->user.p[i + 1])) != -1 &&
		    (low = hex_digit(u->user.p[i + 2])) != -1) {
			c = (char)(high << 4 | low);
			i += 2;
		}
		if (c == '\0' || n + 1 >= size)
			return -1;
		out[n++] = c;
	}
	out[n] = '\0';
	return 0;
}

const char *
apw_url_authority(const struct apw_url *u, char out[APW_AUTHORITY_SIZE])
{
	bool	v6 = strchr(u->host, ':') != NULL;
	char	port[8] = "";

	if (u->port != (u->tls ? 443 : 80))
		snprintf(port, sizeof(port), ":%u", u->port);
	snprintf(out, APW_AUTHORITY_SIZE, v6 ? "[%.*s]%s" : "%.*s%s",
	    APW_HOST_SIZE - 1, u->host, port);
	return out;
}

void
apw_url_join(const char *base, struct apw_str to, struct apw_buf *out)
{
	struct apw_url	 from;
	char		 authority[APW_AUTHORITY_SIZE];
	const char	*slash;

	if (to.n > 7 && (strncasecmp(to.p, "http://", 7) == 0 ||
	    strncasecmp(to.p, "https://", 8) == 0)) {
		apw_buf_str(out, to);
		return;
	}
	if (apw_url_read(&from, base) != NULL)
		return;
	apw_buf_puts(out, from.tls ? "https:" : "http:");
	if (to.n < 2 || to.p[0] != '/' || to.p[1] != '/') {
		apw_buf_printf(out, "//%s", apw_url_authority(&from,
		    authority));
		if (to.n == 0 || to.p[0] != '/') {
			slash = from.path.n == 0 ? NULL :
			    memrchr(from.path.p, '/', from.path.n);
			if (slash != NULL)
				apw_buf_put(out, from.path.p,
				    (size_t)(slash - from.path.p));
			apw_buf_puts(out, "/");
		}
	}
	apw_buf_str(out, to);
}
