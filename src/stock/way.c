/* The way to the registries: straight, or by a proxy.  Room: stock.
 *
 * By directive, by variables that npm has for it, by npmrc, by the usual
 * variables, in this order.  One proxy leads everywhere: the one for https
 * where there are two, as registries mostly are. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <stdio.h>

#include "core/apw_auto.h"
#include "dial/upstream.h"

static const char *
variable(const char *const *names, size_t n, const char **which)
{
	const char	*v = NULL;
	size_t		 i;

	for (i = 0; v == NULL && i < n; i++)
		if ((v = getenv(names[i])) != NULL && *v != '\0')
			*which = names[i];
		else
			v = NULL;
	return v;
}

static int
way_set(struct stock_way *way, const char *proxy, const char *from)
{
	/* npm's words for none at all */
	bool	none = strcmp(proxy, "null") == 0 ||
		    strcmp(proxy, "false") == 0;

	snprintf(way->from, sizeof(way->from), "%s", from);
	if (!none)
		way->proxy = strdup(proxy);
	return none || way->proxy != NULL ? 0 : -1;
}

/* 1: it names one, 0: it does not. */
static int
way_npmrc(struct stock_way *way, const char *path)
{
	static const char *const	keys[] = { "https-proxy", "proxy" };
	char				 from[sizeof(way->from)];
	size_t				 i;
	int				 rc;

	for (i = 0; path != NULL && i < APW_COUNT(keys); i++) {
		apw_autofree char	*v = stock_npmrc_get(path, keys[i]);

		if (v == NULL)
			continue;
		snprintf(from, sizeof(from), "%s in %s", keys[i], path);
		rc = way_set(way, v, from);
		explicit_bzero(v, strlen(v));
		return rc == -1 ? -1 : 1;
	}
	return 0;
}

static int
way_proxy(struct stock_way *way, const struct apw_stock_conf *conf)
{
	static const char *const npm[] = { "npm_config_https_proxy",
	    "NPM_CONFIG_HTTPS_PROXY", "npm_config_proxy",
	    "NPM_CONFIG_PROXY" };
	static const char *const usual[] = { "https_proxy", "HTTPS_PROXY",
	    "http_proxy", "HTTP_PROXY" };
	const char	*v, *which = NULL;
	int		 rc;

	if (conf->proxy != NULL)
		return way_set(way, conf->proxy, "proxy of stock");
	if ((v = variable(npm, APW_COUNT(npm), &which)) != NULL)
		return way_set(way, v, which);
	if ((rc = way_npmrc(way, conf->npmrc)) != 0 ||
	    (rc = way_npmrc(way, STOCK_NPMRC_HOST)) != 0)
		return rc == -1 ? -1 : 0;
	way->usual = true;
	if ((v = variable(usual, APW_COUNT(usual), &which)) != NULL)
		return way_set(way, v, which);
	return 0;
}

/* Hosts that it does not lead to. */
static int
way_except(struct stock_way *way, const struct apw_stock_conf *conf)
{
	static const char *const npm[] = { "npm_config_noproxy",
	    "NPM_CONFIG_NOPROXY" };
	static const char *const usual[] = { "no_proxy", "NO_PROXY" };
	struct apw_buf	 hosts = APW_BUF_INIT(65536);
	const char	*v, *which;
	size_t		 i;

	for (i = 0; i < conf->no_proxy.n; i++) {
		apw_buf_puts(&hosts, i == 0 ? "" : ",");
		apw_buf_puts(&hosts, conf->no_proxy.v[i]);
	}
	if (conf->proxy != NULL) {	/* the variables are another way's */
		if (hosts.failed)
			apw_buf_free(&hosts);
		way->except = hosts.data;
		return hosts.failed ? -1 : 0;
	}
	apw_buf_free(&hosts);
	if ((v = variable(npm, APW_COUNT(npm), &which)) == NULL &&
	    (way->except = stock_npmrc_get(conf->npmrc, "noproxy")) == NULL &&
	    (way->except = stock_npmrc_get(STOCK_NPMRC_HOST,
	    "noproxy")) == NULL)
		v = variable(usual, APW_COUNT(usual), &which);
	if (v != NULL)
		way->except = strdup(v);
	return v != NULL && way->except == NULL ? -1 : 0;
}

int
stock_way_find(const struct apw_stock_conf *conf, struct stock_way *way,
    struct apw_err *err)
{
	*way = (struct stock_way){ .proxy = NULL };
	if (way_proxy(way, conf) == 0 && way_except(way, conf) == 0)
		return 0;
	stock_way_free(way);
	return apw_err_set(err, ENOMEM, "the way to the registry");
}

void
stock_way_free(struct stock_way *way)
{
	if (way->proxy != NULL)
		explicit_bzero(way->proxy, strlen(way->proxy));
	free(way->proxy);
	free(way->except);
	*way = (struct stock_way){ .proxy = NULL };
}

int
stock_way_check(const struct stock_way *way, struct apw_err *err)
{
	struct apw_upstream	up;
	struct apw_err			why = APW_ERR_NONE;
	int				rc;

	if (way->proxy == NULL)
		return 0;
	rc = apw_upstream_read(&up, way->proxy, &why);
	explicit_bzero(&up, sizeof(up));
	if (rc == 0)
		return 0;
	return apw_err_set(err, 0, "%s: no proxy that can be used (%s); "
	    "expected http://HOST:PORT or https://HOST:PORT, so installers "
	    "reach no registry", way->from, why.text);
}

char *
stock_way_cafile(const struct apw_stock_conf *conf)
{
	static const char *const names[] = { "npm_config_cafile",
	    "NPM_CONFIG_CAFILE" };
	const char		*which, *v = variable(names, APW_COUNT(names),
				    &which);
	apw_autofree char	*file = NULL;

	if (v == NULL)
		v = file = stock_registry_cafile(conf);
	if (v == NULL)
		v = stock_env_cafile();
	return v == NULL || v[0] != '/' ? NULL : strdup(v);
}
