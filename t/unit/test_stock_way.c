/* Where packages come from and the way there, by all that may say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "stock/stock_priv.h"

static bool
has_place(const struct apw_egress_place *v, size_t n, const char *host,
    unsigned port)
{
	size_t	i;

	for (i = 0; i < n; i++)
		if (strcmp(v[i].host, host) == 0 && v[i].port == port)
			return true;
	return false;
}

/* Which hosts installers get to, by all that may name one. */
static void
test_places(void **state)
{
	static const char	 text[] = "; a comment=1\n# registry=http://no/\n"
	    "registry = \"https://mirror.test/npm/\"\r\n"
	    "@scope:registry=http://scope.test:8080\n"
	    "@:registry=ftp://no.test/\n=\nregistry\n"
	    "//mirror.test/:_authToken=secret\ncafile=/etc/ca.pem\n"
	    "@last:registry=http://[::1]:4873/";
	char			 path[] = "/tmp/apw-npmrc-XXXXXX";
	char			*more[] = { (char *)"cdn.test",
				    (char *)"files.test:8443", NULL };
	struct apw_stock_conf	 c = { .npmrc = path,
				    .registry_hosts = { more, 2 } };
	struct apw_egress_place	 v[STOCK_PLACES_MAX];
	char			*cafile;
	int			 fd = mkstemp(path);
	size_t			 n;

	(void)state;
	unsetenv("npm_config_registry");
	unsetenv("NPM_CONFIG_REGISTRY");
	unsetenv("BUN_CONFIG_REGISTRY");
	assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
	close(fd);
	n = stock_registry_places(&c, v, STOCK_PLACES_MAX);
	assert_true(has_place(v, n, "mirror.test", 443));
	assert_true(has_place(v, n, "scope.test", 8080));
	assert_true(has_place(v, n, "::1", 4873));
	assert_true(has_place(v, n, "cdn.test", 443));
	assert_true(has_place(v, n, "files.test", 8443));
	assert_false(has_place(v, n, "no", 80));
	cafile = stock_registry_cafile(&c);
	assert_string_equal(cafile, "/etc/ca.pem");
	free(cafile);
	/* a directive is one more; the variables are not asked then */
	setenv("npm_config_registry", "http://variable.test/", 1);
	assert_true(has_place(v, stock_registry_places(&c, v,
	    STOCK_PLACES_MAX), "variable.test", 80));
	c.registry = (char *)"http://127.0.0.1:1234/";
	n = stock_registry_places(&c, v, STOCK_PLACES_MAX);
	assert_true(has_place(v, n, "127.0.0.1", 1234));
	assert_false(has_place(v, n, "variable.test", 80));
	/* never more than there is room for */
	assert_int_equal(stock_registry_places(&c, v, 2), 2);
	unsetenv("npm_config_registry");
	unlink(path);
}

static void
way_is(const struct apw_stock_conf *c, const char *proxy, const char *except,
    const char *from)
{
	struct stock_way	way;

	assert_int_equal(stock_way_find(c, &way, NULL), 0);
	if (proxy == NULL)
		assert_null(way.proxy);
	else
		assert_string_equal(way.proxy, proxy);
	if (except == NULL)
		assert_null(way.except);
	else
		assert_string_equal(way.except, except);
	assert_non_null(strstr(way.from, from));
	stock_way_free(&way);
}

static void
npmrc_write(const char *path, const char *text)
{
	FILE	*f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* Who says which proxy leads to the registries: the nearest. */
static void
test_way(void **state)
{
	static const char *const names[] = { "npm_config_https_proxy",
	    "NPM_CONFIG_HTTPS_PROXY", "npm_config_proxy", "NPM_CONFIG_PROXY",
	    "npm_config_noproxy", "NPM_CONFIG_NOPROXY", "https_proxy",
	    "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "no_proxy", "NO_PROXY" };
	char			 path[] = "/tmp/apw-npmrc-XXXXXX", copy[64];
	char			*hosts[] = { (char *)"a", (char *)".b", NULL };
	struct apw_stock_conf	 c = { .npmrc = path };
	struct stock_way	 way;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_buf		 text = APW_BUF_INIT(0);
	size_t			 i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	close(mkstemp(path));
	way_is(&c, NULL, NULL, "");
	setenv("HTTP_PROXY", "http://e", 1);
	setenv("NO_PROXY", "x", 1);
	way_is(&c, "http://e", "x", "HTTP_PROXY");
	setenv("https_proxy", "http://s", 1);
	way_is(&c, "http://s", "x", "https_proxy");
	npmrc_write(path, "proxy=http://n\n; https-proxy=no\n");
	way_is(&c, "http://n", "x", "proxy in /tmp/");
	npmrc_write(path, "proxy=http://n\nhttps-proxy = \"http://${NO_PROXY}"
	    "${NOT_SET_AT_ALL}\"\nnoproxy=y,z\n");
	way_is(&c, "http://x${NOT_SET_AT_ALL}", "y,z", "https-proxy in /tmp/");
	npmrc_write(path, "a=1\n  proxy = http://u:secret@n\nhttps-proxy=null\n"
	    "noproxy=*\n//r/:_authToken=t\n;proxy=c\nhttp-proxy=h");
	way_is(&c, NULL, "*", "https-proxy");
	setenv("npm_config_proxy", "http://p", 1);
	way_is(&c, "http://p", "*", "npm_config_proxy");
	c.proxy = (char *)"http://d";
	way_is(&c, "http://d", NULL, "stock");
	c.no_proxy = (struct apw_strlist){ hosts, 2 };
	way_is(&c, "http://d", "a,.b", "stock");
	/* what a box gets to read */
	snprintf(copy, sizeof(copy), "%s-copy", path);
	assert_int_equal(stock_npmrc_copy(path, copy), 0);
	assert_int_equal(stock_npmrc_read(copy, &text), 0);
	assert_string_equal(text.data, "a=1\n//r/:_authToken=t\n;proxy=c\n");
	apw_buf_free(&text);
	/* what is no proxy is told, without what it was */
	setenv("npm_config_proxy", "socks5://u:secret@p", 1);
	c.proxy = NULL;
	assert_int_equal(stock_way_find(&c, &way, NULL), 0);
	assert_int_equal(stock_way_check(&way, &err), -1);
	assert_non_null(strstr(err.text, "npm_config_proxy"));
	assert_null(strstr(err.text, "secret"));
	stock_way_free(&way);
	unlink(path);
	unlink(copy);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
