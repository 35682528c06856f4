/* URLs, proxies and who is not for them, answers with interim ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "dial/proxy_env.h"
#include "dial/tls.h"
#include "dial/upstream.h"
#include "link/app_link_priv.h"
#include "proto/apw_http.h"

static void
test_url(void **state)
{
	static const struct {
		const char	*text, *host;
		unsigned	 port;
		bool		 tls;
		const char	*user, *path, *query, *authority;
	} rows[] = {
		{ "http://a.test", "a.test", 80, false, NULL, "", "", "a.test" },
		{ "HTTPS://A.test:444/x?y=1#z", "A.test", 444, true, NULL, "/x",
		    "?y=1", "A.test:444" },
		{ "wss://a.test.:443", "a.test.", 443, true, NULL, "", "",
		    "a.test." },
		{ "http://u:p%40s%3as@a:81/", "a", 81, false, "u:p@s:s", "/", "",
		    "a:81" },
		{ "http://u:a@b@c/", "c", 80, false, "u:a@b", "/", "", "c" },
		{ "http://u%zz@c", "c", 80, false, "u%zz", "", "", "c" },
		{ "http://[::1]:99/", "::1", 99, false, NULL, "/", "", "[::1]:99" },
		{ "http://0x7f.1/", "127.0.0.1", 80, false, NULL, "/", "",
		    "127.0.0.1" },
		{ "http://a:/", "a", 80, false, NULL, "/", "", "a" },
		{ "http://a?x", "a", 80, false, NULL, "", "?x", "a" },
	};
	static const char *const bad[] = { "", "a", "a:80", "ftp://a",
	    "http://", "http://a b", "http://a\n", "http://a:0", "http://a:65536",
	    "http://a:1x", "http://[::1", "http://[a]", "http://a%41",
	    "http://u@", "http://:80", "http://\xc3\xa4", "socks5://a",
	    "http://[::1]x", "http://<a>" };
	struct apw_url	u;
	char		text[256];
	size_t		i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++) {
		if (apw_url_read(&u, rows[i].text) != NULL)
			fail_msg("%s", rows[i].text);
		assert_string_equal(u.host, rows[i].host);
		assert_int_equal(u.port, rows[i].port);
		assert_int_equal(u.tls, rows[i].tls);
		assert_true(apw_str_is(u.path, rows[i].path));
		assert_true(apw_str_is(u.query, rows[i].query));
		assert_string_equal(apw_url_authority(&u, text),
		    rows[i].authority);
		assert_int_equal(u.user.p != NULL, rows[i].user != NULL);
		assert_int_equal(apw_url_user(&u, text, sizeof(text)), 0);
		if (rows[i].user != NULL)
			assert_string_equal(text, rows[i].user);
	}
	for (i = 0; i < APW_COUNT(bad); i++)
		if (apw_url_read(&u, bad[i]) == NULL)
			fail_msg("%s", bad[i]);
	assert_non_null(apw_url_read(&u, NULL));
	assert_null(apw_url_read(&u, "http://a%00b@c/"));
	assert_int_equal(apw_url_user(&u, text, sizeof(text)), -1);
	assert_null(apw_url_read(&u, "http://abcdef@c/"));
	assert_int_equal(apw_url_user(&u, text, 6), -1);
}

static void
test_upstream(void **state)
{
	static const char *const bad[] = { "socks5://u:secret@p:1080",
	    "socks5h://p", "ftp://p", "", "http://", "http://u:secret@",
	    "https://u:secret@p:0", "u:secret@p:x" };
	struct apw_upstream	up;
	struct apw_err		err;
	size_t			i;

	(void)state;
	assert_int_equal(apw_upstream_read(&up, "http://me:p%40ss@p:3128/",
	    &err), 0);
	assert_string_equal(up.host, "p");
	assert_int_equal(up.port, 3128);
	assert_string_equal(up.auth, "me:p@ss");
	assert_false(up.tls);
	assert_int_equal(apw_upstream_read(&up, "HTTPS://[fd00::1]", &err), 0);
	assert_string_equal(up.host, "fd00::1");
	assert_int_equal(up.port, 443);
	assert_true(up.tls);
	assert_int_equal(apw_upstream_read(&up, "me:x@127.0.0.1:3128", &err), 0);
	assert_string_equal(up.host, "127.0.0.1");
	assert_int_equal(up.port, 3128);
	assert_string_equal(up.auth, "me:x");
	for (i = 0; i < APW_COUNT(bad); i++) {
		err.text[0] = '\0';
		if (apw_upstream_read(&up, bad[i], &err) != -1)
			fail_msg("%s", bad[i]);
		assert_null(strstr(err.text, "secret"));
		assert_int_not_equal(err.text[0], '\0');
	}
}

static void
test_no_proxy(void **state)
{
	static const struct { const char *list, *host; unsigned port;
	    bool named; } rows[] = {
		{ "", "app.example.com", 443, false },
		{ NULL, "app.example.com", 443, false },
		{ "*", "app.example.com", 443, true },
		{ "*", "10.0.0.1", 443, true },
		{ "app.example.com", "app.example.com", 443, true },
		{ "example.com", "app.example.com", 443, true },
		{ ".example.com", "APP.example.COM", 443, true },
		{ ".example.com", "example.com", 443, true },
		{ "*.example.com", "app.example.com", 443, true },
		{ "EXAMPLE.com.", "app.example.com", 443, true },
		{ "example.com", "app.example.com.", 443, true },
		{ "ample.com", "app.example.com", 443, false },
		{ "app.example.com.org", "app.example.com", 443, false },
		{ "a, b ,example.com", "app.example.com", 443, true },
		{ "a\tb example.com", "app.example.com", 443, true },
		{ "example.com:443", "app.example.com", 443, true },
		{ "example.com:8443", "app.example.com", 443, false },
		{ "example.com:x", "app.example.com", 443, false },
		{ "*:443", "app.example.com", 443, false },
		{ "10.0.0.1", "10.0.0.1", 443, true },
		{ "0.0.1", "10.0.0.1", 443, false },
		{ ".0.0.1", "10.0.0.1", 443, false },
		{ "10.0.0.1:80", "10.0.0.1", 443, false },
		{ "10.0.0.1:443", "10.0.0.1", 443, true },
		{ "10.0.0.0/8", "10.1.2.3", 443, true },
		{ "10.0.0.0/8", "11.1.2.3", 443, false },
		{ "10.0.0.0/8", "a10.test", 443, false },
		{ "10.0.0.0/33", "10.1.2.3", 443, false },
		{ "fe80::1", "fe80::1", 99, true },
		{ "[fe80::1]", "fe80::1", 99, true },
		{ "[fe80::1]:99", "fe80::1", 99, true },
		{ "[fe80::1]:98", "fe80::1", 99, false },
		{ "FD00::/8", "fd12::1", 99, true },
		{ "fd00::/8", "fe80::1", 99, false },
		{ "", "localhost", 80, true },
		{ "", "Localhost.", 80, true },
		{ "", "app.localhost", 80, true },
		{ "", "127.0.0.1", 3000, true },
		{ "", "127.9.9.9", 3000, true },
		{ "", "::1", 3000, true },
		{ "", "notlocalhost", 80, false },
		{ ".", "a.test", 80, false },
		{ ",,,", "a.test", 80, false },
	};
	size_t		 i;
	const char	*name;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++)
		if (apw_no_proxy(rows[i].list, rows[i].host,
		    (uint16_t)rows[i].port) != rows[i].named)
			fail_msg("%s with %s", rows[i].host, rows[i].list);
	unsetenv("https_proxy");
	unsetenv("http_proxy");
	unsetenv("HTTP_PROXY");
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
	setenv("HTTPS_PROXY", "http://upper", 1);
	assert_string_equal(apw_proxy_env(true, "a.test", 443, &name),
	    "http://upper");
	assert_string_equal(name, "HTTPS_PROXY");
	assert_null(apw_proxy_env(false, "a.test", 80, NULL));
	setenv("https_proxy", "", 1);		/* as if it were not set */
	assert_string_equal(apw_proxy_env(true, "a.test", 443, NULL),
	    "http://upper");
	setenv("https_proxy", "http://lower", 1);
	assert_string_equal(apw_proxy_env(true, "a.test", 443, &name),
	    "http://lower");
	assert_string_equal(name, "https_proxy");
	setenv("NO_PROXY", "a.test", 1);
	assert_null(apw_proxy_env(true, "a.test", 443, NULL));
	setenv("no_proxy", "b.test", 1);	/* goes before it */
	assert_non_null(apw_proxy_env(true, "a.test", 443, NULL));
	assert_null(apw_proxy_env(true, "b.test", 443, NULL));
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
}

