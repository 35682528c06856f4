/* Composing an engine's command; see command.h.  Room: slot.
 *
 * Nothing is inherited: what is not named here does not reach the engine. */
#include "slot/command.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "core/apw_conf.h"
#include "dial/url.h"
#include "stock/stock.h"

#define COMMAND_VALUE_MAX	(128 * 1024)	/* the kernel's own limit */
#define COMMAND_NOT_HEAP_MB	64	/* code, stacks, buffers, /tmp */
#define COMMAND_NODE_PATH	"/usr/src/node_modules"

/* Without these the engine never connects or cannot run a step. */
static const char *const command_required[] = {
	"HOME", "NODE_PATH", "AP_EXECUTION_MODE", "AP_SANDBOX_WS_PORT",
	"AP_SANDBOX_WS_TOKEN", "AP_BASE_CODE_DIRECTORY", "SANDBOX_ID",
};

struct command_maker {
	struct apw_arena	*arena;
	struct apw_command	*cmd;
	struct apw_err		*err;
	int			 status;
	struct apw_inside	 inside;	/* NULLs: as on the host */
};

static bool
command_name_ok(const char *name)
{
	const char	*p = name;

	if (!isalpha((unsigned char)*p) && *p != '_')
		return false;
	while (isalnum((unsigned char)*p) || *p == '_')
		p++;
	return *p == '\0';
}

static const char *
command_lookup(const struct apw_command *cmd, const char *name, size_t *at)
{
	size_t	n = strlen(name), i;

	for (i = 0; i < cmd->nenv; i++)
		if (strncmp(cmd->envp[i], name, n) == 0 &&
		    cmd->envp[i][n] == '=') {
			*at = i;
			return cmd->envp[i] + n + 1;
		}
	return NULL;
}

/* A later value replaces an earlier one of the same name.  Values are not
 * put into errors: they may be secrets. */
static void
command_env(struct command_maker *m, const char *name, const char *value)
{
	size_t	at = m->cmd->nenv;
	char	*pair;

	if (m->status == -1)
		return;
	if (!command_name_ok(name)) {
		m->status = apw_err_set(m->err, 0, "\"%s\" is no name of an "
		    "environment variable", name);
		return;
	}
	if (strpbrk(value, "\r\n") != NULL ||
	    strlen(value) > COMMAND_VALUE_MAX) {
		m->status = apw_err_set(m->err, 0, "the value of %s cannot be "
		    "passed to an engine: line break inside, or too long",
		    name);
		return;
	}
	command_lookup(m->cmd, name, &at);
	pair = apw_arena_printf(m->arena, "%s=%s", name, value);
	if (pair == NULL || at + 1 >= APW_COMMAND_ENV_MAX) {
		m->status = apw_err_set(m->err, 0,
		    "too many environment variables for an engine");
		return;
	}
	m->cmd->envp[at] = pair;
	if (at == m->cmd->nenv)
		m->cmd->nenv++;
}

static void
command_env_number(struct command_maker *m, const char *name, int64_t n)
{
	char	text[24];

	snprintf(text, sizeof(text), "%lld", (long long)n);
	command_env(m, name, text);
}

static void
command_env_list(struct command_maker *m, const char *name,
    const struct apw_strlist *list)
{
	struct apw_buf	joined = APW_BUF_INIT(COMMAND_VALUE_MAX);
	size_t		i;

	for (i = 0; i < list->n; i++)
		apw_buf_printf(&joined, "%s%s", i == 0 ? "" : ",", list->v[i]);
	if (list->n != 0 && joined.data != NULL)
		command_env(m, name, joined.data);
	apw_buf_free(&joined);
}

bool
apw_command_may_propagate(const char *name)
{
	return command_name_ok(name) && !apw_conf_engine_owns(name);
}

/* What programs look for a proxy in; the last two say whom it is not for. */
static const char *const command_proxies[] = { "HTTP_PROXY", "HTTPS_PROXY",
	"http_proxy", "https_proxy", "NO_PROXY", "no_proxy" };

static bool
command_is_proxy(const char *name)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(command_proxies); i++)
		if (strcmp(name, command_proxies[i]) == 0)
			return true;
	return false;
}

static void
command_propagate(struct command_maker *m, const struct apw_strlist *names,
    bool strict)
{
	const char	*value;
	size_t		 i;

	for (i = 0; i < names->n; i++) {
		if (!apw_command_may_propagate(names->v[i]) ||
		    (strict && command_is_proxy(names->v[i])))
			continue;
		value = getenv(names->v[i]);
		if (value != NULL && *value != '\0')
			command_env(m, names->v[i], value);
	}
}

