/* What users and tools write and the stock reads: package.json, the bundler's
 * list of inputs and its messages, names, versions, a bundle's error text. */
#include "fuzz_main.h"

#include <jansson.h>

#include "stock/stock_priv.h"

/* What is left of a package.json names packages of the registry only. */
static void
package(struct apw_str text)
{
	struct stock_package	 package;
	struct apw_err		 err = APW_ERR_NONE;
	json_t			*root, *dependencies, *value;
	const char		*name, *spec;

	if (stock_package_filter(text, true, &package, &err) == -1) {
		FUZZ_CHECK(err.text[0] != '\0');
		return;
	}
	root = json_loadb(package.json.data, package.json.len, 0, NULL);
	dependencies = json_object_get(root, "dependencies");
	FUZZ_CHECK(json_object_size(root) == 1 &&
	    json_object_size(dependencies) == package.ndeps);
	json_object_foreach(dependencies, name, value) {
		spec = json_string_value(value);
		FUZZ_CHECK(stock_is_package(apw_str_c(name)));
		FUZZ_CHECK(spec != NULL && strstr(spec, "..") == NULL &&
		    spec[0] != '/' && spec[0] != '.');
		FUZZ_CHECK(strchr(spec, ':') == NULL ||
		    strncmp(spec, "npm:", 4) == 0);
	}
	json_decref(root);
	apw_buf_free(&package.json);
}

/* One line of JavaScript whose literal is JSON, whatever the text. */
static void
artefact(struct apw_str text)
{
	static const char	head[] = "exports.code = async () => { throw "
	    "new Error(\"Compilation Error ";
	struct apw_buf		out = APW_BUF_INIT(0);

	stock_bundle_artefact(&out, text);
	FUZZ_CHECK(!out.failed && out.len > sizeof(head) &&
	    memcmp(out.data, head, sizeof(head) - 1) == 0);
	FUZZ_CHECK(memchr(out.data, '\n', out.len) ==
	    out.data + out.len - 1);
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

	package(text);
	stock_bundle_inputs(text, NULL);
	stock_bundle_leaks(text);
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
