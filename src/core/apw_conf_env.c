/* The environment of the Node worker, as defaults for directives: a container
 * that ran it runs us.  Room: core.  Names and meanings are the worker's; the
 * table below is the list of what differs from "the text is the argument".
 * What has no directive is in apw_conf_env_note.c. */
#include "core/apw_conf_priv.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/apw_auto.h"

#define DEFAULT_APP_PORT "3000"

struct env_value {
	char		**args;
	size_t		  nargs;
	const char	 *note;
};

/* 1: a value, 0: nothing, -1: complained */
typedef int env_fn(struct apw_conf *, const char *name, struct env_value *);

static const char *
env_text(const char *name)
{
	const char	*s = getenv(name);

	return s != NULL && *s != '\0' ? s : NULL;
}

static struct apw_conf_place
env_place(struct apw_conf *conf)
{
	return (struct apw_conf_place){ .text = &conf->environment };
}

static int
env_one(struct apw_conf *conf, const char *text, struct env_value *v)
{
	v->args = apw_arena_alloc(conf->arena, 2 * sizeof(char *));
	if (v->args == NULL ||
	    (v->args[0] = apw_arena_strdup(conf->arena, text)) == NULL) {
		conf->no_memory = true;
		return -1;
	}
	v->nargs = 1;
	return 1;
}

static int
env_plain(struct apw_conf *conf, const char *name, struct env_value *v)
{
	const char	*s = env_text(name);

	return s == NULL ? 0 : env_one(conf, s, v);
}

static int
env_secret(struct apw_conf *conf, const char *name, struct env_value *v)
{
	const char	*s = apw_conf_env_secret(name);

	return s == NULL ? 0 : env_one(conf, s, v);
}

static const char *env_credential_file(struct apw_conf *);

/* The token; else one made as the entry point of the app's image makes it. */
static int
env_token(struct apw_conf *conf, const char *name, struct env_value *v)
{
	const char	*s;

	if (env_text(name) != NULL || env_credential_file(conf) != NULL ||
	    (s = apw_conf_env_token()) == NULL)
		return env_secret(conf, name, v);
	v->note = "AP_JWT_SECRET";
	return env_one(conf, s, v);
}

static int
env_port(struct apw_conf *conf, const char **port)
{
	const char	*s = env_text("AP_PORT");
	char		*end;
	long		 n;

	*port = s != NULL ? s : DEFAULT_APP_PORT;
	n = strtol(*port, &end, 10);
	if (*end == '\0' && n >= 1 && n <= 65535 &&
	    strspn(*port, "0123456789") == strlen(*port))
		return 0;
	apw_conf_error(conf, env_place(conf), "AP_PORT is \"%s\"; expected a "
	    "port from 1 to 65535", apw_conf_quote(conf, *port));
	return -1;
}

/* The app's address: the front end for a worker on its own, this host for a
 * worker beside the app.  The Node worker takes an unset AP_CONTAINER_TYPE
 * for the latter; we do so only when no front end is named. */
static int
env_app_url(struct apw_conf *conf, const char *name, struct env_value *v)
{
	const char	*type = env_text("AP_CONTAINER_TYPE");
	const char	*url = env_text(name), *port;
	char		*text;
	size_t		 n;

	if (type != NULL ? strcmp(type, "WORKER_AND_APP") != 0 : url != NULL) {
		if (url == NULL || env_one(conf, url, v) != 1)
			return 0;
		/* slashes at the end mean nothing to the Node worker */
		for (n = strlen(v->args[0]); n > 0 &&
		    v->args[0][n - 1] == '/'; n--)
			v->args[0][n - 1] = '\0';
		return 1;
	}
	if (env_port(conf, &port) == -1)
		return -1;
	text = apw_arena_printf(conf->arena, "http://127.0.0.1:%s", port);
	if (text == NULL) {
		conf->no_memory = true;
		return -1;
	}
	v->note = env_text("AP_PORT") != NULL ? "AP_PORT" :
	    type != NULL ? "AP_CONTAINER_TYPE" : "AP_FRONTEND_URL is not set";
	return env_one(conf, text, v);
}

/* The worker's health server: only when the container is exactly WORKER, on
 * all interfaces. */
static int
env_health(struct apw_conf *conf, const char *name, struct env_value *v)
{
	const char	*type = env_text("AP_CONTAINER_TYPE"), *port;
	char		*text;

	(void)name;
	if (type == NULL || strcmp(type, "WORKER") != 0)
		return 0;
	if (env_port(conf, &port) == -1)
		return -1;
	text = apw_arena_printf(conf->arena, "0.0.0.0:%s", port);
	if (text == NULL) {
		conf->no_memory = true;
		return -1;
	}
	v->note = env_text("AP_PORT") != NULL ? "AP_PORT" :
	    "AP_CONTAINER_TYPE";
	return env_one(conf, text, v);
}

static int
env_concurrency(struct apw_conf *conf, const char *name, struct env_value *v)
{
	const char	*s = env_text(name);
	char		*end;
	long		 n;

	if (s == NULL)
		return 0;
	errno = 0;
	n = strtol(s, &end, 10);
	if (*end != '\0' || n < 1 || errno != 0) {
		/* the Node worker runs then, with one slot */
		apw_conf_warning(conf, env_place(conf), "%s is \"%s\"; "
		    "expected a number from 1; 1 is taken", name,
		    apw_conf_quote(conf, s));
		n = 1;
	}
	s = apw_arena_printf(conf->arena, "%ld", n);
	return s == NULL ? -1 : env_one(conf, s, v);
}

struct env_word {
	const char	*theirs, *ours;
};

static int
env_words(struct apw_conf *conf, const char *name, const struct env_word *w,
    struct env_value *v)
{
	const char	*s = env_text(name);

