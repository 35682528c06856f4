/* The table of own children; see apw_child.h.  Room: any. */
#include "core/apw_child.h"

#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static pid_t	children[APW_CHILDREN_MAX];	/* 0: free cell */

static pid_t *
child_cell(pid_t pid)
{
	int	i;

	for (i = 0; i < APW_CHILDREN_MAX; i++)
		if (children[i] == pid)
			return &children[i];
	return NULL;
}

int
apw_child_own(pid_t pid)
{
	pid_t	*cell = child_cell(0);

	if (cell == NULL)
		return -1;
	*cell = pid;
	return 0;
}

void
apw_child_disown(pid_t pid)
{
	pid_t	*cell = child_cell(pid);

	if (pid > 0 && cell != NULL)
		*cell = 0;
}

bool
apw_child_owned(pid_t pid)
{
	return pid > 0 && child_cell(pid) != NULL;
}

void
apw_child_signals(void)
{
	struct sigaction	sa = { .sa_handler = SIG_DFL };
	sigset_t		none;
	int			signo;

	for (signo = 1; signo < NSIG; signo++)
		sigaction(signo, &sa, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int
by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

void
apw_child_close_others(int *keep, size_t n)
{
	unsigned	from = 3;
	size_t		i;

	qsort(keep, n, sizeof(*keep), by_number);
	for (i = 0; i < n; i++) {
		if (keep[i] < (int)from)
			continue;
		if (keep[i] > (int)from)
			syscall(SYS_close_range, from, keep[i] - 1, 0);
		from = keep[i] + 1;
	}
	syscall(SYS_close_range, from, ~0U, 0);
}
