/* What users and tools write and the stock reads: package.json, the bundler's
 * list of inputs and its messages, names, versions, a bundle's error text. */
#include "fuzz_main.h"

#include <jansson.h>

#include "stock/stock_priv.h"

/* A member of package.json that names packages of the registry only. */
static size_t
only_registry(json_t *object)
{
	json_t		*value;
	const char	*name, *spec;

	json_object_foreach(object, name, value) {
		spec = json_string_value(value);
		FUZZ_CHECK(stock_is_package(apw_str_c(name)));
		FUZZ_CHECK(spec != NULL && strstr(spec, "..") == NULL &&
		    spec[0] != '/' && spec[0] != '.');
		FUZZ_CHECK(strchr(spec, ':') == NULL ||
		    strncmp(spec, "npm:", 4) == 0);
	}
	return json_object_size(object);
}

/* What is left of a package.json. */
static void
package(struct apw_str text, unsigned release)
{
	static const char *const members[] = { "dependencies",
	    "devDependencies", "optionalDependencies", "peerDependencies" };
	struct stock_package	 package;
	struct apw_err		 err = APW_ERR_NONE;
	json_t			*root;
	size_t			 i, n = 0;

	if (stock_package_filter(text, true, release, &package, &err) == -1) {
		FUZZ_CHECK(err.text[0] != '\0');
		return;
	}
	root = json_loadb(package.json.data, package.json.len, 0, NULL);
	FUZZ_CHECK(json_is_object(json_object_get(root, "dependencies")));
	FUZZ_CHECK(release == 0 || json_object_size(root) == 1);
	for (i = 0; i < sizeof(members) / sizeof(*members); i++)
		n += only_registry(json_object_get(root, members[i]));
	FUZZ_CHECK(n == package.ndeps);
	FUZZ_CHECK(package.notes.len <= STOCK_NOTES_BYTES);
	FUZZ_CHECK(json_object_get(root, "scripts") == NULL &&
	    json_object_get(root, "workspaces") == NULL);
	json_decref(root);
	stock_package_free(&package);
}

/* One line of JavaScript whose literal is JSON, whatever the text. */
static void
artefact(struct apw_str text)
{
	static const char	head[] = "exports.code = async () => { throw "
	    "new Error(\"Compilation Error ";
	struct apw_buf		out = APW_BUF_INIT(0);

	stock_bundle_artefact(&out, false, STOCK_NOT_COMPILED, text);
	FUZZ_CHECK(!out.failed && out.len > sizeof(head) &&
	    memcmp(out.data, head, sizeof(head) - 1) == 0);
	FUZZ_CHECK(memchr(out.data, '\n', out.len) ==
	    out.data + out.len - 1);
	apw_buf_free(&out);
}

/* No longer than what they are taken from, but for what is put in place of a
 * path outside. */
static void
errors(struct apw_str text)
{
	struct apw_buf	out = APW_BUF_INIT(0);
	int		n = stock_bundle_errors(text, &out);

	FUZZ_CHECK(n >= 0 && (n == 0) == (out.len == 0) &&
	    out.len <= text.n + 64 * (size_t)n);
	apw_buf_free(&out);
}

static void
names(struct apw_str text)
{
	char			*s = apw_str_dup(text), buf[STOCK_PATH_BYTES];
	struct apw_stock_piece	 p = { .name = s, .version = "1.0.0" };

	stock_is_package(text);
	if (s == NULL)
		return;
	FUZZ_CHECK(!stock_is_step(s) || strpbrk(s, "./\\") == NULL);
	FUZZ_CHECK(!stock_is_exact(s) || (strchr(s, '/') == NULL &&
	    strstr(s, "..") == NULL));
	if (stock_piece_folder(&p, false, buf, sizeof(buf)) == 0)
		FUZZ_CHECK(strstr(buf, "..") == NULL && strstr(buf, "//") ==
		    NULL && strncmp(buf, "common/pieces/", 14) == 0);
	free(s);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct apw_str		text = { (const char *)data, n };
	struct stock_outcome	o = { .exit_code = 1,
	    .err = APW_BUF_INIT(0) };
	struct apw_buf		said = APW_BUF_INIT(0);

	package(text, 0);
	package(text, 86003);
	stock_bundle_inputs(text, NULL);
	stock_bundle_leaks(text);
	errors(text);
	stock_fault_text(text);
	artefact(text);
	names(text);
	apw_buf_str(&o.err, text);
	stock_outcome_text(&o, &said);
	artefact(apw_buf_view(&said));
	apw_buf_free(&said);
	stock_outcome_free(&o);
	return 0;
}
