/* Reading the configuration: statements go to the contexts they belong to,
 * what is missing is filled in, everything is checked together.  Room: core;
 * called by the master only, before it forks and at a reload.  It changes
 * nothing outside the cycle it makes. */
#include "core/apw_conf_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_auto.h"

/* ---- contexts ---- */

static size_t
count_blocks(void)
{
	size_t	n = 0;

	while (apw_conf_blocks[n].name != NULL)
		n++;
	return n;
}

static int
make_module_context(struct apw_conf *conf, struct apw_conf_context *context,
    const struct apw_module *m)
{
	struct apw_cycle	*cycle = conf->cycle;

	context->module = m;
	context->directives = m->directives;
	context->conf = apw_arena_alloc(conf->arena,
	    m->conf_size != 0 ? m->conf_size : 1);
	cycle->module_conf[m->index] = context->conf;
	if (m->kind == APW_MODULE_SOURCE)
		context->kind = apw_conf_find_block("source");
	else if (m->kind == APW_MODULE_SANDBOX)
		context->kind = apw_conf_find_block("sandbox");
	context->label = apw_arena_printf(conf->arena, "%s%s%s",
	    context->kind != NULL ? context->kind->name : "module",
	    " ", m->block != NULL ? m->block : m->name);
	return context->label == NULL || context->conf == NULL ? -1 : 0;
}

static int
make_contexts(struct apw_conf *conf)
{
	struct apw_cycle		*cycle = conf->cycle;
	struct apw_conf_context		*context;
	const struct apw_conf_block	*b;
	size_t				 i, nmodules = apw_modules_count();

	cycle->contexts = apw_arena_alloc(conf->arena,
	    (1 + count_blocks() + nmodules) * sizeof(*cycle->contexts));
	cycle->module_conf = apw_arena_alloc(conf->arena,
	    (nmodules + 1) * sizeof(void *));
	if (cycle->contexts == NULL || cycle->module_conf == NULL)
		return -1;
	context = cycle->contexts;
	context->label = "main";
	context->directives = apw_conf_main_directives;
	context->conf = &cycle->main;
	context->in_use = true;
	context++;
	for (b = apw_conf_blocks; b->name != NULL; b++) {
		if (b->kind == APW_BLOCK_SOURCE || b->kind == APW_BLOCK_SANDBOX)
			continue;
		context->label = b->name;
		context->kind = b;
		context->directives = b->directives;
		context->conf = (char *)cycle + b->offset;
		context->in_use = true;
		context++;
	}
	for (i = 0; i < nmodules; i++)
		if (make_module_context(conf, context++,
		    apw_modules[i]) == -1)
			return -1;
	cycle->ncontexts = (size_t)(context - cycle->contexts);
	return 0;
}

/* ---- did you mean ---- */

void
apw_conf_complain_nearest(struct apw_conf *conf, struct apw_conf_place place,
    const char *word, const char *const *names, const char *fmt, ...)
{
	const char	*near = apw_str_nearest(word, names);
	char		 text[1024];
	va_list		 ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (near != NULL)
		apw_conf_error(conf, place, "%s; did you mean \"%s\"?", text,
		    near);
	else
		apw_conf_error(conf, place, "%s", text);
}

/* Where else the name would be right: "engine", "main". */
static const char *
home_of(const struct apw_conf *conf, const char *name)
{
	const struct apw_conf_context	*context;
	size_t				 i;

	if (apw_conf_find_block(name) != NULL || strcmp(name, "include") == 0)
		return "main";
	for (i = 0; i < conf->cycle->ncontexts; i++) {
		context = &conf->cycle->contexts[i];
		if (apw_conf_find_directive(context->directives,
		    name) != NULL)
			return context->label;
	}
	return NULL;
}

static void
complain_unknown(struct apw_conf *conf, const struct apw_conf_context *context,
    const struct apw_conf_stmt *s)
{
	const char			*names[APW_CONF_NAMES_MAX + 1];
	const char			*name = s->words[0].s, *home;
	const struct apw_directive	*d;
	const struct apw_conf_block	*b;
	size_t				 n = 0;

	home = home_of(conf, name);
	if (home != NULL) {
		apw_conf_error(conf, s->words[0].place, "found \"%s\" in "
		    "\"%s\"; its place is \"%s\"", name, context->label,
		    home);
		return;
	}
	for (d = context->directives; d != NULL && d->name != NULL; d++)
		if (n < APW_CONF_NAMES_MAX)
			names[n++] = d->name;
	if (context->kind == NULL) {
		for (b = apw_conf_blocks; b->name != NULL; b++)
			if (n < APW_CONF_NAMES_MAX)
				names[n++] = b->name;
		if (n < APW_CONF_NAMES_MAX)
			names[n++] = "include";
	}
	names[n] = NULL;
	apw_conf_complain_nearest(conf, s->words[0].place, name, names,
	    "unknown directive \"%s\" in \"%s\"", apw_conf_quote(conf, name),
	    context->label);
}

/* ---- statements ---- */

