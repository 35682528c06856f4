/* The same figures for Prometheus (text format 0.0.4).  Room: monitor. */
#include "config.h"

#include "monitor/pages_priv.h"

#include <inttypes.h>

#include "core/apw_auto.h"

static void
head(struct apw_buf *b, const char *name, const char *type, const char *help)
{
	apw_buf_printf(b, "# HELP apworkerd_%s %s\n# TYPE apworkerd_%s %s\n",
	    name, help, name, type);
}

static void
one(struct apw_buf *b, const char *name, const char *type, const char *help,
    uint64_t value)
{
	head(b, name, type, help);
	apw_buf_printf(b, "apworkerd_%s %" PRIu64 "\n", name, value);
}

static void
states(const struct mon_view *v, struct apw_buf *b)
{
	unsigned	n[APW_SLOT_NSTATES] = { 0 };
	size_t		i;

	for (i = 0; i < v->n; i++)
		if (v->slot[i].state < APW_SLOT_NSTATES &&
		    !mon_is_errand(&v->slot[i]))
			n[v->slot[i].state]++;
	head(b, "slots", "gauge", "Slots by state.");
	for (i = APW_SLOT_FREE + 1; i < APW_SLOT_NSTATES; i++)
		apw_buf_printf(b, "apworkerd_slots{state=\"%s\"} %u\n",
		    apw_slot_state_name(i), n[i]);
}

/* How long ago any slot had an answer to its poll; and the oldest job. */
static void
ages(const struct mon_view *v, struct apw_buf *b)
{
	int64_t	poll = 0, job = 0;
	size_t	i;

	for (i = 0; i < v->n; i++) {
		if (v->slot[i].last_poll_ms > poll)
			poll = v->slot[i].last_poll_ms;
		if (v->slot[i].job_since_ms != 0 &&
		    v->now_ms - v->slot[i].job_since_ms > job)
			job = v->now_ms - v->slot[i].job_since_ms;
	}
	if (poll != 0) {
		head(b, "poll_age_seconds", "gauge",
		    "Since the last answer to a poll.");
		apw_buf_printf(b, "apworkerd_poll_age_seconds %.3f\n",
		    (v->now_ms - poll) / 1000.0);
	}
	head(b, "oldest_job_seconds", "gauge", "Age of the longest job.");
	apw_buf_printf(b, "apworkerd_oldest_job_seconds %.3f\n", job / 1000.0);
}

void
mon_metrics_text(const struct mon_view *v, struct apw_buf *b)
{
	const struct apw_score_counts	*t = &v->total;

	head(b, "info", "gauge", "Version.");
	apw_buf_printf(b, "apworkerd_info{version=\"%s\"} 1\n",
	    PACKAGE_VERSION);
	one(b, "ready", "gauge", "1: jobs are taken.", mon_view_ready(v));
	one(b, "draining", "gauge", "1: the daemon is leaving.", v->draining);
	one(b, "cycle", "gauge", "Number of the configuration in use.",
	    v->cycle);
	one(b, "slots_wanted", "gauge", "Slots of the configuration.",
	    v->slots_wanted);
	states(v, b);
	ages(v, b);
	head(b, "reloads_total", "counter", "Reloads by result.");
	apw_buf_printf(b, "apworkerd_reloads_total{result=\"ok\"} %u\n"
	    "apworkerd_reloads_total{result=\"failed\"} %u\n", v->reloads_ok,
	    v->reloads_failed);
	one(b, "slot_starts_total", "counter", "Slot processes started.",
	    t->starts);
	one(b, "slot_deaths_total", "counter", "Slots that died unasked.",
	    t->deaths);
	one(b, "jobs_started_total", "counter", "Jobs taken.",
	    t->jobs_started);
	one(b, "jobs_ok_total", "counter", "Jobs that ended well.",
	    t->jobs_ok);
	one(b, "jobs_failed_total", "counter", "Jobs that did not.",
	    t->jobs_failed);
	one(b, "jobs_unknown_total", "counter",
	    "Jobs of a type that this build does not know.", t->jobs_unknown);
	one(b, "engine_starts_total", "counter", "Engines started.",
	    t->engine_starts);
	one(b, "engine_deaths_total", "counter", "Engines that died unasked.",
	    t->engine_deaths);
	one(b, "reconnects_total", "counter", "Connections to the app lost.",
	    t->reconnects);
	one(b, "log_dropped_lines_total", "counter",
	    "Log lines that could not be written.", t->log_dropped);
	head(b, "egress_total", "counter", "Connections out, by verdict.");
	apw_buf_printf(b, "apworkerd_egress_total{verdict=\"allowed\"} %" PRIu64
	    "\napworkerd_egress_total{verdict=\"blocked\"} %" PRIu64
	    "\napworkerd_egress_total{verdict=\"failed\"} %" PRIu64 "\n",
	    t->egress_allowed, t->egress_blocked, t->egress_failed);
	head(b, "egress_bytes_total", "counter", "Bytes of them.");
	apw_buf_printf(b, "apworkerd_egress_bytes_total{way=\"sent\"} %" PRIu64
	    "\napworkerd_egress_bytes_total{way=\"received\"} %" PRIu64 "\n",
	    t->egress_sent_bytes, t->egress_received_bytes);
	head(b, "busy_seconds_total", "counter", "Time slots had a job.");
	apw_buf_printf(b, "apworkerd_busy_seconds_total %.3f\n",
	    t->busy_ms / 1000.0);
}