/* In a box the whole box ends at the limit: the heap ends before it, so that
 * V8 can say so, and what is not heap has room.  A box with room for a child
 * that runs pieces has that room; the child's heap ends where the engine's
 * does, and what a piece is told of its limit is the app's number. */
static uint64_t
command_heap_mb(const struct apw_command_in *in)
{
	uint64_t	mb = in->settings->memory_mb, rest = mb / 8;

	if (!in->sandbox->boxed || in->children)
		return mb;
	if (rest < COMMAND_NOT_HEAP_MB)
		rest = COMMAND_NOT_HEAP_MB;
	return mb > 2 * rest ? mb - rest : mb / 2;
}

/* A file of the engine's folder. */
static const char *
command_beside(struct command_maker *m, const struct apw_command_in *in,
    const char *name)
{
	const char	*bundle = m->inside.bundle != NULL ? m->inside.bundle :
			    in->bundle, *slash = strrchr(bundle, '/');

	return apw_arena_printf(m->arena, "%.*s/%s", slash == NULL ? 1 :
	    (int)(slash - bundle), slash == NULL ? "." : bundle, name);
}

static void
command_argv(struct command_maker *m, const struct apw_command_in *in)
{
	const char	**argv = m->cmd->argv;
	size_t		  n = 0;

	argv[n++] = m->inside.node != NULL ? m->inside.node :
	    in->cycle->engine.node;
	/* costs 55 ms a start: only where V8 isolates need it */
	if (in->sandbox->isolates_v8)
		argv[n++] = "--no-node-snapshot";
	argv[n++] = "--expose-gc";
	argv[n++] = apw_arena_printf(m->arena, "--max-old-space-size=%llu",
	    (unsigned long long)command_heap_mb(in));
	if (in->ahead != NULL) {
		argv[n++] = "--require";
		argv[n++] = command_beside(m, in, APW_STOCK_AHEAD);
	}
	argv[n++] = m->inside.bundle != NULL ? m->inside.bundle : in->bundle;
	argv[n] = NULL;
	if (argv[n - 2] == NULL || argv[n - 3] == NULL)
		m->status = apw_err_set(m->err, 0, "out of memory");
}

/* Node takes the script's path out of quotes. */
static void
command_tunnel(struct command_maker *m, const struct apw_command_in *in)
{
	struct apw_buf	 b = APW_BUF_INIT(COMMAND_VALUE_MAX);
	const char	*p;

	if (in->lead == APW_COMMAND_LEAD_NONE)
		return;
	p = command_beside(m, in, APW_STOCK_TUNNEL);
	apw_buf_puts(&b, "\"--require=");
	for (; p != NULL && *p != '\0'; p++) {
		if (*p == '"' || *p == '\\')
			apw_buf_puts(&b, "\\");
		apw_buf_put(&b, p, 1);
	}
	apw_buf_puts(&b, "\"");
	if (p == NULL || b.failed)
		m->status = apw_err_set(m->err, 0, "out of memory");
	else
		command_env(m, "NODE_OPTIONS", b.data);
	apw_buf_free(&b);
}

static void
command_environment(struct command_maker *m, const struct apw_command_in *in)
{
	const struct apw_settings	*s = in->settings;
	const struct apw_engine_conf	*conf = &in->cycle->engine;
	bool				 strict;

	strict = s->network == APW_NETWORK_STRICT;
	command_env(m, "HOME", "/tmp/");
	command_env(m, "NODE_PATH", m->inside.node_path != NULL ?
	    m->inside.node_path : conf->node_path != NULL ?
	    conf->node_path : COMMAND_NODE_PATH);
	if (conf->ca_file != NULL)
		command_env(m, "NODE_EXTRA_CA_CERTS",
		    m->inside.ca_file != NULL ? m->inside.ca_file :
		    conf->ca_file);
	if (conf->deno != NULL)
		command_env(m, "AP_DENO_PATH", m->inside.deno != NULL ?
		    m->inside.deno : conf->deno);
	command_env(m, "AP_EXECUTION_MODE", s->mode);
	command_env_number(m, "AP_MAX_FLOW_RUN_LOG_SIZE_MB", s->run_log_mb);
	command_env_number(m, "AP_MAX_FILE_SIZE_MB", s->file_mb);
	command_env_number(m, "AP_PAUSED_FLOW_TIMEOUT_DAYS", s->paused_days);
	/* private is the kernel's matter: the engine need not know; the guard
	 * of one that is led would take the proxy for a place to be kept from */
	command_env(m, "AP_NETWORK_MODE", strict &&
	    in->lead != APW_COMMAND_LEAD_ALL ? "STRICT" : "UNRESTRICTED");
	command_env_list(m, "AP_DEV_PIECES", &s->dev_pieces);
	command_env_list(m, "AP_SSRF_ALLOW_LIST", &s->allow);
	if (s->piece_binding)
		command_env(m, "AP_ENFORCE_CONNECTION_PIECE_BINDING", "true");
	command_propagate(m, &conf->propagate, strict);
	command_propagate(m, &s->propagate, strict);
	command_tunnel(m, in);
	command_env(m, "AP_BASE_CODE_DIRECTORY", m->inside.codes != NULL ?
	    m->inside.codes : in->codes);
	if (m->inside.custom_pieces != NULL)
		command_env(m, "AP_CUSTOM_PIECES_PATHS",
		    m->inside.custom_pieces);
}

