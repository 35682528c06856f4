/* The parser of the configuration: texts become statements, includes are
 * read in their place.  Room: core.  It knows grammar, not directives, and
 * goes on after an error to find the next one. */
#include "core/apw_conf_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"

struct parser {
	struct apw_conf			*conf;
	const struct apw_conf_text	*text;
	struct apw_conf_lex		 lex;
	bool				 gave_up;	/* its end says nothing */
};

struct stmt_list {
	struct apw_conf_stmt	*first, **tail;
};

static struct apw_conf_stmt *parse_bytes(struct apw_conf *,
	    const struct apw_conf_text *, const char *, size_t);

static struct apw_conf_place
parse_place(const struct parser *ps)
{
	return (struct apw_conf_place){ ps->text, ps->lex.at_line,
	    ps->lex.at_column };
}

static void
parse_error(struct parser *ps, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
parse_error(struct parser *ps, const char *fmt, ...)
{
	va_list	ap;

	va_start(ap, fmt);
	apw_conf_verror(ps->conf, parse_place(ps), false, fmt, ap);
	va_end(ap);
	ps->conf->broken = true;
}

/* ---- include ---- */

static bool
text_in_chain(const struct apw_conf_text *t, const struct stat *st)
{
	for (; t != NULL; t = t->parent)
		if (t->dev == st->st_dev && t->ino == st->st_ino)
			return true;
	return false;
}

/* A FIFO is welcome as the file itself at start (process substitution); as
 * an include, or at a reload, it would only stop the master. */
static int
open_text(struct apw_conf *conf, const struct apw_conf_text *parent,
    const char *path, struct stat *st, struct apw_err *err)
{
	bool		fifo = conf->options->cycle <= 1 && parent == NULL;
	apw_autofd int	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY |
	    (fifo ? 0 : O_NONBLOCK));

	if (fd == -1 || fstat(fd, st) == -1)
		return apw_err_set(err, errno, "cannot open \"%s\"", path);
	if (S_ISDIR(st->st_mode))
		return apw_err_set(err, EISDIR, "cannot read \"%s\"", path);
	if (!S_ISREG(st->st_mode) && !(S_ISFIFO(st->st_mode) && fifo))
		return apw_err_set(err, 0, "cannot read \"%s\": "
		    "it is not a regular file", path);
	return apw_take_fd(&fd);
}

static int
read_text(int fd, off_t size, const char *path, struct apw_buf *buf,
    struct apw_err *err)
{
	ssize_t	n;

	/* growing would leave copies behind, perhaps of a token */
	if (size > 0 && size <= APW_CONF_FILE_MAX &&
	    apw_buf_reserve(buf, (size_t)size + 16384 + 1) == -1)
		return apw_err_set(err, ENOMEM, "cannot read \"%s\"", path);
	for (;;) {
		if (apw_buf_reserve(buf, 16384) == -1)
			return apw_err_set(err, ENOMEM, "cannot read \"%s\"",
			    path);
		n = read(fd, buf->data + buf->len, 16384);
		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return apw_err_set(err, errno, "cannot read \"%s\"",
			    path);
		if (n == 0)
			return 0;
		buf->len += (size_t)n;
		if (buf->len > APW_CONF_FILE_MAX)
			return apw_err_set(err, 0, "\"%s\" is larger than "
			    "1 MiB; expected a configuration", path);
	}
}

static const char *
dir_of(struct apw_conf *conf, const char *path)
{
	const char	*slash = strrchr(path, '/');

	if (slash == NULL)
		return ".";
	if (slash == path)
		return "/";
	return apw_arena_str(conf->arena,
	    (struct apw_str){ path, (size_t)(slash - path) });
}

