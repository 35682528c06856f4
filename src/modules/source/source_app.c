/* `source app`: the Activepieces app, over its Socket.IO link.  Makes the
 * connection and the settings exchange, again and again; what goes over it
 * is in app_calls.c and app_poll.c.  Room: source, in a slot. */
#include "modules/source/app_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_log.h"
#include "core/apw_module.h"
#include "proto/apw_raw.h"
#include "proto/apw_rpc.h"

/* The app registers its listeners a moment after it has accepted us; what
 * arrives earlier is lost without a trace. */
#define APP_SETTLE_MIN_MS	40
#define APP_SETTLE_MAX_MS	1000
/* Reconnecting: the reference client's figures, and ours for a refusal. */
#define APP_RETRY_MIN_MS	1000
#define APP_RETRY_MAX_MS	5000
#define APP_REFUSED_MIN_MS	5000
#define APP_REFUSED_MAX_MS	60000
/* A connection that comes and goes is logged so often a minute. */
#define APP_FLAPS_LOGGED	5

static void app_connect(struct apw_source *);

/* now..2^n times as long, at most max, half more or less at random. */
int64_t
app_backoff_ms(int64_t min_ms, int64_t max_ms, unsigned n)
{
	int64_t		ms = min_ms << (n < 10 ? n : 10);
	uint16_t	dice = 0;

	if (ms > max_ms)
		ms = max_ms;
	if (getrandom(&dice, sizeof(dice), 0) == -1)
		dice = 0x8000;
	return ms / 2 + ms * dice / 0xffff;
}

void
app_timer(struct event *ev, int64_t ms)
{
	struct timeval	tv = { ms / 1000, ms % 1000 * 1000 };

	event_add(ev, &tv);
}

/* Not connected any more: tell the slot, come back later. */
static void
app_down(struct apw_source *src, const char *reason, bool refused)
{
	bool	was_ready = src->state == APP_READY;
	int64_t	ms;
	char	why[256];

	src->state = APP_DOWN;
	app_poll_lost(src);
	ms = refused ? app_backoff_ms(APP_REFUSED_MIN_MS, APP_REFUSED_MAX_MS,
	    src->failures) :
	    app_backoff_ms(APP_RETRY_MIN_MS, APP_RETRY_MAX_MS, src->failures);
	src->failures++;
	apw_log_upto(APW_LOG_WARN, was_ready ? APP_FLAPS_LOGGED : 1,
	    was_ready ? "connection to the app lost" : refused ?
	    "the app refuses us; is the worker token right?" :
	    "cannot connect to the app", APW_S("url", src->conf->url),
	    APW_S("reason", reason), APW_I("retry_ms", ms));
	app_timer(src->timer, ms);
	if (refused && !was_ready) {
		snprintf(why, sizeof(why), "the app refuses us: %s", reason);
		src->events.on_blocked(src->arg, why);
	}
	src->events.on_lost(src->arg, reason);
}

static void
app_on_closed(void *arg, const char *reason, bool refused)
{
	struct apw_source	*src;

	APW_CAST(src, arg, APP_MAGIC);
	app_down(src, reason, refused);
}

static void
app_on_left(void *arg)
{
	struct apw_source	*src;

	APW_CAST(src, arg, APP_MAGIC);
	if (src->state == APP_LEAVING)
		src->left(src->left_arg);
}

static void
app_on_open(void *arg)
{
	struct apw_source	*src;

	APW_CAST(src, arg, APP_MAGIC);
	src->state = APP_SETTLING;
	app_ping_guess(src);
	app_timer(src->timer, src->settle_ms);
}

/* What the app says by itself.  Of all its events the contract has one. */
static void
app_on_event(void *arg, struct apw_str name, struct apw_str args)
{
	struct apw_source	*src;
	struct apw_str		 method, payload;

	APW_CAST(src, arg, APP_MAGIC);
	if (src->state != APP_READY || !apw_str_is(name, "rpc-notify"))
		return;
	if (apw_rpc_parse(apw_rpc_first(args), "method", &method,
	    &payload) == -1) {
		apw_warn_often("the app tells something that cannot be read",
		    APW_S("event", "rpc-notify"));
		return;
	}
	src->events.on_notify(src->arg, method, payload);
}

static void
app_on_settings(void *arg, const struct apw_app_link_reply *reply)
{
	struct apw_source	*src;
	struct apw_str		 error;

	APW_CAST(src, arg, APP_MAGIC);
	if (reply->outcome == APW_APP_LINK_LOST)
		return;		/* on_closed tells */
	if (reply->outcome == APW_APP_LINK_OK &&
	    apw_raw_type(reply->result) == APW_RAW_OBJECT &&
	    apw_raw_member(reply->result, "__rpcError", &error) != 1) {
		src->state = APP_READY;
		src->failures = 0;
		app_take_settings(src, reply->result);
		apw_log_upto(APW_LOG_NOTICE, APP_FLAPS_LOGGED,
		    "connected to the app", APW_S("url", src->conf->url),
		    APW_K("app_version", src->app_version),
		    APW_S("dialect", src->dialect->name));
		if (src->ready_before)
			atomic_fetch_add(&src->env->score->reconnects, 1);
		src->ready_before = true;
		app_calls_flush(src);
		src->events.on_ready(src->arg, reply->result);
		/* after it: being ready must not hide why no job comes */
		src->events.on_blocked(src->arg,
		    src->blocked[0] == '\0' ? NULL : src->blocked);
		app_poll_go(src);
		return;
	}
	/* Never ask twice on one connection: the app would then execute every
	 * call twice.  Ask later next time, it may have missed this one. */
	apw_app_link_leave(src->link);
	src->settle_ms = src->settle_ms * 4 > APP_SETTLE_MAX_MS ?
	    APP_SETTLE_MAX_MS : src->settle_ms * 4;
	app_down(src, reply->outcome == APW_APP_LINK_OK ?
	    "the app's settings are no settings" :
	    "the app did not send its settings", false);
}

