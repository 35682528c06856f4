/* The stock's rules without processes: names, package.json, faults, the text
 * of a step that did not compile, what a bundle may take in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/apw_auto.h"
#include "stock/release.h"
#include "stock/stock_priv.h"

static void
test_names(void **state)
{
	static const char *const steps[] = { "step_1", "_", "A9", NULL };
	static const char *const no_steps[] = { "", "1a", "a-b", "../x", "a/b",
	    "a.b", "a b", "\xc3\xa9", NULL };
	static const char *const names[] = { "axios", "@a/b", "JSONStream",
	    "a.b-c_d~e", "@activepieces/piece-http", NULL };
	static const char *const no_names[] = { "", "@a", "@/b", "@a/", "a/b",
	    "@a/b/c", "..", "../a", "@../a", "@a/..", ".a", "a..b", "a b",
	    "a\\b", "a?b", "@a/.b", NULL };
	char	longer[300];
	size_t	i;

	(void)state;
	for (i = 0; steps[i] != NULL; i++)
		assert_true(stock_is_step(steps[i]));
	for (i = 0; no_steps[i] != NULL; i++)
		assert_false(stock_is_step(no_steps[i]));
	for (i = 0; names[i] != NULL; i++)
		assert_true(stock_is_package(apw_str_c(names[i])));
	for (i = 0; no_names[i] != NULL; i++)
		assert_false(stock_is_package(apw_str_c(no_names[i])));
	assert_false(stock_is_package((struct apw_str){ "a\0b", 3 }));
	memset(longer, 'a', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_false(stock_is_step(longer));
	assert_false(stock_is_package(apw_str_c(longer)));
	assert_false(stock_is_step(NULL));
}

static void
test_exact(void **state)
{
	static const char *const yes[] = { "0.0.1", "10.20.30", "1.2.3-beta.1",
	    "1.2.3+build", NULL };
	static const char *const no[] = { "", "1", "1.2", "1.2.", "^1.2.3",
	    "~1.2.3", "latest", "1.2.3/x", "1.2.3-..", "1.2.3 ", "1.2.3.4",
	    "v1.2.3", "../../x", NULL };
	size_t	i;

	(void)state;
	for (i = 0; yes[i] != NULL; i++)
		assert_true(stock_is_exact(yes[i]));
	for (i = 0; no[i] != NULL; i++)
		assert_false(stock_is_exact(no[i]));
	assert_false(stock_is_exact(NULL));
}

static void
test_piece_folder(void **state)
{
	struct apw_stock_piece	p = { .package_type = "REGISTRY",
	    .piece_type = "OFFICIAL", .name = "@a/piece-x",
	    .version = "1.2.3" };
	char			buf[STOCK_PATH_BYTES], tiny[8];

	(void)state;
	assert_int_equal(stock_piece_folder(&p, true, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "common/pieces/@a/piece-x-1.2.3");
	assert_int_equal(stock_piece_folder(&p, true, tiny, sizeof(tiny)), -1);
	p.piece_type = "CUSTOM";
	p.platform_id = "plat";
	assert_int_equal(stock_piece_folder(&p, false, buf, sizeof(buf)), 0);
	assert_string_equal(buf, "common/pieces/@a/piece-x-1.2.3");
	assert_int_equal(stock_piece_folder(&p, true, buf, sizeof(buf)), 0);
	assert_string_equal(buf,
	    "custom_pieces/plat/pieces/@a/piece-x-1.2.3");
	p.platform_id = "../../etc";
	assert_int_equal(stock_piece_folder(&p, true, buf, sizeof(buf)), -1);
	p.platform_id = "plat";
	p.package_type = "ARCHIVE";
	assert_int_equal(stock_piece_folder(&p, true, buf, sizeof(buf)), -1);
	p.archive_id = "a/b";
	assert_int_equal(stock_piece_folder(&p, true, buf, sizeof(buf)), -1);
	p.archive_id = "ab";
	assert_int_equal(stock_piece_folder(&p, true, buf, sizeof(buf)), 0);
}

/* Releases of the app, on both sides of a change. */
enum { OLD = 0, OLD_LAST = 86002, NEW = 86003 };

