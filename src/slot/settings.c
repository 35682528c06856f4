/* Reading the app's settings; see settings.h.  Room: slot.
 *
 * The object comes from the network: every value is checked for its type and
 * bounds, and a wrong one counts as missing.  Values are never logged here:
 * some are secrets. */
#include "slot/settings.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/apw_buf.h"
#include "proto/apw_raw.h"

#define SETTINGS_TEXT_MAX	(1024 * 1024)
#define SETTINGS_LIST_MAX	256
#define SETTINGS_NAME_MAX	256
#define SETTINGS_DAY		86400

enum settings_kind { SETTINGS_NUMBER, SETTINGS_TEXT, SETTINGS_LIST,
	SETTINGS_BOOL };

struct settings_key {
	const char		*name;
	enum settings_kind	 kind;
	size_t			 offset;	/* int64_t, char *, struct apw_strlist
						   or bool */
	double			 unit;		/* what one of the app's is in ours */
	double			 min, max;	/* in the app's unit */
	const char		*dflt;		/* the app's own default */
};

#define AT(member)	offsetof(struct apw_settings, member)
#define SECONDS(key, member, dflt)					\
	{ key, SETTINGS_NUMBER, AT(member), 1000, 0.001, 30 * SETTINGS_DAY, dflt }
#define COUNT(key, member, min, max, dflt)				\
	{ key, SETTINGS_NUMBER, AT(member), 1, min, max, dflt }
#define TEXT(key, member, dflt)						\
	{ key, SETTINGS_TEXT, AT(member), 0, 0, 0, dflt }
#define LIST(key, member)						\
	{ key, SETTINGS_LIST, AT(member), 0, 0, 0, NULL }

#define BOOL(key, member)						\
	{ key, SETTINGS_BOOL, AT(member), 0, 0, 0, NULL }

/* Keys the configuration may override go through struct settings_raw. */
struct settings_raw {
	struct apw_settings	 s;		/* must be first: AT() */
	char			*mode;
	char			*network;
	char			*memory_kib;
};

static const struct settings_key settings_keys[] = {
	TEXT("PUBLIC_URL", public_url, ""),
	TEXT("APP_VERSION", app_version, ""),
	TEXT("EDITION", edition, "ce"),
	TEXT("ENVIRONMENT", environment, "prod"),
	TEXT("APP_WEBHOOK_SECRETS", webhook_secrets, "{}"),
	TEXT("PAGE_ONCALL_WEBHOOK", oncall_url, NULL),
	SECONDS("FLOW_TIMEOUT_SECONDS", flow_timeout_ms, "600"),
	SECONDS("TRIGGER_TIMEOUT_SECONDS", trigger_timeout_ms, "60"),
	SECONDS("TRIGGER_HOOKS_TIMEOUT_SECONDS", trigger_hooks_timeout_ms, "180"),
	SECONDS("EVENT_DESTINATION_TIMEOUT_SECONDS", event_timeout_ms, "10"),
	COUNT("PAUSED_FLOW_TIMEOUT_DAYS", paused_days, 0, 36500, "30"),
	COUNT("MAX_FLOW_RUN_LOG_SIZE_MB", run_log_mb, 1, 4096, "50"),
	COUNT("MAX_FILE_SIZE_MB", file_mb, 1, 4096, "25"),
	LIST("SANDBOX_PROPAGATED_ENV_VARS", propagate),
	LIST("DEV_PIECES", dev_pieces),
	LIST("SSRF_ALLOW_LIST", ssrf_allow),
	BOOL("ENFORCE_CONNECTION_PIECE_BINDING", piece_binding),
	{ "EXECUTION_MODE", SETTINGS_TEXT,
	    offsetof(struct settings_raw, mode), 0, 0, 0, "UNSANDBOXED" },
	{ "NETWORK_MODE", SETTINGS_TEXT,
	    offsetof(struct settings_raw, network), 0, 0, 0, "UNRESTRICTED" },
	{ "SANDBOX_MEMORY_LIMIT", SETTINGS_TEXT,
	    offsetof(struct settings_raw, memory_kib), 0, 0, 0, "1048576" },
};

/* A string literal's text in the arena; a number's own spelling; NULL for
 * anything else, or when a NUL is inside. */
static char *
settings_text(struct apw_arena *arena, struct apw_str value)
{
	struct apw_buf	 buf = APW_BUF_INIT(SETTINGS_TEXT_MAX);
	char		*text = NULL;

	if (apw_raw_type(value) == APW_RAW_NUMBER)
		return apw_arena_str(arena, apw_raw_trim(value));
	if (apw_raw_type(value) != APW_RAW_STRING)
		return NULL;
	if (apw_raw_decode(&buf, apw_raw_trim(value)) != -1 && !buf.failed &&
	    (buf.len == 0 || memchr(buf.data, '\0', buf.len) == NULL))
		text = apw_arena_str(arena, apw_buf_view(&buf));
	apw_buf_free(&buf);
	return text;
}