void
app_machine(struct apw_source *src, struct apw_buf *out)
{
	struct machine_props	 p = {
		.worker_id = src->conf->worker_id,
		.mode = src->env->mode(src->env->arg),
		.slots = src->env->cycle->main.slots,
		.memory_kib = src->memory_limit,
		.reuse = src->env->cycle->engine.reuse != APW_REUSE_AUTO &&
		    src->env->cycle->engine.reuse != APW_REUSE_NONE,
		.version = src->version[0] == '\0' ? NULL : src->version,
		.sparse = src->dialect != NULL && src->dialect->sparse,
		.ping_ms = app_ping_ms(src),
		.slot = src->env->slot,
		.engine_bytes = atomic_load(&src->env->score->engine_bytes),
		.others = apw_score_machine(),
		.cycle = atomic_load(&src->env->score->cycle),
	};
	const char	*id;
	char		 kib[24];

	if (src->env->cycle->engine.memory_bytes != 0) {
		snprintf(kib, sizeof(kib), "%llu", (unsigned long long)
		    src->env->cycle->engine.memory_bytes / 1024);
		p.memory_kib = kib;
	}
	if (!src->env->engine_info(src->env->arg, &id, &p.engine_pid,
	    &p.busy))
		p.engine_pid = 0;
	machine_json(&src->machine, &p, out);
}

static void
app_ask_settings(struct apw_source *src)
{
	struct apw_buf	info = APW_BUF_INIT(1 << 16);
	struct apw_str	part;
	struct apw_err	err = APW_ERR_NONE;

	app_machine(src, &info);
	part = apw_buf_view(&info);
	if (apw_app_link_emit_ack(src->link, "FETCH_WORKER_SETTINGS", &part, 1,
	    src->conf->settings_timeout_ms, app_on_settings, src, &err) == 0) {
		apw_app_link_leave(src->link);
		app_down(src, err.text, false);
	}
	apw_buf_free(&info);
}

static void
app_on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct apw_source	*src;

	(void)fd;
	(void)what;
	APW_CAST(src, arg, APP_MAGIC);
	switch (src->state) {
	case APP_DOWN:
		app_connect(src);
		break;
	case APP_SETTLING:
		app_ask_settings(src);
		break;
	default:
		break;
	}
}

static void
app_connect(struct apw_source *src)
{
	src->state = APP_OPENING;
	apw_app_link_open(src->link);
}

/* Which generation will answer is not known yet: each knows its own keys. */
static void
app_put_group(const struct apw_source *src, struct apw_buf *auth)
{
	static const char *const	names[] = { "L1", "L2" };
	const struct apw_app_dialect	*only = app_conf_dialect(src), *d;
	size_t				 i;

	for (i = 0; i < APW_COUNT(names) && src->conf->group != NULL; i++) {
		d = apw_app_dialect_named(names[i]);
		if (only != NULL && strcmp(only->group_key, d->group_key) != 0)
			continue;
		apw_buf_printf(auth, ",\"%s\":", d->group_key);
		apw_buf_json_c(auth, src->conf->group);
	}
	if (only == NULL || apw_app_can(only->release, APW_APP_PROJECT_WORKER))
		apw_buf_printf(auth, ",\"projectWorker\":%s",
		    src->conf->project_worker ? "true" : "false");
}

static int
app_make_link(struct apw_source *src, struct apw_err *err)
{
	static const struct apw_app_link_events on = {
		.on_open = app_on_open,
		.on_closed = app_on_closed,
		.on_event = app_on_event,
		.on_left = app_on_left,
	};
	struct apw_app_link_conf lc = {
		.url = src->conf->url,
		.ca_file = src->conf->ca_file,
		.insecure = !src->conf->verify,
	};
	struct apw_buf		auth = APW_BUF_INIT(1 << 16);

	apw_buf_puts(&auth, "{\"token\":");
	apw_buf_json(&auth, (struct apw_str){ src->conf->token.value,
	    src->conf->token.n });
	apw_buf_puts(&auth, ",\"workerId\":");
	apw_buf_json_c(&auth, src->conf->worker_id);
	app_put_group(src, &auth);
	apw_buf_puts(&auth, "}");
	if (auth.failed)
		return apw_err_set(err, 0, "worker token too large");
	lc.auth_json = auth.data;
	if (strcmp(src->conf->proxy, "auto") == 0)
		lc.proxy = app_conf_proxy_env(src->conf, NULL);
	else if (strcmp(src->conf->proxy, "off") != 0)
		lc.proxy = src->conf->proxy;
	src->link = apw_app_link_new(src->env->base, &lc, &on, src, err);
	explicit_bzero(auth.data, auth.len);
	apw_buf_free(&auth);
	return src->link == NULL ? -1 : 0;
}