/* A redirect of the handshake, in words. */
static void
test_moved(void **state)
{
	static const struct { const char *url, *to, *want; } rows[] = {
		{ "http://a.test", "https://a.test/api/socket.io/?EIO=4&t=secret",
		    "a redirect to https://a.test; if" },
		{ "http://a.test", "https://b.test:444/api/socket.io",
		    "a redirect to https://b.test:444; if" },
		{ "http://a.test/p", "https://a.test/q/api/socket.io/",
		    "a redirect to https://a.test/q; if" },
		{ "http://a.test", "https://u:secret@sso.test/login",
		    "a redirect to https://sso.test/login; if" },
		{ "http://a.test", "/login?secret", "a redirect to \"/login\"" },
		{ "http://a.test", "u:secret@x", "a redirect to \"***\"" },
	};
	struct app_target	t = { .host = "" };
	struct apw_err		err;
	char			text[600];
	size_t			i;

	(void)state;
	for (i = 0; i < APW_COUNT(rows); i++) {
		assert_int_equal(app_target_parse(rows[i].url,
		    "/api/socket.io", &t, &err), 0);
		app_target_moved(&t, 308, apw_str_c(rows[i].to), text,
		    sizeof(text));
		app_target_free(&t);
		if (strstr(text, rows[i].want) == NULL)
			fail_msg("%s", text);
		assert_null(strstr(text, "secret"));
		assert_non_null(strstr(text, "308"));
	}
}

