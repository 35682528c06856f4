/* Going into the background; see daemon.h.  Room: master, before it has
 * anything that does not survive fork(2). */
#include "master/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/apw_child.h"
#include "core/apw_exit.h"

/* The starter's last act. */
static _Noreturn void
wait_for_report(int fd)
{
	unsigned char	status;
	ssize_t		n;

	while ((n = read(fd, &status, 1)) == -1 && errno == EINTR)
		;
	_exit(n == 1 ? status : APW_EXIT_OS);
}

int
apw_daemon_detach(int *report, struct apw_err *err)
{
	int	fds[2];

	if (pipe2(fds, O_CLOEXEC) == -1)
		return apw_err_set(err, errno, "pipe");
	switch (fork()) {
	case -1:
		return apw_err_set(err, errno, "fork");
	case 0:
		break;
	default:
		close(fds[1]);
		wait_for_report(fds[0]);
	}
	close(fds[0]);
	if (setsid() == -1)
		return apw_err_set(err, errno, "setsid");
	/* not a session leader: no terminal will ever be ours */
	switch (fork()) {
	case -1:
		return apw_err_set(err, errno, "fork");
	case 0:
		break;
	default:
		_exit(APW_EXIT_OK);
	}
	if (chdir("/") == -1)
		return apw_err_set(err, errno, "/");
	*report = fds[1];
	apw_child_close_others(&fds[1], 1);
	return 0;
}

void
apw_daemon_std_null(int keep)
{
	int	fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd == -1)
		return;
	dup2(fd, STDIN_FILENO);
	if (keep != STDOUT_FILENO)
		dup2(fd, STDOUT_FILENO);
	if (keep != STDERR_FILENO)
		dup2(fd, STDERR_FILENO);
	close(fd);
}

void
apw_daemon_up(int *report, int status, int keep)
{
	unsigned char	byte = (unsigned char)status;

	if (status == 0)
		apw_daemon_std_null(keep);
	if (write(*report, &byte, 1) == -1)
		status = -1;	/* the starter is gone: nobody to tell */
	close(*report);
	*report = -1;
}
