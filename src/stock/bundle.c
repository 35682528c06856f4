/* The bundler: index.ts and its packages become one index.js.  Room: stock,
 * keeper.  What does not compile becomes an index.js that says so when it is
 * run; a bundle that took in a file from outside its folder does not pass. */
#include "stock/stock_priv.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>

#include "core/apw_auto.h"

#define METAFILE_BYTES	((size_t)32 << 20)
#define WHY_BYTES	((size_t)32 << 10)

static const char *const esbuild_args[] = {
	"index.ts", "--bundle", "--platform=node", "--format=cjs",
	"--outfile=index.js", "--metafile=meta.json",
	"--tsconfig=tsconfig.json", "--color=false", "--log-limit=100",
	"--log-level=warning", NULL
};
static const char *const bun_args[] = {
	"build", "index.ts", "--target", "node", "--format", "cjs",
	"--outfile", "index.js", "--metafile=meta.json",
	/* they would be run, at build time */
	"--no-macros", NULL
};

#define ARTEFACT_HEAD	"exports.code = async () => { throw new Error("
#define ARTEFACT_SOURCE	"export const code = async () => { throw new Error("

/* past the words, if they are next; blanks may be in front of each. */
static bool
artefact_says(const char **p, const char *end, const char *const *words)
{
	size_t	n;

	for (; *words != NULL; words++) {
		while (*p < end && (**p == ' ' || **p == '\n' || **p == '\r' ||
		    **p == '\t'))
			(*p)++;
		n = strlen(*words);
		if ((size_t)(end - *p) < n || memcmp(*p, *words, n) != 0)
			return false;
		*p += n;
	}
	return true;
}

/* Ours, or one that a Node worker has made: its text is a literal of either
 * kind, by its release. */
bool
stock_bundle_is_artefact(struct apw_str text)
{
	static const char *const heads[][6] = {
		{ "exports.code", "= async", "() => {", "throw new Error(",
		    NULL },
		{ "exports.code", "= async", "(params) => {",
		    "throw new Error(", NULL },
	};
	static const char *const whats[] = { STOCK_NOT_COMPILED,
	    STOCK_NOT_INSTALLED };
	const char	*p, *end = text.p + text.n;
	size_t		 i, j, n;

	for (i = 0; i < APW_COUNT(heads); i++) {
		p = text.p;
		if (!artefact_says(&p, end, heads[i]) || p == end ||
		    (*p != '"' && *p != '`' && *p != '\''))
			continue;
		for (p++, j = 0; j < APW_COUNT(whats); j++) {
			n = strlen(whats[j]);
			if ((size_t)(end - p) >= n &&
			    memcmp(p, whats[j], n) == 0)
				return true;
		}
	}
	return false;
}

void
stock_bundle_artefact(struct apw_buf *out, bool source, const char *what,
    struct apw_str why)
{
	struct apw_buf	text = APW_BUF_INIT(4 * WHY_BYTES);

	if (why.n > WHY_BYTES) {
		why.n = WHY_BYTES;
		/* not in the middle of a character */
		while (why.n > 0 && (why.p[why.n] & 0xc0) == 0x80)
			why.n--;
	}
	apw_buf_puts(&text, what);
	apw_buf_str(&text, why);
	apw_buf_puts(out, source ? ARTEFACT_SOURCE : ARTEFACT_HEAD);
	apw_buf_json(out, apw_buf_view(&text));
	apw_buf_puts(out, "); };\n");
	apw_buf_free(&text);
}

static bool
is_inside(const char *path)
{
	static const char	disabled[] = "(disabled):";
	const char		*p = path;

	if (strncmp(p, disabled, sizeof(disabled) - 1) == 0)
		p += sizeof(disabled) - 1;
	if (p[0] == '/' || strstr(p, "://") != NULL ||
	    strncmp(p, "file:", 5) == 0)
		return false;
	for (; p != NULL; p = strchr(p, '/'), p = p == NULL ? NULL : p + 1)
		if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
			return false;
	return true;
}

int
stock_bundle_inputs(struct apw_str metafile, struct apw_err *err)
{
	json_error_t	 why;
	json_t		*root = json_loadb(metafile.p, metafile.n, 0, &why);
	json_t		*inputs = json_object_get(root, "inputs"), *value;
	const char	*path;
	int		 rc = 0;

	if (!json_is_object(inputs)) {
		json_decref(root);
		return apw_err_set(err, 0, "the bundler's list of inputs "
		    "cannot be read");
	}
	json_object_foreach(inputs, path, value)
		if (!is_inside(path)) {
			rc = 1;
			break;
		}
	json_decref(root);
	return rc;
}

int64_t
stock_bundle_size(struct apw_str metafile)
{
	json_t		*root = json_loadb(metafile.p, metafile.n, 0, NULL);
	json_t		*outputs = json_object_get(root, "outputs"), *value;
	const char	*path;
	int64_t		 size = -1;

	/* "index.js" of esbuild, "./index.js" of bun */
	json_object_foreach(outputs, path, value) {
		if (strcmp(path + (strncmp(path, "./", 2) == 0 ? 2 : 0),
		    "index.js") != 0)
			continue;
		value = json_object_get(value, "bytes");
		if (json_is_integer(value) && json_integer_value(value) >= 0)
			size = json_integer_value(value);
	}
	json_decref(root);
	return size;
}

