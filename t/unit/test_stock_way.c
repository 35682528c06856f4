/* Where packages come from and the way there, by all that may say so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <fcntl.h>
#include <unistd.h>

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
	    "@user:registry=HTTP://u:s%40t@creds.test:81/x\n"
	    "@var:registry=${V_REGISTRY}\n"
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
	setenv("V_REGISTRY", "https://var.test:82/", 1);
	n = stock_registry_places(&c, v, STOCK_PLACES_MAX);
	assert_true(has_place(v, n, "creds.test", 81));
	assert_true(has_place(v, n, "var.test", 82));
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
	char			 path[] = "/tmp/apw-npmrc-XXXXXX";
	char			*hosts[] = { (char *)"a", (char *)".b", NULL };
	struct apw_stock_conf	 c = { .npmrc = path };
	struct stock_way	 way;
	struct apw_err		 err = APW_ERR_NONE;
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
	/* what is no proxy is told, without what it was */
	setenv("npm_config_proxy", "socks5://u:secret@p", 1);
	c.proxy = NULL;
	assert_int_equal(stock_way_find(&c, &way, NULL), 0);
	assert_int_equal(stock_way_check(&way, &err), -1);
	assert_non_null(strstr(err.text, "npm_config_proxy"));
	assert_null(strstr(err.text, "secret"));
	stock_way_free(&way);
	unlink(path);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
}

/* --- npmrc --- */

/* In front of it is what this host's own says. */
static void
ends_in(const char *text, const char *want)
{
	size_t	n = strlen(text), m = strlen(want);

	if (n < m || strcmp(text + n - m, want) != 0)
		fail_msg("%s does not end in %s", text, want);
}

static void
npmrc_read_is(const char *path, const char *want)
{
	char	text[4096];
	FILE	*f = fopen(path, "r");
	size_t	n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	ends_in(text, want);
}

static char *
assert_get(const char *path, const char *key, const char *want)
{
	char	*v = stock_npmrc_get(path, key);

	assert_non_null(v);
	assert_string_equal(v, want);
	return v;
}

struct seen {
	char	text[4096];
};

static void
seen_entry(void *arg, const char *key, const char *value, bool array)
{
	struct seen	*s = arg;
	size_t		 n = strlen(s->text);

	snprintf(s->text + n, sizeof(s->text) - n, "%s%s<%s>\n", key,
	    array ? "[]" : "", value);
}

/* The ini dialect and the variables of npm: what npm 11 says of the same
 * texts. */
static void
test_npmrc(void **state)
{
	static const struct { const char *text, *want; } rows[] = {
		{ "a=1", "a<1>\n" },
		{ "\xef\xbb\xbf@s:registry=http://x/\n", "@s:registry<http://x/>\n" },
		{ "\xef\xbb\xbf; c\na=b", "a<b>\n" },
		{ " a = b ; c\n\t# d\n  ;e=f\n", "a<b>\n" },
		{ "a=b#c\r\nd=e\rf=g", "a<b>\nd<e>\nf<g>\n" },
		{ "a=b\\;c\\#d\\\\e\\f", "a<b;c#d\\e\\f>\n" },
		{ "a=\"b;c # d\"", "a<b;c # d>\n" },
		{ "a='b;c'\nd='\"e\"'", "a<b;c>\nd<e>\n" },
		{ "a=\"x\\ny\"", "a<x\ny>\n" },
		{ "a=\"b\\q\"", "a<\"b\\q\">\n" },
		{ "flag\nb=", "flag<true>\nb<>\n" },
		{ "=x\n\n", "" },
		{ "a=b=c", "a<b=c>\n" },
		{ "k[]=a\nk[]=b", "k[]<a>\nk[]<b>\n" },
		{ "a=b\n[section]\na=c\nd=e", "a<b>\n" },
		{ "[x\na=b", "[x<true>\na<b>\n" },
		{ "t=${V_ONE}", "t<one>\n" },
		{ "t=\"${V_ONE}/${V_TWO}\"", "t<one/two>\n" },
		{ "//${V_ONE}/:_authToken=x${V_TWO}y", "//one/:_authToken<xtwoy>\n" },
		{ "t=${V_NOT}", "t<${V_NOT}>\n" },
		{ "t=a${V_NOT?}b${V_ONE?}", "t<abone>\n" },
		{ "t=\\${V_ONE}", "t<${V_ONE}>\n" },
		{ "t=\"\\\\${V_ONE}\"", "t<${V_ONE}>\n" },
		{ "t=${}${V_ONE${V_ONE}", "t<${}${V_ONEone>\n" },
		{ "t=\\\\\\\\${V_ONE}\nu=\"\\\\\\\\\\\\${V_ONE}\"",
		    "t<\\one>\nu<\\${V_ONE}>\n" },
		{ "t=${AP_WORKER_TOKEN}", "t<${AP_WORKER_TOKEN}>\n" },
		{ "cafile=~/ca.pem\n//h/:keyfile=~/k\nx=~/y",
		    "cafile</home/me/ca.pem>\n//h/:keyfile</home/me/k>\nx<~/y>\n" },
	};
	char		path[] = "/tmp/apw-npmrc-XXXXXX";
	struct seen	s, again;
	struct apw_err	err = APW_ERR_NONE;
	char		folder[] = "/tmp/apw-npmrc-XXXXXX", copy[64];
	int		fd;
	size_t		i;

	(void)state;
	setenv("V_ONE", "one", 1);
	setenv("V_TWO", "two", 1);
	setenv("AP_WORKER_TOKEN", "ours", 1);
	setenv("HOME", "/home/me", 1);
	unsetenv("V_NOT");
	close(mkstemp(path));
	assert_non_null(mkdtemp(folder));
	snprintf(copy, sizeof(copy), "%s/.npmrc", folder);
	fd = open(folder, O_PATH | O_DIRECTORY);
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		npmrc_write(path, rows[i].text);
		s.text[0] = again.text[0] = '\0';
		assert_int_equal(stock_npmrc_each(path, seen_entry, &s, &err),
		    0);
		assert_string_equal(s.text, rows[i].want);
		/* what installers get says the same, to us as well */
		assert_int_equal(stock_npmrc_copy(path, true, fd, &err), 0);
		assert_int_equal(stock_npmrc_each(copy, seen_entry, &again,
		    &err), 0);
		ends_in(again.text, s.text);
	}
	npmrc_write(path, "a=1\nproxy=http://u:p@n\n//r/:_authToken=${V_ONE} ; "
	    "x\nhttps-proxy=null\nnoproxy[]=a\nnoproxy[]=b\nz=a b\n");
	assert_int_equal(stock_npmrc_copy(path, false, fd, &err), 0);
	npmrc_read_is(copy, "a=1\n//r/:_authToken=one\nz=\"a b\"\n");
	free(assert_get(path, "noproxy", "a,b"));
	/* what is told of it */
	assert_int_equal(stock_npmrc_check(path, &err), 0);
	npmrc_write(path, "a=${V_NOT}");
	assert_int_equal(stock_npmrc_check(path, &err), -1);
	assert_non_null(strstr(err.text, "V_NOT"));
	assert_int_equal(stock_npmrc_check("/nonexistent", &err), 0);
	assert_int_equal(stock_npmrc_check(folder, &err), -1);
	close(fd);
	unlink(copy);
	rmdir(folder);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_way),
		cmocka_unit_test(test_npmrc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