/* Interim answers in front of the one that counts. */
static void
test_interim(void **state)
{
	static const char	early[] = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
	static const char	go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	static const char	last[] = "HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
	struct apw_http_head	head;
	struct apw_err		err;
	struct apw_buf		b = APW_BUF_INIT(0);
	ssize_t			n;
	size_t			i;

	(void)state;
	apw_buf_puts(&b, go_on);
	apw_buf_puts(&b, early);
	for (i = 0; i <= b.len; i++)
		assert_int_equal(apw_http_answer((struct apw_str){ b.data, i },
		    &head, &err), 0);
	apw_buf_puts(&b, last);
	for (; i < b.len; i++)
		assert_int_equal(apw_http_answer((struct apw_str){ b.data, i },
		    &head, &err), 0);
	apw_buf_puts(&b, "more");
	n = apw_http_answer(apw_buf_view(&b), &head, &err);
	assert_int_equal(n, (ssize_t)b.len - 4);
	assert_int_equal(head.status, 200);
	assert_true(apw_str_is(apw_http_header(&head, "a"), "b"));
	/* 101 is one that counts */
	apw_buf_reset(&b);
	apw_buf_puts(&b, "HTTP/1.1 101 x\r\n\r\n");
	assert_int_equal(apw_http_answer(apw_buf_view(&b), &head, &err),
	    (ssize_t)b.len);
	assert_int_equal(head.status, 101);
	/* but not for ever, and not without end */
	apw_buf_reset(&b);
	for (i = 0; i < APW_HTTP_INTERIM_MAX; i++)
		apw_buf_puts(&b, go_on);
	assert_int_equal(apw_http_answer(apw_buf_view(&b), &head, &err), 0);
	apw_buf_puts(&b, last);
	assert_true(apw_http_answer(apw_buf_view(&b), &head, &err) > 0);
	apw_buf_reset(&b);
	for (i = 0; i <= APW_HTTP_INTERIM_MAX; i++)
		apw_buf_puts(&b, go_on);
	apw_buf_puts(&b, last);
	assert_int_equal(apw_http_answer(apw_buf_view(&b), &head, &err), -1);
	apw_buf_reset(&b);
	apw_buf_puts(&b, go_on);
	apw_buf_puts(&b, "HTTP/1.1 200 OK\r\nX: ");
	while (b.len < APW_HTTP_HEAD_MAX)
		apw_buf_puts(&b, "yyyyyyyyyyyyyyyy");
	assert_int_equal(apw_http_answer((struct apw_str){ b.data,
	    APW_HTTP_HEAD_MAX }, &head, &err), -1);
	apw_buf_free(&b);
}

/* The dot at a name's end is no part of the name that is proved. */
static void
test_session(void **state)
{
	struct apw_err	 err;
	SSL_CTX		*ctx;
	SSL		*ssl;

	(void)state;
	setenv("NODE_EXTRA_CA_CERTS", "/nonexistent/ca.pem", 1);
	ctx = apw_tls_new(NULL, false, &err);	/* a warning */
	assert_non_null(ctx);
	assert_int_equal(apw_tls_extra(ctx, &err), -1);
	assert_non_null(strstr(err.text, "/nonexistent/ca.pem"));
	unsetenv("NODE_EXTRA_CA_CERTS");
	assert_int_equal(apw_tls_extra(ctx, &err), 0);
	ssl = apw_tls_session(ctx, "plain.example.", false);
	assert_non_null(ssl);
	assert_string_equal(SSL_get_servername(ssl,
	    TLSEXT_NAMETYPE_host_name), "plain.example");
	SSL_free(ssl);
	ssl = apw_tls_session(ctx, "127.0.0.1", false);
	assert_non_null(ssl);
	assert_null(SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	assert_null(apw_tls_new("/tmp", false, &err));
	assert_non_null(strstr(err.text, "directory"));
	assert_null(apw_tls_new("/dev/null", false, &err));
	assert_non_null(strstr(err.text, "holds no certificates"));
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_url),
		cmocka_unit_test(test_upstream),
		cmocka_unit_test(test_no_proxy),
		cmocka_unit_test(test_moved),
		cmocka_unit_test(test_interim),
		cmocka_unit_test(test_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
