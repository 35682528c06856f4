/* The master's loop: signals and the tick; leaving is in leave.c.  Room:
 * master.  It starts and re-starts the others and must never wait for one of them; it
 * reads nothing that comes from outside but signals and its own
 * configuration. */
#include "config.h"

#include "master/master_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "broker/broker.h"
#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "core/apw_start.h"
#include "master/dirs.h"
#include "master/folders.h"
#include "master/handoff.h"
#include "master/pidfile.h"
#include "master/state.h"

#define TICK_MS		1000
#define TICK_BOOT_MS	50	/* while somebody is starting */
#define TICK_LATE_MS	5000	/* we were stopped, or the host was */

static void
tick_again(struct master *m, int64_t ms)
{
	const struct timeval	tv = { ms / 1000, (ms % 1000) * 1000 };

	event_add(m->tick, &tv);
}

static void
master_on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m;
	int64_t		 now = apw_now_ms(), late;
	bool		 hurry;

	(void)fd;
	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	atomic_store(&m->score->tick_ms, now);
	late = m->tick_ms != 0 && now - m->tick_ms > TICK_LATE_MS ?
	    now - m->tick_ms : 0;
	hurry = master_watch_boots(m);
	master_watch_progress(m, now, late != 0);
	hurry |= master_trial_watch(m, now, late);
	master_errand_tick(m, now);
	master_say_progress(m, now);
	master_upgrade_watch(m);
	master_notify_tick(m, now);
	master_folders_tick(m, now);
	master_note_innocents(m);
	apw_score_machine_update(m->score);
	apw_log_tick(now);
	m->tick_ms = now;
	tick_again(m, hurry ? TICK_BOOT_MS : m->notify.watchdog_ms > 0 &&
	    m->notify.watchdog_ms / 3 < TICK_MS ?
	    m->notify.watchdog_ms / 3 + 1 : TICK_MS);
}

static void
master_on_reload(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m;

	(void)fd;
	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	if (m->leave != LEAVE_NOT) {
		apw_warn("reload ignored: on our way out");
		return;
	}
	/* one at a time; of many that come meanwhile one is enough, for the
	 * file is read after the last of them */
	m->reload_again = true;
	master_trial_watch(m, apw_now_ms(), 0);
	tick_again(m, TICK_BOOT_MS);
}

static void
master_on_upgrade(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m;

	(void)fd;
	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	master_upgrade(m);
	tick_again(m, TICK_BOOT_MS);
}

static void
signal_children(struct master *m, int signo)
{
	struct mproc	*p;

	TAILQ_FOREACH(p, &m->procs, entry)
		if (p->pid != 0)
			master_proc_signal(p, signo);
}

static void
master_on_reopen(evutil_socket_t fd, short what, void *arg)
{
	struct apw_err	 err = APW_ERR_NONE;
	struct master	*m;

	(void)fd;
	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	if (apw_log_reopen(&err) == -1)
		apw_error("cannot reopen the log; the old one stays",
		    APW_E(&err));
	apw_dir_give(apw_log_fd(), &m->cycle->conf->main);
	signal_children(m, SIGUSR1);
	apw_notice("log reopened");
}

/* A terminal that changes its size sends SIGWINCH too: only those who have
 * none can mean it. */
static void
master_on_winch(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m;

	(void)fd;
	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	if (m->on_terminal || m->leave != LEAVE_NOT)
		return;
	apw_notice("draining the slots; the master stays",
	    APW_I("slots", master_slots_count(m)));
	master_trial_refuse(m, "the slots are to leave");
	master_roll_end(m);
	m->slots_drained = true;
	m->progress_ms = apw_now_ms();
	atomic_store(&m->score->slots, 0);
	master_slots_feed(m, NULL, MPROC_EV_DRAIN);
}

/* A fresh child has the master's loop, and must not touch what the kernel
 * shares between the two. */
void
master_loop_forget(struct master *m)
{
	struct mproc	*p;
	size_t		 i;

	event_reinit(m->base);
	for (i = 0; i < APW_COUNT(m->signals); i++)
		if (m->signals[i] != NULL)
			event_free(m->signals[i]);
	event_free(m->tick);
	event_free(m->sweeper);
	event_free(m->deadline);
	master_folders_forget(m);
	if (m->upgrade.ready_event != NULL)
		event_free(m->upgrade.ready_event);
	TAILQ_FOREACH(p, &m->procs, entry)
		event_free(p->timer);
	event_base_free(m->base);
	m->base = NULL;
}

static int
master_events(struct master *m, struct apw_err *err)
{
	const struct { int signo; event_callback_fn on; } signals[] = {
		{ SIGCHLD,  master_on_child  },
		{ SIGHUP,   master_on_reload },
		{ SIGQUIT,  master_on_quit   },
		{ SIGTERM,  master_on_stop   },
		{ SIGINT,   master_on_stop   },
		{ SIGUSR1,  master_on_reopen },
		{ SIGWINCH, master_on_winch  },
		{ SIGUSR2,  master_on_upgrade },
		{ APW_SIGNAL_NOW, master_on_now },
	};
	size_t	i;

	_Static_assert(APW_COUNT(signals) <= MASTER_SIGNALS, "signals");
	if ((m->base = event_base_new()) == NULL)
		return apw_err_set(err, 0, "cannot make an event loop");
	for (i = 0; i < APW_COUNT(signals); i++)
		if ((m->signals[i] = evsignal_new(m->base, signals[i].signo,
		    signals[i].on, m)) == NULL ||
		    event_add(m->signals[i], NULL) == -1)
			return apw_err_set(err, errno, "cannot watch signals");
	m->tick = evtimer_new(m->base, master_on_tick, m);
	m->sweeper = evtimer_new(m->base, master_on_sweep, m);
	m->deadline = evtimer_new(m->base, master_on_leave_timer, m);
	if (m->tick == NULL || m->sweeper == NULL || m->deadline == NULL)
		return apw_err_set(err, 0, "out of memory");
	return 0;
}

