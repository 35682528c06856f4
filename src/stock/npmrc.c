/* An npmrc, read as npm reads it (its ini dialect, its variables), and written
 * down again for the installers in the plainest form that there is, which bun
 * and npm read alike.  Room: stock.
 *
 * It may hold secrets: what was read is wiped, and no value but those asked
 * for leaves this file. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "core/apw_auto.h"
#include "proto/apw_raw.h"

#define NPMRC_BYTES	((size_t)262144)
#define NPMRC_BLANKS	" \t\v\f\r\n"

/* The way to the registries, which a box has of its own. */
static const char *const ways[] = { "proxy", "https-proxy", "http-proxy",
	"noproxy" };
/* What names a file; "~/" is the home of who runs the daemon. */
static const char *const paths[] = { "cafile" };
static const char *const path_tails[] = { ":certfile", ":keyfile" };

static void
npmrc_wipe(struct apw_buf *text)
{
	if (text->data != NULL)
		explicit_bzero(text->data, text->cap);
	apw_buf_free(text);
}

/* 1: here it is; 0: there is none; -1: err. */
static int
npmrc_read(const char *path, struct apw_buf *text, struct apw_err *err)
{
	apw_autofd int	fd = path == NULL ? -1 : open(path, O_RDONLY |
			    O_CLOEXEC);
	ssize_t		n = 0;

	if (path == NULL || (fd == -1 && errno == ENOENT))
		return 0;
	text->max = NPMRC_BYTES + 1;
	if (fd == -1)
		return apw_err_set(err, errno, "%s", path);
	if (apw_buf_reserve(text, NPMRC_BYTES) == -1)
		return apw_err_set(err, ENOMEM, "%s", path);
	while (text->len < NPMRC_BYTES && (n = read(fd, text->data + text->len,
	    NPMRC_BYTES - text->len)) > 0)
		text->len += (size_t)n;
	if (n == -1)
		return apw_err_set(err, errno, "%s", path);
	if (text->len == NPMRC_BYTES)
		return apw_err_set(err, EFBIG, "%s", path);
	text->data[text->len] = '\0';
	return 1;
}

/* --- ini --- */

static struct apw_str
trim(struct apw_str s)
{
	while (s.n > 0 && strchr(NPMRC_BLANKS, s.p[0]) != NULL) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && strchr(NPMRC_BLANKS, s.p[s.n - 1]) != NULL)
		s.n--;
	return s;
}

/* "text", as JSON has it; 'text', in which that may stand; else up to the
 * first ; or # without a backslash. */
static void
unquote(struct apw_str s, struct apw_buf *out)
{
	bool	escaped = false;
	size_t	i;

	s = trim(s);
	if (s.n > 0 && s.p[0] == s.p[s.n - 1] &&
	    (s.p[0] == '"' || s.p[0] == '\'')) {
		if (s.p[0] == '\'')
			s = (struct apw_str){ s.p + 1, s.n < 2 ? 0 : s.n - 2 };
		if (s.n < 2 || s.p[0] != '"' || apw_raw_check(s, 0) == -1 ||
		    apw_raw_decode(out, s) == -1)
			apw_buf_str(out, s);
		return;
	}
	for (i = 0; i < s.n; i++) {
		if (escaped) {
			if (strchr("\\;#", s.p[i]) == NULL)
				apw_buf_puts(out, "\\");
			apw_buf_put(out, s.p + i, 1);
			escaped = false;
		} else if (s.p[i] == ';' || s.p[i] == '#')
			break;
		else if (s.p[i] == '\\')
			escaped = true;
		else
			apw_buf_put(out, s.p + i, 1);
	}
	if (escaped)
		apw_buf_puts(out, "\\");
	while (out->len > 0 && strchr(NPMRC_BLANKS,
	    out->data[out->len - 1]) != NULL)
		out->data[--out->len] = '\0';
}

/* --- variables --- */

/* Any of the daemon's environment but those of the daemon itself. */
static const char *
variable(const char *name)
{
	return strncmp(name, "AP_", 3) == 0 ||
	    strncmp(name, "APW_", 4) == 0 ||
	    strcmp(name, "CREDENTIALS_DIRECTORY") == 0 ? NULL : getenv(name);
}

/* "${NAME}" or "${NAME?}" at p: its length, and its name; 0: none. */
static size_t
reference(const char *p, char *name, size_t size, bool *empty)
{
	size_t	n;

	if (p[0] != '$' || p[1] != '{')
		return 0;
	n = strcspn(p + 2, "${}?");
	*empty = p[2 + n] == '?';
	if (n == 0 || n >= size || p[2 + n + (*empty ? 1 : 0)] != '}')
		return 0;
	memcpy(name, p + 2, n);
	name[n] = '\0';
	return n + (*empty ? 4 : 3);
}

/* A backslash in front of one makes it plain text, two are one backslash.  One
 * that is not set stays as it is; its name goes to *unset, if it is the
 * first. */
