/* The walk over a flow version; see walk.h.  Room: job.
 *
 * One pass over the text, however deep steps are nested in steps: values
 * that lead to further steps are entered, with a frame on a stack of our
 * own, everything else is skipped once.  Depth comes from users: nothing
 * here recurses. */
#include "job/walk.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_buf.h"
#include "proto/apw_raw.h"

#define WALK_DEPTH_MAX		(3 * APW_WALK_STEPS_MAX)
#define WALK_NAME_MAX		512
#define WALK_CODE_MAX		(64 * 1024 * 1024)

enum walk_kind { WALK_VERSION, WALK_STEP, WALK_CHILDREN, WALK_BRANCHES,
	WALK_SETTINGS, WALK_INPUT, WALK_TOOLS, WALK_TOOL, WALK_TOOL_PIECE };

/* What is known of one step until its object closes. */
struct walk_step {
	struct apw_str	name, type, title;	/* raw */
	struct apw_str	piece_name, piece_version, source;
};

/* A tool that a step's input offers to an agent. */
struct walk_tool {
	struct apw_str	name, version;		/* raw */
	size_t		step;
};

struct walk_frame {
	enum walk_kind	 kind;
	size_t		 step;			/* index of the step it is in */
	bool		 first;
};

struct walker {
	struct apw_arena	*arena;
	struct apw_walk		*walk;
	struct apw_err		*err;
	const char		*p, *end;
	struct walk_frame	*stack;		/* owned while walking */
	size_t			 depth, depth_size;
	struct walk_step	*steps;		/* owned while walking */
	size_t			 nsteps, steps_size;
	struct walk_tool	*tools;		/* owned while walking */
	size_t			 ntools, tools_size;
};

/* Which values are entered, and as what. */
static const struct walk_link {
	enum walk_kind	 in;
	const char	*key;		/* NULL: an element of an array */
	enum walk_kind	 kind;
	char		 opener;
} walk_links[] = {
	{ WALK_VERSION, "trigger", WALK_STEP, '{' },
	{ WALK_STEP, "nextAction", WALK_STEP, '{' },
	{ WALK_STEP, "firstLoopAction", WALK_STEP, '{' },
	{ WALK_STEP, "children", WALK_CHILDREN, '[' },
	{ WALK_STEP, "continueOnFailureBranches", WALK_BRANCHES, '{' },
	{ WALK_STEP, "settings", WALK_SETTINGS, '{' },
	{ WALK_SETTINGS, "input", WALK_INPUT, '{' },
	{ WALK_INPUT, "agentTools", WALK_TOOLS, '[' },
	{ WALK_TOOLS, NULL, WALK_TOOL, '{' },
	{ WALK_TOOL, "pieceMetadata", WALK_TOOL_PIECE, '{' },
	{ WALK_CHILDREN, NULL, WALK_STEP, '{' },
	{ WALK_BRANCHES, "onSuccess", WALK_STEP, '{' },
	{ WALK_BRANCHES, "onFailure", WALK_STEP, '{' },
};

/* Members that are kept: raw slices at an offset. */
static const struct walk_keep {
	enum walk_kind	 in;
	const char	*key;
	size_t		 offset;
} walk_keeps[] = {
	{ WALK_VERSION, "id", offsetof(struct apw_walk, id) },
	{ WALK_VERSION, "state", offsetof(struct apw_walk, state) },
	{ WALK_STEP, "name", offsetof(struct walk_step, name) },
	{ WALK_STEP, "type", offsetof(struct walk_step, type) },
	{ WALK_STEP, "displayName", offsetof(struct walk_step, title) },
	{ WALK_SETTINGS, "pieceName", offsetof(struct walk_step, piece_name) },
	{ WALK_SETTINGS, "pieceVersion",
	    offsetof(struct walk_step, piece_version) },
	{ WALK_SETTINGS, "sourceCode", offsetof(struct walk_step, source) },
	{ WALK_TOOL_PIECE, "pieceName", offsetof(struct walk_tool, name) },
	{ WALK_TOOL_PIECE, "pieceVersion",
	    offsetof(struct walk_tool, version) },
};

