/* App link: generations of the app; see app_dialect.h.  Room: link. */
#include "link/app_dialect.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "proto/apw_raw.h"

#define RELEASE(minor, patch)	APW_APP_RELEASE(0, minor, patch)

/* in the order of their releases */
static const struct apw_app_dialect dialects[] = {
	{ .name = "L1", .release = RELEASE(80, 0),
	  .group_key = "platformIdForDedicatedWorker", .old_names = true,
	  .silent = true, .payload_files = true, .delay = true,
	  .sparse = true },
	{ .name = "L2", .release = RELEASE(81, 3),
	  .group_key = "workerGroupId", .payload_files = true,
	  .sparse = true },
	{ .name = "L3", .release = RELEASE(84, 0),
	  .group_key = "workerGroupId" },
	{ .name = "L4", .release = RELEASE(86, 0),
	  .group_key = "workerGroupId", .takes_back = true },
	{ .name = "L5", .release = RELEASE(86, 1),
	  .group_key = "workerGroupId", .takes_back = true },
};

/* of a feature that was there in the first release we know, or still is */
#define ALWAYS	0u
#define STILL	UINT_MAX
/* nobody knows which one, but after the newest that was seen */
#define LATER	APW_APP_RELEASE_UNKNOWN

/* from: the first release that does it; to: the first that does not. */
static const struct {
	unsigned	 from, to;
	const char	*since;		/* from, for people */
	const char	*job;		/* the type of job, if it is one */
} features[APW_APP_NFEATURES] = {
	[APW_APP_MARK_USED] = { ALWAYS, RELEASE(86, 0), "an early release",
	    NULL },
	[APW_APP_RELAYS] = { ALWAYS, RELEASE(86, 0), "an early release",
	    NULL },
	[APW_APP_BUNDLES] = { RELEASE(86, 0), STILL, "0.86.0", NULL },
	[APW_APP_SERVER_PING] = { RELEASE(86, 1), STILL, "0.86.1", NULL },
	[APW_APP_TRIGGER_RUN] = { RELEASE(86, 2), STILL, "0.86.2", NULL },
	[APW_APP_PREWARM] = { RELEASE(86, 2), STILL, "0.86.2", NULL },
	[APW_APP_FAILED_STEP] = { RELEASE(87, 0), STILL, "0.87.0", NULL },
	[APW_APP_PROJECT_WORKER] = { RELEASE(86, 1), STILL, "0.86.1", NULL },
	[APW_APP_GROUP_MODES] = { ALWAYS, LATER, "an early release", NULL },
	[APW_APP_CHAT_AGENT] = { RELEASE(85, 0), RELEASE(87, 0), "0.85.0",
	    "EXECUTE_CHAT_AGENT" },
	[APW_APP_TOKEN_REFRESH] = { RELEASE(86, 0), STILL, "0.86.0",
	    "EXECUTE_TOKEN_REFRESH" },
	[APW_APP_AGENT_RUN] = { RELEASE(87, 0), STILL, "0.87.0",
	    "EXECUTE_AGENT_RUN" },
	[APW_APP_IDENTIFIER] = { RELEASE(87, 0), STILL, "0.87.0",
	    "EXECUTE_RESOLVE_CONNECTION_IDENTIFIER" },
	[APW_APP_PAYLOAD_METHOD] = { RELEASE(86, 0), STILL, "0.86.0", NULL },
	[APW_APP_ACTION] = { RELEASE(88, 0), STILL, "0.88.0",
	    "EXECUTE_ACTION" },
	[APW_APP_AI] = { LATER, STILL, "a release after "
	    APW_APP_RELEASE_NEWEST, "EXECUTE_AI" },
};

/* Types of jobs that nothing here does, and that somebody has heard of. */
static const struct {
	const char	*type, *since;
} strange_jobs[] = {
	{ "EXECUTE_PERSONALIZATION_RESEARCH", "a release after "
	    APW_APP_RELEASE_NEWEST },
};

enum { L1, L2, L3 };

const struct apw_app_dialect *
apw_app_dialect_named(const char *name)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(dialects); i++)
		if (strcmp(dialects[i].name, name) == 0)
			return &dialects[i];
	return NULL;
}

const struct apw_app_dialect *
apw_app_dialect_of(unsigned release)
{
	const struct apw_app_dialect	*d = &dialects[L1];
	size_t				 i;

	if (release == 0)
		return &dialects[L3];
	for (i = 0; i < APW_COUNT(dialects); i++)
		if (release >= dialects[i].release)
			d = &dialects[i];
	return d;
}

unsigned
apw_app_release(struct apw_str literal)
{
	struct apw_buf	text = APW_BUF_INIT(64);
	unsigned	major = 0, minor = 0, patch = 0;
	int		n = 0;

	if (apw_raw_type(literal) == APW_RAW_STRING &&
	    apw_raw_decode(&text, apw_raw_trim(literal)) == 0 && text.len > 0)
		n = sscanf(text.data, "%3u.%3u.%3u", &major, &minor, &patch);
	apw_buf_free(&text);
	return n < 2 ? 0 : APW_APP_RELEASE(major, minor,
	    patch);
}

bool
apw_app_can(unsigned release, enum apw_app_feature f)
{
	if (release == 0)
		release = dialects[L3].release;
	return release >= features[f].from && release < features[f].to;
}

const char *
apw_app_since(enum apw_app_feature f)
{
	return features[f].since;
}

const char *
apw_app_job_since(struct apw_str type)
{
	size_t	i;

	for (i = 0; i < APW_COUNT(features); i++)
		if (features[i].job != NULL &&
		    apw_str_is(type, features[i].job))
			return features[i].since;
	for (i = 0; i < APW_COUNT(strange_jobs); i++)
		if (apw_str_is(type, strange_jobs[i].type))
			return strange_jobs[i].since;
	return NULL;
}

const struct apw_app_dialect *
apw_app_dialect_choose(struct apw_str settings)
{
	struct apw_str	v;
	unsigned	release = 0;

	if (apw_raw_member(settings, "APP_VERSION", &v) == 1)
		release = apw_app_release(v);
	if (release != 0)
		return apw_app_dialect_of(release);
	if (apw_raw_member(settings, "SSRF_PROTECTION_ENABLED", &v) == 1 ||
	    apw_raw_member(settings, "PLATFORM_ID_FOR_DEDICATED_WORKER",
	    &v) == 1)
		return &dialects[L1];
	if (apw_raw_member(settings, "OTEL_ENABLED", &v) == 1)
		return &dialects[L2];
	return &dialects[L3];
}
