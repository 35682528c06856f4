/* The configuration: the lexer, each setter's bounds, what comes from where,
 * and that secrets go away. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/apw_auto.h"
#include "core/apw_conf_priv.h"
#include "unit/conf_modules.h"

static char	complaints[65536];

/* The calloc(3) of everything below: the one that shall fail, 0: none. */
static unsigned	calloc_fails, callocs;

void	*__real_calloc(size_t, size_t);
void	*__wrap_calloc(size_t, size_t);

void *
__wrap_calloc(size_t n, size_t size)
{
	return ++callocs == calloc_fails ? NULL : __real_calloc(n, size);
}

/* -g alone: with a node and a bundle that are there. */
static struct apw_cycle *
read_text(const char *text, unsigned number)
{
	struct apw_conf_options	 o = { .prefix = "/nowhere", .cycle = number };
	struct apw_cycle	*cycle;
	char			*all;
	FILE			*f;

	memset(complaints, 0, sizeof(complaints));
	f = fmemopen(complaints, sizeof(complaints), "w");
	assert_non_null(f);
	assert_int_not_equal(asprintf(&all, "engine { node /bin/sh; bundle "
	    "/bin/sh; } stock { installer_path /bin/sh; bundler_path /bin/sh; "
	    "} %s", text), -1);
	o.globals = all;
	cycle = apw_conf_read(&o, f);
	free(all);
	fclose(f);
	return cycle;
}

static struct apw_cycle *
read_good(const char *text)
{
	struct apw_cycle	*cycle = read_text(text, 1);

	if (cycle == NULL)
		fail_msg("%s: %s", text, complaints);
	return cycle;
}

static const struct test_conf *
conf_of(const struct apw_cycle *cycle)
{
	return APW_MODULE_CONF(cycle, &test_source);
}

/* ---- lexer ---- */

static void
lex_expect(const char *text, size_t n, const char *want)
{
	struct apw_arena	*arena = apw_arena_new();
	struct apw_conf_lex	 lex;
	enum apw_conf_token	 t;
	char			 got[512] = "";
	size_t			 len = 0;

	apw_conf_lex_init(&lex, arena, text, n);
	do {
		t = apw_conf_lex_next(&lex);
		len += (size_t)snprintf(got + len, sizeof(got) - len,
		    "%s%s%s", len == 0 ? "" : " ",
		    t == APW_TOKEN_WORD ? "=" : t == APW_TOKEN_SEMICOLON ? ";" :
		    t == APW_TOKEN_OPEN ? "{" : t == APW_TOKEN_CLOSE ? "}" :
		    t == APW_TOKEN_BAD ? "!" : "$",
		    t == APW_TOKEN_WORD ? lex.word : "");
	} while (t != APW_TOKEN_END && len < sizeof(got) - 1);
	assert_string_equal(got, want);
	apw_arena_free(arena);
}

static void
test_lexer(void **state)
{
	static const struct {
		const char	*text, *want;
	} cases[] = {
		{ "", "$" },
		{ " \t\r\n", "$" },
		{ "# only a comment", "$" },
		{ "a b;c{d}", "=a =b ; =c { =d } $" },
		{ "a#b #c\nd", "=a#b =d $" },
		{ "a'b \"c", "=a'b !" " $" },
		{ "'a b' \"c;d\" ''", "=a b =c;d = $" },
		{ "a\\ b \\;c \\{", "=a b =;c ={ $" },
		{ "\"a\\\"b\\n\" 'c\\'d'", "=a\"b\n =c'd $" },
		{ "\"a\"b", "=a ! =b $" },
		{ "\"a\"#b", "=a ! $" },
		{ "\"a\";b", "=a ; =b $" },
		{ "'open", "! $" },
		{ "a \\", "=a =\\ $" },
		{ "\xef\xbb\xbf" "a", "=a $" },
		{ "a\x01 b", "! =b $" },
		{ "a\x7f;", "! ; $" },
		{ "\xc3\xa4", "=\xc3\xa4 $" },
		{ "{}};", "{ } } ; $" },
	};
	size_t	i;

	(void)state;
	for (i = 0; i < APW_COUNT(cases); i++)
		lex_expect(cases[i].text, strlen(cases[i].text),
		    cases[i].want);
	lex_expect("a\0b c", 5, "! =c $");
}

