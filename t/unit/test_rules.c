/* The rules of strict: what each entry opens, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "egress/rules.h"

#define LIST(...)	{ .v = (char *[]){ __VA_ARGS__, NULL },		\
			  .n = sizeof((char *[]){ __VA_ARGS__ }) / sizeof(char *) }

static struct apw_egress_rules *
make(const struct apw_network_conf *n, const struct apw_strlist *app,
    const char *url)
{
	struct apw_egress_rules_conf	 c = { n, app, url };
	struct apw_err			 err = APW_ERR_NONE;
	struct apw_egress_rules		*r = apw_egress_rules_new(&c, &err);

	assert_non_null(r);
	return r;
}

static const char *
ask(const struct apw_egress_rules *r, const char *host, uint16_t port,
    const char *address)
{
	struct apw_addr	a;

	assert_int_equal(apw_addr_parse(address, &a), 0);
	return apw_egress_rules_refused(r, host, port, &a);
}

static void
test_nothing_listed(void **state)
{
	struct apw_network_conf	 n = { .upstream = (char *)"off" };
	struct apw_egress_rules	*r = make(&n, NULL, NULL);

	(void)state;
	assert_null(ask(r, "a.example", 80, "8.8.8.8"));
	assert_string_equal(ask(r, "a.example", 80, "10.0.0.1"), "private");
	assert_string_equal(ask(r, "a.example", 80, "::ffff:10.0.0.1"),
	    "private");
	assert_true(apw_egress_rules_port(r, "a.example", 25));
	assert_false(apw_egress_rules_port(r, "a.example", 0));
	apw_egress_rules_unref(r);
}

static void
test_lists(void **state)
{
	struct apw_network_conf	 n = { .upstream = (char *)"off",
		.allow = LIST((char *)"10.1.0.0/16", (char *)"db.internal",
		    (char *)"*.corp.example", (char *)"fd00::/64"),
		.ports = LIST((char *)"80", (char *)"8000-8010") };
	struct apw_strlist	 app = LIST((char *)"192.168.0.7",
				    (char *)"evil.example", (char *)"x/y");
	struct apw_egress_rules	*r = make(&n, &app, NULL);

	(void)state;
	assert_null(ask(r, "a", 80, "10.1.255.255"));
	assert_non_null(ask(r, "a", 80, "10.2.0.0"));
	assert_null(ask(r, "a", 80, "fd00::9"));
	assert_non_null(ask(r, "a", 80, "fd00:0:0:1::9"));
	assert_null(ask(r, "a", 80, "192.168.0.7"));
	/* names: exact, case and root dot apart */
	assert_null(ask(r, "db.internal", 80, "172.16.0.1"));
	assert_null(ask(r, "DB.Internal.", 80, "fc00::1"));
	assert_non_null(ask(r, "xdb.internal", 80, "172.16.0.1"));
	assert_non_null(ask(r, "x.db.internal", 80, "172.16.0.1"));
	/* domains: below, not themselves */
	assert_null(ask(r, "a.corp.example", 80, "100.64.0.1"));
	assert_null(ask(r, "a.b.corp.example", 80, "10.9.9.9"));
	assert_non_null(ask(r, "corp.example", 80, "10.9.9.9"));
	assert_non_null(ask(r, "notcorp.example", 80, "10.9.9.9"));
	assert_non_null(ask(r, "evil.example", 80, "10.9.9.9"));
	/* a name never opens these */
	assert_string_equal(ask(r, "db.internal", 80, "127.0.0.1"),
	    "loopback");
	assert_string_equal(ask(r, "db.internal", 80, "169.254.169.254"),
	    "link local");
	assert_string_equal(ask(r, "db.internal", 80, "::ffff:127.0.0.1"),
	    "loopback");
	assert_non_null(ask(r, "db.internal", 80, "224.0.0.1"));
	/* ports */
	assert_true(apw_egress_rules_port(r, "a", 80));
	assert_true(apw_egress_rules_port(r, "a", 8000));
	assert_true(apw_egress_rules_port(r, "a", 8010));
	assert_false(apw_egress_rules_port(r, "a", 8011));
	assert_false(apw_egress_rules_port(r, "a", 443));
	apw_egress_rules_unref(r);
}