static void
filter_of(unsigned release, const char *user, const char *want, size_t ndeps,
    const char *notes)
{
	struct stock_package	p;
	struct apw_err		err = APW_ERR_NONE;

	if (stock_package_filter(apw_str_c(user), true, release, &p,
	    &err) == -1) {
		if (want != NULL)
			fail_msg("%s: %s", user, err.text);
		return;
	}
	if (want == NULL)
		fail_msg("%s passed as %s", user, p.json.data);
	assert_string_equal(p.json.data, want);
	assert_int_equal(p.ndeps, ndeps);
	if (notes == NULL)
		assert_int_equal(p.notes.len, 0);
	else if (p.notes.len == 0 || strstr(p.notes.data, notes) == NULL)
		fail_msg("%s: notes are %s", user, p.notes.len == 0 ? "none" :
		    p.notes.data);
	stock_package_free(&p);
}

static void
filter(const char *user, const char *want, size_t ndeps)
{
	filter_of(OLD, user, want, ndeps, NULL);
}

/* Nothing of it counts, for this reason. */
static void
filter_nothing(const char *user, const char *notes)
{
	filter_of(OLD, user, "{\"dependencies\":{}}", 0, notes);
	filter_of(NEW, user, "{\"dependencies\":{}}", 0, notes);
}

static void
test_package_filter(void **state)
{
	struct stock_package	p;

	(void)state;
	filter_nothing("", NULL);
	filter_nothing(" \n", NULL);
	filter_nothing("{}", NULL);
	filter_nothing("{\"name\":\"x\",\"scripts\":{\"test\":\"x\"}}", NULL);
	filter_nothing("no json", "it is not JSON");
	filter_nothing("{\"dependencies\":{\"a\":\"1\",}}", "it is not JSON");
	filter_nothing("// x\n{\"dependencies\":{\"a\":\"1\"}}",
	    "it is not JSON");
	filter_nothing("\xef\xbb\xbf{\"dependencies\":{\"a\":\"1\"}}",
	    "byte order mark");
	filter_nothing("[1]", "it is an array");
	filter_nothing("null", "it is null");
	filter_nothing("\"a\"", "it is a string");
	filter_nothing("{\"dependencies\":7}", "dependencies is a number");
	filter_nothing("{\"dependencies\":[\"a\"]}",
	    "dependencies is an array");
	filter_nothing("{\"dependancies\":{\"a\":\"1\"}}",
	    "\"dependancies\" does not count");
	filter_nothing("{\"workspaces\":[\"/etc\"],\"scripts\":{"
	    "\"postinstall\":\"touch /x\"}}",
	    "\"workspaces\", \"scripts\" do not count");
	filter("{\"dependencies\":{\"a\":\">=1 <2 || 3.x\",\"@b/c\":\"latest\","
	    "\"d\":\"\",\"e\":\"*\",\"f\":\"npm:@g/h@~1.0\"}}",
	    "{\"dependencies\":{\"a\":\">=1 <2 || 3.x\",\"@b/c\":\"latest\","
	    "\"d\":\"\",\"e\":\"*\",\"f\":\"npm:@g/h@~1.0\"}}", 5);
	assert_int_equal(stock_package_filter(APW_STR(
	    "{\"dependencies\":{\"a\":\"file:/etc\"}}"), false, OLD, &p,
	    NULL), 0);
	assert_string_equal(p.json.data, "{\"dependencies\":{}}");
	assert_int_equal(p.ndeps, 0);
	assert_non_null(strstr(p.notes.data, "execution mode"));
	stock_package_free(&p);
}

/* Tools of agents are installed up to 0.88.2. */
static void
test_agent_tools(void **state)
{
	(void)state;
	assert_true(apw_stock_release_of(88002)->agent_tools);
	assert_false(apw_stock_release_of(88003)->agent_tools);
}