static int
walk_bad(struct walker *w)
{
	return apw_err_set(w->err, 0, "the flow version is not what it "
	    "should be: broken text");
}

static int
walk_grow(void **array, size_t *size, size_t n, size_t each, size_t max)
{
	size_t	 more = *size == 0 ? 32 : *size * 2;
	void	*p;

	if (n >= max)
		return -1;
	if (n < *size)
		return 0;
	if ((p = realloc(*array, more * each)) == NULL)
		return -1;
	*array = p;
	*size = more;
	return 0;
}

static void
walk_space(struct walker *w)
{
	while (w->p < w->end && (*w->p == ' ' || *w->p == '\t' ||
	    *w->p == '\n' || *w->p == '\r'))
		w->p++;
}

/* The opener has been read. */
static int
walk_enter(struct walker *w, enum walk_kind kind, size_t step)
{
	if (walk_grow((void **)&w->stack, &w->depth_size, w->depth,
	    sizeof(*w->stack), WALK_DEPTH_MAX) == -1)
		return apw_err_set(w->err, 0, "the flow is too deep");
	if (kind == WALK_STEP) {
		if (walk_grow((void **)&w->steps, &w->steps_size, w->nsteps,
		    sizeof(*w->steps), APW_WALK_STEPS_MAX) == -1)
			return apw_err_set(w->err, 0,
			    "the flow has more than %d steps",
			    APW_WALK_STEPS_MAX);
		step = w->nsteps++;
		memset(&w->steps[step], 0, sizeof(w->steps[step]));
	}
	if (kind == WALK_TOOL_PIECE) {
		if (walk_grow((void **)&w->tools, &w->tools_size, w->ntools,
		    sizeof(*w->tools), APW_WALK_STEPS_MAX) == -1)
			return apw_err_set(w->err, 0,
			    "the flow's agents have more than %d tools",
			    APW_WALK_STEPS_MAX);
		w->tools[w->ntools++] = (struct walk_tool){ .step = step };
	}
	w->stack[w->depth++] = (struct walk_frame){ kind, step, true };
	return 0;
}

static void
walk_keep(struct walker *w, const struct walk_frame *f, struct apw_str key,
    struct apw_str value)
{
	size_t	i;
	char	*base;

	for (i = 0; i < sizeof(walk_keeps) / sizeof(*walk_keeps); i++) {
		if (walk_keeps[i].in != f->kind ||
		    !apw_raw_equals(key, walk_keeps[i].key))
			continue;
		base = f->kind == WALK_VERSION ? (char *)w->walk :
		    f->kind == WALK_TOOL_PIECE ?
		    (char *)&w->tools[w->ntools - 1] :
		    (char *)&w->steps[f->step];
		*(struct apw_str *)(base + walk_keeps[i].offset) = value;
		return;
	}
}

/* Before a value: enter it, or skip (and maybe keep) it. */
static int
walk_value(struct walker *w, const struct walk_frame *f, struct apw_str key)
{
	struct apw_str	value;
	ssize_t		n;
	size_t		i;

	walk_space(w);
	if (w->p == w->end)
		return walk_bad(w);
	for (i = 0; i < sizeof(walk_links) / sizeof(*walk_links); i++)
		if (walk_links[i].in == f->kind &&
		    *w->p == walk_links[i].opener &&
		    (walk_links[i].key == NULL ||
		    apw_raw_equals(key, walk_links[i].key))) {
			w->p++;
			return walk_enter(w, walk_links[i].kind, f->step);
		}
	value = (struct apw_str){ w->p, (size_t)(w->end - w->p) };
	if ((n = apw_raw_scan(value, 0)) <= 0)
		return walk_bad(w);
	value.n = (size_t)n;
	w->p += n;
	if (key.n != 0)
		walk_keep(w, f, key, value);
	return 0;
}

static bool
walk_is_list(enum walk_kind kind)
{
	return kind == WALK_CHILDREN || kind == WALK_TOOLS;
}