static bool
has_terminal(void)
{
	apw_autofd int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);

	return fd != -1;
}

static int
master_lock_state(struct master *m, const struct apw_cycle *cycle,
    struct apw_err *err)
{
	bool	taken;

	if (apw_state_lock(cycle->main.state_path, &m->state_fd, &taken,
	    err) == 0)
		return 0;
	if (taken)
		m->exit_code = APW_EXIT_NOCONF;
	return -1;
}

/* Counters go on where the old binary has them; what it counts until it has
 * left is added. */
static void
master_inherit_score(struct master *m, const struct apw_handoff *old)
{
	struct apw_err	err = APW_ERR_NONE;

	if (old->score_fd != -1 &&
	    apw_score_inherit(m->score, old->score_fd, &err) == -1)
		apw_warn("counters begin anew", APW_E(&err));
}

/* Everything that can be refused happens here, before the first fork. */
int
apw_master_start(struct master *m, struct apw_cycle *cycle,
    const struct apw_handoff *old, struct apw_err *err)
{
	apw_autofd int	given = -1;

	m->magic = MASTER_MAGIC;
	m->pid = getpid();
	m->pid_fd = m->state_fd = -1;
	if (old->given) {
		m->listeners = old->listeners;
		m->inherited = true;
		m->lanes = old->lanes;
		m->state_fd = old->lock_fd;
		m->upgrade.old_pid = getppid();
	}
	master_upgrade_init();
	master_notify_init(m);
	TAILQ_INIT(&m->procs);
	m->on_terminal = has_terminal();
	/* what is ours after a slot's death comes to us, not to init */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) == -1)
		return apw_err_set(err, errno, "cannot become subreaper");
	given = apw_broker_home();
	if ((m->pid_path = strdup(cycle->main.pid_path)) == NULL)
		return apw_err_set(err, ENOMEM, "pidfile");
	if (apw_dirs_make(cycle, err) == -1 ||
	    apw_pidfile_take(m->pid_path, &m->pid_fd, err) == -1 ||
	    (m->state_fd == -1 && master_lock_state(m, cycle, err) == -1) ||
	    apw_log_open(cycle->main.log_path, cycle->main.log_level,
	    cycle->main.log_format, err) == -1)
		return -1;
	apw_log_room("master");
	apw_dir_give(apw_log_fd(), &cycle->main);
	if ((m->score = apw_score_new(err)) == NULL)
		return -1;
	master_inherit_score(m, old);
	apw_log_count_dropped(&m->score->past.log_dropped);
	atomic_store(&m->score->master_pid, m->pid);
	atomic_store(&m->score->started_wall_ms, apw_wall_ms());
	atomic_store(&m->score->tick_ms, apw_now_ms());
	if (master_events(m, err) == -1)
		return -1;
	apw_start_listen();
	master_note_innocents(m);
	apw_notice("starting", APW_S("version", PACKAGE_VERSION),
	    APW_I("pid", m->pid), APW_S("file", cycle->file),
	    APW_I("slots", cycle->main.slots));
	if (getuid() == 0 && cycle->main.user == NULL)
		apw_warn("running as root without \"user\": "
		    "slots and engines are root too");
	return master_cycle_adopt(m, cycle, err);
}

int
apw_master_run(struct master *m)
{
	sigset_t	all;
	int		rc;

	tick_again(m, TICK_BOOT_MS);
	rc = event_base_dispatch(m->base);
	/* we are gone already: a signal that comes late changes nothing */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	if (rc == -1) {
		apw_alert("the event loop failed");
		return APW_EXIT_OS;
	}
	master_last_sweep(m);
	apw_broker_sweep();
	apw_notice("stopped", APW_I("exit", m->exit_code));
	apw_log_finish();
	return m->exit_code;
}

void
apw_master_free(struct master *m)
{
	size_t	i;

	apw_listeners_close(&m->listeners, NULL, !master_upgrade_peer(m));
	master_upgrade_free(m);
	master_folders_free(m);
	if (m->notify.fd != -1)
		close(m->notify.fd);
	if (m->state_fd != -1)
		close(m->state_fd);
	if (m->pid_fd != -1)
		apw_pidfile_drop(m->pid_path, m->pid_fd);
	free(m->pid_path);
	if (m->cycle != NULL) {
		apw_cycle_free(m->cycle->conf);
		free(m->cycle);
	}
	if (m->base == NULL)
		return;
	for (i = 0; i < APW_COUNT(m->signals); i++)
		if (m->signals[i] != NULL)
			event_free(m->signals[i]);
	if (m->tick != NULL)
		event_free(m->tick);
	if (m->sweeper != NULL)
		event_free(m->sweeper);
	if (m->deadline != NULL)
		event_free(m->deadline);
	event_base_free(m->base);
}