/* A member, and what it becomes up to 0.86.2; from 0.86.3 on it is told. */
static void
test_package_releases(void **state)
{
	static const struct { const char *name, *value, *old; size_t n; } t[] = {
		{ "devDependencies", "{\"a\":\"1\"}", "{\"a\":\"1\"}", 1 },
		{ "optionalDependencies", "{\"a\":\"1\"}",
		    "{\"a\":\"1\"}", 1 },
		{ "peerDependencies", "{\"a\":\"1\"}", "{\"a\":\"1\"}", 1 },
		{ "peerDependenciesMeta", "{\"a\":{\"optional\":true,"
		    "\"x\":1},\"../b\":{\"optional\":true}}",
		    "{\"a\":{\"optional\":true}}", 0 },
		{ "overrides", "{\"a\":\"1\",\"b@^2\":{\".\":\"2\",\"c\":"
		    "\"$d\"}}", "{\"a\":\"1\",\"b@^2\":{\".\":\"2\","
		    "\"c\":\"$d\"}}", 0 },
		{ "resolutions", "{\"a\":\"1\",\"**/b\":\"2\",\"@c/d/e\":"
		    "\"3\"}", "{\"a\":\"1\",\"**/b\":\"2\",\"@c/d/e\":"
		    "\"3\"}", 0 },
	};
	static const char *const refused[] = {
		"{\"devDependencies\":{\"a\":\"file:/etc\"}}",
		"{\"optionalDependencies\":{\"a\":\"git+ssh://h/x\"}}",
		"{\"peerDependencies\":{\"../a\":\"1\"}}",
		"{\"overrides\":{\"a\":\"file:/\"}}",
		"{\"overrides\":{\"a\":{\"b\":{\"c\":\"http://h/x\"}}}}",
		"{\"overrides\":{\"../a\":\"1\"}}",
		"{\"overrides\":{\"a@file:/x\":\"1\"}}",
		"{\"overrides\":{\"a\":\"$/etc\"}}",
		"{\"overrides\":{\"a\":1}}",
		"{\"resolutions\":{\"a\":\"patch:a@1#x\"}}",
		"{\"resolutions\":{\"../a\":\"1\"}}", NULL };
	char	user[400], want[400], note[100];
	size_t	i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		snprintf(user, sizeof(user), "{\"%s\":%s}", t[i].name,
		    t[i].value);
		snprintf(want, sizeof(want), "{\"dependencies\":{},\"%s\":%s}",
		    t[i].name, t[i].old);
		snprintf(note, sizeof(note), "\"%s\" does not count: this "
		    "release of the app takes \"dependencies\" alone",
		    t[i].name);
		filter_of(OLD, user, want, t[i].n, NULL);
		filter_of(OLD_LAST, user, want, t[i].n, NULL);
		filter_of(NEW, user, "{\"dependencies\":{}}", 0, note);
	}
	for (i = 0; refused[i] != NULL; i++)
		filter_of(OLD, refused[i], NULL, 0, NULL);
	/* later releases leave out what older ones refuse */
	filter_of(NEW, "{\"dependencies\":{\"a\":\"file:/etc\",\"b\":\"1\","
	    "\"../c\":\"1\",\"d\":7}}", "{\"dependencies\":{\"b\":\"1\"}}",
	    1, "\"a\": \"file:/etc\" is not a version in the registry");
	filter_of(OLD, "{\"type\":\"module\",\"imports\":{\"#a\":\"b\"}}",
	    "{\"dependencies\":{},\"type\":\"module\",\"imports\":{\"#a\":"
	    "\"b\"}}", 0, NULL);
	filter_of(NEW, "{\"type\":\"module\"}", "{\"dependencies\":{}}", 0,
	    NULL);
}