static void
expand(const char *p, struct apw_buf *out, char *unset, size_t size)
{
	char		 name[128];
	const char	*value;
	size_t		 slashes, n;
	bool		 empty;

	for (; *p != '\0'; p++) {
		slashes = strspn(p, "\\");
		n = reference(p + slashes, name, sizeof(name), &empty);
		if (n == 0) {
			apw_buf_put(out, p, 1);
			continue;
		}
		apw_buf_put(out, p, slashes / 2);
		p += slashes;
		value = variable(name);
		if (slashes % 2 != 0)
			apw_buf_put(out, p, n);
		else if (value != NULL)
			apw_buf_puts(out, value);
		else if (!empty) {
			apw_buf_put(out, p, n);
			if (unset != NULL && unset[0] == '\0')
				snprintf(unset, size, "%s", name);
		}
		p += n - 1;
	}
}

/* --- entries --- */

struct npmrc_walk {
	stock_npmrc_fn	*fn;
	void		*arg;
	char		 unset[128];	/* the first variable that is not there */
	bool		 section;	/* nothing from here on is npm's */
};

static bool
is_section(const char *line)
{
	const char	*end = line[0] == '[' ? strchr(line, ']') : NULL;

	return end != NULL && end[1 + strspn(end + 1, NPMRC_BLANKS)] == '\0';
}

static bool
is_path(const char *key)
{
	size_t	i, n = strlen(key), tail;

	for (i = 0; i < APW_COUNT(paths); i++)
		if (strcmp(key, paths[i]) == 0)
			return true;
	for (i = 0; i < APW_COUNT(path_tails); i++) {
		tail = strlen(path_tails[i]);
		if (n > tail && strcmp(key + n - tail, path_tails[i]) == 0)
			return true;
	}
	return false;
}

/* Texts of this file's room only; without memory an entry is left out. */
static void
walk_entry(struct npmrc_walk *w, struct apw_buf *key, struct apw_buf *raw,
    struct apw_buf *value)
{
	const char	*home = getenv("HOME");
	size_t		 n;
	bool		 array;

	n = key->len;
	array = n > 2 && strcmp(key->data + n - 2, "[]") == 0;
	if (array)
		key->data[key->len -= 2] = '\0';
	if (is_path(key->data) && strncmp(raw->data, "~/", 2) == 0 &&
	    home != NULL) {
		apw_buf_puts(value, home);
		expand(raw->data + 1, value, w->unset, sizeof(w->unset));
	} else
		expand(raw->data, value, w->unset, sizeof(w->unset));
	if (!value->failed)
		w->fn(w->arg, key->data, value->data != NULL ? value->data :
		    "", array);
}

static void
walk_line(struct npmrc_walk *w, const char *line)
{
	struct apw_buf	 name = APW_BUF_INIT(NPMRC_BYTES);
	struct apw_buf	 key = APW_BUF_INIT(NPMRC_BYTES);
	struct apw_buf	 raw = APW_BUF_INIT(NPMRC_BYTES);
	struct apw_buf	 value = APW_BUF_INIT(2 * NPMRC_BYTES);
	const char	*eq = strchr(line, '=');
	const char	*text = line + strspn(line, NPMRC_BLANKS);

	if (*text == '\0' || *text == ';' || *text == '#')
		return;
	if (is_section(line)) {
		w->section = true;
		return;
	}
	if (w->section || eq == line)
		return;
	unquote((struct apw_str){ line, eq != NULL ? (size_t)(eq - line) :
	    strlen(line) }, &name);
	apw_buf_puts(&raw, "");
	if (eq != NULL)
		unquote(apw_str_c(eq + 1), &raw);
	else
		apw_buf_puts(&raw, "true");
	if (name.len > 0)
		expand(name.data, &key, w->unset, sizeof(w->unset));
	if (key.len > 0 && !key.failed && !raw.failed && raw.data != NULL)
		walk_entry(w, &key, &raw, &value);
	npmrc_wipe(&name);
	npmrc_wipe(&key);
	npmrc_wipe(&raw);
	npmrc_wipe(&value);
}

static int
npmrc_walk(const char *path, struct npmrc_walk *w, struct apw_err *err)
{
	static const char	 mark[] = "\xef\xbb\xbf";
	struct apw_buf		 text = APW_BUF_INIT(0);
	char			*line, *next;
	int			 rc = npmrc_read(path, &text, err);

	if (rc == 1) {
		next = text.data;
		if (strncmp(next, mark, 3) == 0)
			next += 3;
		while ((line = strsep(&next, "\r\n")) != NULL)
			walk_line(w, line);
	}
	npmrc_wipe(&text);
	return rc == -1 ? -1 : 0;
}

int
stock_npmrc_each(const char *path, stock_npmrc_fn *fn, void *arg,
    struct apw_err *err)
{
	struct npmrc_walk	w = { .fn = fn, .arg = arg };