static struct apw_conf_text *
new_text(struct apw_conf *conf, const struct apw_conf_text *parent,
    const char *name)
{
	struct apw_conf_text	*t;

	t = apw_arena_alloc(conf->arena, sizeof(*t));
	if (t == NULL ||
	    (t->name = apw_arena_strdup(conf->arena, name)) == NULL ||
	    (t->dir = dir_of(conf, name)) == NULL) {
		conf->no_memory = true;
		return NULL;
	}
	t->parent = parent;
	t->from = parent != NULL ? parent->from : APW_FROM_FILE;
	t->chain = parent != NULL ? parent->chain + 1 : 0;
	t->rank = ++conf->texts;
	return t;
}

static struct apw_conf_stmt *
parse_path(struct apw_conf *conf, const struct apw_conf_text *parent,
    const char *path, struct apw_conf_place place)
{
	struct apw_conf_text	*t;
	struct apw_conf_stmt	*stmts;
	struct apw_buf		 buf = APW_BUF_INIT(APW_CONF_FILE_MAX + 65536);
	struct apw_err		 err = APW_ERR_NONE;
	struct stat		 st;
	apw_autofd int		 fd = open_text(conf, parent, path, &st,
	    &err);

	if (fd == -1 || read_text(fd, st.st_size, path, &buf, &err) == -1) {
		apw_conf_error(conf, place, "%s", err.text);
		conf->broken = true;
		goto nothing;
	}
	if (parent != NULL && text_in_chain(parent, &st)) {
		apw_conf_error(conf, place, "\"%s\" includes itself", path);
		conf->broken = true;
		goto nothing;
	}
	t = new_text(conf, parent, path);
	if (t == NULL)
		goto nothing;
	t->dev = st.st_dev;
	t->ino = st.st_ino;
	stmts = parse_bytes(conf, t, buf.data == NULL ? "" : buf.data,
	    buf.len);
	/* a token may be written in it */
	if (buf.data != NULL)
		explicit_bzero(buf.data, buf.len);
	apw_buf_free(&buf);
	return stmts;
nothing:
	if (buf.data != NULL)
		explicit_bzero(buf.data, buf.len);
	apw_buf_free(&buf);
	return NULL;
}

static void
append(struct stmt_list *list, struct apw_conf_stmt *s)
{
	*list->tail = s;
	while (*list->tail != NULL)
		list->tail = &(*list->tail)->next;
}

static void
include_glob(struct parser *ps, struct apw_conf_place place,
    const char *pattern, struct stmt_list *list)
{
	glob_t	g = { 0 };
	size_t	i;
	int	rc;

	rc = glob(pattern, GLOB_ERR, NULL, &g);
	/* an empty or missing apworker.d/ is no mistake */
	if (rc == GLOB_NOMATCH || (rc == GLOB_ABORTED && errno == ENOENT)) {
		globfree(&g);
		return;
	}
	if (rc != 0) {
		apw_conf_error(ps->conf, place, "cannot look up \"%s\"%s%s",
		    pattern, rc == GLOB_ABORTED ? ": " : "",
		    rc == GLOB_ABORTED ? strerror(errno) : "");
		ps->conf->broken = true;
		globfree(&g);
		return;
	}
	for (i = 0; i < g.gl_pathc && ps->conf->errors <= APW_CONF_ERRORS_MAX;
	    i++) {
		if (ps->conf->texts >= APW_CONF_TEXTS_MAX) {
			apw_conf_error(ps->conf, place, "\"include\" reads "
			    "more than %d files", APW_CONF_TEXTS_MAX);
			ps->conf->broken = true;
			break;
		}
		append(list, parse_path(ps->conf, ps->text, g.gl_pathv[i],
		    place));
	}
	globfree(&g);
}

static void
parse_include(struct parser *ps, const struct apw_conf_stmt *s,
    struct stmt_list *list)
{
	struct apw_conf		*conf = ps->conf;
	const char		*path;
	struct apw_conf_place	 place;