static void
test_lexer_places(void **state)
{
	static const char	 text[] = "a\n\tb \xc3\xa4 c\r\n\n d";
	static const unsigned	 at[][2] = { { 1, 1 }, { 2, 2 }, { 2, 4 },
				     { 2, 6 }, { 4, 2 }, { 4, 3 } };
	struct apw_arena	*arena = apw_arena_new();
	struct apw_conf_lex	 lex;
	size_t			 i;

	(void)state;
	apw_conf_lex_init(&lex, arena, text, sizeof(text) - 1);
	for (i = 0; i < APW_COUNT(at); i++) {
		apw_conf_lex_next(&lex);
		assert_int_equal(lex.at_line, at[i][0]);
		assert_int_equal(lex.at_column, at[i][1]);
	}
	apw_arena_free(arena);
}

static void
test_words_come_back(void **state)
{
	static const char *const words[] = { "a", "", "a b", "a;b", "{}", "\"",
		"'x'", "\\", "a\\nb", "a\nb\tc\rd", "#a", "a#b", "\xc3\xa4" };
	struct apw_arena	*arena = apw_arena_new();
	struct apw_conf_lex	 lex;
	char			 text[512] = "";
	FILE			*f = fmemopen(text, sizeof(text), "w");
	size_t			 i;

	(void)state;
	for (i = 0; i < APW_COUNT(words); i++) {
		apw_conf_put_word(f, words[i]);
		putc(' ', f);
	}
	fclose(f);
	apw_conf_lex_init(&lex, arena, text, strlen(text));
	for (i = 0; i < APW_COUNT(words); i++) {
		assert_int_equal(apw_conf_lex_next(&lex), APW_TOKEN_WORD);
		assert_string_equal(lex.word, words[i]);
	}
	apw_arena_free(arena);
}

/* ---- setters ---- */

