/* A known beginning; see apw_start.h.  Room: any.  What a parent leaves behind
 * in a process is not always meant: an ignored SIGCHLD hides the ends of
 * children, a blocked SIGTERM makes who asks wait for ever. */
#include "core/apw_start.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/apw_auto.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC	4U
#endif

static void
start_descriptors(void)
{
	int	fd;

	do
		fd = open("/dev/null", O_RDWR | O_NOCTTY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
	syscall(SYS_close_range, STDERR_FILENO + 1U, ~0U, CLOSE_RANGE_CLOEXEC);
}

/* Faults keep their handlers: a sanitizer may have them. */
static bool
signal_stays(int signo)
{
	static const int	never[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
	    SIGABRT, SIGTRAP, SIGKILL, SIGSTOP };
	static const int	ignored[] = { SIGHUP, SIGINT, SIGQUIT,
	    SIGPIPE };
	struct sigaction	now;
	size_t			i;

	for (i = 0; i < APW_COUNT(never); i++)
		if (signo == never[i])
			return true;
	for (i = 0; i < APW_COUNT(ignored); i++)
		if (signo == ignored[i])
			return sigaction(signo, NULL, &now) == 0 &&
			    now.sa_handler == SIG_IGN;
	return false;
}

static void
start_signals(void)
{
	sigset_t	none;
	int		signo;

	for (signo = 1; signo < NSIG; signo++)
		if (!signal_stays(signo))
			signal(signo, SIG_DFL);
	signal(SIGXFSZ, SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void
apw_start(void)
{
	start_descriptors();
	start_signals();
	umask(022);
}

/* The limit that is left; RLIM_INFINITY: none. */
static rlim_t
raise_limit(int what)
{
	struct rlimit	old, none = { RLIM_INFINITY, RLIM_INFINITY };

	if (getrlimit(what, &old) == -1 || old.rlim_cur == RLIM_INFINITY ||
	    setrlimit(what, &none) == 0)
		return RLIM_INFINITY;
	old.rlim_cur = old.rlim_max;
	if (setrlimit(what, &old) == -1)
		(void)getrlimit(what, &old);
	return old.rlim_cur;
}

void
apw_start_daemon(FILE *out)
{
	static const struct { int what; const char *option, *text; } limits[] = {
		{ RLIMIT_FSIZE, "-f", "bytes is the largest file that may be "
		    "written: the log, pieces and results fail beyond" },
		{ RLIMIT_CPU, "-t", "seconds of processor time are left to "
		    "each process: it is killed then" },
	};
	rlim_t	left;
	size_t	i;

	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < APW_COUNT(limits); i++)
		if ((left = raise_limit(limits[i].what)) != RLIM_INFINITY)
			fprintf(out, "apworkerd: warning: %llu %s; raise "
			    "\"ulimit %s\" (hard) of who starts it\n",
			    (unsigned long long)left, limits[i].text,
			    limits[i].option);
}

static void
start_later(int how)
{
	sigset_t	later;

	sigemptyset(&later);
	sigaddset(&later, SIGHUP);
	sigaddset(&later, SIGUSR1);
	sigaddset(&later, SIGUSR2);
	sigprocmask(how, &later, NULL);
}

void
apw_start_defer(void)
{
	start_later(SIG_BLOCK);
}

void
apw_start_listen(void)
{
	start_later(SIG_UNBLOCK);
}
