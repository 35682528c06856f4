/* The app's settings: defaults, types, hostile values, and the order
 * directive, then settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "slot/settings.h"

static struct apw_cycle	cycle;

static struct apw_settings *
settings(const char *json)
{
	struct apw_err		 err = APW_ERR_NONE;
	struct apw_settings	*s;

	s = apw_settings_read(&cycle, apw_str_c(json), &err);
	assert_int_equal(s == NULL, err.text[0] != '\0');
	return s;
}

static void
check_defaults(const struct apw_settings *s)
{
	assert_string_equal(s->mode, "UNSANDBOXED");
	assert_int_equal(s->network, APW_NETWORK_UNRESTRICTED);
	assert_int_equal(s->flow_timeout_ms, 600000);
	assert_int_equal(s->trigger_timeout_ms, 60000);
	assert_int_equal(s->trigger_hooks_timeout_ms, 180000);
	assert_int_equal(s->event_timeout_ms, 10000);
	assert_int_equal(s->paused_days, 30);
	assert_int_equal(s->run_log_mb, 50);
	assert_int_equal(s->file_mb, 25);
	assert_int_equal(s->memory_mb, 1024);
	assert_string_equal(s->environment, "prod");
	assert_string_equal(s->webhook_secrets, "{}");
	assert_null(s->oncall_url);
	assert_int_equal(s->propagate.n, 0);
	assert_int_equal(s->dev_pieces.n, 0);
	assert_int_equal(s->ssrf_allow.n, 0);
}

static void
test_defaults(void **state)
{
	struct apw_settings	*s = settings("{}");

	(void)state;
	check_defaults(s);
	assert_int_equal(s->release, 0);
	apw_settings_free(s);
}

static void
test_given(void **state)
{
	struct apw_settings	*s = settings("{\"PUBLIC_URL\":"
	    "\"https://flows.example.org/\",\"TRIGGER_TIMEOUT_SECONDS\":61,"
	    "\"EXECUTION_MODE\":\"SANDBOX_CODE_ONLY\","
	    "\"FLOW_TIMEOUT_SECONDS\":0.5,\"ENVIRONMENT\":\"dev\","
	    "\"SANDBOX_MEMORY_LIMIT\":\"262144\","
	    "\"SANDBOX_PROPAGATED_ENV_VARS\":[\"TZ\",\"\",\" LANG \"],"
	    "\"DEV_PIECES\":[\" sheets\",\"\"],\"NETWORK_MODE\":\"STRICT\","
	    "\"SSRF_ALLOW_LIST\":[\"10.0.5.12\"],\"APP_VERSION\":\"0.85.4\","
	    "\"S3_SECRET\":{\"deep\":[1,2]},\"MAX_FILE_SIZE_MB\":\"30\"}");

	(void)state;
	assert_string_equal(s->mode, "SANDBOX_CODE_ONLY");
	assert_int_equal(s->network, APW_NETWORK_STRICT);
	assert_int_equal(s->flow_timeout_ms, 500);
	assert_int_equal(s->trigger_timeout_ms, 61000);
	assert_int_equal(s->memory_mb, 256);
	assert_int_equal(s->file_mb, 30);
	assert_int_equal(s->propagate.n, 2);
	assert_string_equal(s->propagate.v[1], "LANG");
	assert_int_equal(s->release, APW_RELEASE(0, 85, 4));
	assert_int_equal(s->reuse, APW_REUSE_ANY);	/* dev */
	assert_string_equal(s->public_api_url,
	    "https://flows.example.org/api/");
	assert_true(apw_settings_dev_piece(s, "@activepieces/piece-sheets"));
	assert_true(apw_settings_dev_piece(s, "sheets"));
	assert_false(apw_settings_dev_piece(s, "@activepieces/piece-sheet"));
	apw_settings_free(s);
}

