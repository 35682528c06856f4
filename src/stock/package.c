/* A user's package.json, reduced to what a code step may ask for: packages
 * from the registry.  Room: stock, keeper.  Which members count is the app's
 * release's word (a table); scripts, workspaces, patches and the like never
 * do.  A dependency that is no version range of the registry (a file, link,
 * archive, repository or URL) is never installed.  What is left out is noted,
 * for the log and for the step that then misses a package. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

#include "core/apw_auto.h"

#define DEPENDENCIES_MAX	300
#define LEFT_OUT_MAX		8	/* names that are told */

/* What a member is, and so how it is read. */
enum member { VERSIONS, PEERS_META, OVERRIDES, RESOLUTIONS, AS_IT_IS };

static const struct {
	const char	*name;
	enum member	 what;
	bool		 asks;		/* for packages to be installed */
	bool		 always;	/* in each release */
} members[] = {
	{ "dependencies", VERSIONS, true, true },
	{ "devDependencies", VERSIONS, true, false },
	{ "optionalDependencies", VERSIONS, true, false },
	{ "peerDependencies", VERSIONS, true, false },
	{ "peerDependenciesMeta", PEERS_META, false, false },
	{ "overrides", OVERRIDES, false, false },
	{ "resolutions", RESOLUTIONS, false, false },
	{ "type", AS_IT_IS, false, false },
	{ "imports", AS_IT_IS, false, false },
	{ "sideEffects", AS_IT_IS, false, false },
};

/* Members that somebody may have meant to matter, where they do not. */
static const char *const meant[] = { "workspaces", "patchedDependencies",
    "catalog", "catalogs", "pnpm", "trustedDependencies" };

struct reading {
	const struct apw_stock_release *rules;
	struct stock_package	*package;	/* borrowed; notes are taken */
	json_t			*to;		/* borrowed */
	struct apw_buf		 left_out;	/* owned; members' names */
	unsigned		 nleft_out;
	struct apw_err		*err;
};

/* 0: it may be asked for. */
static int
check_dependency(const char *member, const char *name, const json_t *value,
    struct apw_err *err)
{
	if (!stock_is_package(apw_str_c(name)))
		return apw_err_set(err, 0, "package.json: \"%.200s\" is not "
		    "the name of a package", name);
	if (!json_is_string(value))
		return apw_err_set(err, 0, "package.json: the version of "
		    "\"%.200s\" is not a string", name);
	if (!stock_is_spec((struct apw_str){ json_string_value(value),
	    json_string_length(value) }))
		return apw_err_set(err, 0, "package.json: \"%.200s\": "
		    "\"%.200s\" is not a version in the registry; files, "
		    "links, archives, repositories and URLs are not allowed%s%s",
		    name, json_string_value(value),
		    strcmp(member, "dependencies") == 0 ? "" : " in ",
		    strcmp(member, "dependencies") == 0 ? "" : member);
	return 0;
}

static void
note(struct stock_package *package, const char *text)
{
	apw_buf_puts(&package->notes, package->notes.len == 0 ? "" : "; ");
	apw_buf_puts(&package->notes, text);
}

/* A member that does not count.  Its name is the user's: cut, but not in the
 * middle of a character. */
static void
leave_out(struct reading *r, const char *name)
{
	size_t	n = strnlen(name, 100);

	if (++r->nleft_out > LEFT_OUT_MAX)
		return;
	while (n > 0 && (name[n] & 0xc0) == 0x80)
		n--;
	apw_buf_puts(&r->left_out, r->left_out.len == 0 ? "" : ", ");
	apw_buf_json(&r->left_out, (struct apw_str){ name, n });
}