static void
test_bounds(void **state)
{
	static const struct {
		const char	*directive, *value;
		bool		 good;
	} cases[] = {
		{ "flag", "on", true }, { "flag", "off", true },
		{ "flag", "ON", false }, { "flag", "yes", false },
		{ "flag", "''", false },
		{ "number", "2", true }, { "number", "9", true },
		{ "number", "1", false }, { "number", "10", false },
		{ "number", "02", true }, { "number", "+2", false },
		{ "number", "2k", false }, { "number", "2.0", false },
		{ "number", "''", false }, { "number", "' 2'", false },
		{ "any", "0", true }, { "any", "4294967295", true },
		{ "any", "4294967296", false },
		{ "any", "18446744073709551616", false },
		{ "ms", "10ms", true }, { "ms", "9ms", false },
		{ "ms", "2d", true }, { "ms", "172800001ms", false },
		{ "ms", "10", false }, { "ms", "1x", false },
		{ "ms", "s", false }, { "ms", "1 s", false },
		{ "ms", "-1s", false }, { "ms", "1S", true },
		{ "any_ms", "0", true }, { "any_ms", "0s", true },
		{ "any_ms", "9223372036854775807ms", true },
		{ "any_ms", "9223372036854775807s", false },
		{ "bytes", "1024", true }, { "bytes", "1023", false },
		{ "bytes", "1k", true }, { "bytes", "1t", true },
		{ "bytes", "1025g", false }, { "bytes", "1K", true },
		{ "bytes", "1kb", false }, { "bytes", "8388608t", false },
		{ "word", "one", true }, { "word", "One", false },
		{ "word", "on", false },
		{ "string", "x", true }, { "string", "''", false },
		{ "string", "\"a\\nb\"", false }, { "string", "'a b'", true },
		{ "path", "x", true }, { "path", "''", false },
		{ "list", "a b c", true }, { "list", "a '' c", false },
		{ "url", "http://a", true }, { "url", "https://a:1/b/", true },
		{ "url", "https://[::1]:80", true }, { "url", "ftp://a", false },
		{ "url", "HTTP://a", true }, { "url", "http://", false },
		{ "url", "http://:80", false }, { "url", "http://a:", false },
		{ "url", "http://a:65536", false }, { "url", "http://a b", false },
		{ "url", "http://u:p@a", false }, { "url", "http://[]:1", false },
		{ "url", "http://[::1]x", false },
		{ "secret", "x", true }, { "secret", "''", false },
		{ "secret", "'a b'", false }, { "secret", "\xc3\xa4", false },
		{ "secret_file", "/dev/null", false },
		{ "secret_file", "/", false },
	};
	struct apw_cycle	*cycle;
	char			 text[256];
	size_t			 i;

	(void)state;
	for (i = 0; i < APW_COUNT(cases); i++) {
		/* nine spaces after "secret_file" do not matter */
		snprintf(text, sizeof(text), "source test { %s %s; }",
		    cases[i].directive, cases[i].value);
		if (strchr(cases[i].value, ' ') != NULL &&
		    cases[i].value[0] != '\'' &&
		    strcmp(cases[i].directive, "list") != 0)
			snprintf(text, sizeof(text),
			    "source test { %s '%s'; }", cases[i].directive,
			    cases[i].value);
		cycle = read_text(text, 1);
		if ((cycle != NULL) != cases[i].good)
			fail_msg("%s: %s", text, complaints);
		apw_cycle_free(cycle);
	}
}

static void
test_values(void **state)
{
	struct apw_cycle	*cycle = read_good("slots 3; log x debug; "
	    "source test { flag off; number 7; ms 3m; bytes 2g; word one; "
	    "string 'a b'; path ./x//y/../z/; list a b; list c; "
	    "url https://h:8443/p; secret hush; } sandbox SANDBOX_CODE_ONLY; "
	    "monitor { listen unix:s; }");
	const struct test_conf	*c = conf_of(cycle);

	(void)state;
	assert_false(c->flag);
	assert_int_equal(c->number, 7);
	assert_int_equal(c->ms, 180000);
	assert_true(c->bytes == UINT64_C(2) << 30);
	assert_int_equal(c->word, 1);
	assert_string_equal(c->string, "a b");
	assert_string_equal(c->path, "/nowhere/x/y/../z");
	assert_int_equal(c->list.n, 3);
	assert_string_equal(c->list.v[2], "c");
	assert_null(c->list.v[3]);
	assert_string_equal(c->url, "https://h:8443/p");
	assert_int_equal(c->secret.n, 4);
	assert_string_equal(c->secret.value, "hush");
	assert_int_equal(cycle->main.slots, 3);
	assert_string_equal(cycle->main.log_path, "/nowhere/x");
	assert_int_equal(cycle->main.log_level, APW_LOG_DEBUG);
	assert_int_equal(cycle->main.drain_timeout_ms, 25000);
	assert_ptr_equal(cycle->source, &test_source);
	assert_ptr_equal(cycle->sandbox, &test_sandbox);
	assert_string_equal(cycle->mode, "SANDBOX_CODE_ONLY");
	assert_true(cycle->monitor.enabled);
	assert_string_equal(cycle->monitor.listen.v[0], "unix:/nowhere/s");
	assert_null(cycle->reader);
	apw_cycle_free(cycle);
}