	if (s->nwords != 2 || s->has_block) {
		apw_conf_error(conf, s->words[0].place, s->has_block ?
		    "\"include\" has a block; expected \";\"" :
		    "\"include\" has %zu arguments; expected 1 (a path)",
		    s->nwords - 1);
		conf->broken = true;
		return;
	}
	place = s->words[1].place;
	if (ps->text->chain + 1 >= APW_CONF_CHAIN_MAX) {
		apw_conf_error(conf, place, "files include each other more "
		    "than %d deep", APW_CONF_CHAIN_MAX);
		conf->broken = true;
		return;
	}
	path = s->words[1].s;
	if (path[0] != '/' && strcmp(ps->text->dir, ".") != 0)
		path = apw_arena_printf(conf->arena, "%s/%s", ps->text->dir,
		    path);
	if (path == NULL) {
		conf->no_memory = true;
		return;
	}
	if (strpbrk(s->words[1].s, "*?[") != NULL) {
		include_glob(ps, place, path, list);
	} else if (conf->texts >= APW_CONF_TEXTS_MAX) {
		apw_conf_error(conf, place, "\"include\" reads more than %d "
		    "files", APW_CONF_TEXTS_MAX);
		conf->broken = true;
	} else {
		append(list, parse_path(conf, ps->text, path, place));
	}
}

/* ---- statements ---- */

struct words {
	struct apw_conf_word	v[APW_CONF_WORDS_MAX];
	size_t			n;
	bool			too_many;
	bool			bad;	/* complained: nothing more is said */
};

static struct apw_conf_stmt *
new_stmt(struct parser *ps, struct words *w)
{
	struct apw_conf_stmt	*s;

	if (w->bad) {
		w->bad = false;
		w->n = 0;
		return NULL;
	}
	if (w->too_many) {
		apw_conf_error(ps->conf, w->v[0].place, "\"%s\" has more than "
		    "%d arguments", apw_conf_quote(ps->conf, w->v[0].s),
		    APW_CONF_WORDS_MAX - 1);
		ps->conf->broken = true;
	}
	if (++ps->conf->stmts > APW_CONF_STMTS_MAX) {
		if (ps->conf->stmts == APW_CONF_STMTS_MAX + 1)
			parse_error(ps, "more than %d directives",
			    APW_CONF_STMTS_MAX);
		w->n = 0;
		return NULL;
	}
	s = apw_arena_alloc(ps->conf->arena, sizeof(*s));
	if (s != NULL)
		s->words = apw_arena_alloc(ps->conf->arena,
		    w->n * sizeof(w->v[0]));
	if (s == NULL || s->words == NULL) {
		ps->conf->no_memory = true;
		w->n = 0;
		return NULL;
	}
	memcpy(s->words, w->v, w->n * sizeof(w->v[0]));
	s->nwords = w->n;
	w->n = 0;
	w->too_many = false;
	return s;
}

static void
end_stmt(struct parser *ps, struct words *w, struct stmt_list *list)
{
	struct apw_conf_stmt	*s = new_stmt(ps, w);

	if (s == NULL)
		return;
	if (strcmp(s->words[0].s, "include") == 0)
		parse_include(ps, s, list);
	else
		append(list, s);
}

static void
add_word(struct parser *ps, struct words *w)
{
	if (w->n == APW_CONF_WORDS_MAX) {
		w->too_many = true;
		return;
	}
	w->v[w->n].s = ps->lex.word;
	w->v[w->n].place = parse_place(ps);
	w->n++;
}

static struct apw_conf_stmt *parse_list(struct parser *, unsigned depth,
	    const struct apw_conf_word *opened);

static void
open_block(struct parser *ps, struct words *w, unsigned depth,
    struct stmt_list *list)
{
	struct apw_conf_stmt	*s = NULL;
	struct apw_conf_word	 name = { (char *)(uintptr_t)"{", parse_place(ps) };

	if (w->n == 0 && !w->bad)
		parse_error(ps, "found \"{\"; expected a directive");
	else
		s = new_stmt(ps, w);
	if (s != NULL) {
		s->has_block = true;
		name = s->words[0];
	}
	if (depth + 1 == APW_CONF_NEST_MAX)
		parse_error(ps, "blocks are nested more than %d deep",
		    APW_CONF_NEST_MAX);
	if (depth + 1 >= APW_CONF_NEST_MAX) {
		/* its end cannot be told: nothing more from this text */
		ps->lex.p = ps->lex.end;
		ps->gave_up = true;
		return;
	}
	if (s == NULL) {
		parse_list(ps, depth + 1, &name);
		return;
	}
	s->block = parse_list(ps, depth + 1, &name);
	if (strcmp(s->words[0].s, "include") == 0)
		parse_include(ps, s, list);
	else
		append(list, s);
}