static int
settings_number(const struct settings_key *key, const char *text, int64_t *out)
{
	char	*end;
	double	 n;

	if (text == NULL || *text == '\0')
		return -1;
	n = strtod(text, &end);
	while (isspace((unsigned char)*end))
		end++;
	if (*end != '\0' || !isfinite(n) || n < key->min || n > key->max)
		return -1;
	*out = (int64_t)(n * key->unit);
	return 0;
}

/* The app splits its lists at commas without trimming. */
static int
settings_list(struct apw_arena *arena, struct apw_str value,
    struct apw_strlist *out)
{
	struct apw_raw_iter	 it;
	struct apw_str		 item;
	char			*text, **v;

	if (apw_raw_type(value) != APW_RAW_ARRAY ||
	    apw_raw_iter(&it, value) == -1)
		return -1;
	v = apw_arena_alloc(arena, (SETTINGS_LIST_MAX + 1) * sizeof(*v));
	if (v == NULL)
		return -1;
	out->v = v;
	out->n = 0;
	while (out->n < SETTINGS_LIST_MAX &&
	    apw_raw_next(&it, NULL, &item) == 1) {
		text = settings_text(arena, item);
		if (text == NULL || strlen(text) > SETTINGS_NAME_MAX)
			continue;
		while (isspace((unsigned char)*text))
			text++;
		for (size_t n = strlen(text);
		    n > 0 && isspace((unsigned char)text[n - 1]); n--)
			text[n - 1] = '\0';
		if (*text != '\0')
			v[out->n++] = text;
	}
	return 0;
}

/* Some of the app's are text. */
static void
settings_bool(struct apw_arena *arena, struct apw_str value, bool *out)
{
	const char	*text = settings_text(arena, value);

	*out = apw_raw_type(value) == APW_RAW_TRUE ||
	    (text != NULL && strcmp(text, "true") == 0);
}

static void
settings_put(struct settings_raw *raw, const struct settings_key *key,
    struct apw_str value)
{
	struct apw_arena	*arena = raw->s.arena;
	void			*at = (char *)raw + key->offset;
	char			*text;

	switch (key->kind) {
	case SETTINGS_NUMBER:
		settings_number(key, settings_text(arena, value), at);
		break;
	case SETTINGS_TEXT:
		if ((text = settings_text(arena, value)) != NULL)
			*(char **)at = text;
		break;
	case SETTINGS_LIST:
		settings_list(arena, value, at);
		break;
	case SETTINGS_BOOL:
		settings_bool(arena, value, at);
		break;
	}
}

static void
settings_defaults(struct settings_raw *raw)
{
	const struct settings_key	*key;
	void				*at;
	static char			*none[] = { NULL };
	size_t				 i;

	for (i = 0; i < sizeof(settings_keys) / sizeof(*settings_keys); i++) {
		key = &settings_keys[i];
		at = (char *)raw + key->offset;
		switch (key->kind) {
		case SETTINGS_NUMBER:
			settings_number(key, key->dflt, at);
			break;
		case SETTINGS_TEXT:
			*(char **)at = key->dflt == NULL ? NULL :
			    apw_arena_strdup(raw->s.arena, key->dflt);
			break;
		case SETTINGS_LIST:
			((struct apw_strlist *)at)->v = none;
			((struct apw_strlist *)at)->n = 0;
			break;
		case SETTINGS_BOOL:
			*(bool *)at = false;
			break;
		}
	}
}

static void
settings_walk(struct settings_raw *raw, struct apw_raw_iter *it)
{
	struct apw_str	key, value;
	size_t		i;

	while (apw_raw_next(it, &key, &value) == 1)
		for (i = 0; i < sizeof(settings_keys) /
		    sizeof(*settings_keys); i++)
			if (apw_raw_equals(key, settings_keys[i].name)) {
				settings_put(raw, &settings_keys[i], value);
				break;
			}
}

/* Webhook URLs are made from it: it must end with "/api/". */
static char *
settings_api_url(struct apw_arena *arena, const char *url)
{
	size_t		 n = strlen(url);
	const char	*add = "/api/";

	if (n >= 5 && strcmp(url + n - 5, "/api/") == 0)
		add = "";
	else if (n >= 4 && strcmp(url + n - 4, "/api") == 0)
		add = "/";
	else if (n >= 1 && url[n - 1] == '/')
		add = "api/";
	return apw_arena_printf(arena, "%s%s", url, add);
}

static unsigned
settings_release(const char *version)
{
	unsigned	major, minor, patch = 0;

	if (sscanf(version, "%3u.%3u.%3u", &major, &minor, &patch) < 2)
		return 0;
	return APW_RELEASE(major, minor, patch);
}

static uint64_t
settings_memory_mb(const struct apw_cycle *cycle, const char *kib)
{
	static const struct settings_key	key =
	    COUNT("", public_url, 1024, 1e12, NULL);
	int64_t					n;

	if (cycle->engine.memory_bytes != 0)
		return cycle->engine.memory_bytes / (1024 * 1024);
	if (kib == NULL || settings_number(&key, kib, &n) == -1)
		return 1024;
	return (uint64_t)n / 1024;
}