/* A key of the wrong type or out of bounds counts as missing. */
static void
test_hostile(void **state)
{
	struct apw_settings	*s = settings("{\"PUBLIC_URL\":[],"
	    "\"FLOW_TIMEOUT_SECONDS\":-1,\"TRIGGER_TIMEOUT_SECONDS\":1e400,"
	    "\"TRIGGER_HOOKS_TIMEOUT_SECONDS\":\"soon\","
	    "\"EVENT_DESTINATION_TIMEOUT_SECONDS\":{},"
	    "\"PAUSED_FLOW_TIMEOUT_DAYS\":null,"
	    "\"MAX_FLOW_RUN_LOG_SIZE_MB\":0,\"MAX_FILE_SIZE_MB\":99999999,"
	    "\"EXECUTION_MODE\":7.5e3,\"ENVIRONMENT\":false,"
	    "\"SANDBOX_MEMORY_LIMIT\":\"lots\",\"DEV_PIECES\":\"a,b\","
	    "\"SANDBOX_PROPAGATED_ENV_VARS\":[1,{},null],"
	    "\"SSRF_ALLOW_LIST\":{},\"APP_WEBHOOK_SECRETS\":\"a\\u0000b\","
	    "\"EXECUTION_MODE\":null}");

	(void)state;
	assert_string_equal(s->mode, "7.5e3");	/* known to no module */
	s->mode = "UNSANDBOXED";
	s->propagate.n = 0;			/* "1" is text of a number */
	check_defaults(s);
	apw_settings_free(s);
}

static void
test_no_object(void **state)
{
	(void)state;
	assert_null(settings(""));
	assert_null(settings("[]"));
	assert_null(settings("null"));
	assert_null(settings("{\"a\":"));
}

static void
test_configuration_wins(void **state)
{
	struct apw_settings	*s;

	(void)state;
	cycle.mode = "SANDBOX_CODE_ONLY";
	cycle.network.mode = APW_NETWORK_UNRESTRICTED;
	cycle.engine.memory_bytes = 512 * 1024 * 1024;
	cycle.engine.reuse = APW_REUSE_FLOW;
	s = settings("{\"EXECUTION_MODE\":\"UNSANDBOXED\",\"NETWORK_MODE\":"
	    "\"STRICT\",\"SANDBOX_MEMORY_LIMIT\":\"262144\","
	    "\"ENVIRONMENT\":\"dev\"}");
	assert_string_equal(s->mode, "SANDBOX_CODE_ONLY");
	assert_int_equal(s->network, APW_NETWORK_UNRESTRICTED);
	assert_int_equal(s->memory_mb, 512);
	assert_int_equal(s->reuse, APW_REUSE_FLOW);
	apw_settings_free(s);
	cycle.network.mode = APW_NETWORK_STRICT;
	s = settings("{}");
	assert_int_equal(s->network, APW_NETWORK_STRICT);
	apw_settings_free(s);
	cycle = (struct apw_cycle){ 0 };
}

/* What is not plainly unrestricted is strict: it fails closed. */
static void
test_network(void **state)
{
	struct apw_settings	*s = settings("{\"NETWORK_MODE\":\"STRICTER\"}");

	(void)state;
	assert_int_equal(s->network, APW_NETWORK_STRICT);
	apw_settings_free(s);
}

static void
test_legacy_mode(void **state)
{
	struct apw_settings	*s = settings("{\"EXECUTION_MODE\":\"SANDBOXED\"}");

	(void)state;
	assert_string_equal(s->mode, "SANDBOX_PROCESS");
	apw_settings_free(s);
}

static void
test_api_url(void **state)
{
	static const char *const	urls[][2] = {
		{ "http://a", "http://a/api/" },
		{ "http://a/", "http://a/api/" },
		{ "http://a/api", "http://a/api/" },
		{ "http://a/api/", "http://a/api/" },
		{ "http://a/x", "http://a/x/api/" },
	};
	size_t	i;

	(void)state;
	for (i = 0; i < APW_COUNT(urls); i++) {
		char			 json[128];
		struct apw_settings	*s;

		snprintf(json, sizeof(json), "{\"PUBLIC_URL\":\"%s\"}",
		    urls[i][0]);
		s = settings(json);
		assert_string_equal(s->public_api_url, urls[i][1]);
		apw_settings_free(s);
	}
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_no_object),
		cmocka_unit_test(test_configuration_wins),
		cmocka_unit_test(test_network),
		cmocka_unit_test(test_legacy_mode),
		cmocka_unit_test(test_api_url),
	};

	return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