/* One member or element of the container on top, or its end. */
static int
walk_on(struct walker *w)
{
	struct walk_frame	*top = &w->stack[w->depth - 1], f;
	struct apw_str		 key = { NULL, 0 };
	ssize_t			 n;

	walk_space(w);
	if (w->p == w->end)
		return walk_bad(w);
	if (*w->p == (walk_is_list(top->kind) ? ']' : '}')) {
		w->p++;
		w->depth--;
		return 0;
	}
	if (!top->first && *w->p++ != ',')
		return walk_bad(w);
	top->first = false;
	f = *top;			/* entering moves the stack */
	if (!walk_is_list(f.kind)) {
		walk_space(w);
		key = (struct apw_str){ w->p, (size_t)(w->end - w->p) };
		if (apw_raw_type(key) != APW_RAW_STRING ||
		    (n = apw_raw_scan(key, 0)) <= 0)
			return walk_bad(w);
		key.n = (size_t)n;
		w->p += n;
		walk_space(w);
		if (w->p == w->end || *w->p++ != ':')
			return walk_bad(w);
	}
	return walk_value(w, &f, key);
}

static const char *
walk_text(struct walker *w, struct apw_str literal, size_t max)
{
	struct apw_buf	 buf = APW_BUF_INIT(max);
	char		*text = NULL;

	if (literal.n != 0 && apw_raw_decode(&buf, literal) != -1 &&
	    !buf.failed && (buf.len == 0 ||
	    memchr(buf.data, '\0', buf.len) == NULL))
		text = apw_arena_str(w->arena, apw_buf_view(&buf));
	apw_buf_free(&buf);
	return text;
}

static bool
walk_identifier(const char *s)
{
	if (s == NULL || (!isalpha((unsigned char)*s) && *s != '_'))
		return false;
	while (isalnum((unsigned char)*s) || *s == '_')
		s++;
	return *s == '\0';
}

static int
walk_take_piece(struct walker *w, struct apw_str name, struct apw_str version,
    const struct walk_step *of, bool of_agent)
{
	struct apw_walk_piece	*p = &w->walk->pieces[w->walk->npieces];
	size_t			 i;

	p->name = walk_text(w, name, WALK_NAME_MAX);
	p->version = walk_text(w, version, WALK_NAME_MAX);
	p->of_agent = of_agent;
	p->step = walk_text(w, of->name, WALK_NAME_MAX);
	p->title = walk_text(w, of->title, WALK_NAME_MAX);
	if (p->name == NULL || p->version == NULL)
		return apw_err_set(w->err, 0, "step \"%s\" of the flow "
		    "names no piece and version", p->step == NULL ? "" :
		    p->step);
	for (i = 0; i < w->walk->npieces; i++)
		if (strcmp(w->walk->pieces[i].name, p->name) == 0 &&
		    strcmp(w->walk->pieces[i].version, p->version) == 0)
			return 0;
	w->walk->npieces++;
	return 0;
}

static struct apw_str
walk_member_text(struct walker *w, struct apw_str object, const char *key)
{
	struct apw_str	 literal;
	const char	*text;

	if (apw_raw_member(object, key, &literal) != 1 ||
	    apw_raw_type(literal) != APW_RAW_STRING)
		return APW_STR("");
	text = walk_text(w, literal, WALK_CODE_MAX);
	return text == NULL ? APW_STR("") : apw_str_c(text);
}

static int
walk_take_code(struct walker *w, const struct walk_step *s)
{
	struct apw_stock_code	*c = &w->walk->codes[w->walk->ncodes++];

	c->step = walk_text(w, s->name, WALK_NAME_MAX);
	if (!walk_identifier(c->step))
		return apw_err_set(w->err, 0,
		    "a code step's name is not an identifier");
	if (apw_raw_type(s->source) != APW_RAW_OBJECT)
		return apw_err_set(w->err, 0, "code step %s has no source",
		    c->step);
	c->source = s->source;
	c->memo = apw_arena_alloc(w->arena, APW_STOCK_MEMO);
	c->package_json = walk_member_text(w, s->source, "packageJson");
	c->code = walk_member_text(w, s->source, "code");
	return 0;
}