static int
read_versions(struct reading *r, const char *member, json_t *user,
    json_t *to)
{
	struct apw_err	why = APW_ERR_NONE;
	json_t		*value;
	const char	*name;

	if (json_object_size(user) > DEPENDENCIES_MAX)
		return apw_err_set(r->err, 0, "package.json: more than %d "
		    "%s", DEPENDENCIES_MAX, member);
	json_object_foreach(user, name, value) {
		if (check_dependency(member, name, value, &why) == 0) {
			if (json_object_set(to, name, value) == -1)
				return apw_err_set(r->err, ENOMEM,
				    "package.json");
			continue;
		}
		if (r->rules->refuses)
			return apw_err_set(r->err, 0, "%s", why.text);
		stock_cut_clean(why.text);
		note(r->package, why.text + strlen("package.json: "));
	}
	return 0;
}

/* {"x": {"optional": true}} */
static int
read_peers_meta(json_t *user, json_t *to)
{
	json_t		*value;
	const char	*name;

	json_object_foreach(user, name, value)
		if (stock_is_package(apw_str_c(name)) &&
		    json_is_true(json_object_get(value, "optional")) &&
		    json_object_set_new(to, name, json_pack("{s:b}",
		    "optional", 1)) == -1)
			return -1;
	return 0;
}

static const char *
type_name(const json_t *v)
{
	static const char *const names[] = { [JSON_OBJECT] = "an object",
	    [JSON_ARRAY] = "an array", [JSON_STRING] = "a string",
	    [JSON_INTEGER] = "a number", [JSON_REAL] = "a number",
	    [JSON_TRUE] = "true", [JSON_FALSE] = "false",
	    [JSON_NULL] = "null" };

	return names[json_typeof(v)];
}

static int
read_member(struct reading *r, size_t which, json_t *value)
{
	const char	*name = members[which].name;
	char		 text[160];
	json_t		*to;

	if (members[which].what == AS_IT_IS)
		return json_object_set(r->to, name, value);
	if (!json_is_object(value)) {
		snprintf(text, sizeof(text), "%s is %s, not an object, and "
		    "does not count", name, type_name(value));
		note(r->package, text);
		return 0;
	}
	/* dependencies are there already */
	to = json_object_get(r->to, name);
	if (to == NULL && json_object_set_new(r->to, name,
	    to = json_object()) == -1)
		return apw_err_set(r->err, ENOMEM, "package.json");
	switch (members[which].what) {
	case PEERS_META:
		return read_peers_meta(value, to);
	case OVERRIDES:
		return stock_spec_overrides(value, to, r->err);
	case RESOLUTIONS:
		return stock_spec_resolutions(value, to, r->err);
	default:
		return read_versions(r, name, value, to);
	}
}

/* Would it have mattered to an installer, or is it a slip of the pen? */
static bool
is_meant(const char *name, const json_t *value)
{
	size_t	i;

	if (strcasestr(name, "depend") != NULL)
		return true;
	if (strcmp(name, "scripts") == 0)
		return json_object_get(value, "postinstall") != NULL ||
		    json_object_get(value, "install") != NULL ||
		    json_object_get(value, "preinstall") != NULL;
	for (i = 0; i < APW_COUNT(meant); i++)
		if (strcmp(name, meant[i]) == 0)
			return true;
	return false;
}

static int
read_members(struct reading *r, json_t *user)
{
	json_t		*value;
	const char	*name;
	size_t		 i;

	json_object_foreach(user, name, value) {
		for (i = 0; i < APW_COUNT(members) &&
		    strcmp(name, members[i].name) != 0; i++)
			;
		if (i == APW_COUNT(members)) {
			if (is_meant(name, value))
				leave_out(r, name);
		} else if (!r->rules->all_members && !members[i].always) {
			if (members[i].what != AS_IT_IS)
				leave_out(r, name);
		} else if (read_member(r, i, value) == -1)
			return -1;
	}
	return 0;
}

static bool
is_blank(struct apw_str s)
{
	size_t	i;

	for (i = 0; i < s.n; i++)
		if (memchr(" \t\r\n", s.p[i], 4) == NULL)
			return false;
	return true;
}

