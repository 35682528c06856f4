/* Another binary takes over: SIGUSR2 starts it beside us, with our listening
 * sockets, our lock on the state directory and our secrets; then one of the
 * two is told to quit.  Room: master.  Until we are told so nothing of ours
 * stops, and when the new one ends we are as before. */
#include "master/master_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "master/handoff.h"
#include "master/pidfile.h"

extern char **environ;

#define UPGRADE_BYTE	'R'

bool
master_upgrade_peer(const struct master *m)
{
	/* the old one may have gone since the last tick */
	return m->upgrade.pid != 0 || (m->upgrade.old_pid != 0 &&
	    getppid() == m->upgrade.old_pid);
}

/* The path may hold another file by now: that is the point. */
static const char *
upgrade_program(void)
{
	static char	path[4096];
	ssize_t		n;

	if (path[0] == '\0' && (n = readlink("/proc/self/exe", path,
	    sizeof(path) - 1)) > 0)
		path[n] = '\0';
	return path;
}

/* At the start, while the path is that of our own file. */
void
master_upgrade_init(void)
{
	(void)upgrade_program();
}

static int
inherit(int fd)
{
	return fd == -1 ? 0 : fcntl(fd, F_SETFD, 0);
}

static _Noreturn void
upgrade_exec(const struct apw_handoff *h, int fd)
{
	char	 number[16];
	char	*argv[] = { (char *)(uintptr_t)upgrade_program(), NULL };
	size_t	 i;
	int	 bad, signo;

	bad = inherit(fd) | inherit(h->lock_fd) | inherit(h->score_fd) |
	    inherit(h->ready_fd);
	for (i = 0; i < h->listeners.n; i++)
		bad |= inherit(h->listeners.fds[i]);
	snprintf(number, sizeof(number), "%d", fd);
	if (bad == 0 && setenv(APW_HANDOFF_ENV, number, 1) == 0) {
		sigset_t	none;

		for (signo = 1; signo < NSIG; signo++)
			signal(signo, SIG_DFL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execve(argv[0], argv, environ);
	}
	apw_error("cannot execute the new binary", APW_S("program", argv[0]),
	    APW_S("error", strerror(errno)));
	_exit(APW_EXIT_OS);
}

static int
upgrade_fork(struct master *m, int *ready, struct apw_err *err)
{
	struct apw_handoff	 h = {
		.conf = *m->options, .listeners = m->listeners,
		.lock_fd = m->state_fd, .score_fd = apw_score_fd(),
		.lanes = m->lanes == 0 ? APW_SCORE_SLOTS : 0,
	};
	apw_autofd int	 fd = -1, mine = -1, theirs = -1;
	sigset_t	 all, before;
	int		 pair[2];
	pid_t		 pid;

	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) == -1)
		return apw_err_set(err, errno, "pipe");
	mine = pair[0];
	theirs = h.ready_fd = pair[1];
	if ((fd = apw_handoff_write(&h, err)) == -1)
		return -1;
	fflush(NULL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	if ((pid = fork()) == 0)
		upgrade_exec(&h, fd);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid == -1)
		return apw_err_set(err, errno, "fork");
	m->upgrade.pid = pid;
	*ready = apw_take_fd(&mine);
	return 0;
}

/* From now on our file has another name, and theirs ours. */
static int
rename_pidfile(struct master *m, struct apw_err *err)
{
	apw_autofree char *old = NULL;

	if (asprintf(&old, "%s.oldbin", m->pid_path) == -1) {
		old = NULL;
		return apw_err_set(err, ENOMEM, "pidfile");
	}
	if (rename(m->pid_path, old) == -1)
		return apw_err_set(err, errno, "cannot rename %s",
		    m->pid_path);
	m->upgrade.pid_path = m->pid_path;
	m->pid_path = old;
	old = NULL;
	return 0;
}

static void
restore_pidfile(struct master *m)
{
	if (m->upgrade.pid_path == NULL)
		return;
	if (rename(m->pid_path, m->upgrade.pid_path) == -1)
		apw_error("cannot give the pidfile its name back",
		    APW_S("file", m->pid_path),
		    APW_S("error", strerror(errno)));
	free(m->pid_path);
	m->pid_path = m->upgrade.pid_path;
	m->upgrade.pid_path = NULL;
}

static void
upgrade_forget(struct master *m)
{
	if (m->upgrade.ready_event != NULL) {
		close(event_get_fd(m->upgrade.ready_event));
		event_free(m->upgrade.ready_event);
	}
	m->upgrade.ready_event = NULL;
	m->upgrade.pid = 0;
	m->upgrade.up = false;
}

/* It serves on our addresses now; two monitors would answer in turns. */
static void
upgrade_is_up(struct master *m)
{
	m->upgrade.up = true;
	apw_notice("the new binary is up", APW_I("pid", m->upgrade.pid));
	if (m->monitor != NULL)
		master_proc_feed(m->monitor, MPROC_EV_DRAIN);
	m->monitor = NULL;
}

