/* What a user's package.json may ask of a registry: versions, and overrides of
 * versions.  Room: stock, keeper.  What could be a file, link, archive,
 * repository or URL to any installer does not pass. */
#include "stock/stock_priv.h"

#include <jansson.h>

#define RANGE_BYTES		256
#define OVERRIDES_DEPTH		8
#define OVERRIDES_MAX		300	/* in one object */

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
bool
stock_is_spec(struct apw_str s)
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

static bool
is_spec_of(const json_t *value)
{
	return json_is_string(value) && stock_is_spec((struct apw_str){
	    json_string_value(value), json_string_length(value) });
}

/* "name", "name@range" or ".", as npm has them. */
static bool
is_override(const char *key)
{
	const char	*at = *key == '\0' ? NULL : strchr(key + 1, '@');

	if (strcmp(key, ".") == 0)
		return true;
	return at == NULL ? stock_is_package(apw_str_c(key)) :
	    stock_is_package((struct apw_str){ key, at - key }) &&
	    is_range(apw_str_c(at + 1));
}

/* "$name" is the version that dependencies have. */
static bool
is_override_to(const json_t *value)
{
	const char	*text = json_string_value(value);

	return text != NULL && text[0] == '$' ?
	    stock_is_package(apw_str_c(text + 1)) : is_spec_of(value);
}

static int
copy_overrides(json_t *user, json_t *to, unsigned depth, struct apw_err *err)
{
	json_t		*value, *inner;
	const char	*key;

	if (depth > OVERRIDES_DEPTH || json_object_size(user) > OVERRIDES_MAX)
		return apw_err_set(err, 0, "package.json: too many overrides");
	json_object_foreach(user, key, value) {
		if (is_override(key) && json_is_object(value)) {
			inner = json_object();
			if (json_object_set_new(to, key, inner) == -1 ||
			    copy_overrides(value, inner, depth + 1, err) == -1)
				return -1;
		} else if (!is_override(key) || !is_override_to(value))
			return apw_err_set(err, 0, "package.json: the "
			    "override of \"%.200s\" is not a version in the "
			    "registry", key);
		else
			json_object_set(to, key, value);
	}
	return 0;
}

int
stock_spec_overrides(json_t *user, json_t *to, struct apw_err *err)
{
	return copy_overrides(user, to, 0, err);
}

/* "name", "other/name" or "**" in place of other, as yarn has them. */
static bool
is_resolution(const char *key)
{
	const char	*slash;

	for (;;) {
		slash = strchr(key, '/');
		if (slash != NULL && *key == '@')
			slash = strchr(slash + 1, '/');
		if (slash == NULL)
			return stock_is_package(apw_str_c(key));
		if (strncmp(key, "**/", 3) != 0 && !stock_is_package(
		    (struct apw_str){ key, slash - key }))
			return false;
		key = slash + 1;
	}
}

int
stock_spec_resolutions(json_t *user, json_t *to, struct apw_err *err)
{
	json_t		*value;
	const char	*key;

	if (json_object_size(user) > OVERRIDES_MAX)
		return apw_err_set(err, 0, "package.json: too many "
		    "resolutions");
	json_object_foreach(user, key, value) {
		if (!is_resolution(key) || !is_spec_of(value))
			return apw_err_set(err, 0, "package.json: the "
			    "resolution of \"%.200s\" is not a version in the "
			    "registry", key);
		json_object_set(to, key, value);
	}
	return 0;
}
