/* Programs and files that jobs need: node, the engine's bundle, installer
 * and bundler; found on PATH when only their names are known.  Room: core.
 * It looks and starts nothing. */
#include "core/apw_conf_priv.h"

#include "core/apw_auto.h"
#include "core/apw_find.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *
find_on_path(struct apw_conf *conf, const char *name)
{
	apw_autofree char	*path = apw_find_program(name);

	return path == NULL ? NULL : apw_arena_strdup(conf->arena, path);
}

/* The check found a value that nobody gave: -T shows it. */
static void
note_found(struct apw_conf *conf, const struct apw_conf_context *context,
    const char *name, char *value)
{
	const struct apw_directive	*d;
	struct apw_conf_origin		*o;

	d = apw_conf_find_directive(context->directives, name);
	o = apw_conf_find_origin(conf->cycle, context, d);
	if (o == NULL) {
		o = apw_arena_alloc(conf->arena, sizeof(*o));
		if (o == NULL) {
			conf->no_memory = true;
			return;
		}
		o->context = context;
		o->directive = d;
		*conf->origins_tail = o;
		conf->origins_tail = &o->next;
	}
	o->args = apw_arena_alloc(conf->arena, sizeof(*o->args));
	if (o->args == NULL) {
		conf->no_memory = true;
		return;
	}
	o->args[0] = value;
	o->nargs = 1;
	o->found = true;
}

static void
check_node(struct apw_conf *conf, const struct apw_conf_context *context)
{
	struct apw_engine_conf	*e = context->conf;
	struct apw_conf_place	 place = apw_conf_place_of(conf->cycle, context, "node");
	char			*path;

	if (strchr(e->node, '/') != NULL) {
		path = apw_conf_absolute(conf, e->node);
		if (path == NULL)
			return;
		if (!apw_is_program(path)) {
			apw_conf_error(conf, place, "\"node\" is \"%s\": %s; "
			    "expected the Node.js executable",
			    apw_conf_quote(conf, path), access(path, F_OK) ==
			    -1 ? strerror(errno) : "not executable");
			return;
		}
	} else if ((path = find_on_path(conf, e->node)) == NULL) {
		apw_conf_error(conf, place, "\"node\" is \"%s\", and PATH has "
		    "no such program; expected the Node.js executable",
		    apw_conf_quote(conf, e->node));
		return;
	}
	if (strchr(e->node, '/') == NULL)
		note_found(conf, context, "node", path);
	e->node = path;
}

static void
check_file(struct apw_conf *conf, const struct apw_conf_context *context,
    const char *directive, const char *path, const char *expected)
{
	struct stat	 st;
	const char	*why = NULL;

	if (stat(path, &st) == -1)
		why = strerror(errno);
	else if (!S_ISREG(st.st_mode))
		why = "not a file";
	else if (access(path, R_OK) == -1)
		why = strerror(errno);
	if (why != NULL)
		apw_conf_error(conf, apw_conf_place_of(conf->cycle, context,
		    directive), "\"%s\" is \"%s\"%s: %s; expected %s",
		    directive, apw_conf_quote(conf, path),
		    apw_conf_is_default(conf->cycle, context, directive) ?
		    " by default" : "", why, expected);
}

/* npm's launcher is a script that looks for node, and for the binary beside
 * itself: neither is in a box. */
static bool
is_script(const char *path)
{
	char	head[2] = { 0 };
	int	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool	script;

	script = fd != -1 && read(fd, head, sizeof(head)) == sizeof(head) &&
	    head[0] == '#' && head[1] == '!';
	if (fd != -1)
		close(fd);
	return script;
}

static void
check_deno(struct apw_conf *conf, const struct apw_conf_context *context)
{
	const char		*path = conf->cycle->engine.deno;
	struct apw_conf_place	 place = apw_conf_place_of(conf->cycle,
				    context, "deno");

	if (!apw_is_program(path))
		apw_conf_error(conf, place, "\"deno\" is \"%s\": %s; expected "
		    "the deno binary", apw_conf_quote(conf, path),
		    access(path, F_OK) == -1 ? strerror(errno) :
		    "not executable");
	else if (is_script(path))
		apw_conf_error(conf, place, "\"deno\" is \"%s\", which is a "
		    "script, as npm puts one into .bin; expected the binary "
		    "that it starts, such as "
		    "node_modules/@deno/linux-x64-glibc/deno",
		    apw_conf_quote(conf, path));
}

