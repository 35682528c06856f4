/* App link: generations of the app; see app_dialect.h.  Room: link. */
#include "link/app_dialect.h"

#include <stdio.h>
#include <string.h>

#include "core/apw_auto.h"
#include "core/apw_buf.h"
#include "proto/apw_raw.h"

#define RELEASE(minor, patch)	((minor) * 1000u + (patch))

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
	return n < 2 ? 0 : major * 1000000u + RELEASE(minor, patch);
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
