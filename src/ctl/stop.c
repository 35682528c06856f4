/* `apworkerctl stop`: ask for the end and wait for it.  Room: ctl. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_clock.h"
#include "core/apw_exit.h"
#include "ctl/commands.h"
#include "master/pidfile.h"

#define STOP_GAP_MS	20
#define STOP_MARGIN_MS	10000	/* on top of drain_timeout */
#define STOP_FOREVER_MS	((int64_t)24 * 3600 * 1000)

/* By pidfd: the number may be given to another process, the descriptor is
 * of this one. */
static int
stop_wait(int pidfd, int64_t wait_ms)
{
	struct pollfd	p = { .fd = pidfd, .events = POLLIN };
	int64_t		until_ms = apw_now_ms() + wait_ms, left;
	int		rc;

	while ((left = until_ms - apw_now_ms()) > 0) {
		rc = poll(&p, 1, left > 1000000 ? 1000000 : (int)left);
		if (rc > 0)
			return 0;
		if (rc == -1 && errno != EINTR)
			return -1;
	}
	return -1;
}

static int
stop_signal(int pidfd, int signo)
{
	return (int)syscall(SYS_pidfd_send_signal, pidfd, signo, NULL, 0);
}

int
apw_ctl_stop(int argc, char **argv, const struct apw_cycle *cycle)
{
	int64_t		wait_ms = 0;
	bool		drain = false, now = false;
	const struct ctl_flag flags[] = {
		{ "--drain", &drain, NULL }, { "--now", &now, NULL },
		{ "--timeout", NULL, &wait_ms }, { 0 }
	};
	struct apw_err	err = APW_ERR_NONE;
	apw_autofd int	pidfd = -1;
	pid_t		pid, again;
	int		rc;

	if ((rc = ctl_flags(argc, argv, flags)) != 0)
		return rc;
	if (apw_pidfile_owner(cycle->main.pid_path, &pid, &err) == -1)
		return ctl_fail(APW_EXIT_TEMP, &err);
	/* asked again: the descriptor is of the daemon, not of a successor
	 * of its number */
	if ((pidfd = (int)syscall(SYS_pidfd_open, pid, 0)) == -1 ||
	    apw_pidfile_owner(cycle->main.pid_path, &again, &err) == -1 ||
	    again != pid) {
		if (err.text[0] == '\0')
			apw_err_set(&err, errno, "pid %d has ended", (int)pid);
		return ctl_fail(APW_EXIT_TEMP, &err);
	}
	rc = stop_signal(pidfd, drain ? SIGQUIT : SIGTERM);
	/* two that arrive together may be seen in any order */
	if (rc == 0 && now && stop_wait(pidfd, STOP_GAP_MS) == -1)
		stop_signal(pidfd, SIGINT);
	if (rc == -1) {
		apw_err_set(&err, errno, "cannot signal pid %d", (int)pid);
		return ctl_fail(APW_EXIT_OS, &err);
	}
	if (wait_ms == 0)
		wait_ms = drain ? STOP_FOREVER_MS :
		    cycle->main.drain_timeout_ms + STOP_MARGIN_MS;
	if (stop_wait(pidfd, wait_ms) == 0)
		return APW_EXIT_OK;
	apw_err_set(&err, 0, "pid %d is still there", (int)pid);
	return ctl_fail(APW_EXIT_TEMP, &err);
}
