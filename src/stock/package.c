/* A user's package.json, reduced to what a code step may ask for: packages
 * from the registry.  Room: stock, keeper.  Scripts, overrides, workspaces
 * and all other fields are dropped; a dependency that is no version range of
 * the registry (a file, link, archive, repository or URL) is refused. */
#include "stock/stock_priv.h"

#include <jansson.h>

#define DEPENDENCIES_MAX	300
#define RANGE_BYTES		256

static bool
ends_with(struct apw_str s, const char *tail)
{
	size_t	n = strlen(tail);

	return s.n >= n && memcmp(s.p + s.n - n, tail, n) == 0;
}

/* ^1.2.3, >=1 <2 || 3.x, latest: no character that a path or URL needs. */
static bool
is_range(struct apw_str s)
{
	size_t	i;

	if (s.n > RANGE_BYTES || (s.n > 0 && s.p[0] == '.') ||
	    ends_with(s, ".tgz") || ends_with(s, ".tar.gz") ||
	    ends_with(s, ".tar"))
		return false;
	for (i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || (c != '\0' &&
		    strchr(".-_+*^~<>=| ", c) != NULL)))
			return false;
		if (c == '.' && i + 1 < s.n && s.p[i + 1] == '.')
			return false;
	}
	/* "~" and "~user" are paths to some tools, "~1" is a range */
	return !(s.n > 0 && s.p[0] == '~' && (s.n == 1 ||
	    !((s.p[1] >= '0' && s.p[1] <= '9') || s.p[1] == ' ')));
}

/* npm:name@range is the registry too, under another name. */
static bool
is_spec(struct apw_str s)
{
	static const struct apw_str	alias = { "npm:", 4 };
	struct apw_str			name, range;
	const char			*at;

	if (s.n < alias.n || memcmp(s.p, alias.p, alias.n) != 0)
		return is_range(s);
	name = (struct apw_str){ s.p + alias.n, s.n - alias.n };
	at = name.n > 1 ? memchr(name.p + 1, '@', name.n - 1) : NULL;
	range = (struct apw_str){ "", 0 };
	if (at != NULL) {
		range = (struct apw_str){ at + 1, name.p + name.n - at - 1 };
		name.n = at - name.p;
	}
	return stock_is_package(name) && is_range(range);
}

static int
add_dependency(json_t *to, const char *name, const json_t *value,
    struct apw_err *err)
{
	struct apw_str	spec;

	if (!stock_is_package(apw_str_c(name)))
		return apw_err_set(err, 0, "package.json: \"%.200s\" is not "
		    "the name of a package", name);
	if (!json_is_string(value))
		return apw_err_set(err, 0, "package.json: the version of "
		    "\"%.200s\" is not a string", name);
	spec = (struct apw_str){ json_string_value(value),
	    json_string_length(value) };
	if (!is_spec(spec))
		return apw_err_set(err, 0, "package.json: \"%.200s\": "
		    "\"%.200s\" is not a version in the registry; files, "
		    "links, archives, repositories and URLs are not allowed",
		    name, json_string_value(value));
	return json_object_set_new(to, name,
	    json_string(json_string_value(value)));
}

static int
add_dependencies(json_t *to, json_t *user, struct apw_err *err)
{
	json_t		*dependencies = json_object_get(user, "dependencies");
	json_t		*value;
	const char	*name;

	if (!json_is_object(dependencies))
		return 0;
	if (json_object_size(dependencies) > DEPENDENCIES_MAX)
		return apw_err_set(err, 0, "package.json: more than %d "
		    "dependencies", DEPENDENCIES_MAX);
	json_object_foreach(dependencies, name, value)
		if (add_dependency(to, name, value, err) == -1)
			return -1;
	return 0;
}

int
stock_package_filter(struct apw_str user, bool allowed,
    struct stock_package *package, struct apw_err *err)
{
	json_t	*root = NULL, *to = json_object();
	char	*text;
	int	 rc = -1;

	*package = (struct stock_package){
	    .json = APW_BUF_INIT(2 * STOCK_PACKAGE_BYTES) };
	if (!allowed) {
		json_decref(to);
		apw_buf_puts(&package->json, "{\"dependencies\":{}}");
		return 0;
	}
	if (user.n > STOCK_PACKAGE_BYTES) {
		json_decref(to);
		return apw_err_set(err, 0, "package.json is larger than %zu "
		    "bytes", STOCK_PACKAGE_BYTES);
	}
	root = json_loadb(user.p == NULL ? "" : user.p, user.n, 0, NULL);
	/* what is no JSON counts as {} */
	if (add_dependencies(to, root, err) == 0) {
		package->ndeps = json_object_size(to);
		text = json_dumps(to, JSON_COMPACT);
		if (text != NULL && apw_buf_printf(&package->json,
		    "{\"dependencies\":%s}", text) == 0)
			rc = 0;
		else
			apw_err_set(err, 0, "package.json is too large");
		free(text);
	}
	json_decref(root);
	json_decref(to);
	if (rc == -1)
		apw_buf_free(&package->json);
	return rc;
}