/* The user's object; NULL: it counts as {}, and the notes say why. */
static json_t *
load(struct apw_str user, struct stock_package *package)
{
	char		 text[320];
	json_error_t	 why;
	json_t		*root;

	if (is_blank(user))
		return NULL;
	root = json_loadb(user.p, user.n, JSON_DECODE_ANY, &why);
	if (root == NULL && user.n >= 3 &&
	    memcmp(user.p, "\xef\xbb\xbf", 3) == 0)
		snprintf(text, sizeof(text), "it is not JSON, as it begins "
		    "with a byte order mark, and counts as {}");
	else if (root == NULL)
		snprintf(text, sizeof(text), "it is not JSON (%s, line %d), "
		    "and counts as {}", why.text, why.line);
	else if (!json_is_object(root))
		snprintf(text, sizeof(text), "it is %s, not an object, and "
		    "counts as {}", type_name(root));
	else
		return root;
	stock_cut_clean(text);
	note(package, text);
	json_decref(root);
	return NULL;
}

static size_t
count_packages(const json_t *object)
{
	size_t	i, n = 0;

	for (i = 0; i < APW_COUNT(members); i++)
		if (members[i].asks)
			n += json_object_size(json_object_get(object,
			    members[i].name));
	return n;
}

static void
note_left_out(struct reading *r)
{
	char	text[LEFT_OUT_MAX * 720];

	if (r->nleft_out == 0)
		return;
	snprintf(text, sizeof(text), "%s%s %s not count%s", r->left_out.data,
	    r->nleft_out > LEFT_OUT_MAX ? " and others" : "",
	    r->nleft_out == 1 ? "does" : "do", r->rules->all_members ? "" :
	    ": this release of the app takes \"dependencies\" alone");
	note(r->package, text);
}

/* Where packages are not allowed what the file asks for does not matter. */
static int
filter_none(struct apw_str user, struct stock_package *package)
{
	json_t	*root = load(user, package);

	apw_buf_reset(&package->notes);
	if (count_packages(root) > 0)
		note(package, "it does not count: code steps may not use "
		    "packages in this execution mode");
	json_decref(root);
	return apw_buf_puts(&package->json, "{\"dependencies\":{}}");
}

static int
filter(struct apw_str user, struct reading *r)
{
	struct stock_package	*package = r->package;
	json_t			*root = load(user, package);
	char			*text = NULL;
	int			 rc = -1;

	if (read_members(r, root) == 0) {
		note_left_out(r);
		package->ndeps = count_packages(r->to);
		text = json_dumps(r->to, JSON_COMPACT);
		if (text != NULL && apw_buf_puts(&package->json, text) == 0)
			rc = 0;
		else
			apw_err_set(r->err, 0, "package.json is too large");
	}
	free(text);
	json_decref(root);
	return rc;
}

int
stock_package_filter(struct apw_str user, bool allowed, unsigned release,
    struct stock_package *package, struct apw_err *err)
{
	struct reading	r = { .rules = apw_stock_release_of(release),
	    .package = package, .left_out = APW_BUF_INIT(LEFT_OUT_MAX * 700),
	    .err = err };
	int		rc;

	*package = (struct stock_package){
	    .json = APW_BUF_INIT(2 * STOCK_PACKAGE_BYTES),
	    .notes = APW_BUF_INIT(STOCK_NOTES_BYTES) };
	if (user.n > STOCK_PACKAGE_BYTES && allowed)
		return apw_err_set(err, 0, "package.json is larger than %zu "
		    "bytes", STOCK_PACKAGE_BYTES);
	if (!allowed)
		return filter_none(user, package);
	r.to = json_pack("{s:{}}", "dependencies");
	rc = r.to == NULL ? apw_err_set(err, ENOMEM, "package.json") :
	    filter(user, &r);
	json_decref(r.to);
	apw_buf_free(&r.left_out);
	if (rc == -1)
		stock_package_free(package);
	return rc;
}

void
stock_package_free(struct stock_package *package)
{
	apw_buf_free(&package->json);
	apw_buf_free(&package->notes);
}