static void
test_defaults(void **state)
{
	struct apw_cycle	*cycle = read_good("source test { }");
	const struct test_conf	*c = conf_of(cycle);

	(void)state;
	assert_true(c->flag);
	assert_int_equal(c->number, 5);
	assert_int_equal(c->ms, 1000);
	assert_int_equal(c->word, 2);
	assert_null(c->string);
	assert_null(c->secret.value);
	assert_null(cycle->sandbox);
	assert_null(cycle->mode);
	assert_false(cycle->monitor.enabled);
	assert_int_equal(cycle->engine.memory_bytes, 0);
	assert_int_equal(cycle->network.mode, APW_NETWORK_AUTO);
	apw_cycle_free(cycle);
}

/* ---- modules ---- */

static int
check_complains(struct apw_cycle *cycle, void *conf, struct apw_err *err)
{
	(void)conf;
	apw_conf_complain(cycle, "number", "first");
	apw_conf_complain(cycle, "ms", "second");
	return apw_err_set(err, 0, "third");
}

static void
test_module_check(void **state)
{
	(void)state;
	test_source.check = check_complains;
	assert_null(read_text("source test {\nnumber 3; }", 1));
	assert_string_equal(complaints,
	    "command line:1:98: error: second\n"
	    "command line:1:98: error: source test: third\n"
	    "command line:2:1: error: first\n"
	    "apworkerd: configuration: 3 errors\n");
	/* values of a block with errors are not what was meant */
	assert_null(read_text("source test { number 0; }", 1));
	assert_null(strstr(complaints, "second"));
	test_source.check = NULL;
}

static void
test_probe_refuses(void **state)
{
	(void)state;
	test_probe_fails = true;
	assert_null(read_text("source test { } sandbox UNSANDBOXED;", 2));
	assert_non_null(strstr(complaints, "\"sandbox\" is \"UNSANDBOXED\", "
	    "which this host cannot do: no kernel\n"));
	assert_non_null(strstr(complaints, "1 error; the running "
	    "configuration is unchanged\n"));
	/* what the app may choose is probed when it does */
	apw_cycle_free(read_good("source test { } sandbox auto;"));
	test_probe_fails = false;
}

/* ---- reload ---- */

static void
test_restart_only(void **state)
{
	struct apw_cycle	*now = read_good("pid a; source test { ms 2s; }");
	struct apw_cycle	*next = read_good("pid b; slots 9; "
	    "source test { ms 2000ms; number 3; }");
	char			 out[1024] = "";
	FILE			*f = fmemopen(out, sizeof(out), "w");

	(void)state;
	assert_int_equal(apw_conf_restart_only(now, next, f), 2);
	fflush(f);
	assert_non_null(strstr(out, "\"pid\" in \"main\""));
	assert_non_null(strstr(out, "\"ms\" in \"source test\""));
	rewind(f);
	assert_int_equal(apw_conf_restart_only(now, now, f), 0);
	fclose(f);
	apw_cycle_free(now);
	apw_cycle_free(next);
}

/* ---- secrets ---- */

static void
test_secret_is_wiped(void **state)
{
	struct apw_cycle	*cycle = read_good("source test { secret hush; }");
	const struct test_conf	*c = conf_of(cycle);

	(void)state;
	assert_non_null(c->secret.value);
	apw_secrets_wipe(cycle);
	assert_null(c->secret.value);
	assert_int_equal(c->secret.n, 0);
	apw_secrets_wipe(cycle);
	apw_cycle_free(cycle);
}

static void
test_secret_file(void **state)
{
	char			 path[] = "/tmp/apw-conf-XXXXXX", text[128];
	int			 fd = mkstemp(path);
	struct apw_cycle	*cycle;

	(void)state;
	assert_int_equal(write(fd, "hush \r\n", 7), 7);
	close(fd);
	snprintf(text, sizeof(text), "source test { secret_file %s; }", path);
	cycle = read_good(text);
	assert_string_equal(conf_of(cycle)->secret.value, "hush");
	apw_cycle_free(cycle);
	unlink(path);
}