static void
close_block(struct parser *ps, struct words *w, struct stmt_list *list)
{
	if (w->bad)
		(void)new_stmt(ps, w);
	if (w->n == 0)
		return;
	parse_error(ps, "found \"}\"; expected \";\" after \"%s\"",
	    apw_conf_quote(ps->conf, w->v[w->n - 1].s));
	end_stmt(ps, w, list);
}

static void
end_text(struct parser *ps, struct words *w, unsigned depth,
    const struct apw_conf_word *opened)
{
	const char	*end = ps->text->from == APW_FROM_FILE ?
	    "the end of the file" : "the end of the text";

	if (ps->gave_up || w->bad || ps->conf->no_memory ||
	    ps->conf->stmts > APW_CONF_STMTS_MAX)
		return;
	if (w->n != 0)
		parse_error(ps, "found %s; expected \";\"%s after \"%s\"", end,
		    depth == 0 ? " or \"{\"" : "",
		    apw_conf_quote(ps->conf, w->v[w->n - 1].s));
	else if (depth > 0)
		parse_error(ps, "found %s; expected \"}\" to close \"%s\" "
		    "of line %u", end, apw_conf_quote(ps->conf, opened->s),
		    opened->place.line);
}

/* Statements up to "}" (depth > 0) or the end. */
static struct apw_conf_stmt *
parse_list(struct parser *ps, unsigned depth,
    const struct apw_conf_word *opened)
{
	struct stmt_list	 list = { NULL, &list.first };
	struct words		*w = calloc(1, sizeof(*w));
	bool			 done = false;

	if (w == NULL) {
		ps->conf->no_memory = true;
		return NULL;
	}
	while (!done && !ps->conf->no_memory) {
		switch (apw_conf_lex_next(&ps->lex)) {
		case APW_TOKEN_WORD:
			add_word(ps, w);
			break;
		case APW_TOKEN_SEMICOLON:
			if (w->n == 0 && !w->bad)
				parse_error(ps, "found \";\"; expected a "
				    "directive");
			else
				end_stmt(ps, w, &list);
			break;
		case APW_TOKEN_OPEN:
			open_block(ps, w, depth, &list);
			break;
		case APW_TOKEN_CLOSE:
			close_block(ps, w, &list);
			if (depth == 0)
				parse_error(ps, "found \"}\"; no block is "
				    "open here");
			done = depth > 0;
			break;
		case APW_TOKEN_BAD:
			parse_error(ps, "%s", ps->lex.err.text);
			w->bad = true;
			break;
		case APW_TOKEN_END:
			end_text(ps, w, depth, opened);
			done = true;
			break;
		}
	}
	free(w);
	return list.first;
}

static struct apw_conf_stmt *
parse_bytes(struct apw_conf *conf, const struct apw_conf_text *text,
    const char *p, size_t n)
{
	struct parser	ps = { .conf = conf, .text = text };

	apw_conf_lex_init(&ps.lex, conf->arena, p, n);
	return parse_list(&ps, 0, NULL);
}

struct apw_conf_stmt *
apw_conf_parse_file(struct apw_conf *conf, const char *path)
{
	return parse_path(conf, NULL, path, (struct apw_conf_place){ 0 });
}

struct apw_conf_stmt *
apw_conf_parse_text(struct apw_conf *conf, const char *name, const char *dir,
    const char *p, size_t n)
{
	conf->command_line.name = name;
	conf->command_line.dir = dir;
	conf->command_line.from = APW_FROM_COMMAND_LINE;
	conf->command_line.rank = ++conf->texts;
	return parse_bytes(conf, &conf->command_line, p, n);
}
