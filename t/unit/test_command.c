/* An engine's command line and environment: complete, nothing inherited, and
 * what must not be propagated is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "slot/command.h"

static struct apw_cycle			cycle;
static struct apw_settings		*settings;
static struct apw_arena			*arena;
static struct apw_sandbox_ops		plain, isolates = { .isolates_v8 = true },
					boxed = { .boxed = true };
static struct apw_command_in		in;
static struct apw_command		cmd;

static const char *
env(const char *name)
{
	size_t	i, n = strlen(name);

	for (i = 0; cmd.envp[i] != NULL; i++)
		if (strncmp(cmd.envp[i], name, n) == 0 && cmd.envp[i][n] == '=')
			return cmd.envp[i] + n + 1;
	return NULL;
}

static void
settings_are(const char *json)
{
	apw_settings_free(settings);
	settings = apw_settings_read(&cycle, apw_str_c(json), NULL);
	assert_non_null(settings);
	in.settings = settings;
}

static int
setup(void **state)
{
	(void)state;
	arena = apw_arena_new();
	cycle.engine.node = (char *)"/usr/bin/node";
	in = (struct apw_command_in){ .cycle = &cycle, .sandbox = &plain,
	    .bundle = "/stock/v12/common/main.js", .codes = "/stock/v12/codes",
	    .sandbox_id = "sb1", .token = "t0ken", .port = 40001,
	    .proxy_port = 52000 };
	settings_are("{\"SANDBOX_MEMORY_LIMIT\":\"262144\"}");
	return arena == NULL;
}

static int
teardown(void **state)
{
	(void)state;
	apw_settings_free(settings);
	settings = NULL;
	apw_arena_free(arena);
	return 0;
}

static int
make(struct apw_err *err)
{
	return apw_command_make(arena, &in, &cmd, err);
}

static void
test_plain(void **state)
{
	static const char *const	want[] = { "HOME=/tmp/",
	    "NODE_PATH=/usr/src/node_modules", "AP_EXECUTION_MODE=UNSANDBOXED",
	    "AP_MAX_FLOW_RUN_LOG_SIZE_MB=50", "AP_MAX_FILE_SIZE_MB=25",
	    "AP_PAUSED_FLOW_TIMEOUT_DAYS=30", "AP_NETWORK_MODE=UNRESTRICTED",
	    "AP_BASE_CODE_DIRECTORY=/stock/v12/codes",
	    "AP_SANDBOX_WS_PORT=40001", "AP_SANDBOX_WS_TOKEN=t0ken",
	    "SANDBOX_ID=sb1" };
	size_t	i;

	(void)state;
	assert_int_equal(make(NULL), 0);
	assert_int_equal(cmd.nenv, APW_COUNT(want));
	for (i = 0; i < APW_COUNT(want); i++)
		assert_string_equal(cmd.envp[i], want[i]);
	assert_null(cmd.envp[cmd.nenv]);
	assert_string_equal(cmd.argv[0], "/usr/bin/node");
	assert_string_equal(cmd.argv[1], "--expose-gc");
	assert_string_equal(cmd.argv[2], "--max-old-space-size=256");
	assert_string_equal(cmd.argv[3], "/stock/v12/common/main.js");
	assert_null(cmd.argv[4]);
}

static void
test_isolates(void **state)
{
	(void)state;
	in.sandbox = &isolates;
	assert_int_equal(make(NULL), 0);
	assert_string_equal(cmd.argv[1], "--no-node-snapshot");
}

/* A box ends at the limit, the heap before it; one with room for a child that
 * runs pieces has two limits. */
static void
test_heap(void **state)
{
	(void)state;
	in.sandbox = &boxed;
	assert_int_equal(make(NULL), 0);
	assert_string_equal(cmd.argv[2], "--max-old-space-size=192");
	in.children = true;
	assert_int_equal(make(NULL), 0);
	assert_string_equal(cmd.argv[2], "--max-old-space-size=256");
}

/* What one that stands by loads: for one start, not for the fingerprint. */
static void
test_ahead(void **state)
{
	uint64_t	before = apw_command_fingerprint(&in);

	(void)state;
	in.sandbox = &isolates;
	in.ahead = "pieces/a/node_modules";
	assert_int_equal(make(NULL), 0);
	assert_string_equal(cmd.argv[4], "--require");
	assert_string_equal(cmd.argv[5], "/stock/v12/common/.ahead.cjs");
	assert_string_equal(cmd.argv[6], "/stock/v12/common/main.js");
	assert_null(cmd.argv[7]);
	assert_string_equal(cmd.envp[cmd.nenv - 1],
	    "APW_AHEAD=/stock/v12/common/pieces/a/node_modules");
	in.sandbox = &plain;
	in.ahead = NULL;
	assert_int_equal(apw_command_fingerprint(&in), before);
}