static void
test_package_refusals(void **state)
{
	static const char *const specs[] = { "file:/etc", "link:../x", "./x",
	    "../x", "..", ".", "/etc", "~", "~root", "~/x", "git+ssh://h/x",
	    "git@h:x", "github:a/b", "a/b", "http://h/x.tgz",
	    "https://h/x.tgz", "workspace:*", "catalog:", "patch:x@1",
	    "x.tgz", "x.tar.gz", "npm:../x", "npm:a@file:/etc", "npm:a@/x",
	    "portal:/x", "C:/x", "1\\u00002", NULL };
	static const char *const names[] = { "..", "../x", "a/b", "@a",
	    "a\\\\b", ".x", "", NULL };
	char	text[400];
	size_t	i;

	(void)state;
	for (i = 0; specs[i] != NULL; i++) {
		snprintf(text, sizeof(text),
		    "{\"dependencies\":{\"a\":\"%s\"}}", specs[i]);
		/* a NUL is no JSON for us: counts as {} */
		if (strstr(specs[i], "u0000") != NULL)
			filter_nothing(text, "it is not JSON");
		else
			filter(text, NULL, 0);
	}
	for (i = 0; names[i] != NULL; i++) {
		snprintf(text, sizeof(text),
		    "{\"dependencies\":{\"%s\":\"1\"}}", names[i]);
		filter(text, NULL, 0);
	}
	filter("{\"dependencies\":{\"a\":{}}}", NULL, 0);
	filter("{\"dependencies\":{\"a\":1}}", NULL, 0);
}

static void
test_faults(void **state)
{
	static const char *const user[] = {
		"error: GET https://r.example/x - 404",
		"error: No version matching \"99\" found for specifier \"x\" "
		    "(but package exists)\nerror: x@99 failed to resolve",
		"npm error code E404", "npm error code ETARGET\nnpm error "
		    "notarget No matching version found for x@99.",
		"error: Package \"x\" with tag \"next\" not found, but package "
		    "exists\nerror: x@next failed to resolve",
		"error: GET https://r.example/x - 410",
		"npm error code E410", "npm error code ENOVERSIONS",
		"npm ERR! code E404", "npm error code EBADPLATFORM",
		"npm error code EUNSUPPORTEDPROTOCOL\nnpm error Unsupported "
		    "URL Type \"workspace:\"", "npm error code 128",
		"error: Workspace dependency \"x\" not found",
		"error: package.json not found for \"file:../x\" dependency "
		    "\"x\"", "error: git failed with exit code 128",
		"error: ConnectionRefused downloading tarball x@http://h/x.tgz",
		"error: DNSResolveFailed downloading tarball x@github:a/b",
		/* what the user calls things is not what happened */
		"error: Package \"x\" with tag \"Timeout\" not found, but "
		    "package exists\nerror: x@Timeout failed to resolve",
		"error: GET https://r.example/EPERM - 404\nerror: EPERM@1 "
		    "failed to resolve",
		"npm error code ETARGET\nnpm error notarget No matching "
		    "version found for x@ENOSPC.",
		"npm error code E404\nnpm error 404 Not Found - GET "
		    "https://r.example/ECONNREFUSED", NULL };
	static const char *const ours[] = {
		"error: ConnectionRefused downloading package manifest x\n"
		    "error: x@99 failed to resolve",
		"error: GET https://r.example/x - 404\nerror: GET "
		    "https://r.example/y - 503",
		"npm error code ECONNREFUSED", "npm error code ENOSPC",
		"error: GET https://r.example/x - 401",
		"error: GET https://r.example/x - 403",
		"error: GET https://r.example/x - 400",
		"error: GET https://r.example/x - 429",
		"error: GET https://r.example/x%20-%20404 - 500",
		"error: ConnectionClosed downloading tarball x@1.0.0",
		"error: IntegrityCheckFailed extracting tarball from x",
		"npm error code E401", "npm error code E4040",
		"npm error code EINTEGRITY", "npm error code ENOENT",
		"npm error code E503\nnpm error code E404",
		"cannot run /usr/bin/bun: No such file or directory\n"
		    "error: GET https://r.example/x - 404",
		"ENOSPC: no space left on device\nerror: GET "
		    "https://r.example/x - 404",
		"error: NoSpaceLeft", "something new", "", NULL };
	struct stock_outcome	o = { .exit_code = 1 };
	size_t			i;

	(void)state;
	for (i = 0; user[i] != NULL; i++)
		assert_int_equal(stock_fault_text(apw_str_c(user[i])),
		    APW_STOCK_USER);
	for (i = 0; ours[i] != NULL; i++)
		assert_int_equal(stock_fault_text(apw_str_c(ours[i])),
		    APW_STOCK_OURS);
	assert_non_null(stock_fault_advice(APW_STR("error: GET "
	    "https://r.example/x - 401\nerror: x@1 failed to resolve\n")));
	assert_non_null(stock_fault_advice(APW_STR("npm error code E403\n")));
	assert_null(stock_fault_advice(APW_STR("npm error code E404\n")));
	apw_buf_puts(&o.err, user[0]);
	assert_int_equal(stock_fault_of(&o), APW_STOCK_USER);
	o.timed_out = true;
	assert_int_equal(stock_fault_of(&o), APW_STOCK_OURS);
	o.timed_out = false;
	o.signal = 9;
	o.exit_code = -1;
	assert_int_equal(stock_fault_of(&o), APW_STOCK_OURS);
	o.signal = 0;
	o.exit_code = 0;
	assert_int_equal(stock_fault_of(&o), APW_STOCK_OK);
	stock_outcome_free(&o);
}

