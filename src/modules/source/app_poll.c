/* Polling the app: one poll at a time is parked there until it hands out a
 * job or 50 s are over.  Room: source, in a slot.  Until when it is parked
 * stands in the scoreboard: who ends the daemon waits for it. */
#include "modules/source/app_priv.h"

#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "proto/apw_raw.h"

/* "No job" at once means that the app will not give us any (release gate):
 * asking again and again would only burn both sides. */
#define POLL_FAST_MS		1000
#define POLL_FAST_PAUSE_MS	5000
#define POLL_RETRY_MIN_MS	1000
#define POLL_RETRY_MAX_MS	25000

/* 0: no poll is parked. */
static void
poll_parked(struct apw_source *src, int64_t until_ms)
{
	atomic_store(&src->env->score->poll_until_ms, until_ms);
}

/* The round of polls turns: who watches it (the health page) looks how long
 * ago.  A slot that may not poll, or has no connection, has none. */
static void
poll_round(struct apw_source *src)
{
	bool	turns = src->wanted && src->state == APP_READY &&
	    src->blocked[0] == '\0';

	atomic_store(&src->env->score->poll_round_ms, turns ? apw_now_ms() :
	    0);
}

static void
poll_idle(struct apw_source *src)
{
	src->wanted = src->unwanting = false;
	poll_round(src);
	event_del(src->poll_timer);
	src->events.on_idle(src->arg);
}

static void
poll_again(struct apw_source *src, int64_t pause_ms)
{
	poll_parked(src, 0);
	poll_round(src);
	if (src->unwanting)
		poll_idle(src);
	else if (pause_ms == 0)
		app_poll_go(src);
	else
		app_timer(src->poll_timer, pause_ms);
}

static void
poll_on_job(struct apw_source *src, struct apw_str job)
{
	src->wanted = src->unwanting = false;
	poll_round(src);
	src->events.on_job(src->arg, job);
	/* after it: at no moment does it look as if we had neither */
	poll_parked(src, 0);
}

static void
poll_on_reply(void *arg, const struct apw_app_link_reply *reply)
{
	struct apw_source	*src;
	int64_t			 now_ms = apw_now_ms(), pause_ms;

	APW_CAST(src, arg, APP_MAGIC);
	src->parked = 0;
	switch (reply->outcome) {
	case APW_APP_LINK_OK:
		src->poll_errors = 0;
		atomic_store(&src->env->score->last_poll_ms, now_ms);
		if (apw_raw_type(reply->result) == APW_RAW_OBJECT) {
			poll_on_job(src, reply->result);
			return;
		}
		if (apw_raw_type(reply->result) != APW_RAW_NULL)
			apw_warn_often("the app's answer to a poll is neither a job "
			    "nor null", APW_SN("answer", ((struct apw_str){
			    reply->result.p, reply->result.n < 200 ?
			    reply->result.n : 200 })));
		pause_ms = now_ms - src->polled_ms < POLL_FAST_MS ?
		    app_backoff_ms(POLL_FAST_PAUSE_MS, POLL_FAST_PAUSE_MS, 0) +
		    POLL_FAST_PAUSE_MS / 2 : 0;
		poll_again(src, pause_ms);
		return;
	case APW_APP_LINK_LOST:
		return;		/* app_poll_lost() */
	default:
		pause_ms = app_backoff_ms(POLL_RETRY_MIN_MS,
		    POLL_RETRY_MAX_MS, src->poll_errors++);
		apw_warn_often("poll failed", APW_S("reason", reply->error),
		    APW_I("retry_ms", pause_ms));
		poll_again(src, pause_ms);
	}
}

void
app_poll_go(struct apw_source *src)
{
	struct apw_buf	info = APW_BUF_INIT(1 << 16);
	struct apw_err	err = APW_ERR_NONE;
	struct apw_str	part;

	if (!src->wanted || src->unwanting || src->parked != 0 ||
	    src->state != APP_READY || src->blocked[0] != '\0')
		return;
	poll_round(src);
	event_del(src->poll_timer);
	app_machine(src, &info);
	part = apw_buf_view(&info);
	src->polled_ms = apw_now_ms();
	src->parked = apw_app_link_rpc(src->link, "poll", &part, 1, NULL,
	    src->conf->poll_timeout_ms, poll_on_reply, src, &err);
	if (src->parked == 0) {
		apw_warn_often("cannot poll", APW_E(&err));
		app_timer(src->poll_timer, POLL_RETRY_MIN_MS);
	} else
		poll_parked(src, src->polled_ms + src->conf->poll_timeout_ms);
	apw_buf_free(&info);
	app_ping_go(src);
}

void
app_on_poll_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_source	*src;

	(void)fd;
	(void)what;
	APW_CAST(src, arg, APP_MAGIC);
	if (src->unwanting && src->parked == 0)
		poll_idle(src);
	else
		app_poll_go(src);
}

void
app_want(struct apw_source *src)
{
	src->wanted = true;
	src->unwanting = false;
	poll_round(src);
	/* from the loop, so that on_job never comes from inside */
	if (src->parked == 0 && !event_pending(src->poll_timer, EV_TIMEOUT,
	    NULL))
		app_timer(src->poll_timer, 0);
}

void
app_unwant(struct apw_source *src)
{
	src->unwanting = true;
	if (src->parked == 0)
		app_timer(src->poll_timer, 0);
}

/* The connection is gone, and with it the parked poll. */
void
app_poll_lost(struct apw_source *src)
{
	src->parked = 0;
	src->poll_errors = 0;
	poll_parked(src, 0);
	poll_round(src);
	if (src->unwanting)
		app_timer(src->poll_timer, 0);
	else
		event_del(src->poll_timer);
}
