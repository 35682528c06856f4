/* A keeper: a short-lived child of the slot that does the slow part of an
 * order, one thing after the other.  Room: stock.  The slot sees a pidfd and
 * one report; when the slot closes the control pipe, or dies, the keeper ends
 * the tools it runs and leaves.  A keeper never touches the slot's event
 * base or sockets: it closes them first thing. */
#include "stock/stock_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/apw_auto.h"
#include "core/apw_child.h"
#include "core/apw_clock.h"
#include "core/apw_exit.h"

#define REAP_MS	200

static _Noreturn void
keeper_main(struct apw_stock *stock, stock_work_fn *work, void *arg,
    int control_fd, int report_fd)
{
	struct stock_keeper	 k = { .stock = stock,
	    .control_fd = control_fd };
	struct stock_report	 report = { .fault = APW_STOCK_OURS };
	int			 keep[] = { control_fd, report_fd,
	    stock->root_fd, apw_log_fd(), stock_boxes_fd() };

	setsid();
	prctl(PR_SET_NAME, "apw-stock");
	/* the tools' strays come to us, and end with us */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	apw_child_signals();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	/* a socket of the slot's that a keeper kept alive would hide the
	 * slot's death from the app */
	apw_child_close_others(keep, APW_COUNT(keep));
	report.fault = work(&k, arg, &report.err);
	stock_boxes_close(&k);
	stock_cut_clean(report.err.text);
	apw_log_finish();
	while (write(report_fd, &report, sizeof(report)) == -1 &&
	    errno == EINTR)
		;
	_exit(report.fault == APW_STOCK_OK ? APW_EXIT_OK : APW_EXIT_TEMP);
}

int
stock_keeper_start(struct apw_stock *stock, stock_work_fn *work, void *arg,
    struct stock_child *child, struct apw_err *err)
{
	int		control[2], report[2];
	sigset_t	all, old;
	pid_t		pid;

	stock_boxes(stock);	/* known, for all keepers */
	if (pipe2(control, O_CLOEXEC) == -1)
		return apw_err_set(err, errno, "cannot make a pipe");
	if (pipe2(report, O_CLOEXEC) == -1) {
		apw_err_set(err, errno, "cannot make a pipe");
		goto no_report;
	}
	/* a signal in the child must not run the slot's handlers: they write
	 * to the slot's own pipe */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0) {
		close(control[1]);
		close(report[0]);
		keeper_main(stock, work, arg, control[0], report[1]);
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (pid == -1) {
		apw_err_set(err, errno, "cannot fork");
		goto no_fork;
	}
	close(control[0]);
	close(report[1]);
	*child = (struct stock_child){ .pid = pid, .control_fd = control[1],
	    .report_fd = report[0],
	    .pidfd = syscall(SYS_pidfd_open, pid, 0) };
	/* not an orphan of an engine */
	if (child->pidfd == -1 || apw_child_own(pid) == -1) {
		struct stock_report	lost;

		apw_err_set(err, child->pidfd == -1 ? errno : 0,
		    "cannot watch a child");
		stock_keeper_finish(child, &lost);
		return -1;
	}
	return 0;
no_fork:
	close(report[0]);
	close(report[1]);
no_report:
	close(control[0]);
	close(control[1]);
	return -1;
}

static bool
ended(const struct stock_child *child)
{
	struct pollfd	p = { .fd = child->pidfd, .events = POLLIN };

	return child->pidfd != -1 && poll(&p, 1, 0) == 1;
}

/* It has ended, or was killed just now.  One that the disk holds is left to
 * who reaps what nobody owns; and that one may have been faster. */
static bool
reap(const struct stock_child *child, int *status)
{
	struct pollfd	p = { .fd = child->pidfd, .events = POLLIN };

	if (child->pidfd != -1)
		poll(&p, 1, REAP_MS);
	return waitpid(child->pid, status, WNOHANG) == child->pid;
}

void
stock_keeper_finish(struct stock_child *child, struct stock_report *report)
{
	int	status = 0;
	bool	reaped;

	if (child->control_fd != -1)
		close(child->control_fd);
	if (!ended(child))
		kill(child->pid, SIGKILL);
	reaped = reap(child, &status);
	apw_child_disown(child->pid);
	fcntl(child->report_fd, F_SETFL, O_NONBLOCK);
	if (read(child->report_fd, report, sizeof(*report)) !=
	    sizeof(*report)) {
		report->fault = APW_STOCK_OURS;
		apw_err_set(&report->err, 0, "the stock's keeper died "
		    "(pid %d, %s %d)", (int)child->pid,
		    reaped && WIFSIGNALED(status) ? "signal" : "status",
		    !reaped ? -1 : WIFSIGNALED(status) ? WTERMSIG(status) :
		    WEXITSTATUS(status));
	}
	close(child->report_fd);
	if (child->pidfd != -1)
		close(child->pidfd);
	*child = (struct stock_child){ .pidfd = -1, .control_fd = -1,
	    .report_fd = -1 };
}

int
stock_keeper_sleep(struct stock_keeper *k, int64_t ms)
{
	struct pollfd	p = { .fd = k->control_fd, .events = POLLIN };

	if (k->cancelled || stock_hurry_called(k))
		return -1;
	if (poll(&p, 1, ms) == 1) {
		k->cancelled = true;
		return -1;
	}
	return 0;
}
