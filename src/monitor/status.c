/* Status, readiness and liveness as JSON.  Room: monitor. */
#include "config.h"

#include "monitor/pages_priv.h"

#include <inttypes.h>

#include "core/apw_clock.h"

static void
put_text(struct apw_buf *b, const char *key, const char *text)
{
	apw_buf_printf(b, ",\"%s\":", key);
	apw_buf_json_c(b, text);
}

/* A time that never was is null. */
static void
put_time(struct apw_buf *b, const char *key, int64_t wall_ms)
{
	char	text[APW_ISO8601_SIZE];

	if (wall_ms == 0)
		apw_buf_printf(b, ",\"%s\":null", key);
	else
		apw_buf_printf(b, ",\"%s\":\"%s\"", key,
		    apw_iso8601(wall_ms, text));
}

static void
put_age(struct apw_buf *b, const char *key, int64_t now_ms, int64_t since_ms)
{
	if (since_ms == 0)
		apw_buf_printf(b, ",\"%s\":null", key);
	else
		apw_buf_printf(b, ",\"%s\":%" PRId64, key, now_ms - since_ms);
}

static void
put_counters(struct apw_buf *b, const struct apw_score_counts *c)
{
	apw_buf_printf(b, ",\"starts\":%" PRIu64 ",\"deaths\":%" PRIu64
	    ",\"jobs\":{\"started\":%" PRIu64 ",\"ok\":%" PRIu64
	    ",\"failed\":%" PRIu64 ",\"unknown\":%" PRIu64 "},\"engines\":{\"starts\":%" PRIu64
	    ",\"deaths\":%" PRIu64 "},\"reconnects\":%" PRIu64
	    ",\"busy_ms\":%" PRIu64 ",\"log_dropped\":%" PRIu64,
	    c->starts, c->deaths, c->jobs_started, c->jobs_ok,
	    c->jobs_failed, c->jobs_unknown, c->engine_starts, c->engine_deaths,
	    c->reconnects, c->busy_ms, c->log_dropped);
	apw_buf_printf(b, ",\"egress\":{\"allowed\":%" PRIu64
	    ",\"blocked\":%" PRIu64 ",\"failed\":%" PRIu64
	    ",\"sent_bytes\":%" PRIu64 ",\"received_bytes\":%" PRIu64 "}",
	    c->egress_allowed, c->egress_blocked, c->egress_failed,
	    c->egress_sent_bytes, c->egress_received_bytes);
}

static void
put_job(struct apw_buf *b, const struct mon_view *v, const struct mon_slot *s)
{
	if (s->job_id[0] == '\0' && s->job_since_ms == 0) {
		apw_buf_puts(b, ",\"job\":null");
		return;
	}
	apw_buf_puts(b, ",\"job\":{\"id\":");
	apw_buf_json_c(b, s->job_id);
	put_text(b, "type", s->job_type);
	put_text(b, "phase", s->phase);
	put_age(b, "age_ms", v->now_ms, s->job_since_ms);
	apw_buf_puts(b, "}");
}

static void
put_slot(struct apw_buf *b, const struct mon_view *v, const struct mon_slot *s)
{
	apw_buf_puts(b, "{");
	if (!mon_is_errand(s))
		apw_buf_printf(b, "\"slot\":%u,", s->number);
	apw_buf_printf(b, "\"cycle\":%u,\"state\":\"%s\",\"able\":%s",
	    s->cycle, apw_slot_state_name(s->state),
	    mon_view_able(v, s) ? "true" : "false");
	put_age(b, "since_ms", v->now_ms, s->state_since_ms);
	apw_buf_printf(b, ",\"pid\":%d", s->pid);
	put_age(b, "age_ms", v->wall_ms, s->started_wall_ms);
	put_age(b, "tick_age_ms", v->now_ms, s->tick_ms);
	put_age(b, "poll_age_ms", v->now_ms, s->last_poll_ms);
	put_age(b, "poll_left_ms", s->poll_until_ms, s->poll_until_ms == 0 ?
	    0 : v->now_ms);
	if (s->rest_until_ms > v->now_ms)
		apw_buf_printf(b, ",\"rest_ms\":%" PRId64,
		    s->rest_until_ms - v->now_ms);
	put_text(b, "mode", s->mode);
	put_text(b, "why", s->why);
	put_text(b, "app_version", s->app_version);
	put_text(b, "notice", s->notice);
	apw_buf_puts(b, ",\"network\":{\"mode\":");
	apw_buf_json_c(b, s->network);
	put_text(b, "from", s->network_from);
	put_text(b, "held_by", s->fence);
	put_text(b, "rules", s->network_rules);
	apw_buf_puts(b, "}");
	apw_buf_printf(b, ",\"engine_pid\":%d", s->engine_pid);
	put_job(b, v, s);
	put_counters(b, &s->counts);
	apw_buf_puts(b, "}");
}