static void
test_artefact(void **state)
{
	struct apw_buf	out = APW_BUF_INIT(0);
	char		*big = malloc(200000);

	(void)state;
	stock_bundle_artefact(&out, false, STOCK_NOT_COMPILED, APW_STR("bad `x` "
	    "${process.exit()} \"q\" \\ \n\x01 \xe2\x80\xa8"));
	assert_string_equal(out.data, "exports.code = async () => { throw new "
	    "Error(\"Compilation Error bad `x` ${process.exit()} \\\"q\\\" "
	    "\\\\ \\n\\u0001 \xe2\x80\xa8\"); };\n");
	apw_buf_reset(&out);
	memset(big, 'x', 200000);
	memcpy(big + (32 << 10) - 1, "\xc3\xa9", 2);
	stock_bundle_artefact(&out, false, STOCK_NOT_COMPILED,
	    (struct apw_str){ big, 200000 });
	assert_true(out.len < 40000);
	assert_null(strchr(out.data, '\xc3'));
	free(big);
	apw_buf_reset(&out);
	stock_bundle_artefact(&out, true, STOCK_NOT_INSTALLED, APW_STR("x"));
	assert_string_equal(out.data, "export const code = async () => { throw "
	    "new Error(\"Failed to install dependencies. x\"); };\n");
	apw_buf_free(&out);
}

/* Whoever made it: ours, and those of Node workers of either kind. */
static void
test_is_artefact(void **state)
{
	static const struct { const char *text; bool is; } rows[] = {
		{ "exports.code = async () => { throw new Error(\"Compilation "
		    "Error x\"); };\n", true },
		{ "exports.code = async () => { throw new Error(\"Failed to "
		    "install dependencies. x\"); };\n", true },
		{ "\n    exports.code = async (params) => {\n      throw new "
		    "Error(\"Compilation Error x\");\n    };\n", true },
		{ "\n    exports.code = async (params) => {\n      throw new "
		    "Error(`Compilation Error ${x}`);\n    };\n", true },
		{ "\n    exports.code = async (params) => {\n      throw new "
		    "Error(\"Failed to install dependencies. x\");\n", true },
		{ "exports.code = async () => { throw new Error(\"Compil", false },
		{ "exports.code = async () => { throw new Error(", false },
		{ "exports.code = async () => { throw new Error(\"no\"); }",
		    false },
		{ "exports.code = async () => 'Compilation Error '", false },
		{ "", false },
	};
	size_t	i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(stock_bundle_is_artefact(
		    apw_str_c(rows[i].text)), rows[i].is);
}

