/* Values of the configuration: running a directive's setter on arguments
 * from a file, the command line, the environment or the table's default, and
 * keeping where each came from.  Room: core. */
#include "core/apw_conf_priv.h"

#include <stdlib.h>
#include <string.h>

#include "core/apw_auto.h"

const struct apw_directive *
apw_conf_find_directive(const struct apw_directive *d, const char *name)
{
	for (; d != NULL && d->name != NULL; d++)
		if (strcmp(d->name, name) == 0)
			return d;
	return NULL;
}

struct apw_conf_context *
apw_conf_context_of(const struct apw_cycle *cycle, const char *label)
{
	size_t	i;

	for (i = 0; i < cycle->ncontexts; i++)
		if (strcmp(cycle->contexts[i].label, label) == 0)
			return &cycle->contexts[i];
	return NULL;
}

struct apw_conf_origin *
apw_conf_find_origin(const struct apw_cycle *cycle,
    const struct apw_conf_context *context, const struct apw_directive *d)
{
	struct apw_conf_origin	*o;

	for (o = cycle->origins; o != NULL; o = o->next)
		if (o->context == context && o->directive == d)
			return o;
	return NULL;
}

/* `token` and `token_file` fill the same secret: giving one of them settles
 * the other. */
static struct apw_conf_origin *
find_rival(const struct apw_cycle *cycle,
    const struct apw_conf_context *context, const struct apw_directive *d)
{
	struct apw_conf_origin	*o;

	for (o = cycle->origins; d->secret && o != NULL; o = o->next)
		if (o->context == context && o->directive->secret &&
		    o->directive->offset == d->offset)
			return o;
	return NULL;
}

static void
forget_origin(struct apw_conf *conf, const struct apw_conf_context *context,
    const struct apw_directive *d)
{
	struct apw_conf_origin	**o = &conf->cycle->origins;

	while (*o != NULL) {
		if ((*o)->context == context && (*o)->directive == d)
			*o = (*o)->next;
		else
			o = &(*o)->next;
	}
	conf->origins_tail = o;
	/* the rule of apw_directive.h: many fills a list */
	if (d->many)
		memset((char *)context->conf + d->offset, 0,
		    sizeof(struct apw_strlist));
}

static void
complain_arity(struct apw_conf *conf, const struct apw_conf_context *context,
    const struct apw_directive *d, const struct apw_conf_word *words,
    size_t nwords)
{
	struct apw_conf_place	 at = words[0].place;
	char			 want[48];
	const char		*semicolon = "";
	size_t			 i, nargs = nwords - 1;

	if (nargs > d->args.max)
		at = words[1 + d->args.max].place;
	/* an argument on another line that is itself a directive */
	for (i = 1; i < nwords; i++) {
		if (words[i].place.line > words[i - 1].place.line &&
		    apw_conf_find_directive(context->directives,
		    words[i].s) != NULL) {
			semicolon = apw_arena_printf(conf->arena,
			    "; is \";\" missing at the end of line %u?",
			    words[i - 1].place.line);
			break;
		}
	}
	if (d->args.max == 255)
		snprintf(want, sizeof(want), "at least %u", d->args.min);
	else if (d->args.min == d->args.max)
		snprintf(want, sizeof(want), "%u", d->args.min);
	else
		snprintf(want, sizeof(want), "%u or %u", d->args.min,
		    d->args.max);
	apw_conf_error(conf, at, "\"%s\" has %zu argument%s; expected %s (%s)%s",
	    d->name, nargs, nargs == 1 ? "" : "s", want,
	    d->arg_help != NULL ? d->arg_help : "value",
	    semicolon != NULL ? semicolon : "");
}

/* May this statement set d?  0: yes, 1: it has nothing to say any more (the
 * command line said it), -1: complained. */
static int
check_twice(struct apw_conf *conf, struct apw_conf_context *context,
    const struct apw_directive *d, enum apw_conf_from from,
    struct apw_conf_place place)
{
	struct apw_conf_origin	*o;

