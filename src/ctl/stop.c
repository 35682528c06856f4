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
#include "core/apw_module.h"
#include "ctl/commands.h"
#include "master/master_priv.h"
#include "master/pidfile.h"
#include "modules/source/source.h"

#define STOP_MARGIN_MS	20000	/* on top of what the daemon may take */
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

/* Jobs have drain_timeout, also one that comes by the poll that is parked. */
static int64_t
stop_patience(const struct apw_cycle *cycle)
{
	const struct apw_module	*source = cycle->source;
	int64_t			 park_ms = 0;

	if (source != NULL && source->ops.source->park_ms != NULL)
		park_ms = source->ops.source->park_ms(
		    APW_MODULE_CONF(cycle, source));
	return park_ms + cycle->main.drain_timeout_ms + STOP_MARGIN_MS;
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
	rc = stop_signal(pidfd, drain ? SIGQUIT : now ? APW_SIGNAL_NOW :
	    SIGTERM);
	if (rc == -1) {
		apw_err_set(&err, errno, "cannot signal pid %d", (int)pid);
		return ctl_fail(APW_EXIT_OS, &err);
	}
	if (wait_ms == 0)
		wait_ms = drain ? STOP_FOREVER_MS : now ? STOP_MARGIN_MS :
		    stop_patience(cycle);
	if (stop_wait(pidfd, wait_ms) == 0)
		return APW_EXIT_OK;
	apw_err_set(&err, 0, "pid %d is still there", (int)pid);
	return ctl_fail(APW_EXIT_TEMP, &err);
}