static void
read_stmt(struct apw_conf *conf, struct apw_conf_context *context,
    const struct apw_conf_stmt *s)
{
	const struct apw_conf_block	*b = NULL;
	const struct apw_directive	*d;
	const char			*hint = "";
	size_t				 i;

	if (context->kind == NULL)
		b = apw_conf_find_block(s->words[0].s);
	if (b != NULL) {
		apw_conf_read_block(conf, b, s);
		return;
	}
	d = apw_conf_find_directive(context->directives, s->words[0].s);
	if (d == NULL) {
		complain_unknown(conf, context, s);
		return;
	}
	if (!s->has_block) {
		apw_conf_set(conf, context, d, s->words[0].place.text->from,
		    s->words, s->nwords, NULL);
		return;
	}
	for (i = 1; i < s->nwords; i++)
		if (context->kind == NULL &&
		    s->words[i].place.line > s->words[i - 1].place.line &&
		    apw_conf_find_block(s->words[i].s) != NULL)
			hint = apw_arena_printf(conf->arena, "; is \";\" "
			    "missing at the end of line %u?",
			    s->words[i - 1].place.line);
	apw_conf_error(conf, s->words[0].place, "\"%s\" has a block; expected "
	    "\";\"%s", d->name, hint != NULL ? hint : "");
}

void
apw_conf_read_list(struct apw_conf *conf, struct apw_conf_context *context,
    const struct apw_conf_stmt *s)
{
	unsigned	before = conf->errors;

	for (; s != NULL && !conf->no_memory; s = s->next)
		read_stmt(conf, context, s);
	context->errors += conf->errors - before;
}

/* ---- the whole ---- */

char *
apw_conf_absolute(struct apw_conf *conf, const char *path)
{
	char	*all, *from, *to;

	if (path[0] == '/')
		all = apw_arena_strdup(conf->arena, path);
	else
		all = apw_arena_printf(conf->arena, "%s/%s", conf->prefix,
		    path);
	if (all == NULL) {
		conf->no_memory = true;
		return NULL;
	}
	for (from = to = all; *from != '\0';) {
		if (from[0] == '/' && from[1] == '/')
			from++;
		else if (from[0] == '/' && from[1] == '.' &&
		    (from[2] == '/' || from[2] == '\0'))
			from += 2;
		else
			*to++ = *from++;
	}
	if (to > all + 1 && to[-1] == '/')
		to--;
	if (to == all)
		*to++ = '/';
	*to = '\0';
	return all;
}

static int
make_prefix(struct apw_conf *conf)
{
	const struct apw_conf_options	*o = conf->options;
	const char			*slash, *dir = o->prefix;
	apw_autofree char		*cwd = NULL;

	if (dir == NULL && o->file != NULL &&
	    (slash = strrchr(o->file, '/')) != NULL)
		dir = slash == o->file ? "/" : apw_arena_str(conf->arena,
		    (struct apw_str){ o->file, (size_t)(slash - o->file) });
	if (dir == NULL)
		dir = ".";
	if (dir[0] != '/') {
		cwd = getcwd(NULL, 0);
		conf->prefix = cwd != NULL ? cwd : "/";
	}
	conf->prefix = apw_conf_absolute(conf, dir);
	return conf->prefix == NULL ? -1 : 0;
}

static void
read_all(struct apw_conf *conf)
{
	const struct apw_conf_options	*o = conf->options;
	struct apw_conf_context		*main_context = conf->cycle->contexts;
	struct apw_conf_stmt		*file = NULL, *globals = NULL;

	if (o->file != NULL)
		file = apw_conf_parse_file(conf, o->file);
	if (o->globals != NULL)
		globals = apw_conf_parse_text(conf, "command line",
		    conf->prefix, o->globals, strlen(o->globals));
	/* last, so that it wins */
	apw_conf_read_list(conf, main_context, file);
	apw_conf_read_list(conf, main_context, globals);
	apw_conf_settle(conf);
	apw_conf_fill(conf);
	apw_conf_check(conf);
}

struct apw_cycle *
apw_conf_read(const struct apw_conf_options *options, FILE *complaints)
{
	struct apw_arena	*arena = apw_arena_new();
	struct apw_cycle	*cycle = NULL;
	struct apw_conf		*conf = NULL;
	bool			 good;

	if (arena != NULL) {
		cycle = apw_arena_alloc(arena, sizeof(*cycle));
		conf = apw_arena_alloc(arena, sizeof(*conf));
	}
	if (cycle == NULL || conf == NULL) {
		fprintf(complaints, "apworkerd: error: out of memory\n");
		apw_arena_free(arena);
		return NULL;
	}
	apw_modules_init();
	cycle->arena = arena;
	cycle->number = options->cycle;
	cycle->reader = conf;
	conf->arena = arena;
	conf->cycle = cycle;
	conf->options = options;
	conf->complaints_tail = &conf->complaints;
	conf->origins_tail = &cycle->origins;
	conf->environment.name = "environment";
	conf->environment.from = APW_FROM_ENVIRONMENT;
	if (options->file != NULL)
		cycle->file = apw_arena_strdup(arena, options->file);
	if (make_prefix(conf) == -1 || make_contexts(conf) == -1)
		conf->no_memory = true;
	else
		read_all(conf);
	apw_conf_print_complaints(conf, complaints);
	good = conf->errors == 0 && !conf->no_memory;
	cycle->prefix = conf->prefix;
	cycle->reader = NULL;
	if (!good) {
		apw_cycle_free(cycle);
		return NULL;
	}
	return cycle;
}

struct apw_cycle *
apw_conf_read_again(const struct apw_conf_options *options)
{
	struct apw_cycle	*cycle;
	apw_autofree char	*text = NULL;
	size_t			 n;
	FILE			*out = open_memstream(&text, &n);

	if (out == NULL)
		return NULL;
	cycle = apw_conf_read(options, out);
	fclose(out);
	if (cycle == NULL)
		fputs(text, stderr);
	return cycle;
}

void
apw_cycle_free(struct apw_cycle *cycle)
{
	if (cycle == NULL)
		return;
	apw_conf_secrets_free(cycle);
	apw_arena_free(cycle->arena);	/* the cycle itself is in it */
}