	if (from != APW_FROM_FILE && from != APW_FROM_COMMAND_LINE)
		return 0;
	o = apw_conf_find_origin(conf->cycle, context, d);
	if (o == NULL)
		o = find_rival(conf->cycle, context, d);
	if (o == NULL)
		return 0;
	if (from == APW_FROM_COMMAND_LINE && o->from == APW_FROM_FILE) {
		forget_origin(conf, context, o->directive);
		return 0;
	}
	if (o->directive != d) {
		apw_conf_error(conf, place, "\"%s\" is given, and \"%s\" at "
		    "%s too; expected one of them", d->name,
		    o->directive->name, apw_conf_place_text(conf, o->place));
		return -1;
	}
	if (d->many)
		return 0;
	apw_conf_error(conf, place, "\"%s\" is given twice; first at %s",
	    d->name, apw_conf_place_text(conf, o->place));
	return -1;
}

static struct apw_conf_origin *
new_origin(struct apw_conf *conf, const struct apw_conf_context *context,
    const struct apw_directive *d, enum apw_conf_from from,
    const struct apw_conf_word *words, size_t nwords, const char *note)
{
	struct apw_conf_origin	*o;
	size_t			 i;

	o = apw_arena_alloc(conf->arena, sizeof(*o));
	if (o != NULL)
		o->args = apw_arena_alloc(conf->arena,
		    (nwords + 1) * sizeof(char *));
	if (o == NULL || o->args == NULL) {
		conf->no_memory = true;
		return NULL;
	}
	o->context = context;
	o->directive = d;
	o->from = from;
	o->place = words[0].place;
	o->note = note;
	o->nargs = nwords - 1;
	for (i = 0; i < o->nargs; i++)
		o->args[i] = words[i + 1].s;
	return o;
}

int
apw_conf_set(struct apw_conf *conf, struct apw_conf_context *context,
    const struct apw_directive *d, enum apw_conf_from from,
    const struct apw_conf_word *words, size_t nwords, const char *note)
{
	struct apw_conf_origin	*o;
	struct apw_conf_place	 at;
	struct apw_err		 err = APW_ERR_NONE;
	apw_autofree char	**args = NULL;
	size_t			 i, bad = 0;

	if (nwords - 1 < d->args.min ||
	    (d->args.max != 255 && nwords - 1 > d->args.max)) {
		complain_arity(conf, context, d, words, nwords);
		return -1;
	}
	if (check_twice(conf, context, d, from, words[0].place) == -1)
		return -1;
	o = new_origin(conf, context, d, from, words, nwords, note);
	args = calloc(nwords, sizeof(*args));
	if (o == NULL || args == NULL) {
		conf->no_memory = true;
		return -1;
	}
	for (i = 1; i < nwords; i++)
		args[i - 1] = words[i].s;
	conf->current = o;
	if (d->set(conf, d, context->conf, args, nwords - 1, &bad,
	    &err) == -1) {
		at = words[1 + (bad < nwords - 1 ? bad : 0) <
		    nwords ? 1 + (bad < nwords - 1 ? bad : 0) : 0].place;
		apw_conf_error(conf, at, "%s%s%s", note != NULL ? note : "",
		    note != NULL ? ": " : "", err.text);
		conf->current = NULL;
		return -1;
	}
	conf->current = NULL;
	*conf->origins_tail = o;
	conf->origins_tail = &o->next;
	return 0;
}

void
apw_conf_show(struct apw_conf *conf, size_t i, const char *text)
{
	struct apw_conf_origin	*o = conf->current;

	if (o == NULL || i >= o->nargs)
		return;
	if (text == NULL)
		o->nargs = i;
	else
		o->args[i] = (char *)(uintptr_t)text;
}

int
apw_conf_set_other(struct apw_conf *conf, const char *name, char *arg,
    struct apw_err *err)
{
	struct apw_conf_origin		*o = conf->current;
	struct apw_conf_context		*context;
	const struct apw_directive	*d;
	struct apw_conf_word		 words[2] = { { .s = arg },
					     { .s = arg } };
	int				 rc;