/* The proxy's variable is the engine's own: clients that follow the usual
 * names may ask in ways it refuses, so those are set on request only. */
static void
command_proxy(struct command_maker *m, const struct apw_command_in *in)
{
	char	url[40], lead[APW_HOST_SIZE + 40];
	size_t	i;

	if (in->lead != APW_COMMAND_LEAD_NONE) {
		snprintf(lead, sizeof(lead), "%u%s%s%s", in->proxy_port,
		    in->app[0] == '\0' ? "" : " ", in->app,
		    in->lead == APW_COMMAND_LEAD_APP ? " only" : "");
		command_env(m, "APW_TUNNEL", lead);
	}
	if (in->settings->network != APW_NETWORK_STRICT)
		return;
	snprintf(url, sizeof(url), "http://127.0.0.1:%u", in->proxy_port);
	command_env(m, "AP_EGRESS_PROXY_URL", url);
	if (in->cycle->network.http_proxy)
		for (i = 0; i < APW_COUNT(command_proxies) - 2; i++)
			command_env(m, command_proxies[i], url);
}

static void
command_ahead(struct command_maker *m, const struct apw_command_in *in)
{
	const char	*place = in->ahead == NULL ? NULL :
			    command_beside(m, in, in->ahead);

	if (place != NULL)
		command_env(m, "APW_AHEAD", place);
}

static int
command_check(struct command_maker *m)
{
	const char	*value;
	size_t		 i, at;

	for (i = 0; i < APW_COUNT(command_required); i++) {
		value = command_lookup(m->cmd, command_required[i], &at);
		if (value == NULL || *value == '\0')
			return apw_err_set(m->err, 0,
			    "an engine needs %s", command_required[i]);
	}
	return 0;
}

int
apw_command_make(struct apw_arena *arena, const struct apw_command_in *in,
    struct apw_command *cmd, struct apw_err *err)
{
	struct command_maker	m = { .arena = arena, .cmd = cmd, .err = err };

	memset(cmd, 0, sizeof(*cmd));
	if (in->sandbox->inside != NULL)
		in->sandbox->inside(in->sandbox_conf, in->cycle, &m.inside);
	command_argv(&m, in);
	command_environment(&m, in);
	if (in->sandbox_id != NULL) {
		command_env_number(&m, "AP_SANDBOX_WS_PORT", in->port);
		command_env(&m, "AP_SANDBOX_WS_TOKEN", in->token);
		command_env(&m, "SANDBOX_ID", in->sandbox_id);
		command_proxy(&m, in);
		command_ahead(&m, in);
		if (m.status == 0)
			m.status = command_check(&m);
	}
	cmd->envp[cmd->nenv] = NULL;
	return m.status;
}

static uint64_t
command_hash(uint64_t h, const char *text)
{
	for (; text != NULL && *text != '\0'; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211u;
	return h * 1099511628211u;
}

uint64_t
apw_command_fingerprint(const struct apw_command_in *in)
{
	struct apw_command_in	 general = *in;
	struct apw_command	 cmd;
	struct apw_arena	*arena = apw_arena_new();
	uint64_t		 h = 14695981039346656037u;
	size_t			 i;

	general.sandbox_id = NULL;
	if (arena == NULL || apw_command_make(arena, &general, &cmd, NULL) == -1)
		h = 0;
	for (i = 0; h != 0 && cmd.argv[i] != NULL; i++)
		h = command_hash(h, cmd.argv[i]);
	for (i = 0; h != 0 && i < cmd.nenv; i++)
		h = command_hash(h, cmd.envp[i]);
	if (h != 0)
		h = command_hash(h, in->rules);
	apw_arena_free(arena);
	return h;
}