	return npmrc_walk(path, &w, err);
}

static void
check_entry(void *arg, const char *key, const char *value, bool array)
{
	(void)arg;
	(void)key;
	(void)value;
	(void)array;
}

int
stock_npmrc_check(const char *path, struct apw_err *err)
{
	struct npmrc_walk	w = { .fn = check_entry };

	if (npmrc_walk(path, &w, err) == -1)
		return apw_err_wrap(err, "the npmrc cannot be read");
	if (w.unset[0] == '\0')
		return 0;
	return apw_err_set(err, 0, "%s names the variable %s, which the "
	    "daemon's environment does not have%s; it stays as it is, and "
	    "installers may be refused by their registry", path, w.unset,
	    getenv(w.unset) != NULL ? " for it" : "");
}

/* --- one of them --- */

struct npmrc_get {
	const char	*key;
	struct apw_buf	 found;
	bool		 any, array;
};

/* The last one counts; those of an array are added up. */
static void
get_entry(void *arg, const char *key, const char *value, bool array)
{
	struct npmrc_get	*get = arg;

	if (strcmp(key, get->key) != 0)
		return;
	if (get->any && (get->array || array))
		apw_buf_puts(&get->found, ",");
	else
		apw_buf_reset(&get->found);
	get->any = true;
	get->array = get->array || array;
	apw_buf_puts(&get->found, value);
}

char *
stock_npmrc_get(const char *path, const char *key)
{
	struct npmrc_get	get = { .key = key,
				    .found = APW_BUF_INIT(NPMRC_BYTES) };

	stock_npmrc_each(path, get_entry, &get, NULL);
	if (get.found.len > 0 && !get.found.failed)
		return get.found.data;	/* its owner is the caller now */
	npmrc_wipe(&get.found);
	return NULL;
}

/* --- for installers --- */

struct npmrc_copy {
	struct apw_buf	 out;
	bool		 way;		/* what it says of proxies, too */
};

/* Is it the same to every reader without quotes? */
static bool
is_simple(const char *text)
{
	static const char	letters[] = "abcdefghijklmnopqrstuvwxyz"
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?@!&()*+,=%[]";

	return *text != '\0' && *text != '[' &&
	    text[strspn(text, letters)] == '\0';
}

/* In quotes as JSON has them; what looks like a variable is none. */
static void
copy_text(struct apw_buf *out, const char *text)
{
	struct apw_buf	plain = APW_BUF_INIT(2 * NPMRC_BYTES);
	char		name[128];
	size_t		slashes, n, i;
	bool		empty;

	if (is_simple(text)) {
		apw_buf_puts(out, text);
		return;
	}
	apw_buf_puts(&plain, "");
	while (*text != '\0') {
		slashes = strspn(text, "\\");
		n = reference(text + slashes, name, sizeof(name), &empty);
		if (n == 0) {
			apw_buf_put(&plain, text++, 1);
			continue;
		}
		for (i = 0; i < slashes + 1; i++)
			apw_buf_puts(&plain, "\\");
		apw_buf_put(&plain, text, slashes + n);
		text += slashes + n;
	}
	if (plain.failed)
		out->failed = true;
	else
		apw_buf_json(out, apw_buf_view(&plain));
	npmrc_wipe(&plain);
}

static void
copy_entry(void *arg, const char *key, const char *value, bool array)
{
	struct npmrc_copy	*copy = arg;
	size_t			 i;

	for (i = 0; !copy->way && i < APW_COUNT(ways); i++)
		if (strcmp(key, ways[i]) == 0)
			return;
	if (strpbrk(key, "=\r\n") != NULL)	/* by its variables */
		return;
	copy_text(&copy->out, key);
	apw_buf_puts(&copy->out, array ? "[]=" : "=");
	copy_text(&copy->out, value);
	apw_buf_puts(&copy->out, "\n");
}

int
stock_npmrc_copy(const char *npmrc, bool way, int folder_fd,
    struct apw_err *err)
{
	struct npmrc_copy	copy = { .out = APW_BUF_INIT(4 * NPMRC_BYTES),
				    .way = way };
	apw_autofd int		fd = -1;
	int			rc = 0;

	/* npm lets the later win, as the nearer file has to */
	stock_npmrc_each(STOCK_NPMRC_HOST, copy_entry, &copy, NULL);
	if (stock_npmrc_each(npmrc, copy_entry, &copy, err) == -1)
		rc = -1;
	else if (copy.out.failed)
		rc = apw_err_set(err, ENOMEM, "%s", npmrc);
	else if ((fd = openat(folder_fd, ".npmrc", O_WRONLY | O_CREAT |
	    O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600)) == -1 || (copy.out.len > 0 &&
	    write(fd, copy.out.data, copy.out.len) != (ssize_t)copy.out.len))
		rc = apw_err_set(err, errno, "an installer's .npmrc");
	npmrc_wipe(&copy.out);
	return rc;
}
