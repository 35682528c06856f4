/* The environment of an installer or bundler, composed name by name.  Room:
 * stock, keeper.  What is not listed here does not reach a tool; above all no
 * token of ours.  How the host's registry is reached comes, in this order,
 * from the directives of `stock { }`, then from the variables below when the
 * daemon has them; the way there is way.c's to know. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "core/apw_auto.h"

/* The only names that pass as they are. */
static const char *const registries[] = {
	"npm_config_registry", "NPM_CONFIG_REGISTRY", "BUN_CONFIG_REGISTRY",
};
static const char *const certificates[] = {
	"npm_config_cafile", "NPM_CONFIG_CAFILE",
	"NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR",
};

static int __attribute__((format(printf, 2, 3)))
env_add(struct stock_env *env, const char *fmt, ...)
{
	va_list	ap;
	int	n;

	if (env->n >= STOCK_ENV_MAX)
		return -1;
	va_start(ap, fmt);
	n = vasprintf(&env->v[env->n], fmt, ap);
	va_end(ap);
	if (n == -1) {
		env->v[env->n] = NULL;
		return -1;
	}
	env->n++;
	return 0;
}

static int
env_path(const struct apw_stock *stock, const struct stock_run *run,
    struct stock_env *env)
{
	apw_autofree char *tool = strdup(run->tool->path);
	apw_autofree char *node = strdup(stock->node.path != NULL ?
	    stock->node.path : "/usr/bin/node");

	if (tool == NULL || node == NULL)
		return -1;
	*strrchr(tool, '/') = '\0';
	*strrchr(node, '/') = '\0';
	/* the tool may be a script for node */
	return env_add(env, "PATH=%s:%s:/usr/local/bin:/usr/bin:/bin", tool,
	    node);
}

static int
env_pass(const char *const *names, size_t n, struct stock_env *env)
{
	const char	*value;
	size_t		 i;
	int		 rc = 0;

	for (i = 0; i < n; i++) {
		value = getenv(names[i]);
		if (value != NULL && value[0] != '\0')
			rc |= env_add(env, "%s=%s", names[i], value);
	}
	return rc;
}

/* Tools do not agree on the case, and npm has names of its own. */
static int
env_proxy(const struct stock_way *way, struct stock_env *env)
{
	static const char *const usual[] = { "HTTP_PROXY", "HTTPS_PROXY",
	    "NO_PROXY", "http_proxy", "https_proxy", "no_proxy" };
	static const char *const names[] = { "HTTP_PROXY", "HTTPS_PROXY",
	    "http_proxy", "https_proxy", "npm_config_proxy",
	    "npm_config_https_proxy" };
	static const char *const except[] = { "NO_PROXY", "no_proxy",
	    "npm_config_noproxy" };
	size_t	i;
	int	rc = 0;

	if (way->usual)		/* as they are, one for each scheme */
		return env_pass(usual, APW_COUNT(usual), env);
	for (i = 0; way->proxy != NULL && i < APW_COUNT(names); i++)
		rc |= env_add(env, "%s=%s", names[i], way->proxy);
	for (i = 0; way->except != NULL && i < APW_COUNT(except); i++)
		rc |= env_add(env, "%s=%s", except[i], way->except);
	return rc;
}

/* There is one way out of a box, and nothing is nearer than that. */
static int
env_gate(struct stock_env *env)
{
	static const char *const names[] = { "HTTP_PROXY", "HTTPS_PROXY",
	    "http_proxy", "https_proxy", "npm_config_proxy",
	    "npm_config_https_proxy" };
	size_t	i;
	int	rc = 0;

	for (i = 0; i < APW_COUNT(names); i++)
		rc |= env_add(env, "%s=http://127.0.0.1:%d/", names[i],
		    APW_BOX_PROXY_PORT);
	/* an empty one npm would take for none said */
	return rc | env_add(env, "npm_config_noproxy=none.invalid");
}

static int
env_network(const struct apw_stock *stock, const char *staging, bool boxed,
    struct stock_env *env)
{
	const struct apw_stock_conf	*conf = &stock->cycle->stock;
	struct stock_way		 way;
	int				 rc;

	rc = env_pass(certificates, APW_COUNT(certificates), env);
	if (conf->registry == NULL)
		rc |= env_pass(registries, APW_COUNT(registries), env);
	else
		rc |= env_add(env, "npm_config_registry=%s", conf->registry);
	if (boxed)
		rc |= env_gate(env);
	else if (stock_way_find(conf, &way, NULL) == 0) {
		rc |= env_proxy(&way, env);
		stock_way_free(&way);
	} else
		rc = -1;
	rc |= env_add(env, "npm_config_userconfig=%s/.home/.npmrc", staging);
	return rc;
}

int
stock_env_compose(const struct apw_stock *stock, const struct stock_run *run,
    bool boxed, struct stock_env *env, struct apw_err *err)
{
	const char	*staging = boxed ? APW_BOX_BUILD : run->staging;
	const char	*cache = boxed ? APW_BOX_CACHE_DIR : stock->root;
	const char	*below = boxed ? "" : "/.cache";
	const char	*name = run->cache != NULL ? run->cache->name : "0";
	int		 rc = 0;

	*env = (struct stock_env){ .n = 0 };
	rc |= env_path(stock, run, env);
	rc |= env_add(env, "HOME=%s/.home", staging);
	rc |= env_add(env, "TMPDIR=%s/.tmp", staging);
	rc |= env_add(env, "XDG_CACHE_HOME=%s/.home", staging);
	rc |= env_add(env, "LANG=C.UTF-8");
	rc |= env_add(env, "NO_COLOR=1");
	rc |= env_add(env, "TERM=dumb");
	if (run->network) {
		rc |= env_add(env, "BUN_INSTALL_CACHE_DIR=%s%s/%s/bun",
		    cache, below, name);
		rc |= env_add(env, "npm_config_cache=%s%s/%s/npm", cache,
		    below, name);
		rc |= env_add(env, "npm_config_update_notifier=false");
		rc |= env_add(env, "DO_NOT_TRACK=1");
		rc |= env_network(stock, staging, boxed, env);
	}
	if (rc == 0)
		return 0;
	stock_env_free(env);
	return apw_err_set(err, ENOMEM, "environment of a tool");
}

void
stock_env_free(struct stock_env *env)
{
	while (env->n > 0)
		free(env->v[--env->n]);
}

const char *
stock_env_cafile(void)
{
	const char	*value = getenv("NODE_EXTRA_CA_CERTS");

	return value != NULL && value[0] == '/' ? value : NULL;
}