static void
check_engine(struct apw_conf *conf)
{
	const struct apw_engine_conf	*e = &conf->cycle->engine;
	const struct apw_conf_context	*context;

	context = apw_conf_context_of(conf->cycle, "engine");
	if (context->errors != 0)
		return;
	/* the line that names it may be what could not be read */
	if (e->node != NULL && !(conf->broken &&
	    apw_conf_is_default(conf->cycle, context, "node")))
		check_node(conf, context);
	if (e->bundle != NULL && !(conf->broken &&
	    apw_conf_is_default(conf->cycle, context, "bundle")))
		check_file(conf, context, "bundle", e->bundle,
		    apw_conf_is_default(conf->cycle, context, "bundle") ?
		    "the engine's main.js, which is the app's: copy the files "
		    "of dist/packages/engine of its image (below /usr/src/app, "
		    "of the release that runs) there, or name another place "
		    "with \"engine { bundle PATH; }\"" :
		    "the engine's main.js");
	if (e->deno != NULL)
		check_deno(conf, context);
	if (e->ca_file != NULL)
		check_file(conf, context, "ca_file", e->ca_file,
		    "a file of certificates (PEM)");
}

/* ---- stock ---- */

struct tool {
	const char	*directive, *path_directive;
	char		*usual, *other;		/* names of programs */
};

/* The program of the chosen tool.  When nobody chose, the usual one is
 * missing, and the other one is there, that one is taken: true. */
static bool
check_tool(struct apw_conf *conf, const struct apw_conf_context *context,
    const struct tool *t, bool is_other, char **path)
{
	const char	*name = is_other ? t->other : t->usual;
	bool		 take_other = false;

	if (*path != NULL) {
		if (!apw_is_program(*path))
			apw_conf_error(conf, apw_conf_place_of(conf->cycle, context,
			    t->path_directive), "\"%s\" is \"%s\": %s; "
			    "expected a program", t->path_directive,
			    apw_conf_quote(conf, *path),
			    access(*path, F_OK) == -1 ? strerror(errno) :
			    "not executable");
		return false;
	}
	*path = find_on_path(conf, name);
	if (*path == NULL && apw_conf_is_default(conf->cycle, context, t->directive)) {
		*path = find_on_path(conf, t->other);
		take_other = *path != NULL;
	}
	if (take_other)
		note_found(conf, context, t->directive, t->other);
	if (*path != NULL)
		note_found(conf, context, t->path_directive, *path);
	else
		/* flows without code and pieces need neither */
		apw_conf_warning(conf, apw_conf_place_of(conf->cycle, context,
		    t->directive), "\"%s\" is \"%s\", and PATH has no such "
		    "program: jobs that need it will fail", t->directive,
		    name);
	return take_other;
}

static void
check_stock(struct apw_conf *conf)
{
	static char		 bun[] = "bun", npm[] = "npm",
				 esbuild[] = "esbuild";
	static const struct tool installer = { "installer", "installer_path",
				     bun, npm };
	static const struct tool bundler = { "bundler", "bundler_path",
				     esbuild, bun };
	struct apw_stock_conf	*s = &conf->cycle->stock;
	const struct apw_conf_context	*context;

	context = apw_conf_context_of(conf->cycle, "stock");
	if (context->errors != 0)
		return;
	if (check_tool(conf, context, &installer,
	    s->installer == APW_INSTALLER_NPM, &s->installer_path))
		s->installer = APW_INSTALLER_NPM;
	if (check_tool(conf, context, &bundler,
	    s->bundler == APW_BUNDLER_BUN, &s->bundler_path))
		s->bundler = APW_BUNDLER_BUN;
}

void
apw_conf_check_programs(struct apw_conf *conf)
{
	check_engine(conf);
	check_stock(conf);
}
