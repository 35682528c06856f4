/* Variables of the Node worker that have no directive here: those that would
 * change something are told, one warning each, with what to use instead.
 * Room: core.
 *
 * App and worker often share one environment: variables that the worker never
 * reads, and those that change nothing, are nobody's business.  Values are
 * never shown: many are secrets. */
#include "core/apw_conf_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "core/apw_auto.h"

#define COLLECTOR "apworkerd sends its log nowhere: let a log collector read " \
    "it (\"log PATH\" or the service manager's journal, \"log_format json\")"

/* Does it mean anything, as it is set? */
typedef bool note_fn(const struct apw_conf *, const char *value);

static bool
note_given(const struct apw_conf *conf, const char *value)
{
	(void)conf;
	(void)value;
	return true;
}

static bool
note_true(const struct apw_conf *conf, const char *value)
{
	(void)conf;
	return strcasecmp(value, "true") == 0;
}

/* Percent of the lines that are kept. */
static bool
note_sampled(const struct apw_conf *conf, const char *value)
{
	char	*end;
	long	 n = strtol(value, &end, 10);

	(void)conf;
	return end != value && n < 100;
}

/* Somebody who says where the log goes knows. */
static bool
note_no_log(const struct apw_conf *conf, const char *value)
{
	return strcasecmp(value, "true") == 0 &&
	    apw_conf_is_default(conf->cycle, conf->cycle->contexts, "log");
}

static const struct {
	const char	*name;
	note_fn		*means;
	const char	*text;
} notes[] = {
	{ "AP_LOG_FILE", note_no_log, "is not followed: the log goes to "
	    "stderr; use \"log PATH\"" },
	{ "AP_LOG_SAMPLE_RATE_INFO", note_sampled, "and AP_LOG_KEEP_SLOW_MS "
	    "are not followed: no line is left out by chance; use \"log_level "
	    "notice\" for fewer lines" },
	{ "AP_OTEL_ENABLED", note_true, "is not followed: " COLLECTOR
	    "; figures are in /metrics of \"monitor\"" },
	{ "AP_AXIOM_TOKEN", note_given, "is not followed: " COLLECTOR },
	{ "AP_HYPERDX_TOKEN", note_given, "is not followed: " COLLECTOR },
	{ "AP_LOKI_URL", note_given, "is not followed: " COLLECTOR },
	{ "AP_BETTERSTACK_TOKEN", note_given, "is not followed: " COLLECTOR },
};

void
apw_conf_env_notes(struct apw_conf *conf)
{
	const struct apw_conf_place	 place = { .text = &conf->environment };
	const char			*value;
	size_t				 i;

	for (i = 0; i < APW_COUNT(notes); i++) {
		value = getenv(notes[i].name);
		if (value != NULL && *value != '\0' &&
		    notes[i].means(conf, value))
			apw_conf_warning(conf, place, "%s %s", notes[i].name,
			    notes[i].text);
	}
}

/* What an engine is told by the daemon, or must not be told; nobody else can
 * pass these. */
static const char *const owned[] = {
	"AP_BASE_CODE_DIRECTORY", "AP_CUSTOM_PIECES_PATHS", "AP_DENO_PATH",
	"AP_DEV_PIECES", "AP_EGRESS_PROXY_URL",
	"AP_ENFORCE_CONNECTION_PIECE_BINDING", "AP_EXECUTION_MODE",
	"AP_JWT_SECRET", "AP_MAX_FILE_SIZE_MB", "AP_MAX_FLOW_RUN_LOG_SIZE_MB",
	"AP_NETWORK_MODE", "AP_PAUSED_FLOW_TIMEOUT_DAYS",
	"AP_PIECE_CHILD_ENTRY", "AP_SSRF_ALLOW_LIST", "AP_WORKER_TOKEN",
	"SANDBOX_ID",
};
static const char *const owned_kinds[] = { "AP_SANDBOX_WS_", "APW_",
	"NODE_" };

bool
apw_conf_engine_owns(const char *name)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(owned); i++)
		if (strcmp(owned[i], name) == 0)
			return true;
	for (i = 0; i < APW_COUNT(owned_kinds); i++)
		if (strncmp(owned_kinds[i], name,
		    strlen(owned_kinds[i])) == 0)
			return true;
	return false;
}
