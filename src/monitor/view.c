/* A copy of the scoreboard to print from.  Room: monitor.  Texts in it were
 * written by slots: they are made UTF-8 here, once. */
#include "monitor/pages_priv.h"

#include <stdlib.h>
#include <string.h>

#include "core/apw_clock.h"
#include "proto/apw_raw.h"

#define ALIVE_MS	10000	/* the master turns its loop every second */
#define STALLED_MS	180000	/* a poll is over after 65 s, whatever happens */

static void
make_utf8(char *s)
{
	const char	*end = s + strlen(s);
	size_t		 n;

	while (s < end) {
		if ((n = apw_raw_utf8_length(s, end)) == 0)
			*s = '?', n = 1;
		s += n;
	}
}

static void
copy_text(const _Atomic uint32_t *seq, char *dst, const char *src, size_t n)
{
	apw_score_text(seq, dst, n, src, n);
	make_utf8(dst);
}

#define TEXT(field) copy_text(&s->seq, to->field, s->field, sizeof(to->field))
#define NUMBER(field) (to->field = atomic_load(&s->field))

static void
copy_slot(struct mon_slot *to, const struct apw_score_slot *s)
{
	NUMBER(number);
	NUMBER(cycle);
	NUMBER(pid);
	NUMBER(started_wall_ms);
	NUMBER(rest_until_ms);
	NUMBER(state);
	NUMBER(state_since_ms);
	NUMBER(tick_ms);
	NUMBER(last_poll_ms);
	NUMBER(poll_round_ms);
	NUMBER(poll_until_ms);
	NUMBER(engine_pid);
	NUMBER(job_since_ms);
	TEXT(phase);
	TEXT(job_id);
	TEXT(job_type);
	TEXT(mode);
	TEXT(why);
	TEXT(app_version);
	TEXT(notice);
	TEXT(network);
	TEXT(network_from);
	TEXT(fence);
	TEXT(network_rules);
}

static int
by_cycle_and_number(const void *a, const void *b)
{
	const struct mon_slot	*x = a, *y = b;

	if (x->cycle != y->cycle)
		return x->cycle < y->cycle ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

int
mon_view_take(struct mon_view *v, const struct apw_score *score)
{
	size_t	i, used = 0, records = atomic_load(&score->records);

	*v = (struct mon_view){ .now_ms = apw_now_ms(),
	    .wall_ms = apw_wall_ms() };
	v->master_pid = atomic_load(&score->master_pid);
	v->tick_ms = atomic_load(&score->tick_ms);
	v->started_wall_ms = atomic_load(&score->started_wall_ms);
	v->reloaded_wall_ms = atomic_load(&score->reloaded_wall_ms);
	v->reload_began_ms = atomic_load(&score->reload_began_ms);
	v->refused = atomic_load(&score->reload_refused) != 0;
	v->reloading = atomic_load(&score->reloading) != 0;
	v->cycle = atomic_load(&score->cycle);
	v->slots_wanted = atomic_load(&score->slots);
	v->reloads_ok = atomic_load(&score->reloads_ok);
	v->reloads_failed = atomic_load(&score->reloads_failed);
	v->draining = atomic_load(&score->draining) != 0;
	copy_text(&score->seq, v->reload_message, score->reload_error,
	    sizeof(v->reload_message));
	apw_score_count(score, &v->total);
	v->jobs_until_ms = atomic_load(&score->jobs_until_ms);
	v->total.log_dropped += atomic_load(&score->monitor_log_dropped);
	if (records > APW_SCORE_SLOTS)
		records = APW_SCORE_SLOTS;
	for (i = 0; i < records; i++)
		used += atomic_load(&score->slot[i].number) != 0;
	if ((v->slot = calloc(used + 1, sizeof(*v->slot))) == NULL)
		return -1;
	for (i = 0; i < records && v->n < used; i++) {
		if (atomic_load(&score->slot[i].number) == 0)
			continue;
		copy_slot(&v->slot[v->n], &score->slot[i]);
		/* what draining slots count is theirs until they leave */
		apw_score_count_slot(score, &score->slot[i],
		    v->slot[v->n].cycle == v->cycle, &v->slot[v->n].counts);
		v->able += mon_view_able(v, &v->slot[v->n]);
		v->n++;
	}
	qsort(v->slot, v->n, sizeof(*v->slot), by_cycle_and_number);
	return 0;
}

void
mon_view_free(struct mon_view *v)
{
	free(v->slot);
	v->slot = NULL;
}

/* It comes and goes, and is none of the slots that are counted. */
bool
mon_is_errand(const struct mon_slot *s)
{
	return s->number == APW_SCORE_ERRAND;
}

/* Does this slot take jobs, now or after the one it has? */
bool
mon_view_able(const struct mon_view *v, const struct mon_slot *s)
{
	return s->cycle == v->cycle && !mon_is_errand(s) &&
	    (s->state == APW_SLOT_IDLE || s->state == APW_SLOT_BUSY);
}

bool
mon_view_alive(const struct mon_view *v)
{
	return v->now_ms - v->tick_ms < ALIVE_MS;
}

bool
mon_view_ready(const struct mon_view *v)
{
	return !v->draining && v->able > 0;
}

/* Slots that may not take jobs do not poll: they are another matter, and
 * /readyz has it. */
bool
mon_view_stalled(const struct mon_view *v)
{
	const struct mon_slot	*s;
	size_t			 i;

	for (i = 0; i < v->n; i++) {
		s = &v->slot[i];
		if (s->state == APW_SLOT_IDLE && s->poll_round_ms != 0 &&
		    v->now_ms - s->poll_round_ms > STALLED_MS)
			return true;
	}
	return false;
}
