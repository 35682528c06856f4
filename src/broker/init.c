/* Process 1 of a box: reaps whatever ends in there, says how the engine
 * ended, and ends the box when its broker or its slot is gone.  Node cannot
 * do this job: as process 1 its own abort would show as another signal.
 * Room: broker, after clone.  It must never run what it did not bring. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "broker/calls.h"

#define INIT_KILLED	137	/* what a shell says of SIGKILL */

enum init_fd { INIT_LIFE = 3, INIT_STATUS = 4, INIT_FDS };

static void
init_on_child(int sig)
{
	(void)sig;		/* it only has to interrupt the wait */
}

static int
init_fds(const struct box_plan *plan)
{
	/* out of the way of the numbers they are to have */
	int	life = (int)CALL(fcntl, plan->life_fd, F_DUPFD_CLOEXEC,
		    (unsigned long)INIT_FDS);
	int	status = (int)CALL(fcntl, plan->status_fd, F_DUPFD_CLOEXEC,
		    (unsigned long)INIT_FDS);

	/* the broker's 0 and 1 are /dev/null */
	if (life == -1 || status == -1 || call_dup(0, 2) == -1)
		return -1;
	/* talk_fd must be told of a failure until here */
	if (call_dup(life, INIT_LIFE) == -1 ||
	    call_dup(status, INIT_STATUS) == -1)
		call_exit(INIT_KILLED);
	return (int)CALL(close_range, (unsigned)INIT_FDS, ~0U, 0U);
}

static void
init_signals(sigset_t *unblocked)
{
	struct sigaction	act = { .sa_handler = init_on_child };
	sigset_t		child;

	signal(SIGTERM, SIG_IGN);
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	sigemptyset(unblocked);
	sigaction(SIGCHLD, &act, NULL);
}

/* Reap all that has ended; the engine's end is the box's. */
static void
init_reap(pid_t engine)
{
	int	status;
	pid_t	pid;

	while ((pid = (pid_t)CALL(wait4, -1, &status, WNOHANG,
	    NULL)) > 0) {
		if (pid != engine)
			continue;
		if (CALL(write, INIT_STATUS, &status, sizeof(status)) == -1)
			call_exit(INIT_KILLED);
		call_exit(WIFEXITED(status) ? WEXITSTATUS(status) :
		    128 + WTERMSIG(status));
	}
}

_Noreturn void
init_main(const struct box_plan *plan, pid_t engine)
{
	struct pollfd	life = { .fd = INIT_LIFE };
	sigset_t	unblocked;

	init_signals(&unblocked);
	/* the slot is our parent; after all changes of credentials, which
	 * clear it */
	if (call_prctl(PR_SET_PDEATHSIG, SIGKILL) == -1)
		inside_fail(plan, BOX_DEATHSIG);
	if (init_fds(plan) == -1)
		inside_fail(plan, BOX_FDS);
	for (;;) {
		init_reap(engine);
		/* the broker holds the other end and writes nothing */
		if (CALL(ppoll, &life, 1, NULL, &unblocked,
		    (size_t)(_NSIG / 8)) == 1)
			call_exit(INIT_KILLED);
	}
}
