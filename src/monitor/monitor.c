/* The monitor process: its loop and its signals.  Room: monitor.  It knows
 * the scoreboard and nothing else: the first thing it does is to forget the
 * secrets it was born with. */
#include "monitor/monitor.h"

#include <signal.h>

#include <event2/event.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_conf.h"
#include "core/apw_exit.h"
#include "core/apw_log.h"
#include "http/httpd.h"
#include "monitor/pages_priv.h"

#define DRAIN_S		2
#define TICK_S		1

/* Clients are few, and whoever they are nothing tells them apart.  A head has
 * one deadline, however busy it looks. */
static const struct apw_httpd_limits limits = {
	.conns = 64, .strangers = 64, .requests = 1000,
	.head_bytes = 4096, .out_bytes = 8 << 20,
	.head_ms = 10000, .idle_ms = 10000, .stall_ms = 10000,
	.body_ms = 30000,
};

#define MONITOR_MAGIC	0x6d6f6e69
struct monitor {
	uint32_t		 magic;
	struct event_base	*base;
	struct apw_httpd	*http;
	struct apw_score	*score;		/* borrowed; read-only but
						 * for our page */
	bool			 draining;
};

static void
monitor_on_drained(void *arg)
{
	struct monitor	*mon;

	APW_CAST(mon, arg, MONITOR_MAGIC);
	event_base_loopexit(mon->base, NULL);
}

static void
monitor_on_leave(evutil_socket_t fd, short what, void *arg)
{
	const struct timeval	 tv = { DRAIN_S, 0 };
	struct monitor		*mon;

	(void)fd;
	(void)what;
	APW_CAST(mon, arg, MONITOR_MAGIC);
	if (mon->draining)
		return;
	mon->draining = true;
	event_base_loopexit(mon->base, &tv);
	apw_httpd_drain(mon->http, monitor_on_drained, mon);
}

/* The one page that we write: our master looks whether we live. */
static void
monitor_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct monitor	*mon;

	(void)fd;
	(void)what;
	APW_CAST(mon, arg, MONITOR_MAGIC);
	atomic_store(&mon->score->monitor_tick_ms, apw_now_ms());
	apw_log_tick(apw_now_ms());
}

static void
monitor_on_stop(evutil_socket_t fd, short what, void *arg)
{
	struct monitor	*mon;

	(void)fd;
	(void)what;
	APW_CAST(mon, arg, MONITOR_MAGIC);
	event_base_loopexit(mon->base, NULL);
}

static void
monitor_on_reopen(evutil_socket_t fd, short what, void *arg)
{
	struct apw_err	err = APW_ERR_NONE;

	(void)fd;
	(void)what;
	(void)arg;
	if (apw_log_reopen(&err) == -1)
		apw_error("cannot reopen the log; the old one stays",
		    APW_E(&err));
}

int
apw_monitor_main(struct apw_cycle *cycle, struct apw_score *score,
    const int *listen_fds, size_t nfds)
{
	static const struct { int signo; event_callback_fn on; } signals[] = {
		{ SIGQUIT, monitor_on_leave  },
		{ SIGTERM, monitor_on_leave  },
		{ SIGINT,  monitor_on_stop   },
		{ SIGUSR1, monitor_on_reopen },
	};
	const struct timeval	 second = { TICK_S, 0 };
	struct event	*ev[APW_COUNT(signals)], *tick;
	struct monitor	 mon = { .magic = MONITOR_MAGIC, .score = score };
	struct apw_err	 err = APW_ERR_NONE;
	size_t		 i;
	int		 rc;

	apw_secrets_wipe(cycle);
	signal(SIGPIPE, SIG_IGN);
	if ((mon.base = event_base_new()) == NULL)
		return APW_EXIT_OS;
	for (i = 0; i < APW_COUNT(signals); i++) {
		ev[i] = evsignal_new(mon.base, signals[i].signo,
		    signals[i].on, &mon);
		if (ev[i] == NULL || event_add(ev[i], NULL) == -1)
			return APW_EXIT_OS;
	}
	tick = event_new(mon.base, -1, EV_PERSIST, monitor_on_tick, &mon);
	if (tick == NULL || event_add(tick, &second) == -1)
		return APW_EXIT_OS;
	mon.http = apw_httpd_new(mon.base, listen_fds, nfds, &limits,
	    &mon_pages, score, &err);
	if (mon.http == NULL) {
		apw_error("cannot serve", APW_E(&err));
		return APW_EXIT_OS;
	}
	rc = event_base_dispatch(mon.base);
	event_free(tick);
	apw_httpd_free(mon.http);
	for (i = 0; i < APW_COUNT(signals); i++)
		event_free(ev[i]);
	event_base_free(mon.base);
	return rc == -1 ? APW_EXIT_OS : APW_EXIT_OK;
}
