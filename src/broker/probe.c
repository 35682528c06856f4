/* Running probes; see probe.h.  Room: broker.  A probe that hangs or dies is
 * an answer, too. */
#include "broker/probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/message.h"
#include "core/apw_auto.h"

#define PROBE_MS	5000
#define PROBE_NAME(upper, lower, text)	text,
#define PROBE_FUNCTION(upper, lower, text)	probe_try_##lower,

static const char *const probe_names[] = { PROBES(PROBE_NAME) };
static int (*const probe_functions[])(void) = { PROBES(PROBE_FUNCTION) };

const char *
probe_name(enum probe p)
{
	return probe_names[p];
}

/* The errno of the refusal; 0 when it was allowed. */
static int
probe_child(enum probe p)
{
	int	fd[2], error = EIO;
	pid_t	pid;

	if (pipe(fd) == -1)
		return errno;
	if ((pid = fork()) == 0) {
		close(fd[0]);
		errno = 0;
		error = probe_functions[p]() == -1 ? errno : 0;
		if (write(fd[1], &error, sizeof(error)) == -1)
			_exit(1);
		_exit(0);
	}
	close(fd[1]);
	apw_autofd int result = fd[0];
	if (pid == -1)
		return errno;
	if (message_wait(result, PROBE_MS) != 1)
		error = ETIMEDOUT;
	else if (read(result, &error, sizeof(error)) != sizeof(error))
		error = EIO;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return error;
}

void
probe_run(enum probe p, struct probe_result *r)
{
	int	error = probe_child(p);

	r->ok = error == 0;
	r->remedy[0] = '\0';
	snprintf(r->text, sizeof(r->text), "%s", r->ok ? "ok" :
	    strerror(error));
	if (!r->ok)
		probe_remedy(p, error, r->remedy, sizeof(r->remedy));
}