/* What changes with a release, at its edges. */
static void
test_release(void **state)
{
	static const struct {
		unsigned		 release;
		enum apw_code_form	 code;
		bool			 all, by_app, tools;
		const char		*schema;
	} rows[] = {
		{ 0, APW_CODE_BUNDLED, true, false, true, NULL },
		{ 85004, APW_CODE_BUNDLED, true, false, false, NULL },
		{ 86000, APW_CODE_BUNDLED, true, true, true, "22" },
		{ 86003, APW_CODE_BUNDLED, false, true, true, "22" },
		{ 87000, APW_CODE_BUNDLED, false, true, true, "22" },
		{ 88000, APW_CODE_BUNDLED, false, true, true, "23" },
		{ 88002, APW_CODE_BUNDLED, false, true, true, "23" },
		{ 88003, APW_CODE_BUNDLED, false, true, false, "23" },
		{ 88004, APW_CODE_BY_ENGINE, false, true, false, NULL },
		{ 90000, APW_CODE_SOURCE, false, true, false, NULL },
		{ 1000000, APW_CODE_SOURCE, false, true, false, NULL },
	};
	const struct apw_stock_release	*r;
	size_t				 i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		r = apw_stock_release_of(rows[i].release);
		assert_int_equal(r->code, rows[i].code);
		assert_int_equal(r->all_members, rows[i].all);
		assert_int_equal(r->by_app, rows[i].by_app);
		assert_int_equal(r->agent_tools, rows[i].tools);
		assert_true(r->bundle_schema == rows[i].schema ||
		    strcmp(r->bundle_schema, rows[i].schema) == 0);
	}
}

static void
test_cut_clean(void **state)
{
	static const char *const cases[][2] = { { "", "" }, { "abc", "abc" },
	    { "a\xc3\xa9", "a\xc3\xa9" }, { "a\xc3", "a" },
	    { "\xe2\x80\xa8", "\xe2\x80\xa8" }, { "x\xe2\x80", "x" },
	    { "x\xf0\x9f\x98", "x" },
	    { "x\xf0\x9f\x98\x80", "x\xf0\x9f\x98\x80" } };
	char	text[16];
	size_t	i;

	(void)state;
	for (i = 0; i < APW_COUNT(cases); i++) {
		snprintf(text, sizeof(text), "%s", cases[i][0]);
		stock_cut_clean(text);
		assert_string_equal(text, cases[i][1]);
	}
}

static void
test_outcome_text(void **state)
{
	struct stock_outcome	o = { .exit_code = 3 };
	struct apw_buf		text = APW_BUF_INIT(0);

	(void)state;
	apw_buf_puts(&o.err, "a\x1b[31m\xff\xc3\xa9\xed\xa0\x80\tz");
	apw_buf_puts(&o.out, "out\n");
	stock_outcome_text(&o, &text);
	assert_string_equal(text.data,
	    "Exit 3\na?[31m?\xc3\xa9???\tz\nout\n");
	apw_buf_reset(&text);
	apw_buf_reset(&o.err);
	apw_buf_puts(&o.err, "GET https://me:pa@ss@r.example/a@1 - 404 "
	    "http://u:p@h:1 https://r.example/@a/b ://@ ://a@b");
	stock_outcome_text(&o, &text);
	assert_string_equal(text.data, "Exit 3\nGET https://***@r.example/a@1 "
	    "- 404 http://***@h:1 https://r.example/@a/b ://@ ://a@b\nout\n");
	apw_buf_free(&text);
	stock_outcome_free(&o);
}

static int
inputs(const char *path)
{
	char	text[300];

	snprintf(text, sizeof(text), "{\"inputs\":{\"index.ts\":{},\"%s\":{}},"
	    "\"outputs\":{}}", path);
	return stock_bundle_inputs(apw_str_c(text), NULL);
}