/* From base64 with the alphabet of URLs and no padding. */
static size_t
plain(unsigned char *out, const char *p, size_t n)
{
	char	text[512];
	size_t	i;

	assert_true(n + 4 < sizeof(text));
	memset(text, '=', sizeof(text));
	for (i = 0; i < n; i++)
		text[i] = p[i] == '-' ? '+' : p[i] == '_' ? '/' : p[i];
	return (size_t)EVP_DecodeBlock(out, (unsigned char *)text,
	    (int)((n + 3) / 4 * 4)) - (4 - n % 4) % 4;
}

/* The app's secret makes a token, once: signed, a worker's, for long. */
static void
test_environment_token(void **state)
{
	unsigned char	 sign[64], text[512];
	struct apw_cycle *cycle;
	char		 token[512];
	const char	*claims, *dot;
	unsigned	 n;

	(void)state;
	unsetenv("AP_WORKER_TOKEN");
	setenv("AP_JWT_SECRET", "quite secret", 1);
	cycle = read_good("source test { }");
	assert_non_null(conf_of(cycle)->secret.value);
	snprintf(token, sizeof(token), "%s", conf_of(cycle)->secret.value);
	apw_cycle_free(cycle);
	assert_string_equal(getenv("AP_JWT_SECRET"), "************");
	assert_int_equal(strspn(getenv("AP_WORKER_TOKEN"), "*"),
	    strlen(token));
	claims = strchr(token, '.');
	assert_non_null(claims);
	dot = strchr(claims + 1, '.');
	assert_non_null(dot);
	assert_non_null(HMAC(EVP_sha256(), "quite secret", 12,
	    (unsigned char *)token, (size_t)(dot - token), sign, &n));
	assert_int_equal(plain(text, dot + 1, strlen(dot + 1)), n);
	assert_memory_equal(text, sign, n);
	text[plain(text, token, (size_t)(claims - token))] = '\0';
	assert_string_equal(text, "{\"alg\":\"HS256\",\"typ\":\"JWT\","
	    "\"kid\":\"1\"}");
	text[plain(text, claims + 1, (size_t)(dot - claims - 1))] = '\0';
	assert_non_null(strstr((char *)text, ",\"type\":\"WORKER\",\"iat\":"));
	assert_non_null(strstr((char *)text, ",\"iss\":\"activepieces\"}"));
	/* a reload finds the same one */
	cycle = read_good("source test { }");
	assert_string_equal(conf_of(cycle)->secret.value, token);
	apw_secrets_wipe(cycle);
	apw_cycle_free(cycle);
	unsetenv("AP_WORKER_TOKEN");
	unsetenv("AP_JWT_SECRET");
}

/* The token leaves the environment, which processes of the same user can
 * read; a reload has it all the same. */
static void
test_environment_secret(void **state)
{
	struct apw_cycle	*cycle;

	(void)state;
	setenv("AP_WORKER_TOKEN", "hush", 1);
	cycle = read_good("source test { }");
	assert_string_equal(conf_of(cycle)->secret.value, "hush");
	assert_string_equal(getenv("AP_WORKER_TOKEN"), "****");
	apw_cycle_free(cycle);
	cycle = read_good("source test { }");
	assert_string_equal(conf_of(cycle)->secret.value, "hush");
	apw_cycle_free(cycle);
	setenv("AP_WORKER_TOKEN", "other", 1);
	cycle = read_good("source test { }");
	assert_string_equal(conf_of(cycle)->secret.value, "other");
	apw_secrets_wipe(cycle);
	apw_cycle_free(cycle);
	unsetenv("AP_WORKER_TOKEN");
	cycle = read_good("source test { }");
	assert_null(conf_of(cycle)->secret.value);
	apw_cycle_free(cycle);
}

