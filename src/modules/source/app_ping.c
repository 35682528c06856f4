/* How far the app is, for its page of workers.  Room: source, in a slot.
 *
 * The Node worker asks before each poll, and polls when it knows.  Here no poll
 * waits: the figure of one poll is asked for beside the one before, and one
 * slot asks for all of them.  Before there is an answer the time that the
 * handshake took stands for it. */
#include "modules/source/app_priv.h"

#include <errno.h>

#include "core/apw_clock.h"
#include "core/apw_log.h"

#define PING_TIMEOUT_MS	5000
#define PING_AGAIN_MS	15000	/* between two questions of any slot */
#define PING_OLD_MS	120000	/* then it says nothing any more */

/* The last answer of any slot, and when it came; 0: never. */
static int64_t
ping_last(const struct apw_source *src, int32_t *ms)
{
	const struct apw_score_machine	*m = apw_score_machine();
	const struct apw_score_slot	*own = src->env->score;
	int64_t				 at = atomic_load(&own->pinged_ms), all;

	*ms = atomic_load(&own->ping_ms);
	if (m == NULL || (all = atomic_load(&m->pinged_ms)) <= at)
		return at;
	*ms = atomic_load(&m->ping_ms);
	return all;
}

static void
ping_keep(struct apw_source *src, int64_t ms, int64_t at)
{
	atomic_store(&src->env->score->ping_ms, ms < INT32_MAX ? (int32_t)ms :
	    INT32_MAX);
	atomic_store(&src->env->score->pinged_ms, at);
}

/* Does the app take the figure?  One that has not said yet who it is leaves
 * alone what it does not know. */
static bool
ping_wanted(const struct apw_source *src)
{
	if (src->dialect == NULL)
		return src->conf->dialect == APP_CONF_AUTO ||
		    src->conf->dialect >= APP_CONF_L5;
	return apw_app_can(src->release, APW_APP_SERVER_PING);
}

int32_t
app_ping_ms(const struct apw_source *src)
{
	int32_t	ms;
	int64_t	at = ping_last(src, &ms);

	if (!ping_wanted(src) || at == 0 || apw_now_ms() - at > PING_OLD_MS)
		return -1;
	return ms;
}

/* A real figure is due all the same. */
void
app_ping_guess(struct apw_source *src)
{
	int64_t	now = apw_now_ms();
	int32_t	last;

	if (now - ping_last(src, &last) > PING_AGAIN_MS)
		ping_keep(src, apw_app_link_handshake_ms(src->link),
		    now - PING_AGAIN_MS);
}

static void
ping_on_done(void *arg, int64_t ms)
{
	struct apw_source	*src;

	APW_CAST(src, arg, APP_MAGIC);
	ping_keep(src, ms, apw_now_ms());
	if (ms == -1)
		apw_debug("the app's health page does not answer");
}

void
app_ping_go(struct apw_source *src)
{
	struct apw_err	err = APW_ERR_NONE;
	int32_t		last;

	if (!ping_wanted(src) || apw_now_ms() - ping_last(src, &last) < PING_AGAIN_MS)
		return;
	if (apw_app_link_ping(src->link, PING_TIMEOUT_MS, ping_on_done,
	    &err) == -1 && err.code != EALREADY)
		apw_warn_often("cannot ask how far the app is", APW_E(&err));
}
