/* Cross checks: are the values good together, and on this host?  Room: core.
 * It looks (files, users, PATH), it changes nothing but the cycle.  A context
 * that has errors already is not checked: its values are not what was
 * meant. */
#include "core/apw_conf_priv.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_log.h"
#include "core/apw_module.h"
#include "modules/sandbox/sandbox.h"

#define PATHS_MAX	8

/* Where a value was given; for a default, its block, or the file. */
struct apw_conf_place
apw_conf_place_of(const struct apw_cycle *cycle,
    const struct apw_conf_context *context, const char *name)
{
	const struct apw_directive	*d;
	const struct apw_conf_origin	*o = NULL;

	d = name == NULL ? NULL :
	    apw_conf_find_directive(context->directives, name);
	if (d != NULL)
		o = apw_conf_find_origin(cycle, context, d);
	if (o != NULL && o->from != APW_FROM_DEFAULT)
		return o->place;
	return context->place;	/* empty when nobody wrote the block */
}

bool
apw_conf_is_default(const struct apw_cycle *cycle,
    const struct apw_conf_context *context, const char *name)
{
	const struct apw_conf_origin	*o;

	o = apw_conf_find_origin(cycle, context,
	    apw_conf_find_directive(context->directives, name));
	return o == NULL || o->from == APW_FROM_DEFAULT;
}

void
apw_conf_complain(struct apw_cycle *cycle, const char *directive,
    const char *fmt, ...)
{
	struct apw_conf	*conf = cycle->reader;
	va_list		 ap;

	if (conf == NULL)
		return;		/* not while reading: nobody listens */
	va_start(ap, fmt);
	apw_conf_verror(conf, apw_conf_place_of(cycle, conf->checking != NULL ?
	    conf->checking : cycle->contexts, directive), false, fmt, ap);
	va_end(ap);
}

/* ---- main ---- */

static void
check_user(struct apw_conf *conf)
{
	struct apw_main_conf	*m = &conf->cycle->main;
	struct apw_conf_place	 place;
	struct passwd		*pw;
	struct group		*gr;

	m->uid = geteuid();
	m->gid = getegid();
	if (m->user == NULL)
		return;
	place = apw_conf_place_of(conf->cycle, conf->cycle->contexts, "user");
	errno = 0;
	pw = getpwnam(m->user);
	if (pw == NULL) {
		apw_conf_error(conf, place, "\"user\" is \"%s\"; expected the "
		    "name of a user of this host%s%s",
		    apw_conf_quote(conf, m->user), errno != 0 ? ": " : "",
		    errno != 0 ? strerror(errno) : "");
		return;
	}
	gr = m->group != NULL ? getgrnam(m->group) : NULL;
	if (m->group != NULL && gr == NULL) {
		apw_conf_error(conf, place, "\"user\" has the group \"%s\"; "
		    "expected the name of a group of this host",
		    apw_conf_quote(conf, m->group));
		return;
	}
	if (geteuid() != 0 && geteuid() != pw->pw_uid) {
		apw_conf_warning(conf, place, "\"user\" has no effect: only "
		    "root can become another user");
		return;
	}
	m->uid = pw->pw_uid;
	m->gid = gr != NULL ? gr->gr_gid : pw->pw_gid;
}

static void
check_log(struct apw_conf *conf)
{
	const struct apw_main_conf	*m = &conf->cycle->main;

	if (m->daemon && m->log_path != NULL &&
	    apw_log_std(m->log_path) != -1)
		apw_conf_warning(conf, apw_conf_place_of(conf->cycle,
		    conf->cycle->contexts, "daemon"), "\"daemon\" is on and "
		    "\"log\" is %s: log lines go nowhere", m->log_path);
}

/* ---- paths ---- */

struct checked_path {
	const char		*what;		/* "state" */
	struct apw_conf_place	 place;
	char			*real;
	bool			 ours;		/* we add and remove files in it */
	bool			 is_file;
};