static void
test_environment_default(void **state)
{
	struct apw_cycle	*cycle;

	(void)state;
	setenv("APW_TEST_NUMBER", "8", 1);
	cycle = read_good("source test { }");
	assert_int_equal(conf_of(cycle)->number, 8);
	apw_cycle_free(cycle);
	setenv("APW_TEST_NUMBER", "80", 1);
	assert_null(read_text("source test { }", 1));
	assert_string_equal(complaints, "environment: error: APW_TEST_NUMBER: "
	    "\"number\" is \"80\"; expected a number from 2 to 9\n"
	    "apworkerd: configuration: 1 error\n");
	apw_cycle_free(read_good("source test { number 3; }"));
	unsetenv("APW_TEST_NUMBER");
}

/* ---- memory ---- */

/* The first, second, ... allocation fails: no cycle and a reason, or a cycle
 * when it was not needed for one; never a crash. */
static void
test_no_memory(void **state)
{
	static const char	 text[] = "slots 3; log x debug; source test { "
	    "list a b; list c; secret hush; url https://h; } sandbox auto; "
	    "sandbox UNSANDBOXED; monitor { listen unix:s; } network auto { "
	    "allow 10.0.0.1; }";
	struct apw_cycle	*cycle;
	unsigned		 all, n;

	(void)state;
	callocs = 0;
	apw_cycle_free(read_good(text));
	all = callocs;
	assert_true(all > 10);
	for (n = 1; n <= all; n++) {
		callocs = 0;
		calloc_fails = n;
		cycle = read_text(text, 1);
		calloc_fails = 0;
		if (cycle == NULL)
			if (strstr(complaints, "memory") == NULL) fail_msg("%u: %s", n, complaints);
		apw_cycle_free(cycle);
	}
}

/* ---- documents ---- */

static void
test_documents(void **state)
{
	char	*text;
	size_t	 n;
	FILE	*f = open_memstream(&text, &n);

	(void)state;
	apw_conf_manual(f);
	apw_conf_full(f);
	fclose(f);
	assert_non_null(strstr(text, ".It Ic slots Ar NUMBER\n"));
	assert_non_null(strstr(text, ".Ss source test\n"));
	assert_non_null(strstr(text, "#\tnumber 5;\n"));
	assert_null(strstr(text, "\n\n\n"));
	free(text);
}

/* Every directive has words for the manual. */
static void
test_help(void **state)
{
	const struct apw_conf_block	*b;
	const struct apw_directive	*d;

	(void)state;
	for (b = apw_conf_blocks; b->name != NULL; b++) {
		assert_non_null(b->help);
		for (d = b->directives; d != NULL && d->name != NULL; d++) {
			assert_non_null(d->help);
			assert_non_null(d->arg_help);
		}
	}
	for (d = apw_conf_main_directives; d->name != NULL; d++) {
		assert_non_null(d->help);
		assert_non_null(d->arg_help);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_lexer),
		cmocka_unit_test(test_lexer_places),
		cmocka_unit_test(test_words_come_back),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_module_check),
		cmocka_unit_test(test_probe_refuses),
		cmocka_unit_test(test_restart_only),
		cmocka_unit_test(test_secret_is_wiped),
		cmocka_unit_test(test_secret_file),
		cmocka_unit_test(test_environment_token),
		cmocka_unit_test(test_environment_secret),
		cmocka_unit_test(test_environment_default),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_documents),
		cmocka_unit_test(test_help),
	};
	static const char *const names[] = { "AP_WORKER_TOKEN", "AP_PORT",
		"AP_FRONTEND_URL", "AP_CONTAINER_TYPE", "AP_EXECUTION_MODE",
		"AP_WORKER_CONCURRENCY", "AP_LOG_LEVEL", "AP_LOG_PRETTY",
		"AP_REUSE_SANDBOX", "AP_SSRF_ALLOW_LIST",
		"CREDENTIALS_DIRECTORY" };
	size_t	i;

	for (i = 0; i < APW_COUNT(names); i++)
		unsetenv(names[i]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
