/* -T: the effective configuration with the origin of each value; and which
 * values need a restart.  Room: core.  What is printed can be read again;
 * the values shown are those the setters wanted shown, never a secret. */
#include "core/apw_conf_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMENT_COLUMN	48

static void
put_args(FILE *f, const struct apw_conf_origin *o)
{
	size_t	i;

	for (i = 0; i < o->nargs; i++) {
		putc(' ', f);
		apw_conf_put_word(f, o->args[i]);
	}
}

static void
put_place(FILE *f, const struct apw_conf_place *place)
{
	if (place->text == NULL)
		fputs("default", f);
	else if (place->line == 0)
		fputs(place->text->name, f);
	else
		fprintf(f, "%s:%u", place->text->name, place->line);
}

static void
put_origin(FILE *f, const struct apw_conf_origin *o)
{
	fputs("# ", f);
	switch (o->from) {
	case APW_FROM_DEFAULT:
		fputs("default", f);
		break;
	case APW_FROM_ENVIRONMENT:
		fprintf(f, "environment %s", o->note);
		break;
	case APW_FROM_COMMAND_LINE:
		fputs("command line", f);
		break;
	case APW_FROM_FILE:
		put_place(f, &o->place);
		break;
	}
	if (o->found)
		fputs(", found on PATH", f);
	putc('\n', f);
}

/* A line is written into memory first, for the comments to line up. */
static void
put_line(FILE *f, const char *indent, const char *name,
    const struct apw_conf_origin *o, const char *end)
{
	char	 line[8192];
	FILE	*m = fmemopen(line, sizeof(line), "w");
	long	 n = 0;

	if (m != NULL) {
		fputs(indent, m);
		fputs(name, m);
		put_args(m, o);
		fputs(end, m);
		fflush(m);
		n = ftell(m) + (*indent == '\t' ? 7 : 0);
		fclose(m);
	}
	/* too long for the buffer, or no memory: straight */
	fputs(indent, f);
	fputs(name, f);
	put_args(f, o);
	fputs(end, f);
	fprintf(f, "%*s", n > 0 && n < COMMENT_COLUMN ?
	    (int)(COMMENT_COLUMN - n) : 2, "");
	put_origin(f, o);
}

static void
put_unset(FILE *f, const char *indent, const struct apw_directive *d)
{
	fprintf(f, "%s# %s %s;  not set\n", indent, d->name,
	    d->arg_help != NULL ? d->arg_help : "");
}

static void
put_directives(FILE *f, const struct apw_cycle *cycle,
    const struct apw_conf_context *context, const char *indent)
{
	const struct apw_directive	*d;
	const struct apw_conf_origin	*o;
	bool				 any;

	for (d = context->directives; d != NULL && d->name != NULL; d++) {
		any = false;
		for (o = cycle->origins; o != NULL; o = o->next) {
			if (o->context != context || o->directive != d)
				continue;
			any = true;
			put_line(f, indent, d->name, o, ";");
		}
		if (!any)
			put_unset(f, indent, d);
	}
}

static void
put_block(FILE *f, const struct apw_cycle *cycle,
    const struct apw_conf_context *context)
{
	const struct apw_conf_origin	*o;

	putc('\n', f);
	if (context->kind->head != NULL) {
		o = apw_conf_find_origin(cycle, context, context->kind->head);
		if (o != NULL)
			put_line(f, "", context->kind->name, o, " {");
	} else {
		fprintf(f, "%s {", context->label);
		if (context->given || context->place.text != NULL) {
			fputs("  # ", f);
			put_place(f, &context->place);
		}
		putc('\n', f);
	}
	put_directives(f, cycle, context, "\t");
	fputs("}\n", f);
}

static void
put_sandbox(FILE *f, const struct apw_cycle *cycle)
{
	const struct apw_conf_context	*context;
	size_t				 i;

	if (cycle->sandbox == NULL) {
		fputs("\nsandbox auto;  # ", f);
		put_place(f, cycle->mode_place);
		putc('\n', f);
	}
	for (i = 0; i < cycle->ncontexts; i++) {
		context = &cycle->contexts[i];
		if (context->kind == NULL ||
		    context->kind->kind != APW_BLOCK_SANDBOX)
			continue;
		if (context->module == cycle->sandbox) {
			fprintf(f, "\nsandbox %s%s  # ", cycle->mode,
			    context->directives != NULL ? " {" : ";");
			put_place(f, cycle->mode_place);
			putc('\n', f);
			put_directives(f, cycle, context, "\t");
			if (context->directives != NULL)
				fputs("}\n", f);
		} else if (cycle->sandbox == NULL && context->given) {
			put_block(f, cycle, context);
		}
	}
}

/* ---- what engines get to see ---- */

static void
put_variable(FILE *f, const char *name, const char *value, const char *origin)
{
	int	n = fprintf(f, "#   %s%s%s", name, value != NULL ? "=" : "",
		    value != NULL ? value : "");

	fprintf(f, "%*s# %s\n", n < COMMENT_COLUMN ? COMMENT_COLUMN - n : 2, "",
	    origin);
}