static void
upgrade_on_ready(evutil_socket_t fd, short what, void *arg)
{
	struct master	*m;
	char		 byte = 0;

	(void)what;
	APW_CAST(m, arg, MASTER_MAGIC);
	if (read(fd, &byte, 1) == 1 && byte == UPGRADE_BYTE)
		upgrade_is_up(m);
}

static int
upgrade_start(struct master *m, struct apw_err *err)
{
	int	ready = -1;

	if (access(upgrade_program(), X_OK) == -1)
		return apw_err_set(err, errno, "%s", upgrade_program());
	if (rename_pidfile(m, err) == -1)
		return -1;
	if (upgrade_fork(m, &ready, err) == -1) {
		restore_pidfile(m);
		return -1;
	}
	if (m->ninnocent < MASTER_INNOCENTS)
		m->innocent[m->ninnocent++] = m->upgrade.pid;
	m->upgrade.ready_event = event_new(m->base, ready, EV_READ,
	    upgrade_on_ready, m);
	if (m->upgrade.ready_event == NULL ||
	    event_add(m->upgrade.ready_event, NULL) == -1)
		apw_warn("the new binary's start is not watched");
	return 0;
}

static const char *
upgrade_refused(const struct master *m)
{
	if (m->leave != LEAVE_NOT)
		return "on our way out";
	if (m->upgrade.pid != 0)
		return "a new binary is running already";
	if (m->upgrade.old_pid != 0)
		return "the old binary is still running";
	if (m->pid == 1)
		return "as process 1 our end would end the container";
	return NULL;
}

void
master_upgrade(struct master *m)
{
	struct apw_err	 err = APW_ERR_NONE;
	const char	*why = upgrade_refused(m);

	if (why != NULL) {
		apw_warn("upgrade ignored", APW_S("why", why));
		return;
	}
	if (m->trial.next != NULL || m->roll.old != NULL || m->reload_again) {
		apw_notice("the upgrade waits for the reload");
		m->upgrade.again = true;
		return;
	}
	if (upgrade_start(m, &err) == -1) {
		apw_error("cannot upgrade: all stays as it is", APW_E(&err));
		return;
	}
	apw_notice("new binary started", APW_I("pid", m->upgrade.pid),
	    APW_S("program", upgrade_program()));
}

/* The new one has ended; we may be the only one again. */
bool
master_upgrade_ended(struct master *m, pid_t pid, int status)
{
	struct apw_err	 err = APW_ERR_NONE;
	bool		 was_up = m->upgrade.up;

	if (pid != m->upgrade.pid || pid == 0)
		return false;
	upgrade_forget(m);
	restore_pidfile(m);
	/* what it has left came to us */
	m->sweep_until_ms = apw_now_ms() + 1000;
	event_active(m->sweeper, EV_TIMEOUT, 0);
	if (was_up && WIFEXITED(status) && WEXITSTATUS(status) == 0)
		apw_notice("the new binary has left; we go on",
		    APW_I("pid", pid));
	else
		apw_error("the new binary ended; we go on",
		    APW_I("pid", pid), APW_I("exit", WIFEXITED(status) ?
		    WEXITSTATUS(status) : -1), APW_I("signal",
		    WIFSIGNALED(status) ? WTERMSIG(status) : 0));
	if (m->leave != LEAVE_NOT || m->monitor != NULL ||
	    m->listeners.n == 0)
		return true;
	if ((m->monitor = master_proc_new(m, m->cycle, 0, &err)) == NULL)
		apw_error("no monitor", APW_E(&err));
	else
		master_proc_feed(m->monitor, MPROC_EV_START);
	return true;
}

/* We are the new one: tell the old one that we serve. */
void
master_upgrade_tell(struct master *m, int ready_fd)
{
	const char	byte = UPGRADE_BYTE;

	m->upgrade.old_pid = getppid();
	if (write(ready_fd, &byte, 1) == -1)
		apw_warn("the old binary does not listen");
	close(ready_fd);
	apw_notice("started beside an old binary",
	    APW_I("old_pid", m->upgrade.old_pid));
}

/* At each tick: has the old one gone?  One that was killed has left its
 * pidfile. */
void
master_upgrade_watch(struct master *m)
{
	apw_autofree char *old = NULL;
	struct apw_err	   err = APW_ERR_NONE;
	pid_t		   holder;

	if (m->upgrade.again && m->trial.next == NULL &&
	    m->roll.old == NULL && !m->reload_again) {
		m->upgrade.again = false;
		master_upgrade(m);
	}
	if (m->upgrade.old_pid == 0 || getppid() == m->upgrade.old_pid)
		return;
	apw_notice("the old binary has gone",
	    APW_I("old_pid", m->upgrade.old_pid));
	m->upgrade.old_pid = 0;
	m->inherited = false;
	apw_score_inherit_end(m->score);
	if (asprintf(&old, "%s.oldbin", m->pid_path) == -1)
		old = NULL;
	else if (apw_pidfile_owner(old, &holder, &err) == -1)
		unlink(old);
}

void
master_upgrade_free(struct master *m)
{
	upgrade_forget(m);
	free(m->upgrade.pid_path);
	m->upgrade.pid_path = NULL;
}