static void
test_lists(void **state)
{
	(void)state;
	settings_are("{\"DEV_PIECES\":[\"a\",\" b\"],\"SSRF_ALLOW_LIST\":"
	    "[\"10.0.5.12\",\"192.168.10.0/24\"]}");
	assert_int_equal(make(NULL), 0);
	assert_string_equal(env("AP_DEV_PIECES"), "a,b");
	assert_string_equal(env("AP_SSRF_ALLOW_LIST"),
	    "10.0.5.12,192.168.10.0/24");
	assert_null(env("AP_CUSTOM_PIECES_PATHS"));
}

static void
test_propagated(void **state)
{
	(void)state;
	setenv("TZ", "Europe/Paris", 1);
	setenv("EMPTY", "", 1);
	setenv("AP_WORKER_TOKEN", "no", 1);
	setenv("AP_JWT_SECRET", "no", 1);
	setenv("AP_EXECUTION_MODE", "no", 1);
	setenv("AP_FLOW_RUN_LOG_SLICE_THRESHOLD_KB", "64", 1);
	setenv("SANDBOX_ID", "no", 1);
	setenv("NODE_OPTIONS", "--inspect", 1);
	setenv("HOME", "/home/x", 1);
	settings_are("{\"SANDBOX_PROPAGATED_ENV_VARS\":[\"TZ\",\"EMPTY\","
	    "\"UNSET_ANYWHERE\",\"AP_WORKER_TOKEN\",\"AP_EXECUTION_MODE\","
	    "\"SANDBOX_ID\",\"NODE_OPTIONS\",\"bad name\",\"A=B\",\"HOME\","
	    "\"AP_JWT_SECRET\",\"AP_FLOW_RUN_LOG_SLICE_THRESHOLD_KB\"]}");
	assert_int_equal(make(NULL), 0);
	assert_string_equal(env("TZ"), "Europe/Paris");
	assert_null(env("EMPTY"));
	assert_null(env("UNSET_ANYWHERE"));
	assert_null(env("AP_WORKER_TOKEN"));
	assert_null(env("AP_JWT_SECRET"));
	assert_string_equal(env("AP_FLOW_RUN_LOG_SLICE_THRESHOLD_KB"), "64");
	assert_null(env("NODE_OPTIONS"));
	assert_string_equal(env("AP_EXECUTION_MODE"), "UNSANDBOXED");
	assert_string_equal(env("SANDBOX_ID"), "sb1");
	assert_string_equal(env("HOME"), "/home/x");
}

static void
test_proxies_in_strict(void **state)
{
	(void)state;
	setenv("HTTPS_PROXY", "http://proxy:3128", 1);
	settings_are("{\"SANDBOX_PROPAGATED_ENV_VARS\":[\"HTTPS_PROXY\"]}");
	assert_int_equal(make(NULL), 0);
	assert_string_equal(env("HTTPS_PROXY"), "http://proxy:3128");
	settings_are("{\"SANDBOX_PROPAGATED_ENV_VARS\":[\"HTTPS_PROXY\"],"
	    "\"NETWORK_MODE\":\"STRICT\"}");
	assert_int_equal(make(NULL), 0);
	assert_null(env("HTTPS_PROXY"));
	assert_string_equal(env("AP_NETWORK_MODE"), "STRICT");
	assert_string_equal(env("AP_EGRESS_PROXY_URL"),
	    "http://127.0.0.1:52000");
	cycle.network.http_proxy = true;
	assert_int_equal(make(NULL), 0);
	assert_string_equal(env("HTTPS_PROXY"), "http://127.0.0.1:52000");
	assert_string_equal(env("http_proxy"), "http://127.0.0.1:52000");
	assert_null(env("NO_PROXY"));
	settings_are("{}");
	assert_int_equal(make(NULL), 0);
	assert_null(env("AP_EGRESS_PROXY_URL"));
	assert_null(env("http_proxy"));
	cycle.network.http_proxy = false;
}

/* Engines that know no proxy: a script goes first, with the path as Node takes
 * it out of quotes; their own guard stays off. */