static void
test_api(void **state)
{
	struct apw_network_conf	 n = { .upstream = (char *)"off",
		.ports = LIST((char *)"443") };
	struct apw_egress_rules	*r;

	(void)state;
	r = make(&n, NULL, "http://127.0.0.1:3000/api/");
	assert_null(ask(r, "127.0.0.1", 3000, "127.0.0.1"));
	/* by any name, as it is the address that counts */
	assert_null(ask(r, "app", 3000, "127.0.0.1"));
	assert_non_null(ask(r, "127.0.0.1", 443, "127.0.0.1"));
	assert_non_null(ask(r, "127.0.0.2", 3000, "127.0.0.2"));
	assert_non_null(ask(r, "::ffff:127.0.0.1", 3000, "::ffff:127.0.0.1"));
	assert_true(apw_egress_rules_port(r, "127.0.0.1", 3000));
	assert_false(apw_egress_rules_port(r, "127.0.0.2", 3000));
	apw_egress_rules_unref(r);

	r = make(&n, NULL, "https://App.internal/");
	assert_null(ask(r, "app.internal", 443, "127.0.0.1"));
	assert_null(ask(r, "app.internal.", 443, "10.0.0.1"));
	assert_non_null(ask(r, "app.internal", 80, "10.0.0.1"));
	assert_non_null(ask(r, "other", 443, "10.0.0.1"));
	apw_egress_rules_unref(r);

	r = make(&n, NULL, "http://[fd00::1]:8080/api");
	assert_null(ask(r, "fd00::1", 8080, "fd00::1"));
	assert_true(apw_egress_rules_port(r, "fd00::1", 8080));
	assert_non_null(ask(r, "fd00::1", 443, "fd00::1"));
	apw_egress_rules_unref(r);
}

static void
test_api_is_no_url(void **state)
{
	static const char *const	urls[] = { "", "app", "//", "http://",
					    "http://a:0/", "http://a:99999/" };
	struct apw_network_conf		n = { .upstream = NULL };
	size_t				i;

	(void)state;
	for (i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
		struct apw_egress_rules_conf	c = { &n, NULL, urls[i] };
		struct apw_err			err = APW_ERR_NONE;

		assert_null(apw_egress_rules_new(&c, &err));
		assert_string_not_equal(err.text, "");
	}
}

static void
test_upstream(void **state)
{
	struct apw_network_conf	 n = { .upstream = (char *)"auto" };
	struct apw_upstream up;
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_egress_rules	*r = make(&n, NULL, NULL);

	(void)state;
	unsetenv("https_proxy");
	unsetenv("no_proxy");
	unsetenv("HTTPS_PROXY");
	assert_int_equal(apw_egress_rules_upstream(r, "a.example", 443, &up,
	    &err), 0);
	setenv("HTTPS_PROXY", "http://u:p@[::1]:3128", 1);
	setenv("NO_PROXY", ".corp.example", 1);
	assert_int_equal(apw_egress_rules_upstream(r, "a.example", 443, &up,
	    &err), 1);
	assert_string_equal(up.host, "::1");
	assert_int_equal(up.port, 3128);
	assert_string_equal(up.auth, "u:p");
	assert_false(up.names);
	assert_int_equal(apw_egress_rules_upstream(r, "x.corp.example", 443,
	    &up, &err), 0);
	assert_false(up.tls);
	setenv("HTTPS_PROXY", "https://u:p%40%3a@p", 1);
	assert_int_equal(apw_egress_rules_upstream(r, "a.example", 443, &up,
	    &err), 1);
	assert_true(up.tls);
	assert_int_equal(up.port, 443);
	assert_string_equal(up.auth, "u:p@:");
	assert_null(up.ca_file);
	setenv("HTTPS_PROXY", "socks5://u:secret@p", 1);
	assert_int_equal(apw_egress_rules_upstream(r, "a.example", 443, &up,
	    &err), -1);
	assert_null(strstr(err.text, "secret"));
	setenv("HTTPS_PROXY", "http://u:%00secret@p", 1);
	assert_int_equal(apw_egress_rules_upstream(r, "a.example", 443, &up,
	    &err), -1);
	unsetenv("HTTPS_PROXY");
	apw_egress_rules_unref(r);

	n.upstream = (char *)"http://p.example:8080/";
	n.upstream_names = true;
	r = make(&n, NULL, NULL);
	assert_int_equal(apw_egress_rules_upstream(r, "a", 1, &up, &err), 1);
	assert_string_equal(up.host, "p.example");
	assert_int_equal(up.port, 8080);
	assert_true(up.names);
	apw_egress_rules_unref(r);
}