/* The path without symbolic links, as far as it exists. */
static char *
real_path(struct apw_conf *conf, const char *path)
{
	char		 head[PATH_MAX], real[PATH_MAX], *slash;
	const char	*tail;

	if (strlen(path) >= sizeof(head))
		return NULL;
	strcpy(head, path);
	while (realpath(head, real) == NULL) {
		slash = strrchr(head, '/');
		if (slash == NULL || slash == head) {
			strcpy(real, "");
			head[0] = '\0';
			break;
		}
		*slash = '\0';
	}
	tail = path + strlen(head);
	if (strcmp(real, "/") == 0 && *tail == '/')
		real[0] = '\0';
	return apw_arena_printf(conf->arena, "%s%s", real, tail);
}

static void
add_path(struct apw_conf *conf, struct checked_path *all, size_t *n,
    const char *what, const struct apw_conf_context *context,
    const char *name, const char *path, bool ours, bool is_file)
{
	struct checked_path	*p = &all[*n];

	if (path == NULL || *n == PATHS_MAX)
		return;
	p->what = what;
	p->place = apw_conf_place_of(conf->cycle, context, name);
	p->real = real_path(conf, path);
	p->ours = ours;
	p->is_file = is_file;
	if (p->real == NULL)
		return;
	if (strcmp(p->real, "/") == 0)
		apw_conf_error(conf, p->place, "\"%s\" is \"/\"; expected a "
		    "directory of its own", what);
	else
		(*n)++;
}

static bool
is_inside(const char *inner, const char *outer)
{
	size_t	n = strlen(outer);

	return strncmp(inner, outer, n) == 0 && inner[n] == '/';
}

/* The stock removes what nobody uses, the spool takes what it finds: what
 * lies in one of them does not stay. */
static void
check_nesting(struct apw_conf *conf, const struct checked_path *all, size_t n)
{
	size_t	i, j;

	for (i = 0; i < n; i++) {
		for (j = 0; j < n; j++) {
			if (i == j)
				continue;
			if (i < j && strcmp(all[i].real, all[j].real) == 0)
				apw_conf_error(conf, all[j].place, "\"%s\" and "
				    "\"%s\" are both \"%s\"; expected "
				    "different paths", all[i].what,
				    all[j].what, apw_conf_quote(conf,
				    all[j].real));
			else if (all[j].ours &&
			    is_inside(all[i].real, all[j].real))
				apw_conf_error(conf, all[i].place, "\"%s\" is "
				    "inside \"%s\" (\"%s\"); expected another "
				    "place", all[i].what, all[j].what,
				    apw_conf_quote(conf, all[j].real));
		}
	}
}

static void
check_paths(struct apw_conf *conf)
{
	struct apw_cycle		*cycle = conf->cycle;
	struct apw_conf_context		*source = conf->source;
	struct checked_path		 all[PATHS_MAX];
	const struct apw_directive	*d;
	size_t				 n = 0;

	add_path(conf, all, &n, "state", cycle->contexts, "state",
	    cycle->main.state_path, false, false);
	add_path(conf, all, &n, "path of stock",
	    apw_conf_context_of(cycle, "stock"), "path", cycle->stock.path,
	    true, false);
	d = source == NULL ? NULL :
	    apw_conf_find_directive(source->directives, "path");
	if (d != NULL && d->set == apw_set_path)
		add_path(conf, all, &n, "path of source", source, "path",
		    *(char **)(void *)((char *)source->conf + d->offset),
		    true, false);
	add_path(conf, all, &n, "bundle",
	    apw_conf_context_of(cycle, "engine"), "bundle",
	    cycle->engine.bundle, false, true);
	check_nesting(conf, all, n);
}

/* ---- source, sandbox, monitor ---- */

static void
check_module(struct apw_conf *conf, struct apw_conf_context *context)
{
	struct apw_err	err = APW_ERR_NONE;

	if (context->errors != 0 || context->module->check == NULL)
		return;
	conf->checking = context;
	if (context->module->check(conf->cycle, context->conf, &err) == -1 &&
	    err.text[0] != '\0')
		apw_conf_error(conf, apw_conf_place_of(conf->cycle, context, NULL),
		    "%s: %s", context->label, err.text);
	conf->checking = NULL;
}

static void
check_source(struct apw_conf *conf)
{
	if (conf->source != NULL)
		check_module(conf, conf->source);
	else if (!conf->source_seen && !conf->broken)
		apw_conf_error(conf, (struct apw_conf_place){ 0 }, "found no "
		    "source of jobs; expected \"source app { ... }\" or "
		    "\"source spool { ... }\", or AP_FRONTEND_URL and "
		    "AP_WORKER_TOKEN in the environment");
}

