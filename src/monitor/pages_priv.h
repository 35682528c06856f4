/* What the monitor tells.  Room monitor only. */
#ifndef APW_MONITOR_PAGES_PRIV_H
#define APW_MONITOR_PAGES_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "core/apw_buf.h"
#include "core/apw_score.h"
#include "http/httpd.h"

/* One slot's record, copied: it does not change while we print it. */
struct mon_slot {
	unsigned	number, cycle;
	int		pid, engine_pid;
	enum apw_slot_state state;
	int64_t		started_wall_ms, rest_until_ms, state_since_ms,
			tick_ms, last_poll_ms, poll_round_ms, job_since_ms, poll_until_ms;
	struct apw_score_counts counts;	/* of slots of this number */
	char		phase[32], job_id[64], job_type[40], mode[32],
			why[256], app_version[32], notice[256], network[16],
			network_from[32], fence[16], network_rules[1024];
};

/* The scoreboard at one moment. */
struct mon_view {
	int64_t		now_ms, wall_ms;
	int		master_pid;
	int64_t		tick_ms, started_wall_ms, reloaded_wall_ms;
	int64_t		reload_began_ms, jobs_until_ms;
	unsigned	cycle, slots_wanted, reloads_ok, reloads_failed;
	bool		draining, reloading, refused;
	char		reload_message[512];
	struct apw_score_counts total;	/* since the start */
	struct mon_slot *slot;		/* owned */
	size_t		n;
	unsigned	able;		/* slots of `cycle` that take jobs */
};

/* view.c */
int	mon_view_take(struct mon_view *, const struct apw_score *);
void	mon_view_free(struct mon_view *);
bool	mon_is_errand(const struct mon_slot *);
bool	mon_view_able(const struct mon_view *, const struct mon_slot *);
bool	mon_view_alive(const struct mon_view *);
bool	mon_view_ready(const struct mon_view *);
/* A slot that is connected and has no job has long stopped to poll. */
bool	mon_view_stalled(const struct mon_view *);

/* status.c, metrics.c */
void	mon_status_json(const struct mon_view *, struct apw_buf *);
void	mon_ready_json(const struct mon_view *, struct apw_buf *);
void	mon_live_json(const struct mon_view *, struct apw_buf *);
void	mon_metrics_text(const struct mon_view *, struct apw_buf *);

/* pages.c; their argument is the scoreboard. */
extern const struct apw_httpd_ops mon_pages;

#endif
