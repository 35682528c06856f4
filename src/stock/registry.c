/* Where packages come from: by directive, by variable, by npmrc, or by what
 * installers take without any of them.  Room: stock.  What is not named here
 * no installer in a box can reach. */
#include "stock/stock_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "core/apw_auto.h"
#include "dial/url.h"

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

/* With or without a user name: that is the installer's matter. */
static bool
places_url(struct places *p, const char *text)
{
	struct apw_url	url;

	if (apw_url_read(&url, text) != NULL)
		return false;
	places_add(p, url.host, url.port);
	return true;
}

/* "HOST", "HOST:PORT", "[V6]:PORT" */
static void
places_host(struct places *p, const char *text)
{
	char	url[APW_HOST_SIZE + 16];

	if ((size_t)snprintf(url, sizeof(url), "https://%s/", text) <
	    sizeof(url))
		places_url(p, url);
}

/* Is it "@SCOPE:registry"? */
static bool
is_scope(const char *key)
{
	static const char	tail[] = ":registry";
	size_t			n = strlen(key);

	return key[0] == '@' && n > sizeof(tail) &&
	    strcmp(key + n - (sizeof(tail) - 1), tail) == 0;
}

static void
places_entry(void *arg, const char *key, const char *value, bool array)
{
	struct places	*p = arg;

	(void)array;
	if (strcmp(key, "registry") == 0) {
		if (places_url(p, value))
			p->usual = false;
	} else if (is_scope(key))
		places_url(p, value);
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
	stock_npmrc_each(conf->npmrc, places_entry, &p, NULL);
	stock_npmrc_each(STOCK_NPMRC_HOST, places_entry, &p, NULL);
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

	if (file == NULL)
		file = stock_npmrc_get(STOCK_NPMRC_HOST, "cafile");
	if (file != NULL && file[0] != '/') {
		free(file);
		file = NULL;
	}
	return file;
}

struct files {
	void	(*fn)(void *, const char *);
	void	*arg;
};

static void
files_entry(void *arg, const char *key, const char *value, bool array)
{
	struct files	*f = arg;
	const char	*tail = strrchr(key, ':');

	(void)array;
	if (value[0] == '/' && (strcmp(key, "cafile") == 0 ||
	    (tail != NULL && (strcmp(tail, ":certfile") == 0 ||
	    strcmp(tail, ":keyfile") == 0))))
		f->fn(f->arg, value);
}

void
stock_registry_files(const struct apw_stock_conf *conf,
    void (*fn)(void *arg, const char *path), void *arg)
{
	struct files	f = { fn, arg };

	stock_npmrc_each(STOCK_NPMRC_HOST, files_entry, &f, NULL);
	stock_npmrc_each(conf->npmrc, files_entry, &f, NULL);
}