static void
app_close(struct apw_source *src)
{
	if (src == NULL)
		return;
	app_calls_drop(src);
	apw_app_link_free(src->link);
	if (src->timer != NULL)
		event_free(src->timer);
	if (src->poll_timer != NULL)
		event_free(src->poll_timer);
	free(src->api_url);
	free(src->scope);
	src->magic = 0;
	free(src);
}

static struct apw_source *
app_open(const struct apw_source_env *env,
    const struct apw_source_events *events, void *arg, struct apw_err *err)
{
	struct apw_source	*src = calloc(1, sizeof(*src));
	size_t			 n;

	if (src == NULL) {
		apw_err_set(err, ENOMEM, "source app");
		return NULL;
	}
	src->magic = APP_MAGIC;
	src->env = env;
	src->conf = env->conf;
	src->events = *events;
	src->arg = arg;
	src->settle_ms = APP_SETTLE_MIN_MS;
	src->timer = evtimer_new(env->base, app_on_timer, src);
	src->poll_timer = evtimer_new(env->base, app_on_poll_timer, src);
	n = strlen(src->conf->url);
	while (n > 0 && src->conf->url[n - 1] == '/')
		n--;
	if (src->timer == NULL || src->poll_timer == NULL ||
	    asprintf(&src->api_url, "%.*s/api/", (int)n,
	    src->conf->url) == -1) {
		src->api_url = NULL;
		apw_err_set(err, ENOMEM, "source app");
		app_close(src);
		return NULL;
	}
	if (asprintf(&src->scope, "app %s %s", src->api_url,
	    src->conf->group == NULL ? "" : src->conf->group) == -1) {
		src->scope = NULL;
		apw_err_set(err, ENOMEM, "source app");
		app_close(src);
		return NULL;
	}
	if (app_make_link(src, err) == -1) {
		app_close(src);
		return NULL;
	}
	app_timer(src->timer, 0);
	return src;
}

static const char *
app_api_url(struct apw_source *src)
{
	return src->api_url;
}

static void
app_leave(struct apw_source *src, void (*done)(void *), void *arg)
{
	struct apw_str	nothing = APW_STR("{}");

	src->left = done;
	src->left_arg = arg;
	/* off the app's list of workers at once, not in a minute */
	if (src->state == APP_READY)
		apw_app_link_emit(src->link, "DISCONNECT", &nothing, 1, NULL);
	event_del(src->timer);
	src->state = APP_LEAVING;
	apw_app_link_leave(src->link);
}

/* From 0.86 on the app puts back what a connection has when that ends; a poll
 * of it is not parked any more, it has just been answered. */
static void
app_decline(struct apw_source *src, int64_t pause_ms)
{
	struct apw_str	nothing = APW_STR("{}");

	if (src->state != APP_READY)
		return;			/* lost: as good as given back */
	apw_app_link_emit(src->link, "DISCONNECT", &nothing, 1, NULL);
	apw_app_link_leave(src->link);
	src->state = APP_DOWN;
	app_poll_lost(src);
	app_timer(src->timer, pause_ms);
}

static const char *
app_group(struct apw_source *src)
{
	return src->conf->group;
}

static void
app_terms(struct apw_source *src, struct apw_lease_terms *terms)
{
	terms->lock_ms = src->conf->lock_ms;
	terms->scope = src->scope;
}

/* No release of the app lets a poll be called off: one whose connection is
 * gone stays parked, and takes a job with it that nobody gets until the app's
 * lock on it has run out (from 0.86 on, too: what goes back with a connection
 * are jobs that were handed out before). */
static int64_t
app_park_ms(const void *conf)
{
	const struct app_conf	*app = conf;

	return app->poll_timeout_ms;
}

static const struct apw_app_dialect *
app_dialect(struct apw_source *src)
{
	return src->dialect;
}

static const struct apw_source_ops app_ops = {
	.open = app_open,
	.want = app_want,
	.unwant = app_unwant,
	.park_ms = app_park_ms,
	.call = app_call, .call_binary = app_call_binary,
	.cancel = app_cancel,
	.internal_api_url = app_api_url,
	.group = app_group,
	.dialect = app_dialect,
	.terms = app_terms,
	.decline = app_decline,
	.leave = app_leave,
	.close = app_close,
};

struct apw_module apw_source_app_module = {
	.name = "source_app",
	.block = "app",
	.help = "Jobs of an Activepieces app.",
	.kind = APW_MODULE_SOURCE,
	.directives = app_directives,
	.conf_size = sizeof(struct app_conf),
	.check = app_conf_check,
	.fit = app_conf_fit,
	.ops.source = &app_ops,
};
