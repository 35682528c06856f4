/* What `apworkerctl run` makes of a flow's file, and of a run's result: both
 * hold whatever somebody wrote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "core/apw_str.h"
#include "ctl/flow_file.h"
#include "ctl/run_show.h"
#include "proto/apw_raw.h"

#define FLOW	"{\"displayName\":\"Hi\",\"trigger\":{\"name\":\"trigger\"," \
		"\"x\":\"\\ud800\"}}"

static char	dir[] = "/tmp/apw-ctl-run-XXXXXX";
static char	shown[1 << 20];
static int	dir_fd = -1;

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd == -1 ? -1 : 0;
}

static int
tear_down(void **state)
{
	static const char *const names[] = { "result.json", "run.json",
	    "output.json", "log", "out" };
	size_t	i;

	(void)state;
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		unlinkat(dir_fd, names[i], 0);
	close(dir_fd);
	return rmdir(dir);
}

/* NULL: no such file. */
static void
put(const char *name, const char *text, size_t n)
{
	int	fd;

	unlinkat(dir_fd, name, 0);
	if (text == NULL)
		return;
	fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	close(fd);
}

static void
put_c(const char *name, const char *text)
{
	put(name, text, text == NULL ? 0 : strlen(text));
}

/* Runs it with stdout in a file; its status. */
static int
show(bool json)
{
	int	fd, saved, status;
	ssize_t	n;

	fflush(stdout);
	saved = dup(1);
	fd = openat(dir_fd, "out", O_RDWR | O_CREAT | O_TRUNC, 0600);
	dup2(fd, 1);
	status = json ? ctl_show_json(dir_fd, "/spool/done/x", "x") :
	    ctl_show_text(dir_fd, "/spool/done/x", "x", "Hi");
	fflush(stdout);
	dup2(saved, 1);
	close(saved);
	n = pread(fd, shown, sizeof(shown) - 1, 0);
	shown[n > 0 ? n : 0] = '\0';
	close(fd);
	return status;
}

static void
has(const char *text)
{
	if (strstr(shown, text) == NULL)
		fail_msg("\"%s\" is not in: %.3000s", text, shown);
}

static void
has_not(const char *text)
{
	if (strstr(shown, text) != NULL)
		fail_msg("\"%s\" is in: %.3000s", text, shown);
}

static const char good[] = "{\"status\":\"SUCCEEDED\",\"durationMs\":7}";

/* The output of one step, as text and for programs. */
static void
one(const char *value, const char *want)
{
	char	text[40000];

	snprintf(text, sizeof(text), "{\"steps\":{\"step_1\":{\"status\":"
	    "\"SUCCEEDED\",\"output\":%s}}}", value);
	put_c("result.json", good);
	put_c("output.json", text);
	assert_int_equal(show(false), 0);
	has("status   SUCCEEDED in 7 ms\n");
	has("step     step_1       SUCCEEDED\n");
	has(want);
	assert_int_equal(show(true), 0);
	has("\"output\": {\n    \"steps\": {");
	has("\"status\": \"SUCCEEDED\"");
}

static void
test_values(void **state)
{
	char	deep[8000];

	(void)state;
	put_c("log", NULL);
	put_c("run.json", NULL);
	one("\"half \\ud800 end\"", "output \"half \\ud800 end\"\n");
	one("{\"a\\u0000b\": 4, \"\": [ ] }",
	    "output {\"a\\u0000b\":4,\"\":[]}\n");
	one("123456789012345678901234567890.5e400",
	    "output 123456789012345678901234567890.5e400\n");
	one("\"\xff\xc2\x9b\x7f\xc3\xa9\"", "output \"????\xc3\xa9\"\n");
	one("\"\\\" \\\\\"", "output \"\\\" \\\\\"\n");
	one("{\"a\":1,\"a\":2}", "output {\"a\":1,\"a\":2}\n");
	memset(deep, '[', 3000);
	memset(deep + 3000, ']', 3000);
	deep[6000] = '\0';
	one(deep, "output [[[[");
	memset(deep, 'x', 4000);
	deep[0] = deep[3999] = '"';
	deep[4000] = '\0';
	one(deep, "xxx ...\n");
}

static void
test_errors(void **state)
{
	static const struct { const char *error, *want; } t[] = {
		{ "\"plain\"", "error  plain\n" },
		{ "\"{\\\"message\\\":\\\"half \\\\ud800\\\"}\"",
		    "error  half \xef\xbf\xbd\n" },
		{ "\"{\\\"message\\\":\\\"a\\\\u0000b\\\\nc\\\"}\"",
		    "error  a?b\n                  c\n" },
		{ "\"{\\\"message\\\":\\\"{\\\\\\\"message\\\\\\\":"
		    "\\\\\\\"in\\\\\\\"}\\\"}\"", "error  in\n" },
		{ "{\"message\":\"object\"}", "error  object\n" },
		{ "\"{\\\"code\\\":7}\"", "error  {\"code\":7}\n" },
		{ "[1]", "error  [1]\n" },
	};
	char	text[1000];
	size_t	i;

	(void)state;
	put_c("result.json", "{\"status\":\"FAILED\",\"durationMs\":7}");
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		snprintf(text, sizeof(text), "{\"steps\":{\"s\":{\"status\":"
		    "\"FAILED\",\"errorMessage\":%s}}}", t[i].error);
		put_c("output.json", text);
		snprintf(text, sizeof(text), "{\"failedStep\":{\"name\":\"s\","
		    "\"message\":%s}}", t[i].error);
		put_c("run.json", text);
		assert_int_equal(show(false), 1);
		has(t[i].want);
		has("failed   s\n");
	}
	put_c("run.json", NULL);
}