/* As put_variable(), with the origin of a directive that has this value. */
static void
put_variable_of(FILE *f, const char *name, const char *value,
    const struct apw_cycle *cycle, const char *context, const char *directive)
{
	const struct apw_conf_context	*c;
	const struct apw_conf_origin	*o;
	int				 n;

	c = apw_conf_context_of(cycle, context);
	o = apw_conf_find_origin(cycle, c,
	    apw_conf_find_directive(c->directives, directive));
	n = fprintf(f, "#   %s=%s", name, value);
	fprintf(f, "%*s", n < COMMENT_COLUMN ? COMMENT_COLUMN - n : 2, "");
	if (o != NULL)
		put_origin(f, o);
	else
		fputs("# default\n", f);
}

static void
put_network_environment(FILE *f, const struct apw_cycle *cycle)
{
	const struct apw_network_conf	*n = &cycle->network;
	const bool			 asked = n->mode == APW_NETWORK_AUTO;

	put_variable(f, "AP_NETWORK_MODE", asked ? NULL :
	    n->mode == APW_NETWORK_STRICT ? "STRICT" : "UNRESTRICTED",
	    asked ? "the app's NETWORK_MODE" : "network");
	put_variable(f, "AP_SSRF_ALLOW_LIST", NULL, n->allow.n == 0 ?
	    "the app's settings" : "allow, and the app's settings");
	put_variable(f, "AP_EGRESS_PROXY_URL", NULL, asked ?
	    "in strict: the slot's proxy" : n->mode == APW_NETWORK_STRICT ?
	    "the slot's proxy" : "not set: network is not strict");
	put_variable(f, "NODE_OPTIONS", NULL, n->mode ==
	    APW_NETWORK_UNRESTRICTED ? "not set: network is unrestricted" :
	    "engines that know no proxy: the script that leads them to it");
	put_variable(f, "APW_TUNNEL", NULL, n->mode ==
	    APW_NETWORK_UNRESTRICTED ? "not set: network is unrestricted" :
	    "where that script leads");
	if (n->http_proxy && (asked || n->mode == APW_NETWORK_STRICT))
		put_variable(f, "http_proxy, https_proxy, HTTP_PROXY, "
		    "HTTPS_PROXY", NULL, "http_proxy");
}

/* What of the engine's environment is known before the app's settings are.
 * The slot composes it (slot/command.c).  Values of propagated variables may
 * be secrets. */
static void
put_engine_environment(FILE *f, const struct apw_cycle *cycle)
{
	static const char *const	 settings[] = { "AP_MAX_FLOW_RUN_LOG_SIZE_MB",
	    "AP_MAX_FILE_SIZE_MB", "AP_PAUSED_FLOW_TIMEOUT_DAYS",
	    "AP_DEV_PIECES", "AP_ENFORCE_CONNECTION_PIECE_BINDING",
	    "the names in SANDBOX_PROPAGATED_ENV_VARS" };
	const struct apw_engine_conf	*e = &cycle->engine;
	const char			*value;
	size_t				 i;

	fputs("\n# The environment of engines, beside their link:\n", f);
	put_variable(f, "HOME", "/tmp/", "fixed");
	if (e->node_path != NULL)
		put_variable_of(f, "NODE_PATH", e->node_path, cycle, "engine",
		    "node_path");
	else
		put_variable(f, "NODE_PATH", "/usr/src/node_modules",
		    "\"node_path\" is not set");
	if (e->ca_file != NULL)
		put_variable_of(f, "NODE_EXTRA_CA_CERTS", e->ca_file, cycle,
		    "engine", "ca_file");
	else
		put_variable(f, "NODE_EXTRA_CA_CERTS", NULL,
		    "\"ca_file\" is not set");
	if (e->deno != NULL)
		put_variable_of(f, "AP_DENO_PATH", e->deno, cycle, "engine",
		    "deno");
	else
		put_variable(f, "AP_DENO_PATH", NULL, "\"deno\" is not set");
	put_variable(f, "AP_EXECUTION_MODE", cycle->mode, cycle->mode != NULL ?
	    "sandbox" : "the app's settings");
	put_network_environment(f, cycle);
	put_variable(f, "AP_BASE_CODE_DIRECTORY", NULL, "\"path\" of stock");
	put_variable(f, "AP_CUSTOM_PIECES_PATHS", NULL, "in a box only");
	if (e->standby != 0 && e->ahead)
		put_variable(f, "APW_AHEAD", NULL, "standby_loads; gone "
		    "before the engine runs");
	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		put_variable(f, settings[i], NULL, "the app's settings");
	for (i = 0; i < e->propagate.n; i++) {
		value = getenv(e->propagate.v[i]);
		put_variable(f, e->propagate.v[i], NULL,
		    value != NULL && *value != '\0' ? "propagate" :
		    "propagate, but not set here");
	}
}

void
apw_conf_dump(const struct apw_cycle *cycle, FILE *f)
{
	const struct apw_conf_context	*context;
	size_t				 i;

	fprintf(f, "# configuration %s\n", cycle->file != NULL ? cycle->file :
	    "without a file");
	put_directives(f, cycle, &cycle->contexts[0], "");
	for (i = 1; i < cycle->ncontexts; i++)
		if (cycle->contexts[i].module != NULL &&
		    cycle->contexts[i].module == cycle->source)
			put_block(f, cycle, &cycle->contexts[i]);
	put_sandbox(f, cycle);
	for (i = 1; i < cycle->ncontexts; i++) {
		context = &cycle->contexts[i];
		if (context->module != NULL)
			continue;
		if (context->conf == &cycle->monitor &&
		    !cycle->monitor.enabled)
			fputs("\n# monitor { listen ...; }  not set\n", f);
		else
			put_block(f, cycle, context);
	}
	put_engine_environment(f, cycle);
}
