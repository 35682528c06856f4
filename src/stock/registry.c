/* Where packages come from: by directive, by variable, by npmrc, or by what
 * installers take without any of them.  Room: stock.  What is not named here
 * no installer in a box can reach. */
#include "stock/stock_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/apw_auto.h"
#include "egress/url.h"

/* bun's and npm's own */
#define REGISTRY_USUAL	"https://registry.npmjs.org/"

struct places {
	struct apw_egress_place	*v;
	size_t			 n, max;
	bool			 usual;		/* nobody named another one */
};

static void
places_add(struct places *p, const char *host, unsigned port)
{
	size_t	i;

	if (p->n == p->max || strlen(host) >= sizeof(p->v[0].host))
		return;
	for (i = 0; i < p->n; i++)
		if (p->v[i].port == port && strcasecmp(p->v[i].host, host) == 0)
			return;
	strcpy(p->v[p->n].host, host);
	p->v[p->n++].port = (uint16_t)port;
}

static bool
places_url(struct places *p, const char *text)
{
	struct apw_egress_url	url = { .uri = NULL };
	bool			good = text != NULL && *text != '\0' &&
				    apw_egress_url_read(&url, text) == NULL;

	if (good)
		places_add(p, url.host, url.port);
	apw_egress_url_free(&url);
	return good;
}

/* "HOST", "HOST:PORT", "[V6]:PORT" */
static void
places_host(struct places *p, const char *text)
{
	char	url[APW_EGRESS_HOST_SIZE + 16];

	if ((size_t)snprintf(url, sizeof(url), "https://%s/", text) <
	    sizeof(url))
		places_url(p, url);
}

static void
places_npmrc(struct places *p, const char *path)
{
	struct apw_buf	 text = APW_BUF_INIT(0);
	char		*line, *next, *key, *value;

	if (stock_npmrc_read(path, &text) == 0)
		for (next = text.data; (line = strsep(&next, "\n")) != NULL;) {
			if (!stock_npmrc_line(line, &key, &value))
				continue;
			if (strcmp(key, "registry") == 0 &&
			    places_url(p, value))
				p->usual = false;
			else if (key[0] == '@' && strlen(key) > 10 &&
			    strcmp(key + strlen(key) - 9, ":registry") == 0)
				places_url(p, value);
		}
	if (text.data != NULL)
		explicit_bzero(text.data, text.len);
	apw_buf_free(&text);
}

size_t
stock_registry_places(const struct apw_stock_conf *conf,
    struct apw_egress_place *v, size_t max)
{
	static const char *const names[] = { "npm_config_registry",
	    "NPM_CONFIG_REGISTRY", "BUN_CONFIG_REGISTRY" };
	struct places	p = { .v = v, .max = max, .usual = true };
	size_t		i;

	if (conf->registry != NULL && places_url(&p, conf->registry))
		p.usual = false;
	for (i = 0; conf->registry == NULL && i < APW_COUNT(names); i++)
		if (places_url(&p, getenv(names[i])))
			p.usual = false;
	places_npmrc(&p, conf->npmrc);
	places_npmrc(&p, STOCK_NPMRC_HOST);
	if (p.usual)
		places_url(&p, REGISTRY_USUAL);
	for (i = 0; i < conf->registry_hosts.n; i++)
		places_host(&p, conf->registry_hosts.v[i]);
	return p.n;
}

char *
stock_registry_cafile(const struct apw_stock_conf *conf)
{
	char	*file = stock_npmrc_get(conf->npmrc, "cafile");

	if (file != NULL && file[0] != '/') {
		free(file);
		file = NULL;
	}
	return file;
}
