/* Who the app is: its release, how it speaks, and whether jobs will come from
 * it.  Room: source, in a slot. */
#include "modules/source/app_priv.h"

#include <stdio.h>
#include <string.h>

#include "core/apw_log.h"
#include "proto/apw_raw.h"

/* A string of the settings; empty when there is none, or it is too long. */
static void
app_setting(struct apw_str settings, const char *key, char *text, size_t size)
{
	struct apw_buf	b = APW_BUF_INIT(size - 1);
	struct apw_str	v;

	text[0] = '\0';
	if (apw_raw_member(settings, key, &v) == 1 &&
	    apw_raw_type(v) == APW_RAW_STRING && apw_raw_decode(&b, v) == 0)
		snprintf(text, size, "%s", b.data);
	apw_buf_free(&b);
}

/* The configured one, or NULL. */
const struct apw_app_dialect *
app_conf_dialect(const struct apw_source *src)
{
	static const char *const	names[] = {
		[APP_CONF_L1] = "L1", [APP_CONF_L2] = "L2",
		[APP_CONF_L3] = "L3", [APP_CONF_L4] = "L4",
		[APP_CONF_L5] = "L5",
	};

	return src->conf->dialect == APP_CONF_AUTO ? NULL :
	    apw_app_dialect_named(names[src->conf->dialect]);
}

/* Is the app of a release that nobody had seen when this was built?  Words for
 * it; "": no. */
static void
app_newer(const struct apw_source *src, unsigned release, char *text,
    size_t size)
{
	text[0] = '\0';
	if (release >= APW_APP_RELEASE_UNKNOWN)
		snprintf(text, size, "the app is release %s, newer than any "
		    "release this build knows (" APW_APP_RELEASE_NEWEST ")",
		    src->app_version);
	else if (release == 0 && src->app_version[0] != '\0' &&
	    strcmp(src->app_version, "0.0.0") != 0)
		snprintf(text, size, "the app says it is release \"%s\", "
		    "which this build does not know", src->app_version);
}

/* All slots meet the same app: one of them says so. */
static void
app_tell_newer(const struct apw_source *src, const char *newer)
{
	if (newer[0] == '\0' || strcmp(newer, src->newer) == 0 ||
	    src->env->slot != 1)
		return;
	if (src->conf->newest == APP_CONF_PAUSE)
		apw_warn("the app is newer than any release this build knows: "
		    "no job is taken", APW_S("app_version", src->app_version),
		    APW_S("known", APW_APP_RELEASE_NEWEST),
		    APW_S("directive", "newest pause"));
	else
		apw_notice("the app is newer than any release this build "
		    "knows: its jobs are taken all the same",
		    APW_S("app_version", src->app_version),
		    APW_S("known", APW_APP_RELEASE_NEWEST),
		    APW_S("taken_for", src->dialect->name));
}

/* How it speaks, which release it is, and whether we know that one. */
static void
app_take_release(struct apw_source *src, struct apw_str settings)
{
	struct apw_str	v;
	unsigned	release = 0;
	char		newer[sizeof(src->newer)];

	if (apw_raw_member(settings, "APP_VERSION", &v) == 1)
		release = apw_app_release(v);
	src->dialect = app_conf_dialect(src);
	if (src->dialect == NULL)
		src->dialect = apw_app_dialect_choose(settings);
	/* as apw_settings_dialect() has it */
	src->release = apw_app_dialect_of(release) == src->dialect ? release :
	    src->dialect->release;
	app_newer(src, release, newer, sizeof(newer));
	app_tell_newer(src, newer);
	memcpy(src->newer, newer, sizeof(newer));
}

/* Why no job will come from this app; "": they will.  It hands them out only
 * to a worker that names exactly its own release. */
static void
app_take_blocked(struct apw_source *src)
{
	char	*why = src->blocked;

	why[0] = '\0';
	if (strcmp(src->app_version, "0.0.0") == 0)
		snprintf(why, sizeof(src->blocked), "the app says it is "
		    "release 0.0.0 and then hands out no jobs");
	else if (src->app_version[0] != '\0' &&
	    strcmp(src->app_version, src->version) != 0)
		snprintf(why, sizeof(src->blocked), "the app is release %s "
		    "and hands out no jobs to release %s (directive version)",
		    src->app_version, src->version);
	else if (src->newer[0] != '\0' &&
	    src->conf->newest == APP_CONF_PAUSE)
		snprintf(why, sizeof(src->blocked), "%.180s: no job is taken "
		    "(directive newest)", src->newer);
	if (why[0] != '\0')
		apw_error_often("no jobs will come", APW_S("reason", why));
}

void
app_take_settings(struct apw_source *src, struct apw_str settings)
{
	struct apw_score_slot	*score = src->env->score;

	app_setting(settings, "SANDBOX_MEMORY_LIMIT", src->memory_limit,
	    sizeof(src->memory_limit));
	app_setting(settings, "APP_VERSION", src->app_version,
	    sizeof(src->app_version));
	snprintf(src->version, sizeof(src->version), "%s",
	    strcmp(src->conf->version, "auto") != 0 ? src->conf->version :
	    src->app_version);
	app_take_release(src, settings);
	app_take_blocked(src);
	if (src->conf->group != NULL && src->conf->group_scope &&
	    src->conf->project_worker &&
	    !apw_app_can(src->release, APW_APP_PROJECT_WORKER))
		apw_warn_often("this app knows no groups of projects: it takes "
		    "the group for a platform's", APW_S("group",
		    src->conf->group), APW_S("app_version", src->app_version),
		    APW_S("since", apw_app_since(APW_APP_PROJECT_WORKER)));
	apw_score_begin(&score->seq);
	snprintf(score->app_version, sizeof(score->app_version), "%s",
	    src->app_version);
	snprintf(score->notice, sizeof(score->notice), "%s", src->newer);
	apw_score_end(&score->seq);
}

