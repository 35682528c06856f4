/* A module table for the tests of the configuration: one directive for each
 * setter, a source with a secret, a sandbox of two modes.  It takes the place
 * of the one that configure writes. */
#ifndef CONF_MODULES_H
#define CONF_MODULES_H

#include "core/apw_conf.h"
#include "core/apw_directive.h"
#include "core/apw_module.h"
#include "modules/sandbox/sandbox.h"

struct test_conf {
	bool			 flag;
	unsigned		 number;
	unsigned		 any;
	int64_t			 ms;
	int64_t			 any_ms;
	uint64_t		 bytes;
	int			 word;
	char			*string;
	char			*path;
	struct apw_strlist	 list;
	char			*url;
	struct apw_secret	 secret;
};

static const struct apw_enum test_words[] = {
	{ "one", 1 }, { "two", 2 }, { NULL, 0 }
};

#define TEST(n, s, field, ...)						\
	{ .name = (n), .args = { 1, 1 }, .set = (s),			\
	  .offset = offsetof(struct test_conf, field), __VA_ARGS__ }

static const struct apw_directive test_directives[] = {
	TEST("flag", apw_set_flag, flag, .dflt = "on"),
	TEST("number", apw_set_unsigned, number, .limits = APW_BOUNDS(2, 9),
	    .dflt = "5", .env = "APW_TEST_NUMBER"),
	TEST("any", apw_set_unsigned, any),
	TEST("ms", apw_set_ms, ms, .limits = APW_BOUNDS(10, 172800000),
	    .dflt = "1s", .reload = APW_RESTART),
	TEST("any_ms", apw_set_ms, any_ms),
	TEST("bytes", apw_set_bytes, bytes, .limits = APW_BOUNDS(1024,
	    INT64_C(1) << 40), .dflt = "1m"),
	TEST("word", apw_set_enum, word, .limits = test_words, .dflt = "two"),
	TEST("string", apw_set_string, string),
	TEST("path", apw_set_path, path, .dflt = "/nowhere/spool"),
	{ .name = "list", .args = { 1, 255 }, .set = apw_set_list,
	  .offset = offsetof(struct test_conf, list), .many = true },
	TEST("url", apw_set_url, url, .env = "AP_FRONTEND_URL"),
	TEST("secret", apw_set_secret, secret, .secret = true,
	    .env = "AP_WORKER_TOKEN"),
	TEST("secret_file", apw_set_secret_file, secret, .secret = true),
	{ .name = NULL }
};

static struct apw_module test_source = {
	.name = "source_test", .block = "test", .kind = APW_MODULE_SOURCE,
	.directives = test_directives, .conf_size = sizeof(struct test_conf),
	.help = "For tests.",
};

static struct apw_module test_other_source = {
	.name = "source_app", .block = "app", .kind = APW_MODULE_SOURCE,
	.directives = test_directives, .conf_size = sizeof(struct test_conf),
};

static const char *const test_modes[] = { "UNSANDBOXED", "SANDBOX_CODE_ONLY",
	NULL };
static bool test_probe_fails;

static int
test_probe(const void *conf, struct apw_err *err)
{
	(void)conf;
	return test_probe_fails ? apw_err_set(err, 0, "no kernel") : 0;
}

static const struct apw_sandbox_ops test_ops = {
	.modes = test_modes, .probe = test_probe,
};

static struct apw_module test_sandbox = {
	.name = "sandbox_test", .block = "UNSANDBOXED",
	.kind = APW_MODULE_SANDBOX, .ops.sandbox = &test_ops,
};

struct apw_module *const apw_modules[] = { &test_source, &test_other_source,
	&test_sandbox, NULL };

#endif