static void
test_led(void **state)
{
	(void)state;
	settings_are("{\"NETWORK_MODE\":\"STRICT\","
	    "\"SANDBOX_PROPAGATED_ENV_VARS\":[\"NODE_OPTIONS\"]}");
	setenv("NODE_OPTIONS", "--inspect", 1);
	in.lead = APW_COMMAND_LEAD_ALL;
	in.app = "app.test:443";
	assert_int_equal(make(NULL), 0);
	assert_string_equal(env("NODE_OPTIONS"),
	    "\"--require=/stock/v12/common/.tunnel.cjs\"");
	assert_string_equal(env("APW_TUNNEL"), "52000 app.test:443");
	assert_string_equal(env("AP_NETWORK_MODE"), "UNRESTRICTED");
	in.app = "";
	in.bundle = "/a \"b\\/common/main.js";
	assert_int_equal(make(NULL), 0);
	assert_string_equal(env("APW_TUNNEL"), "52000");
	assert_string_equal(env("NODE_OPTIONS"),
	    "\"--require=/a \\\"b\\\\/common/.tunnel.cjs\"");
	settings_are("{}");
	in.lead = APW_COMMAND_LEAD_APP;
	in.app = "127.0.0.1:3000";
	assert_int_equal(make(NULL), 0);
	assert_string_equal(env("APW_TUNNEL"), "52000 127.0.0.1:3000 only");
	assert_null(env("AP_EGRESS_PROXY_URL"));
	in.lead = APW_COMMAND_LEAD_NONE;
	assert_int_equal(make(NULL), 0);
	assert_null(env("APW_TUNNEL"));
	assert_null(env("NODE_OPTIONS"));
}

/* The configuration's addresses and the app's, each once; private is nothing
 * the engine is told of. */
static void
test_network(void **state)
{
	char	*ours[] = { (char *)"10.0.0.1", (char *)"10.1.0.0/16", NULL };

	(void)state;
	cycle.network.allow = (struct apw_strlist){ ours, 2 };
	cycle.network.mode = APW_NETWORK_PRIVATE;
	settings_are("{\"SSRF_ALLOW_LIST\":[\"10.0.0.1\",\"fd00::1\"],"
	    "\"NETWORK_MODE\":\"STRICT\"}");
	assert_int_equal(make(NULL), 0);
	assert_string_equal(env("AP_SSRF_ALLOW_LIST"),
	    "10.0.0.1,10.1.0.0/16,fd00::1");
	assert_string_equal(env("AP_NETWORK_MODE"), "UNRESTRICTED");
	assert_null(env("AP_EGRESS_PROXY_URL"));
	cycle.network = (struct apw_network_conf){ 0 };
}

static void
test_refused(void **state)
{
	struct apw_err	err = APW_ERR_NONE;

	(void)state;
	setenv("MULTI", "secret\nline", 1);
	settings_are("{\"SANDBOX_PROPAGATED_ENV_VARS\":[\"MULTI\"]}");
	assert_int_equal(make(&err), -1);
	assert_non_null(strstr(err.text, "MULTI"));
	assert_null(strstr(err.text, "secret"));
	settings_are("{}");
	in.token = "";
	assert_int_equal(make(&err), -1);
	assert_non_null(strstr(err.text, "AP_SANDBOX_WS_TOKEN"));
}

static void
test_fingerprint(void **state)
{
	uint64_t	a, b;

	(void)state;
	a = apw_command_fingerprint(&in);
	in.token = "another";
	in.sandbox_id = "sb2";
	in.port = 2;
	assert_true(apw_command_fingerprint(&in) == a);
	settings_are("{\"SANDBOX_MEMORY_LIMIT\":\"524288\"}");
	b = apw_command_fingerprint(&in);
	assert_true(b != a);
	setenv("TZ", "UTC", 1);
	settings_are("{\"SANDBOX_MEMORY_LIMIT\":\"524288\","
	    "\"SANDBOX_PROPAGATED_ENV_VARS\":[\"TZ\"]}");
	assert_true(apw_command_fingerprint(&in) != b);
}

int
main(void)
{
#define TEST(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest	tests[] = {
		TEST(test_plain),
		TEST(test_isolates),
		TEST(test_heap),
		TEST(test_ahead),
		TEST(test_lists),
		TEST(test_propagated),
		TEST(test_proxies_in_strict),
		TEST(test_led),
		TEST(test_network),
		TEST(test_refused),
		TEST(test_fingerprint),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
