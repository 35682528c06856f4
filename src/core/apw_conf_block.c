/* Blocks of the configuration: which context a block's words mean, what is
 * given twice, and which source and sandbox are chosen in the end.
 * Room: core. */
#include "core/apw_conf_priv.h"

#include <string.h>

#include "core/apw_auto.h"
#include "modules/sandbox/sandbox.h"

const struct apw_conf_block *
apw_conf_find_block(const char *name)
{
	const struct apw_conf_block	*b;

	for (b = apw_conf_blocks; b->name != NULL; b++)
		if (strcmp(b->name, name) == 0)
			return b;
	return NULL;
}

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
	const char	*names[APW_CONF_NAMES_MAX + 1];
	char		 list[512] = "";
	const struct apw_module	*m;
	const char *const *name;
	size_t		 i, n = 0;

	for (i = 0; i < conf->cycle->ncontexts && n < APW_CONF_NAMES_MAX; i++) {
		m = conf->cycle->contexts[i].module;
		if (m == NULL || conf->cycle->contexts[i].kind != b)
			continue;
		if (b->kind == APW_BLOCK_SOURCE) {
			names[n++] = m->block;
			continue;
		}
		name = m->ops.sandbox != NULL ? m->ops.sandbox->modes : NULL;
		for (; name != NULL && *name != NULL && n < APW_CONF_NAMES_MAX; name++)
			names[n++] = *name;
	}
	if (b->kind == APW_BLOCK_SANDBOX && n < APW_CONF_NAMES_MAX)
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
		apw_conf_complain_nearest(conf, place, word, names,
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
	apw_conf_read_list(conf, context, s->block);
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
	apw_conf_read_list(conf, context, s->block);
}

void
apw_conf_read_block(struct apw_conf *conf, const struct apw_conf_block *b,
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

/* ---- choices that were not written ---- */

static void
settle_source(struct apw_conf *conf)
{
	const char	*block;
	const char	*mode;

	if (conf->source == NULL && !conf->source_seen && !conf->broken) {
		block = apw_conf_env_source(conf);
		if (block != NULL) {
			conf->source = find_module(conf, apw_conf_find_block("source"),
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
			    apw_conf_find_block("sandbox"), args[0], &cycle->mode);
			if (conf->sandbox == NULL)
				complain_module(conf, apw_conf_find_block("sandbox"),
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

void
apw_conf_settle(struct apw_conf *conf)
{
	settle_source(conf);
	settle_sandbox(conf);
	check_one_sandbox(conf);
}