/* A tool need not be a piece; what says otherwise is left to the engine. */
static void
walk_collect_tools(struct walker *w)
{
	const struct walk_tool	*t;
	struct apw_err		*err = w->err;
	size_t			 i;

	w->err = NULL;
	for (i = 0; i < w->ntools; i++) {
		t = &w->tools[i];
		if (apw_raw_equals(w->steps[t->step].type, "PIECE") &&
		    t->name.n != 0 && t->version.n != 0)
			(void)walk_take_piece(w, t->name, t->version,
			    &w->steps[t->step], true);
	}
	w->err = err;
}

/* The steps are in the order in which they were met: depth first. */
static int
walk_collect(struct walker *w)
{
	struct apw_walk	*walk = w->walk;
	size_t		 i;

	walk->steps = w->nsteps;
	walk->pieces = apw_arena_alloc(w->arena,
	    (w->nsteps + w->ntools) * sizeof(*walk->pieces));
	walk->codes = apw_arena_alloc(w->arena,
	    w->nsteps * sizeof(*walk->codes));
	if (walk->pieces == NULL || walk->codes == NULL)
		return apw_err_set(w->err, ENOMEM, "cannot walk the flow");
	for (i = 0; i < w->nsteps; i++) {
		const struct walk_step *s = &w->steps[i];

		if (apw_raw_equals(s->type, "CODE")) {
			if (walk_take_code(w, s) == -1)
				return -1;
		} else if (apw_raw_equals(s->type, "PIECE") ||
		    apw_raw_equals(s->type, "PIECE_TRIGGER"))
			if (walk_take_piece(w, s->piece_name,
			    s->piece_version, s, false) == -1)
				return -1;
	}
	walk_collect_tools(w);
	return 0;
}

int
apw_walk(struct apw_arena *arena, struct apw_str text, struct apw_walk *walk,
    struct apw_err *err)
{
	struct walker	w = { .arena = arena, .walk = walk, .err = err };
	int		rv = 0;

	memset(walk, 0, sizeof(*walk));
	text = apw_raw_trim(text);
	w.p = text.p;
	w.end = text.p + text.n;
	if (text.n == 0 || *w.p++ != '{')
		return walk_bad(&w);
	rv = walk_enter(&w, WALK_VERSION, 0);
	while (rv == 0 && w.depth > 0)
		rv = walk_on(&w);
	if (rv == 0 && w.nsteps == 0)
		rv = apw_err_set(err, 0, "the flow version has no trigger");
	if (rv == 0)
		rv = walk_collect(&w);
	free(w.stack);
	free(w.steps);
	free(w.tools);
	return rv;
}

int
apw_walk_alone(struct apw_arena *arena, struct apw_str text,
    struct apw_walk *walk, struct apw_err *err)
{
	struct walker		 w = { .arena = arena, .walk = walk, .err = err };
	struct walk_step	 step = { .name = { NULL, 0 } };
	struct apw_str		 settings;

	memset(walk, 0, sizeof(*walk));
	walk->steps = 1;
	if (apw_raw_member(text, "type", &step.type) != 1 ||
	    !apw_raw_equals(apw_raw_trim(step.type), "CODE"))
		return 0;
	walk->codes = apw_arena_alloc(arena, sizeof(*walk->codes));
	if (walk->codes == NULL)
		return apw_err_set(err, ENOMEM, "cannot read the step");
	if (apw_raw_member(text, "name", &step.name) == 1)
		step.name = apw_raw_trim(step.name);
	if (apw_raw_member(text, "settings", &settings) == 1 &&
	    apw_raw_type(settings) == APW_RAW_OBJECT &&
	    apw_raw_member(settings, "sourceCode", &step.source) == 1)
		step.source = apw_raw_trim(step.source);
	return walk_take_code(&w, &step);
}