static void
test_inputs(void **state)
{
	(void)state;
	assert_int_equal(inputs("node_modules/a/index.js"), 0);
	assert_int_equal(inputs("(disabled):node_modules/a/b.js"), 0);
	assert_int_equal(inputs("<runtime>"), 0);
	assert_int_equal(inputs("a..b/c"), 0);
	assert_int_equal(inputs("../x.js"), 1);
	assert_int_equal(inputs("node_modules/../../x.js"), 1);
	assert_int_equal(inputs("(disabled):../x"), 1);
	assert_int_equal(inputs("/etc/passwd"), 1);
	assert_int_equal(inputs("file:///etc/passwd"), 1);
	assert_int_equal(inputs("ns:https://h/x"), 1);
	assert_int_equal(stock_bundle_size(APW_STR("{\"outputs\":{"
	    "\"index.js\":{\"bytes\":0}}}")), 0);
	assert_int_equal(stock_bundle_size(APW_STR("{\"outputs\":{\"./a\":{"
	    "\"bytes\":1},\"./index.js\":{\"bytes\":740}}}")), 740);
	assert_int_equal(stock_bundle_size(APW_STR("{\"outputs\":{}}")), -1);
	assert_int_equal(stock_bundle_size(APW_STR("{\"outputs\":{"
	    "\"index.js\":{\"bytes\":-1}}}")), -1);
	assert_int_equal(stock_bundle_size(APW_STR("")), -1);
	assert_int_equal(stock_bundle_inputs(APW_STR("{}"), NULL), -1);
	assert_int_equal(stock_bundle_inputs(APW_STR("not json"), NULL), -1);
	assert_int_equal(stock_bundle_inputs(APW_STR(""), NULL), -1);
}

static void
test_leaks(void **state)
{
	(void)state;
	assert_false(stock_bundle_leaks(APW_STR("")));
	assert_false(stock_bundle_leaks(APW_STR("    index.ts:1:4:\n      "
	    "1 \xe2\x94\x82 import '/etc/passwd':\n")));
	assert_true(stock_bundle_leaks(APW_STR(
	    "x\n    ../../etc/passwd:1:4:\n      1 | root:x:0")));
	assert_true(stock_bundle_leaks(APW_STR("    /etc/passwd:1:4:")));
}

static void
errors_are(const char *text, int n, const char *want)
{
	struct apw_buf	out = APW_BUF_INIT(0);

	assert_int_equal(stock_bundle_errors(apw_str_c(text), &out), n);
	apw_buf_puts(&out, "");
	assert_string_equal(n == 0 ? "" : out.data, want);
	apw_buf_free(&out);
}

#define X "\xe2\x9c\x98 [ERROR] "
#define BAR "      3 \xe2\x94\x82 "

static void
test_errors(void **state)
{
	(void)state;
	errors_are("", 0, "");
	errors_are("error: nothing of ours\n    index.ts:1:2:\n", 0, "");
	errors_are("Exit 1\n" X "Unexpected \"}\"\n\n    index.ts:1:45:\n" BAR
	    "x\n        \xe2\x95\xb5 ^\n\n", 1,
	    "Error: Unexpected \"}\" (index.ts:1:45)");
	errors_are("Exit 1\n" X "Could not resolve \"nope\"\n\n"
	    "    index.ts:1:14:\n" BAR "import x from \"nope\";\n\n"
	    "  You can mark the path \"nope\" as external\n\n"
	    X "Could not resolve \"../../etc/x.json\"\n\n"
	    "    index.ts:3:14:\n" BAR "x\n\n"
	    X "Could not resolve \"./y\"\n\n    index.ts:4:1:\n"
	    X "Could not resolve \"/etc/y\"\n\n"
	    X "No matching export\n\n    node_modules/a/b.js:3:4:\n"
	    X "Bad\n\n    node_modules/a/index.ts:3:4:\n2 errors\n", 6,
	    "Error: Could not resolve \"nope\" (index.ts:1:14)\n"
	    "Importing files outside the step folder is not allowed "
	    "(index.ts:3:14)\n"
	    "Could not resolve \"./y\" (index.ts:4:1)\n"
	    "Importing files outside the step folder is not allowed\n"
	    "No matching export\n"
	    "Bad (index.ts:3:4)");
	/* the user's own words */
	errors_are(X "Unexpected \"x\"\n\n    index.ts:1:2:\n" BAR X "mine\n",
	    1, "Error: Unexpected \"x\" (index.ts:1:2)");
	errors_are(X, 1, "Error: ");
	errors_are(X "a\n\n    myindex.ts:1:2:", 1, "Error: a");
	errors_are(X "a\n\n    index.ts:1:2", 1, "Error: a");
}