static void
test_text(void **state)
{
	struct apw_network_conf	 n = { .upstream = (char *)"off",
		.connections = 5, .allow = LIST((char *)"10.0.0.1") };
	struct apw_egress_rules	*r = make(&n, NULL, "http://app/"), *same;

	(void)state;
	same = make(&n, NULL, "http://app/");
	assert_string_equal(apw_egress_rules_text(r),
	    "allow public app=app:80 10.0.0.1; ports all; upstream off; "
	    "resolver system; http_proxy off; connections 5; bytes 0; "
	    "head_timeout 0ms; connect_timeout 0ms; idle_timeout 0ms");
	assert_string_equal(apw_egress_rules_text(r),
	    apw_egress_rules_text(same));
	apw_egress_rules_unref(apw_egress_rules_ref(r));
	assert_int_equal(apw_egress_rules_limits(r)->connections, 5);
	apw_egress_rules_unref(r);
	apw_egress_rules_unref(same);
}

/* As clients write it; alone, wherever it is. */
static void
test_app(void **state)
{
	struct apw_network_conf		 n = { .connections = 5 };
	struct apw_egress_rules_conf	 c = { .network = &n, .api_url =
					    "http://LocalHost:3000/api/",
					    .app_only = true };
	struct apw_egress_rules		*r = apw_egress_rules_new(&c, NULL);

	(void)state;
	assert_non_null(r);
	assert_string_equal(apw_egress_rules_app(r), "localhost:3000");
	assert_true(apw_egress_rules_port(r, "localhost", 3000));
	assert_false(apw_egress_rules_port(r, "localhost", 3001));
	assert_false(apw_egress_rules_port(r, "pub.example", 443));
	apw_egress_rules_unref(r);
	r = make(&n, NULL, "http://[2001:DB8:0::1]/");
	assert_string_equal(apw_egress_rules_app(r), "[2001:db8::1]:80");
	apw_egress_rules_unref(r);
	r = make(&n, NULL, NULL);
	assert_string_equal(apw_egress_rules_app(r), "");
	apw_egress_rules_unref(r);
}

/* Nothing but these, wherever they are. */
static void
test_only(void **state)
{
	static const struct apw_egress_place	 only[] = {
		{ "Mirror.test", 8443 }, { "127.0.0.1", 4873 }, { "::1", 80 },
	};
	struct apw_network_conf			 n = { .connections = 5 };
	struct apw_egress_rules_conf		 c = { &n, NULL, NULL, only,
						    3 };
	struct apw_egress_rules			*r;

	(void)state;
	r = apw_egress_rules_new(&c, NULL);
	assert_non_null(r);
	assert_true(apw_egress_rules_port(r, "mirror.test", 8443));
	assert_true(apw_egress_rules_port(r, "MIRROR.TEST.", 8443));
	assert_false(apw_egress_rules_port(r, "mirror.test", 443));
	assert_false(apw_egress_rules_port(r, "a.mirror.test", 8443));
	assert_false(apw_egress_rules_port(r, "mirror.tes", 8443));
	assert_false(apw_egress_rules_port(r, "", 8443));
	assert_true(apw_egress_rules_port(r, "127.0.0.1", 4873));
	assert_false(apw_egress_rules_port(r, "localhost", 4873));
	assert_true(apw_egress_rules_port(r, "::1", 80));
	assert_false(apw_egress_rules_port(r, "public.test", 443));
	assert_null(ask(r, "mirror.test", 8443, "10.0.0.1"));
	assert_null(ask(r, "127.0.0.1", 4873, "127.0.0.1"));
	assert_string_equal(ask(r, "public.test", 443, "9.9.9.9"),
	    "not the registry, nor in registry_hosts");
	assert_string_equal(apw_egress_rules_closed(r), "not the registry, nor in registry_hosts");
	assert_true(apw_egress_rules_whole(r));
	apw_egress_rules_unref(r);
	/* no registry at all: nothing is open */
	c.nonly = 0;
	r = apw_egress_rules_new(&c, NULL);
	assert_non_null(r);
	assert_false(apw_egress_rules_port(r, "public.test", 443));
	apw_egress_rules_unref(r);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_nothing_listed),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_api),
		cmocka_unit_test(test_api_is_no_url),
		cmocka_unit_test(test_upstream),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_app),
		cmocka_unit_test(test_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