/* Nothing is allowed twice.  Without memory less is allowed. */
static void
settings_join(struct apw_arena *arena, struct apw_strlist *to,
    const struct apw_strlist *a, const struct apw_strlist *b)
{
	const struct apw_strlist	*from[] = { a, b };
	char				**v;
	size_t				 i, j, k;

	*to = (struct apw_strlist){ .v = a->v, .n = a->n };
	v = apw_arena_alloc(arena, (a->n + b->n + 1) * sizeof(*v));
	if (v == NULL)
		return;
	to->v = v;
	to->n = 0;
	for (i = 0; i < 2; i++)
		for (j = 0; j < from[i]->n; j++) {
			for (k = 0; k < to->n; k++)
				if (strcmp(v[k], from[i]->v[j]) == 0)
					break;
			if (k == to->n)
				v[to->n++] = from[i]->v[j];
		}
	v[to->n] = NULL;
}

/* What is not plainly unrestricted is strict: it fails closed. */
static void
settings_network(struct settings_raw *raw, const struct apw_cycle *cycle)
{
	struct apw_settings	*s = &raw->s;

	s->network = cycle->network.mode;
	s->network_from = "network";
	if (s->network == APW_NETWORK_AUTO) {
		s->network = strcmp(raw->network, "UNRESTRICTED") == 0 ?
		    APW_NETWORK_UNRESTRICTED : APW_NETWORK_STRICT;
		s->network_from = "the app's NETWORK_MODE";
	}
	settings_join(s->arena, &s->allow, &cycle->network.allow,
	    &s->ssrf_allow);
}

const char *
apw_network_name(enum apw_network network)
{
	static const char *const	names[] = {
		[APW_NETWORK_AUTO] = "auto",
		[APW_NETWORK_UNRESTRICTED] = "unrestricted",
		[APW_NETWORK_PRIVATE] = "private",
		[APW_NETWORK_STRICT] = "strict",
	};

	return names[network];
}

/* The configuration's word goes before the app's. */
static void
settings_effective(struct settings_raw *raw, const struct apw_cycle *cycle)
{
	struct apw_settings	*s = &raw->s;

	s->mode = cycle->mode != NULL ? cycle->mode : raw->mode;
	if (strcmp(s->mode, "SANDBOXED") == 0)		/* its old name */
		s->mode = "SANDBOX_PROCESS";
	settings_network(raw, cycle);
	s->memory_mb = settings_memory_mb(cycle, raw->memory_kib);
	s->reuse = cycle->engine.reuse;
	if (s->reuse == APW_REUSE_AUTO && strcmp(s->environment, "dev") == 0)
		s->reuse = APW_REUSE_ANY;
	s->public_api_url = settings_api_url(s->arena, s->public_url);
	s->release = settings_release(s->app_version);
}

/* What a key was before it had its name: L1. */
static void
settings_old_names(struct settings_raw *raw, struct apw_str json)
{
	struct apw_str	v;

	if (apw_raw_member(json, "NETWORK_MODE", &v) == 0 &&
	    apw_raw_member(json, "SSRF_PROTECTION_ENABLED", &v) == 1 &&
	    apw_raw_type(v) == APW_RAW_TRUE)
		raw->network = apw_arena_strdup(raw->s.arena, "STRICT");
}

struct apw_settings *
apw_settings_read(const struct apw_cycle *cycle, struct apw_str json,
    struct apw_err *err)
{
	struct apw_arena	*arena;
	struct settings_raw	*raw;
	struct apw_raw_iter	 it;

	if (apw_raw_check(json, 0) == -1 ||
	    apw_raw_type(json) != APW_RAW_OBJECT ||
	    apw_raw_iter(&it, json) == -1) {
		apw_err_set(err, 0, "the app's settings are not a JSON object");
		return NULL;
	}
	if ((arena = apw_arena_new()) == NULL ||
	    (raw = apw_arena_alloc(arena, sizeof(*raw))) == NULL) {
		apw_arena_free(arena);
		apw_err_set(err, ENOMEM, "cannot keep the app's settings");
		return NULL;
	}
	raw->s.arena = arena;
	settings_defaults(raw);
	settings_walk(raw, &it);
	settings_old_names(raw, json);
	settings_effective(raw, cycle);
	apw_settings_dialect(&raw->s, apw_app_dialect_choose(json));
	return &raw->s;
}

void
apw_settings_dialect(struct apw_settings *s, const struct apw_app_dialect *d)
{
	s->app = d;
	/* the app did not say its release, or is not to be taken at its word */
	if (apw_app_dialect_of(s->release) != d)
		s->release = d->release;
}

void
apw_settings_free(struct apw_settings *s)
{
	if (s != NULL)
		apw_arena_free(s->arena);
}

bool
apw_settings_dev_piece(const struct apw_settings *s, const char *name)
{
	const char	*slash = strrchr(name, '/');
	size_t		 i;

	if (slash != NULL)
		name = slash + 1;
	if (strncmp(name, "piece-", 6) == 0)
		name += 6;
	for (i = 0; i < s->dev_pieces.n; i++)
		if (strcmp(s->dev_pieces.v[i], name) == 0)
			return true;
	return false;
}