/* What a daemon that leaves waits for. */
static void
put_leaving(struct apw_buf *b, const struct mon_view *v)
{
	unsigned	busy = 0, polls = 0;
	int64_t		until = 0;
	size_t		i;

	if (!v->draining) {
		apw_buf_puts(b, ",\"leaving\":null");
		return;
	}
	for (i = 0; i < v->n; i++) {
		busy += v->slot[i].job_since_ms != 0;
		polls += v->slot[i].poll_until_ms != 0;
		if (v->slot[i].poll_until_ms > until)
			until = v->slot[i].poll_until_ms;
	}
	apw_buf_printf(b, ",\"leaving\":{\"busy\":%u,\"polls_parked\":%u",
	    busy, polls);
	put_age(b, "poll_left_ms", until, until == 0 ? 0 : v->now_ms);
	put_age(b, "jobs_left_ms", v->jobs_until_ms, v->jobs_until_ms == 0 ?
	    0 : v->now_ms);
	apw_buf_puts(b, "}");
}

void
mon_status_json(const struct mon_view *v, struct apw_buf *b)
{
	const struct mon_slot	*errand = NULL;
	size_t			 i;
	bool			 first = true;

	apw_buf_printf(b, "{\"version\":\"%s\",\"pid\":%d", PACKAGE_VERSION,
	    v->master_pid);
	put_time(b, "started", v->started_wall_ms);
	put_age(b, "uptime_ms", v->wall_ms, v->started_wall_ms);
	apw_buf_printf(b, ",\"alive\":%s,\"ready\":%s,\"draining\":%s,"
	    "\"cycle\":%u,\"slots_wanted\":%u,\"slots_able\":%u",
	    mon_view_alive(v) ? "true" : "false",
	    mon_view_ready(v) ? "true" : "false",
	    v->draining ? "true" : "false", v->cycle, v->slots_wanted,
	    v->able);
	apw_buf_printf(b, ",\"reload\":{\"ok\":%u,\"failed\":%u",
	    v->reloads_ok, v->reloads_failed);
	put_time(b, "at", v->reloaded_wall_ms);
	apw_buf_printf(b, ",\"began_ms\":%" PRId64
	    ",\"refused\":%s,\"pending\":%s", v->reload_began_ms,
	    v->refused ? "true" : "false", v->reloading ? "true" : "false");
	put_text(b, "message", v->reload_message);
	apw_buf_puts(b, "}");
	put_leaving(b, v);
	apw_buf_puts(b, ",\"total\":{\"since\":\"start\"");
	put_counters(b, &v->total);
	apw_buf_puts(b, "},\"slots\":[");
	for (i = 0; i < v->n; i++) {
		if (mon_is_errand(&v->slot[i])) {
			errand = &v->slot[i];
			continue;
		}
		apw_buf_puts(b, first ? "" : ",");
		put_slot(b, v, &v->slot[i]);
		first = false;
	}
	apw_buf_puts(b, "],\"errand\":");
	if (errand != NULL)
		put_slot(b, v, errand);
	else
		apw_buf_puts(b, "null");
	apw_buf_puts(b, "}\n");
}

static const char *
ready_reason(const struct mon_view *v)
{
	if (v->draining)
		return "the daemon is leaving";
	if (v->slots_wanted == 0)
		return "no slots are wanted";
	return v->able == 0 ? "no slot takes jobs" : "";
}

/* Each slot that takes no job says why; a draining one of an earlier
 * configuration is nothing to worry about. */
void
mon_ready_json(const struct mon_view *v, struct apw_buf *b)
{
	size_t		i;
	bool		first = true;

	apw_buf_printf(b, "{\"ready\":%s,\"slots_wanted\":%u,"
	    "\"slots_able\":%u", mon_view_ready(v) ? "true" : "false",
	    v->slots_wanted, v->able);
	put_text(b, "reason", ready_reason(v));
	apw_buf_puts(b, ",\"slots\":[");
	for (i = 0; i < v->n; i++) {
		const struct mon_slot *s = &v->slot[i];

		if (mon_view_able(v, s) || s->cycle != v->cycle ||
		    mon_is_errand(s))
			continue;
		apw_buf_printf(b, "%s{\"slot\":%u,\"state\":\"%s\"",
		    first ? "" : ",", s->number,
		    apw_slot_state_name(s->state));
		put_text(b, "why", s->why);
		put_age(b, "since_ms", v->now_ms, s->state_since_ms);
		apw_buf_puts(b, "}");
		first = false;
	}
	apw_buf_puts(b, "]}\n");
}

void
mon_live_json(const struct mon_view *v, struct apw_buf *b)
{
	apw_buf_printf(b, "{\"alive\":%s,\"master_tick_age_ms\":%" PRId64 "}\n",
	    mon_view_alive(v) ? "true" : "false", v->now_ms - v->tick_ms);
}
