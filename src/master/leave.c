/* Leaving: who is waited for, for how long, and the end.  Room: master.
 *
 * Told to stop, the master waits for two things that are not the same: jobs in
 * hand, as long as drain_timeout, and polls that are parked at the app, which
 * may still bring a job: as long as the app holds them.  Who would end with
 * its poll parked loses the job that the app hands to it.  A job that comes by
 * such a poll has drain_timeout from when it came. */
#include "master/master_priv.h"

#include <signal.h>

#include "core/apw_clock.h"
#include "core/apw_module.h"
#include "modules/source/source.h"

/* A signal that comes so soon after another is the same: timeout(1), a Ctrl-C
 * and who signals a group of processes send two. */
#define LEAVE_SAME_MS		1000
/* A slot sees the end of its poll itself, and a little earlier. */
#define LEAVE_POLL_MARGIN_MS	2000
/* Saying good-bye, with nothing in hand: as long as drain_timeout, but. */
#define LEAVE_BYE_MIN_MS	3000
#define LEAVE_BYE_MAX_MS	25000
#define LEAVE_LOOK_MS		1000	/* a job may have come meanwhile */

static int64_t
lesser(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t
bye_ms(const struct master *m)
{
	int64_t	ms = m->cycle->conf->main.drain_timeout_ms;

	return ms < LEAVE_BYE_MIN_MS ? LEAVE_BYE_MIN_MS :
	    lesser(ms, LEAVE_BYE_MAX_MS);
}

/* How long a poll can have been parked when we were told to stop. */
static int64_t
park_ms(const struct mproc *p)
{
	struct apw_cycle	*conf = p->cycle->conf;
	const struct apw_module	*source = conf->source;

	if (source == NULL || source->ops.source->park_ms == NULL)
		return 0;
	return source->ops.source->park_ms(APW_MODULE_CONF(conf, source)) +
	    LEAVE_POLL_MARGIN_MS;
}

/* When this slot is killed, and what for.  A slot writes its record itself:
 * whatever stands there, it gets no more than a poll and a job can take. */
static int64_t
leave_due(const struct master *m, struct mproc *p, int64_t now,
    const char **why)
{
	int64_t	since = atomic_load(&p->score->job_since_ms);
	int64_t	poll = atomic_load(&p->score->poll_until_ms);
	int64_t	drain = m->cycle->conf->main.drain_timeout_ms;
	int64_t	parked = m->stop_ms + park_ms(p), due;

	if (since != 0 || poll != 0)
		p->bye_since_ms = 0;
	else if (p->bye_since_ms == 0)
		p->bye_since_ms = now;
	if (since != 0) {
		*why = "drain_timeout is over";
		due = (since > m->stop_ms ? since : m->stop_ms) + drain;
		return lesser(due, parked + drain);
	}
	if (poll != 0) {
		*why = "its poll was not answered";
		return lesser(poll + LEAVE_POLL_MARGIN_MS, parked);
	}
	*why = "it does not leave";
	return lesser(p->bye_since_ms, parked + drain) + bye_ms(m);
}

static void
leave_now(struct master *m, const char *why)
{
	m->leave = LEAVE_NOW;
	event_del(m->deadline);
	master_trial_refuse(m, "the daemon is leaving");
	apw_notice("stopping at once", APW_S("why", why),
	    APW_I("slots", master_slots_count(m)));
	master_slots_feed(m, NULL, MPROC_EV_KILL);
	master_go_on_leaving(m);
}

/* Those whose time is over; the time of the next one. */
static int64_t
leave_kill(struct master *m, int64_t now, unsigned *killed, const char **why)
{
	struct mproc	*p, *next;
	int64_t		 due, first = now + LEAVE_LOOK_MS, last = 0;
	const char	*reason;

	for (p = TAILQ_FIRST(&m->procs); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		if (p->score == NULL || p->state != MPROC_DRAINING)
			continue;
		due = leave_due(m, p, now, &reason);
		if (due <= now) {
			*why = reason;
			++*killed;
			master_proc_feed(p, MPROC_EV_KILL);
			continue;
		}
		first = lesser(first, due);
		if (atomic_load(&p->score->job_since_ms) != 0 && due > last)
			last = due;
	}
	atomic_store(&m->score->jobs_until_ms, last);
	return first;
}

static void
leave_look(struct master *m)
{
	const char	*why = NULL;
	unsigned	 killed = 0;
	int64_t		 now = apw_now_ms(), ms;
	struct timeval	 tv;

	ms = leave_kill(m, now, &killed, &why) - now;
	if (killed > 0)
		apw_notice("stopping at once", APW_S("why", why),
		    APW_I("slots", killed));
	tv = (struct timeval){ ms / 1000, ms % 1000 * 1000 + 1000 };
	event_add(m->deadline, &tv);
}

void
master_on_leave_timer(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m;

	(void)fd;
	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	if (m->leave == LEAVE_STOP)
		leave_look(m);
}

static void
leave_begin(struct master *m, enum mleave how)
{
	const struct apw_main_conf *main = &m->cycle->conf->main;
	struct mwaited		 w;
	int64_t			 now = apw_now_ms();

	if (m->upgrade.up)	/* the service goes on without us */
		master_notify(m, "MAINPID=%d", (int)m->upgrade.pid);
	else
		master_notify(m, "STOPPING=1\nSTATUS=draining");
	master_waited(m, now, &w);
	if (how == LEAVE_STOP)
		apw_notice("stopping", APW_I("slots", master_slots_count(m)),
		    APW_I("busy", w.busy), APW_I("polls_parked", w.polls),
		    APW_I("drain_timeout_ms", main->drain_timeout_ms));
	else
		apw_notice("draining, then stopping",
		    APW_I("slots", master_slots_count(m)),
		    APW_I("busy", w.busy), APW_I("polls_parked", w.polls));
	m->leave = how;
	m->stop_ms = now;
	m->progress_ms = 0;
	atomic_store(&m->score->draining, 1);
	master_trial_refuse(m, "the daemon is leaving");
	master_roll_end(m);
	master_slots_feed(m, NULL, MPROC_EV_DRAIN);
	if (how == LEAVE_STOP)
		leave_look(m);
	master_go_on_leaving(m);
}

void
master_on_quit(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m;

	(void)fd;
	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	if (m->leave == LEAVE_NOT)
		leave_begin(m, LEAVE_DRAIN);
}

void
master_on_stop(evutil_socket_t signo, short what, void *arg)
{
	struct master	*m;

	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	if (m->leave < LEAVE_STOP) {
		leave_begin(m, LEAVE_STOP);
		return;
	}
	if (apw_now_ms() - m->stop_ms < LEAVE_SAME_MS) {
		apw_debug("the same signal again", APW_I("signal", signo));
		return;
	}
	m->hurry = true;
	leave_now(m, signo == SIGINT ? "second SIGINT" : "second SIGTERM");
}

/* `apworkerctl stop --now`: one signal that cannot be taken for another. */
void
master_on_now(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m;

	(void)fd;
	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	if (m->leave < LEAVE_STOP)
		leave_begin(m, LEAVE_STOP);
	m->hurry = true;
	leave_now(m, "told to stop now");
}

/* Once the slots are gone the monitor goes, then we do. */
void
master_go_on_leaving(struct master *m)
{
	struct mproc	*p, *next;

	if (m->leave == LEAVE_NOT || master_slots_count(m) != 0)
		return;
	event_del(m->deadline);
	m->monitor = NULL;
	for (p = TAILQ_FIRST(&m->procs); p != NULL; p = next) {
		next = TAILQ_NEXT(p, entry);
		master_proc_feed(p, m->hurry ? MPROC_EV_KILL :
		    MPROC_EV_DRAIN);
	}
	if (TAILQ_EMPTY(&m->procs))
		event_base_loopexit(m->base, NULL);
}

void
master_on_settled(struct master *m)
{
	master_go_on_leaving(m);
}