/* The line "../../etc/passwd:1:5:" of esbuild is followed by the file's text,
 * bun's "at /etc/passwd:1:5" comes after it. */
bool
stock_bundle_leaks(struct apw_str text)
{
	const char	*p = text.p, *end = text.p + text.n, *line_end, *from;

	for (; p < end; p = line_end + 1) {
		line_end = memchr(p, '\n', end - p);
		if (line_end == NULL)
			line_end = end;
		while (p < line_end && (*p == ' ' || *p == '\t'))
			p++;
		from = p;
		if (line_end - p > 3 && memcmp(p, "at ", 3) == 0)
			from = p + 3;
		if (line_end - from > 3 && (from > p || line_end[-1] == ':') &&
		    (from[0] == '/' || (from[0] == '.' && from[1] == '.')))
			return true;
	}
	return false;
}

/* As the app's own worker says it, to the letter. */
#define ERROR_HEAD	"Error: "
#define OUTSIDE		"Importing files outside the step folder is not allowed"

/* "Could not resolve "../../x"": there was no file, and it would have been
 * outside.  index.ts lies in the folder itself. */
static bool
names_outside(struct apw_str text)
{
	static const char	words[] = "Could not resolve \"";
	char			path[1024];
	size_t			n = sizeof(words) - 1;

	if (text.n <= n + 1 || memcmp(text.p, words, n) != 0 ||
	    text.p[text.n - 1] != '"' || text.n - n > sizeof(path))
		return false;
	snprintf(path, sizeof(path), "%.*s", (int)(text.n - n - 1),
	    text.p + n);
	return !is_inside(path);
}

static struct apw_str
take_line(struct apw_str *text)
{
	const char	*p = text->p;
	const char	*nl = text->n == 0 ? NULL : memchr(p, '\n', text->n);
	size_t		 n = nl == NULL ? text->n : (size_t)(nl - p);

	text->p += n + (nl != NULL);
	text->n -= n + (nl != NULL);
	return (struct apw_str){ p, n };
}

/* "    index.ts:3:43:" behind an error: " (index.ts:3:43)". */
static void
put_place(struct apw_buf *to, struct apw_str line)
{
	static const char	entry[] = "index.ts:";
	const char		*p;

	while (line.n > 0 && *line.p == ' ')
		line.p++, line.n--;
	if (line.n == 0 || line.p[line.n - 1] != ':')
		return;
	p = memmem(line.p, line.n, entry, sizeof(entry) - 1);
	/* of that name, in whatever folder */
	if (p == NULL || (p > line.p && p[-1] != '/'))
		return;
	apw_buf_printf(to, " (%.*s)", (int)(line.p + line.n - 1 - p), p);
}

int
stock_bundle_errors(struct apw_str text, struct apw_buf *out)
{
	static const char	head[] = "\xe2\x9c\x98 [ERROR] ";
	struct apw_str		line, rest;
	int			n = 0;

	while (text.n > 0) {
		line = take_line(&text);
		if (line.n < sizeof(head) - 1 ||
		    memcmp(line.p, head, sizeof(head) - 1) != 0)
			continue;
		line.p += sizeof(head) - 1;
		line.n -= sizeof(head) - 1;
		apw_buf_puts(out, n++ == 0 ? ERROR_HEAD : "\n");
		if (names_outside(line))
			apw_buf_puts(out, OUTSIDE);
		else
			apw_buf_str(out, line);
		rest = text;
		if (take_line(&rest).n == 0)
			put_place(out, take_line(&rest));
	}
	return n;
}

/* Where we build is nobody's matter. */
static void
cut_folder(struct apw_buf *text, const char *cwd)
{
	size_t	n = strlen(cwd);
	char	*p = text->data;

	while (p != NULL && (p = memmem(p, text->data + text->len - p, cwd,
	    n)) != NULL && p[n] == '/') {
		memmove(p, p + n + 1, text->data + text->len - p - n);
		text->len -= n + 1;
	}
}

/* It could not work: the disk, the memory, or its own installation. */
static bool
bundler_is_ill(const char *text)
{
	static const char *const signs[] = { "no space left", "ENOSPC",
	    "disk quota exceeded", "out of memory", "cannot allocate memory",
	    "node:internal/", "@esbuild/", "read-only file system",
	    "too many open files" };
	size_t	i;

	/* a place in the code: then the signs are the user's own words */
	if (strstr(text, "index.ts:") != NULL)
		return false;
	for (i = 0; i < APW_COUNT(signs); i++)
		if (strcasestr(text, signs[i]) != NULL)
			return true;
	return false;
}