	if (o == NULL)
		return apw_err_set(err, 0, "no directive is being set");
	context = &conf->cycle->contexts[o->context - conf->cycle->contexts];
	d = apw_conf_find_directive(context->directives, name);
	if (d == NULL)
		return apw_err_set(err, 0, "unknown directive \"%s\"", name);
	words[0].place = words[1].place = o->place;
	rc = apw_conf_set(conf, context, d, o->from, words, 2, o->note);
	conf->current = o;
	return rc;
}

struct apw_arena *
apw_conf_arena(struct apw_conf *conf)
{
	return conf->arena;
}

void
apw_conf_warn(struct apw_conf *conf, const char *fmt, ...)
{
	va_list			 ap;
	struct apw_conf_place	 none = { 0 };

	va_start(ap, fmt);
	apw_conf_verror(conf, conf->current != NULL ? conf->current->place :
	    none, true, fmt, ap);
	va_end(ap);
}

/* ---- what was not given ---- */

static int
fill_from_environment(struct apw_conf *conf, struct apw_conf_context *context,
    const struct apw_directive *d)
{
	struct apw_conf_word	*words;
	char			**args;
	const char		*note = d->env;
	size_t			 i, nargs;
	int			 rc;

	rc = apw_conf_env(conf, d->env, &args, &nargs, &note);
	if (rc != 1)
		return rc;
	words = apw_arena_alloc(conf->arena, (nargs + 1) * sizeof(*words));
	if (words == NULL) {
		conf->no_memory = true;
		return -1;
	}
	for (i = 0; i <= nargs; i++) {
		words[i].s = i == 0 ? (char *)(uintptr_t)d->name : args[i - 1];
		words[i].place.text = &conf->environment;
	}
	return apw_conf_set(conf, context, d, APW_FROM_ENVIRONMENT, words,
	    nargs + 1, note) == -1 ? -1 : 1;
}

/* A default is text of the same grammar, through the same setter: it cannot
 * be out of bounds. */
static void
fill_from_table(struct apw_conf *conf, struct apw_conf_context *context,
    const struct apw_directive *d)
{
	struct apw_conf_word	words[9] = { { .s = (char *)(uintptr_t)d->name } };
	struct apw_conf_lex	lex;
	enum apw_conf_token	t;
	size_t			n = 1;

	apw_conf_lex_init(&lex, conf->arena, d->dflt, strlen(d->dflt));
	while ((t = apw_conf_lex_next(&lex)) == APW_TOKEN_WORD &&
	    n < APW_COUNT(words))
		words[n++].s = lex.word;
	if (t == APW_TOKEN_BAD) {
		/* the tables have no bad words */
		conf->no_memory = true;
		return;
	}
	apw_conf_set(conf, context, d, APW_FROM_DEFAULT, words, n, NULL);
}

static void
fill_context(struct apw_conf *conf, struct apw_conf_context *context,
    const struct apw_directive *d)
{
	int	rc;

	for (; d != NULL && d->name != NULL; d++) {
		if (apw_conf_find_origin(conf->cycle, context, d) != NULL ||
		    find_rival(conf->cycle, context, d) != NULL)
			continue;
		rc = 0;
		/* a module nobody chose has no say about the environment */
		if (d->env != NULL && context->in_use)
			rc = fill_from_environment(conf, context, d);
		if (rc == -1)
			context->errors++;
		if (rc == 0 && d->dflt != NULL)
			fill_from_table(conf, context, d);
	}
}

void
apw_conf_fill(struct apw_conf *conf)
{
	struct apw_conf_context	*context;
	size_t			 i;

	for (i = 0; i < conf->cycle->ncontexts; i++) {
		context = &conf->cycle->contexts[i];
		if (context->kind != NULL && context->kind->head != NULL)
			fill_context(conf, context, context->kind->head);
		fill_context(conf, context, context->directives);
	}
}