	if (s == NULL)
		return 0;
	for (; w->theirs != NULL; w++)
		if (strcasecmp(w->theirs, s) == 0)
			return env_one(conf, w->ours, v);
	return env_one(conf, s, v);
}

static int
env_mode(struct apw_conf *conf, const char *name, struct env_value *v)
{
	static const struct env_word words[] = {
		{ "SANDBOXED", "SANDBOX_PROCESS" }, { NULL, NULL } };

	return env_words(conf, name, words, v);
}

static int
env_log_level(struct apw_conf *conf, const char *name, struct env_value *v)
{
	static const struct env_word words[] = { { "trace", "debug" },
		{ "debug", "debug" }, { "info", "info" }, { "warn", "warn" },
		{ "error", "error" }, { "fatal", "alert" },
		{ "silent", "alert" }, { NULL, NULL } };

	return env_words(conf, name, words, v);
}

static int
env_log_pretty(struct apw_conf *conf, const char *name, struct env_value *v)
{
	const char	*s = env_text(name);

	if (s == NULL)
		return 0;
	return env_one(conf, strcasecmp(s, "true") == 0 ? "text" : "json", v);
}

/* Only "true" is one in the Node worker. */
static int
env_true(struct apw_conf *conf, const char *name, struct env_value *v)
{
	const char	*s = env_text(name);

	if (s == NULL)
		return 0;
	return env_one(conf, strcasecmp(s, "true") == 0 ? "on" : "off", v);
}

/* Only "true" allows reuse in the Node worker. */
static int
env_reuse(struct apw_conf *conf, const char *name, struct env_value *v)
{
	const char	*s = env_text(name);

	if (s == NULL)
		return 0;
	return env_one(conf, strcasecmp(s, "true") == 0 ? "any" : "none", v);
}

/* Comma-separated, blanks around entries and empty ones dropped. */
static int
env_list(struct apw_conf *conf, const char *name, struct env_value *v)
{
	const char	*s = env_text(name), *end;
	size_t		 n = 1, len;

	if (s == NULL)
		return 0;
	for (end = s; *end != '\0'; end++)
		n += *end == ',';
	if (n > 254)
		n = 254;
	v->args = apw_arena_alloc(conf->arena, (n + 1) * sizeof(char *));
	if (v->args == NULL) {
		conf->no_memory = true;
		return -1;
	}
	v->nargs = 0;
	while (*s != '\0' && v->nargs < n) {
		s += strspn(s, ", \t");
		len = strcspn(s, ",");
		end = s + len;
		while (len > 0 && (s[len - 1] == ' ' || s[len - 1] == '\t'))
			len--;
		if (len > 0) {
			v->args[v->nargs] = apw_arena_str(conf->arena,
			    (struct apw_str){ s, len });
			if (v->args[v->nargs++] == NULL) {
				conf->no_memory = true;
				return -1;
			}
		}
		s = end;
	}
	return v->nargs > 0 ? 1 : 0;
}

/* systemd's LoadCredential=worker-token:…; NULL: there is none. */
static const char *
env_credential_file(struct apw_conf *conf)
{
	const char	*dir = env_text("CREDENTIALS_DIRECTORY");
	char		*path;

	if (dir == NULL || dir[0] != '/')
		return NULL;
	path = apw_arena_printf(conf->arena, "%s/worker-token", dir);
	if (path == NULL)
		conf->no_memory = true;
	return path == NULL || access(path, F_OK) == -1 ? NULL : path;
}

static int
env_credential(struct apw_conf *conf, const char *name, struct env_value *v)
{
	const char	*path;

	(void)name;
	/* AP_WORKER_TOKEN is asked first: the more particular one */
	if (env_text("AP_WORKER_TOKEN") != NULL)
		return 0;
	path = env_credential_file(conf);
	return path == NULL ? 0 : env_one(conf, path, v);
}

static const struct {
	const char	*name;
	env_fn		*get;
} env_table[] = {
	{ "AP_EXECUTION_MODE",		env_mode },
	{ "AP_FRONTEND_URL",		env_app_url },
	{ "AP_LOG_LEVEL",		env_log_level },
	{ "AP_LOG_PRETTY",		env_log_pretty },
	{ "AP_PORT",			env_health },
	{ "AP_PROJECT_WORKER",		env_true },
	{ "AP_REUSE_SANDBOX",		env_reuse },
	{ "AP_SSRF_ALLOW_LIST",		env_list },
	{ "AP_WORKER_CONCURRENCY",	env_concurrency },
	{ "AP_WORKER_TOKEN",		env_token },
	{ "CREDENTIALS_DIRECTORY",	env_credential },
};

int
apw_conf_env(struct apw_conf *conf, const char *name, char ***args,
    size_t *nargs, const char **note)
{
	struct env_value	 v = { .note = name };
	env_fn			*get = env_plain;
	size_t			 i;
	int			 rc;

	for (i = 0; i < APW_COUNT(env_table); i++)
		if (strcmp(env_table[i].name, name) == 0)
			get = env_table[i].get;
	rc = get(conf, name, &v);
	if (rc == 1) {
		*args = v.args;
		*nargs = v.nargs;
		*note = v.note;
	}
	return rc;
}

const char *
apw_conf_env_source(struct apw_conf *conf)
{
	char		**args;
	const char	*note;
	size_t		 nargs;

	if (env_text("AP_FRONTEND_URL") != NULL ||
	    env_text("AP_WORKER_TOKEN") != NULL ||
	    env_text("AP_JWT_SECRET") != NULL)
		return "app";
	return apw_conf_env(conf, "CREDENTIALS_DIRECTORY", &args, &nargs,
	    &note) == 1 ? "app" : NULL;
}