static void
test_hash(void **state)
{
	struct apw_str	a[] = { APW_STR("ab"), APW_STR("c") };
	struct apw_str	b[] = { APW_STR("a"), APW_STR("bc") };
	char		ha[STOCK_HASH_SIZE], hb[STOCK_HASH_SIZE];

	(void)state;
	assert_int_equal(stock_hash(ha, a, 2), 0);
	assert_int_equal(stock_hash(hb, b, 2), 0);
	assert_int_equal(strlen(ha), 64);
	assert_string_not_equal(ha, hb);
}

static void
test_code_hash(void **state)
{
	struct apw_cycle	 cycle = { .number = 1 };
	struct apw_stock	 s = { .cycle = &cycle,
	    .installer = { .version = (char []){ "1.0" } },
	    .bundler = { .version = (char []){ "2.0" } } };
	struct apw_stock_code	 c = { .source = APW_STR("{}") };
	struct apw_stock_order	 o = { .codes = &c, .ncodes = 1 };
	char			 h[4][STOCK_HASH_SIZE];
	char			 newer[] = "2.1";

	(void)state;
	stock_code_hash(&s, &o, &c, h[0]);
	o.packages = true;
	stock_code_hash(&s, &o, &c, h[1]);
	s.bundler.version = newer;
	stock_code_hash(&s, &o, &c, h[2]);
	c.source = APW_STR("{ }");
	stock_code_hash(&s, &o, &c, h[3]);
	assert_string_not_equal(h[0], h[1]);
	assert_string_not_equal(h[1], h[2]);
	assert_string_not_equal(h[2], h[3]);
}

/* As the app's own worker has it: of the text as it came. */
static void
test_action_folder(void **state)
{
	static const char source[] = "{\"packageJson\":\"{}\",\"code\":\"export "
	    "const code = async (i) => { console.log('acted'); return "
	    "{twice:i.n*2} }\"}";
	static const char *const no_folders[] = { "", "action-runs",
	    "action-runs/", "action-runs/..", "action-runs/a/b", "a/b", "..",
	    NULL };
	char	out[APW_STOCK_FOLDER], longest[200];
	size_t	i;

	(void)state;
	assert_int_equal(apw_stock_action_folder("2AxMZyBgfx5ImM1yHScIR",
	    APW_STR(source), out), 0);
	assert_string_equal(out, "action-runs/2AxMZyBgfx5ImM1yHScIR_01ba9d9a39"
	    "2c94e95f27457c5be726d899541c1ded96665eeb770b6bda1b220e");
	assert_true(stock_is_code_folder(out));
	assert_true(stock_is_code_folder("fv1"));
	for (i = 0; no_folders[i] != NULL; i++)
		assert_false(stock_is_code_folder(no_folders[i]));
	assert_false(stock_is_code_folder(NULL));
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(apw_stock_action_folder(longest, APW_STR("{}"), out),
	    -1);
	assert_int_equal(apw_stock_action_folder("../x", APW_STR("{}"), out),
	    -1);
	assert_int_equal(apw_stock_action_folder(NULL, APW_STR("{}"), out), -1);
}

int
main(void)
{
	const struct CMUnitTest	tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_action_folder),
		cmocka_unit_test(test_exact),
		cmocka_unit_test(test_piece_folder),
		cmocka_unit_test(test_package_filter),
		cmocka_unit_test(test_agent_tools),
		cmocka_unit_test(test_package_releases),
		cmocka_unit_test(test_package_refusals),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_artefact),
		cmocka_unit_test(test_is_artefact),
		cmocka_unit_test(test_release),
		cmocka_unit_test(test_cut_clean),
		cmocka_unit_test(test_outcome_text),
		cmocka_unit_test(test_inputs),
		cmocka_unit_test(test_leaks),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_code_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