/* What cannot be shown is said, with the place where it lies. */
static void
test_unshown(void **state)
{
	static const char	log[] = "one\0two\n\x1b[2Jthree";
	static char		deep[2 * (APW_RAW_DEPTH_MAX + 1)];
	json_t			*all;

	(void)state;
	put_c("result.json", good);
	memset(deep, '[', sizeof(deep) / 2);
	memset(deep + sizeof(deep) / 2, ']', sizeof(deep) / 2);
	put("output.json", deep, sizeof(deep));
	put("log", log, sizeof(log) - 1);
	assert_int_equal(show(false), 0);
	has("cannot be shown, it is no JSON, or nests deeper than 65536 "
	    "levels: /spool/done/x/output.json\n");
	has("one?two\n           ?[2Jthree\n");
	assert_int_equal(show(true), 0);
	all = json_loads(shown, JSON_ALLOW_NUL, NULL);
	assert_non_null(all);
	assert_string_equal(json_string_value(json_object_get(json_array_get(
	    json_object_get(all, "unshown"), 0), "file")),
	    "/spool/done/x/output.json");
	assert_int_equal(json_string_length(json_object_get(all, "log")),
	    sizeof(log) - 1);
	json_decref(all);

	put_c("output.json", NULL);
	put_c("log", NULL);
	assert_int_equal(show(false), 0);
	has("none were reported; see /spool/done/x\n");
	put_c("result.json", "{\"status\":\"FAI");
	assert_int_equal(show(false), 70);
	has("status   unknown");
	has("/spool/done/x/result.json");
	put_c("result.json", "{\"status\":\"INTERNAL_ERROR\","
	    "\"error\":\"step \\\"s\\\"\"}");
	assert_int_equal(show(false), 70);
	has("error    step \"s\"\n");
	has_not("none were reported");
	put("output.json", "{\"steps\":{\"s\":{}},\"x\":\"\xff\"}", 26);
	assert_int_equal(show(true), 70);
	has("\"x\": \"\xef\xbf\xbd\"");
	has("\"s\": {}");
}

/* The name in the job that a file gives, or why it gives none. */
static void
flow(const char *text, const char *payload, const char *name)
{
	struct apw_buf	job = APW_BUF_INIT(0), n = APW_BUF_INIT(0);
	struct apw_err	err = APW_ERR_NONE;

	if (ctl_flow_job(apw_str_c(text), (struct apw_str){ NULL, 0 }, "r1",
	    &job, &n, &err) == -1)
		fail_msg("%s: %s", text, err.text);
	assert_string_equal(n.data, name);
	snprintf(shown, sizeof(shown), "%s", job.data);
	has("\"x\":\"\\ud800\"");
	has(payload);
	apw_buf_free(&job);
	apw_buf_free(&n);
}

static void
no_flow(const char *text, const char *want)
{
	struct apw_buf	job = APW_BUF_INIT(0), n = APW_BUF_INIT(0);
	struct apw_err	err = APW_ERR_NONE;

	assert_int_equal(ctl_flow_job(apw_str_c(text), (struct apw_str){ NULL,
	    0 }, "r1", &job, &n, &err), -1);
	if (strstr(err.text, want) == NULL)
		fail_msg("%s: %s", text, err.text);
	apw_buf_free(&job);
	apw_buf_free(&n);
}

static void
test_flows(void **state)
{
	char	deep[400] = "";
	size_t	i;

	(void)state;
	flow(FLOW, "\"value\":{}", "Hi");
	flow("\xef\xbb\xbf" FLOW, "\"value\":{}", "Hi");
	flow("{\"flowVersion\":" FLOW ",\"payload\":{\"p\":1}}",
	    "\"value\":{\"p\":1}", "Hi");
	flow("{\"name\":\"x\",\"template\":" FLOW ",\"blogUrl\":\"\"}",
	    "\"value\":{}", "Hi");
	flow("{\"name\":\"x\",\"template\":null,\"flows\":[" FLOW "],"
	    "\"pieces\":[]}", "\"value\":{}", "Hi");
	flow("{\"flows\":[" FLOW ",{}]}", "\"value\":{}",
	    "Hi (the first of 2)");
	flow("{\"id\":\"f\",\"version\":" FLOW ",\"status\":\"ENABLED\"}",
	    "\"value\":{}", "Hi");
	flow("{\"data\":[{\"id\":\"f\",\"version\":" FLOW "}],\"next\":null}",
	    "\"value\":{}", "Hi");
	flow("[" FLOW "]", "\"value\":{}", "Hi");

	no_flow("", "no JSON");
	no_flow("{", "no JSON");
	no_flow("7", "found no flow version");
	no_flow("{\"a\":1,\"b\":{}}", "the file has no object \"trigger\", but "
	    "\"a\", \"b\"");
	no_flow("{\"template\":{\"displayName\":\"x\"}}", "\"template\" has no "
	    "object \"trigger\", but \"displayName\"");
	no_flow("{\"flows\":[]}", "\"flows\" has no object");
	no_flow("{\"flows\":[{\"trigger\":7}]}", "\"flows[0]\" has no object");
	for (i = 0; i < 20; i++)
		strcat(deep, "{\"version\":");
	strcat(deep, FLOW);
	for (i = 0; i < 20; i++)
		strcat(deep, "}");
	no_flow(deep, "found no flow version");
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_unshown),
		cmocka_unit_test(test_flows),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