static void
check_sandbox(struct apw_conf *conf)
{
	const struct apw_sandbox_ops	*ops;
	struct apw_conf_context		*context;
	struct apw_err			 err = APW_ERR_NONE;
	unsigned			 before;
	size_t				 i;

	for (i = 0; i < conf->cycle->ncontexts; i++) {
		context = &conf->cycle->contexts[i];
		if (context->kind == NULL || !context->in_use ||
		    context->kind->kind != APW_BLOCK_SANDBOX)
			continue;
		before = conf->errors;
		check_module(conf, context);
		ops = context->module->ops.sandbox;
		/* one that the app may choose is probed when it does */
		if (conf->options->trust_host ||
		    context->module != conf->cycle->sandbox ||
		    context->errors != 0 || conf->errors != before ||
		    ops == NULL || ops->probe == NULL)
			continue;
		if (ops->probe(context->conf, &err) == -1)
			apw_conf_error(conf, conf->sandbox_place,
			    "\"sandbox\" is \"%s\", which this host cannot "
			    "do: %s", conf->cycle->mode, err.text);
	}
}

/* A slot takes no job under a rule that nothing enforces: a reload must not
 * lead there. */
static void
check_network(struct apw_conf *conf)
{
	const struct apw_cycle		*cycle = conf->cycle;
	const struct apw_conf_context	*context;
	const struct apw_sandbox_ops	*ops;
	struct apw_err			 err = APW_ERR_NONE;
	enum apw_fence			 fence;

	context = apw_conf_context_of(cycle, "network");
	/* for a mode that the app may choose it is tried when it does */
	if (cycle->network.mode <= APW_NETWORK_UNRESTRICTED ||
	    cycle->sandbox == NULL || conf->errors != 0 ||
	    conf->options->trust_host)
		return;
	ops = cycle->sandbox->ops.sandbox;
	if (ops->fence == NULL)
		apw_conf_error(conf, context->place, "\"network\" is \"%s\", "
		    "which engines of %s cannot be held to",
		    cycle->network.mode == APW_NETWORK_STRICT ? "strict" :
		    "private", cycle->mode);
	else if (ops->fence(APW_MODULE_CONF(cycle, cycle->sandbox),
	    cycle->network.mode, &fence, &err) == -1)
		apw_conf_error(conf, context->place, "\"network\" is \"%s\", "
		    "which this host cannot hold engines to: %s",
		    cycle->network.mode == APW_NETWORK_STRICT ? "strict" :
		    "private", err.text);
}

static void
check_monitor(struct apw_conf *conf)
{
	struct apw_monitor_conf		*m = &conf->cycle->monitor;
	const struct apw_conf_context	*context;
	size_t				 i, j;

	context = apw_conf_context_of(conf->cycle, "monitor");
	m->enabled = m->listen.n != 0;
	if (context->errors != 0)
		return;
	if (context->given && !m->enabled)
		apw_conf_error(conf, context->place, "\"monitor\" has no "
		    "\"listen\"; expected at least one");
	for (i = 0; i < m->listen.n; i++)
		for (j = 0; j < i; j++)
			if (strcmp(m->listen.v[i], m->listen.v[j]) == 0)
				apw_conf_error(conf, apw_conf_place_of(conf->cycle,
				    context, "listen"), "\"listen\" has \"%s\" "
				    "twice", apw_conf_quote(conf,
				    m->listen.v[i]));
}

/* With another source the app's variables mean nothing. */
static void
check_environment(struct apw_conf *conf)
{
	if (conf->source != NULL && strcmp(conf->source->label,
	    "source app") == 0)
		apw_conf_env_notes(conf);
}

void
apw_conf_check(struct apw_conf *conf)
{
	if (conf->no_memory)
		return;
	check_user(conf);
	check_log(conf);
	apw_conf_check_programs(conf);
	check_monitor(conf);
	check_source(conf);
	check_sandbox(conf);
	check_network(conf);
	check_paths(conf);
	check_environment(conf);
}