/* The user's error, as far as the tool's text tells. */
static int
bundle_failed(const struct stock_outcome *o, const char *cwd,
    struct apw_buf *why, struct apw_err *err)
{
	struct apw_buf	text = APW_BUF_INIT(8 * STOCK_OUTPUT_BYTES);
	int		rc = 1;

	stock_outcome_text(o, &text);
	cut_folder(&text, cwd);
	/* the same place, as a box shows it */
	cut_folder(&text, APW_BOX_BUILD "/step");
	/* both tools leave with 1 when the code is at fault */
	if (o->over_disk && text.data != NULL)
		apw_buf_str(why, apw_buf_view(&text));
	else if (o->timed_out || o->cancelled || o->over != NULL ||
	    o->exit_code != 1 ||
	    text.data == NULL || bundler_is_ill(text.data)) {
		apw_err_set(err, 0, "bundler: %s", text.data == NULL ?
		    "failed" : text.data);
		rc = -1;
	} else if (stock_bundle_leaks(apw_buf_view(&text)))
		apw_buf_puts(why, ERROR_HEAD OUTSIDE);
	else if (stock_bundle_errors(apw_buf_view(&text), why) == 0)
		apw_buf_str(why, apw_buf_view(&text));
	apw_buf_free(&text);
	return rc;
}

/* Code that says nothing to a machine (a comment, types, ";") has a bundle
 * without a byte.  It exports nothing, as `export {}` does, and the engine
 * says so when the step is run. */
static int
bundle_of_nothing(int step_fd, struct apw_err *err)
{
	unlinkat(step_fd, "index.js", 0);
	return stock_write(step_fd, "index.js",
	    APW_STR("module.exports = {};\n"), err);
}

/* An empty index.js: did the bundler mean it?  If not, what it wrote did not
 * reach the disk. */
static int
bundle_empty(int step_fd, struct apw_str meta, struct apw_err *err)
{
	int64_t	said = stock_bundle_size(meta);

	if (said == 0)
		return bundle_of_nothing(step_fd, err);
	if (said == -1)
		return apw_err_set(err, 0, "the bundler ended well but "
		    "index.js is empty");
	return apw_err_set(err, 0, "the bundler ended well but index.js is "
	    "empty, and not %lld bytes long; is the disk full?",
	    (long long)said);
}

static int
bundle_check(int step_fd, struct apw_buf *why, struct apw_err *err)
{
	struct apw_buf	meta = APW_BUF_INIT(METAFILE_BYTES);
	struct stat	st;
	int		rc = -1;

	if (fstatat(step_fd, "index.js", &st, AT_SYMLINK_NOFOLLOW) == -1 ||
	    !S_ISREG(st.st_mode))
		apw_err_set(err, 0, "the bundler ended well but made no "
		    "index.js");
	else if (stock_read(step_fd, "meta.json", &meta, err) != 1)
		apw_err_set(err, 0, "the bundler made no list of inputs");
	else if ((rc = stock_bundle_inputs(apw_buf_view(&meta), err)) == 0 &&
	    st.st_size == 0)
		rc = bundle_empty(step_fd, apw_buf_view(&meta), err);
	apw_buf_free(&meta);
	if (rc == 1) {
		apw_buf_puts(why, ERROR_HEAD OUTSIDE);
		unlinkat(step_fd, "index.js", 0);
	}
	return rc;
}

int
stock_bundle(struct stock_keeper *k, const struct stock_staging *st,
    struct apw_buf *why, struct apw_err *err)
{
	const struct apw_stock_conf	*conf = &k->stock->cycle->stock;
	apw_autofree char	*staging = NULL, *cwd = NULL;
	apw_autofd int		 step_fd = stock_open(st->fd, "step",
	    O_RDONLY | O_DIRECTORY);
	struct stock_outcome	 outcome;
	struct stock_run	 run = { .tool = &k->stock->bundler,
	    .timeout_ms = conf->build_timeout_ms > 0 ?
	    conf->build_timeout_ms : 300000,
	    .args = conf->bundler == APW_BUNDLER_BUN ? bun_args :
	    esbuild_args };
	int			 rc;

	if (run.tool->path == NULL)
		return apw_err_set(err, 0, "bundler \"%s\" not found",
		    conf->bundler_path != NULL ? conf->bundler_path :
		    conf->bundler == APW_BUNDLER_BUN ? "bun" : "esbuild");
	if (step_fd == -1 || asprintf(&staging, "%s/.staging/%s",
	    k->stock->root, st->name) == -1 ||
	    asprintf(&cwd, "%s/step", staging) == -1)
		return apw_err_set(err, 0, "cannot prepare a build");
	run.cwd = cwd;
	run.staging = staging;
	if (stock_builder_run(k, &run, &outcome, err) == -1)
		return -1;
	if (stock_outcome_ok(&outcome))
		rc = bundle_check(step_fd, why, err);
	else
		rc = bundle_failed(&outcome, cwd, why, err);
	if (outcome.timed_out)
		apw_err_wrap(err, "build did not end within %lld ms",
		    (long long)run.timeout_ms);
	stock_outcome_free(&outcome);
	return rc;
}
