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
#include "modules/sandbox/sandbox.h"

#define NAMES_MAX	160

static void read_list(struct apw_conf *, struct apw_conf_context *,
	    const struct apw_conf_stmt *);

/* ---- contexts ---- */

static size_t
count_blocks(void)
{
	size_t	n = 0;

	while (apw_conf_blocks[n].name != NULL)
		n++;
	return n;
}

static const struct apw_conf_block *
find_block(const char *name)
{
	const struct apw_conf_block	*b;

	for (b = apw_conf_blocks; b->name != NULL; b++)
		if (strcmp(b->name, name) == 0)
			return b;
	return NULL;
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
		context->kind = find_block("source");
	else if (m->kind == APW_MODULE_SANDBOX)
		context->kind = find_block("sandbox");
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

static void
complain_nearest(struct apw_conf *conf, struct apw_conf_place place,
    const char *word, const char *const *names, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

static void
complain_nearest(struct apw_conf *conf, struct apw_conf_place place,
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

	if (find_block(name) != NULL || strcmp(name, "include") == 0)
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
	const char			*names[NAMES_MAX + 1];
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
		if (n < NAMES_MAX)
			names[n++] = d->name;
	if (context->kind == NULL) {
		for (b = apw_conf_blocks; b->name != NULL; b++)
			if (n < NAMES_MAX)
				names[n++] = b->name;
		if (n < NAMES_MAX)
			names[n++] = "include";
	}
	names[n] = NULL;
	complain_nearest(conf, s->words[0].place, name, names,
	    "unknown directive \"%s\" in \"%s\"", apw_conf_quote(conf, name),
	    context->label);
}

/* ---- blocks ---- */

/* The module that a block's word means; *mode is the sandbox mode's name. */
static struct apw_conf_context *
find_module(struct apw_conf *conf, const struct apw_conf_block *b,
    const char *word, const char **mode)
{
	struct apw_conf_context	*context;
	const struct apw_module	*m;
	const char *const	*name;
	size_t			 i;

	for (i = 0; i < conf->cycle->ncontexts; i++) {
		context = &conf->cycle->contexts[i];
		m = context->module;
		if (m == NULL || context->kind != b)
			continue;
		if (b->kind == APW_BLOCK_SOURCE) {
			if (m->block != NULL && strcmp(m->block, word) == 0)
				return context;
			continue;
		}
		name = m->ops.sandbox != NULL ? m->ops.sandbox->modes : NULL;
		for (; name != NULL && *name != NULL; name++) {
			if (strcmp(*name, word) == 0) {
				*mode = *name;
				return context;
			}
		}
	}
	return NULL;
}

static void
complain_module(struct apw_conf *conf, const struct apw_conf_block *b,
    struct apw_conf_place place, const char *word)
{
	static const char *const modes[] = { "UNSANDBOXED",
	    "SANDBOX_CODE_ONLY", "SANDBOX_PROCESS",
	    "SANDBOX_CODE_AND_PROCESS" };
	const char	*names[NAMES_MAX + 1];
	char		 list[512] = "";
	const struct apw_module	*m;
	const char *const *name;
	size_t		 i, n = 0;

	for (i = 0; i < conf->cycle->ncontexts && n < NAMES_MAX; i++) {
		m = conf->cycle->contexts[i].module;
		if (m == NULL || conf->cycle->contexts[i].kind != b)
			continue;
		if (b->kind == APW_BLOCK_SOURCE) {
			names[n++] = m->block;
			continue;
		}
		name = m->ops.sandbox != NULL ? m->ops.sandbox->modes : NULL;
		for (; name != NULL && *name != NULL && n < NAMES_MAX; name++)
			names[n++] = *name;
	}
	if (b->kind == APW_BLOCK_SANDBOX && n < NAMES_MAX)
		names[n++] = "auto";
	names[n] = NULL;
	for (i = 0; i < n; i++) {
		if (strlen(list) + strlen(names[i]) + 8 > sizeof(list))
			break;
		strcat(list, i == 0 ? "" : i == n - 1 ? " or " : ", ");
		strcat(list, names[i]);
	}
	for (i = 0; b->kind == APW_BLOCK_SANDBOX && i < APW_COUNT(modes); i++) {
		if (strcmp(modes[i], word) == 0) {
			apw_conf_error(conf, place, "\"sandbox\" is \"%s\", "
			    "which is not built in; expected %s", word, list);
			return;
		}
	}
	if (b->kind == APW_BLOCK_SANDBOX && strcmp(word, "SANDBOXED") == 0)
		apw_conf_error(conf, place, "\"sandbox\" is \"SANDBOXED\"; "
		    "expected %s; did you mean \"SANDBOX_PROCESS\"?", list);
	else
		complain_nearest(conf, place, word, names,
		    "\"%s\" is \"%s\"; expected %s", b->name,
		    apw_conf_quote(conf, word), n == 0 ?
		    "a module, and none is built in" : list);
}

static void
choose_source(struct apw_conf *conf, struct apw_conf_context *context,
    const struct apw_conf_stmt *s)
{
	bool	command_line = s->words[0].place.text->from ==
		    APW_FROM_COMMAND_LINE;

	if (conf->source != NULL && (!command_line ||
	    conf->source_by_command_line)) {
		apw_conf_error(conf, s->words[0].place, "a second source: "
		    "\"%s\" is at %s; expected one", conf->source->label,
		    apw_conf_place_text(conf, conf->source->place));
		return;
	}
	conf->source = context;
	conf->source_by_command_line = command_line;
}

/* Without "auto" the one sandbox block is the choice; beside it, blocks are
 * the settings of modes that the app may choose. */
static void
choose_sandbox(struct apw_conf *conf, struct apw_conf_context *context,
    const char *mode, const struct apw_conf_stmt *s)
{
	bool	command_line = s->words[0].place.text->from ==
		    APW_FROM_COMMAND_LINE;

	if (command_line && !conf->sandbox_by_command_line) {
		conf->sandbox = NULL;
		conf->sandbox_auto = false;
		conf->sandbox_by_command_line = true;
	}
	if (context == NULL) {
		conf->sandbox_auto = true;
		conf->sandbox_place = s->words[0].place;
	} else if (conf->sandbox == NULL) {
		conf->sandbox = context;
		conf->cycle->mode = mode;
		if (!conf->sandbox_auto)
			conf->sandbox_place = s->words[0].place;
	}
}

static void
read_module_block(struct apw_conf *conf, const struct apw_conf_block *b,
    const struct apw_conf_stmt *s)
{
	struct apw_conf_context	*context;
	const char		*mode = NULL;
	bool			 is_auto;

	if (b->kind == APW_BLOCK_SOURCE)
		conf->source_seen = true;
	is_auto = b->kind == APW_BLOCK_SANDBOX &&
	    strcmp(s->words[1].s, "auto") == 0;
	if (is_auto) {
		if (s->has_block)
			apw_conf_error(conf, s->words[0].place,
			    "\"sandbox auto\" has a block; expected \";\"");
		else
			choose_sandbox(conf, NULL, NULL, s);
		return;
	}
	context = find_module(conf, b, s->words[1].s, &mode);
	if (context == NULL) {
		complain_module(conf, b, s->words[1].place, s->words[1].s);
		return;
	}
	if (context->given && s->words[0].place.text->from ==
	    context->place.text->from) {
		apw_conf_error(conf, s->words[0].place, "\"%s\" is given "
		    "twice; first at %s", context->label,
		    apw_conf_place_text(conf, context->place));
		return;
	}
	context->given = true;
	context->place = s->words[0].place;
	if (b->kind == APW_BLOCK_SOURCE)
		choose_source(conf, context, s);
	else
		choose_sandbox(conf, context, mode, s);
	read_list(conf, context, s->block);
}

static void
read_plain_block(struct apw_conf *conf, const struct apw_conf_block *b,
    const struct apw_conf_stmt *s)
{
	struct apw_conf_context	*context;

	context = apw_conf_context_of(conf->cycle, b->name);
	if (context->given && s->words[0].place.text->from ==
	    context->place.text->from) {
		apw_conf_error(conf, s->words[0].place, "\"%s\" is given "
		    "twice; first at %s", b->name,
		    apw_conf_place_text(conf, context->place));
		return;
	}
	context->given = true;
	context->place = s->words[0].place;
	if (b->head != NULL && apw_conf_set(conf, context, b->head,
	    s->words[0].place.text->from, s->words, s->nwords, NULL) == -1)
		context->errors++;
	read_list(conf, context, s->block);
}

static void
read_block(struct apw_conf *conf, const struct apw_conf_block *b,
    const struct apw_conf_stmt *s)
{
	size_t	want = b->kind == APW_BLOCK_PLAIN ? 0 : 1;

	if (b->kind == APW_BLOCK_SOURCE)
		conf->source_seen = true;
	if (s->nwords - 1 != want) {
		apw_conf_error(conf, s->words[0].place, "\"%s\" has %zu "
		    "argument%s; expected %s%s", b->name, s->nwords - 1,
		    s->nwords == 2 ? "" : "s",
		    want == 0 ? "\"{\"" : "1: ",
		    want == 0 ? "" : b->arg_help);
		return;
	}
	if (b->kind == APW_BLOCK_PLAIN && !s->has_block) {
		apw_conf_error(conf, s->words[0].place, "\"%s\" has no block; "
		    "expected \"{\"", b->name);
		return;
	}
	if (b->kind == APW_BLOCK_SOURCE || b->kind == APW_BLOCK_SANDBOX)
		read_module_block(conf, b, s);
	else
		read_plain_block(conf, b, s);
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
		b = find_block(s->words[0].s);
	if (b != NULL) {
		read_block(conf, b, s);
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
		    find_block(s->words[i].s) != NULL)
			hint = apw_arena_printf(conf->arena, "; is \";\" "
			    "missing at the end of line %u?",
			    s->words[i - 1].place.line);
	apw_conf_error(conf, s->words[0].place, "\"%s\" has a block; expected "
	    "\";\"%s", d->name, hint != NULL ? hint : "");
}

static void
read_list(struct apw_conf *conf, struct apw_conf_context *context,
    const struct apw_conf_stmt *s)
{
	unsigned	before = conf->errors;

	for (; s != NULL && !conf->no_memory; s = s->next)
		read_stmt(conf, context, s);
	context->errors += conf->errors - before;
}

/* ---- choices that were not written ---- */

static void
settle_source(struct apw_conf *conf)
{
	const char	*block;
	const char	*mode;

	if (conf->source == NULL && !conf->source_seen && !conf->broken) {
		block = apw_conf_env_source(conf);
		if (block != NULL) {
			conf->source = find_module(conf, find_block("source"),
			    block, &mode);
			if (conf->source != NULL)
				conf->source->place.text = &conf->environment;
		}
	}
	if (conf->source == NULL)
		return;
	conf->source->in_use = true;
	conf->cycle->source = conf->source->module;
}

static void
settle_sandbox(struct apw_conf *conf)
{
	struct apw_cycle	*cycle = conf->cycle;
	char			**args;
	const char		*note;
	size_t			 nargs, i;

	if (conf->sandbox == NULL && !conf->sandbox_auto &&
	    apw_conf_env(conf, "AP_EXECUTION_MODE", &args, &nargs,
	    &note) == 1) {
		conf->sandbox_place.text = &conf->environment;
		if (strcmp(args[0], "auto") != 0) {
			conf->sandbox = find_module(conf,
			    find_block("sandbox"), args[0], &cycle->mode);
			if (conf->sandbox == NULL)
				complain_module(conf, find_block("sandbox"),
				    conf->sandbox_place, args[0]);
		}
	}
	if (conf->sandbox_auto || conf->sandbox == NULL)
		cycle->mode = NULL;
	else
		cycle->sandbox = conf->sandbox->module;
	cycle->mode_place = &conf->sandbox_place;
	for (i = 0; i < cycle->ncontexts; i++)
		if (cycle->contexts[i].kind != NULL &&
		    cycle->contexts[i].kind->kind == APW_BLOCK_SANDBOX)
			cycle->contexts[i].in_use = cycle->sandbox == NULL ||
			    cycle->contexts[i].module == cycle->sandbox;
}

/* Two modes without "auto": which one is meant? */
static void
check_one_sandbox(struct apw_conf *conf)
{
	const struct apw_conf_context	*context;
	size_t				 i;

	for (i = 0; conf->cycle->sandbox != NULL &&
	    i < conf->cycle->ncontexts; i++) {
		context = &conf->cycle->contexts[i];
		if (context->given && context->module != conf->cycle->sandbox &&
		    context->kind->kind == APW_BLOCK_SANDBOX &&
		    !conf->sandbox_by_command_line)
			apw_conf_error(conf, context->place, "a second "
			    "sandbox: \"%s\" is at %s; expected one, or "
			    "\"sandbox auto;\" too", conf->sandbox->label,
			    apw_conf_place_text(conf, conf->sandbox->place));
	}
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
	read_list(conf, main_context, file);
	read_list(conf, main_context, globals);
	settle_source(conf);
	settle_sandbox(conf);
	check_one_sandbox(conf);
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

void
apw_cycle_free(struct apw_cycle *cycle)
{
	if (cycle == NULL)
		return;
	apw_conf_secrets_free(cycle);
	apw_arena_free(cycle->arena);	/* the cycle itself is in it */
}
