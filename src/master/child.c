/* From fork(2) to the main function of a slot or monitor.  Room: master, in
 * the child.  The child keeps nothing that is the master's: descriptors,
 * signal handlers, event loop, privileges. */
#include "config.h"

#include "master/child.h"

#include <cap-ng.h>
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_child.h"
#include "core/apw_exit.h"
#include "master/daemon.h"
#include "master/master_priv.h"
#include "modules/sandbox/sandbox.h"
#include "monitor/monitor.h"
#include "slot/slot.h"
#include "stock/stock.h"

#define KEEP_MAX	APW_LISTEN_MAX

int
apw_child_drop(const struct apw_main_conf *main, struct apw_err *err)
{
	if (getuid() == 0 && main->user != NULL) {
		if (initgroups(main->user, main->gid) == -1)
			return apw_err_set(err, errno,
			    "cannot take the groups of %s", main->user);
		capng_clear(CAPNG_SELECT_ALL);
		if (capng_change_id((int)main->uid, (int)main->gid,
		    CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT) < 0)
			return apw_err_set(err, errno, "cannot become %s",
			    main->user);
		if (setuid(0) == 0)
			return apw_err_set(err, 0,
			    "became %s and could go back", main->user);
	} else if (getuid() == 0) {
		/* root without "user": its files, none of its powers */
		capng_clear(CAPNG_SELECT_ALL);
		if (capng_apply(CAPNG_SELECT_ALL) != 0)
			return apw_err_set(err, errno,
			    "cannot drop capabilities");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return apw_err_set(err, errno, "no_new_privs");
#ifndef APW_DEVELOPER
	/* engines may have our uid: they must not read our memory */
	prctl(PR_SET_DUMPABLE, 0);
#else
	prctl(PR_SET_DUMPABLE, 1);	/* for the leak checker */
#endif
	return 0;
}

bool
apw_child_follow(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	return getppid() == parent;
}

/* All but 0-2, the log and what is named. */
static void
close_others(const int *keep, size_t n)
{
	int	fds[KEEP_MAX + 1];

	APW_ASSERT(n <= KEEP_MAX);
	if (n > 0)
		memcpy(fds, keep, n * sizeof(*keep));
	fds[n] = apw_log_fd();
	apw_child_close_others(fds, n + 1);
}

/* Faults keep their handlers: a sanitizer may have them.  A pipe without a
 * reader, or a file that may not grow, is an error here, not a death. */
static void
reset_signals(void)
{
	static const int faults[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL,
	    SIGABRT, SIGTRAP, SIGPIPE, SIGXFSZ };
	int	signo;
	size_t	i;

	for (signo = 1; signo < NSIG; signo++) {
		for (i = 0; i < APW_COUNT(faults); i++)
			if (faults[i] == signo)
				break;
		if (i == APW_COUNT(faults))
			signal(signo, SIG_DFL);
	}
}

static _Noreturn void
child_main(struct mproc *p)
{
	struct master		*m = p->master;
	struct apw_cycle	*conf = p->cycle->conf;
	struct apw_err		 err = APW_ERR_NONE;
	sigset_t		 none;
	char			 name[32], comm[16];
	int			 rc;

	reset_signals();
	/* a Ctrl-C on the terminal is for the master: it knows how to end */
	setpgid(0, 0);
	master_loop_forget(m);
	apw_score_narrow(m->score, p->score);
	apw_log_count_dropped(p->score != NULL ? &p->score->log_dropped :
	    &m->score->monitor_log_dropped);
	/* the first ones are born before the master itself lets go */
	if (m->daemon)
		apw_daemon_std_null(apw_log_std(conf->main.log_path));
	close_others(m->listeners.fds, p->number == 0 ? m->listeners.n : 0);
	master_proc_name(p, name, sizeof(name));
	apw_log_room(name);
	if (p->number == 0)
		apw_title_set("apworkerd: monitor");
	else if (p->number == APW_SCORE_ERRAND)
		apw_title_set("apworkerd: errand");
	else
		apw_title_set("apworkerd: slot %u", p->number);
	snprintf(comm, sizeof(comm), p->number == 0 ? "apw-monitor" :
	    p->number == APW_SCORE_ERRAND ? "apw-errand" : "apw-slot-%u",
	    p->number);
	prctl(PR_SET_NAME, comm);
	/* what makes boxes needs what is given up next; a failure is told
	 * again, and acted upon, when a box is wanted */
	if (p->number != 0 && apw_sandbox_begin(conf,
	    atomic_load(&p->score->lane), &err) == -1)
		apw_error("cannot start the broker", APW_E(&err));
	if (p->number != 0 && apw_stock_begin(conf,
	    atomic_load(&p->score->lane), &err) == -1)
		apw_error("cannot start the builders' broker", APW_E(&err));
	if (apw_child_drop(&conf->main, &err) == -1) {
		apw_error("cannot give privileges up", APW_E(&err));
		exit(APW_EXIT_NOCONF);
	}
	if (!apw_child_follow(m->pid))
		_exit(APW_EXIT_TEMP);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (p->number == 0) {
		apw_title_wipe_environment();
		rc = apw_monitor_main(conf, m->score, m->listeners.fds,
		    m->listeners.n);
	} else
		rc = apw_slot_main(conf, p->number, p->score);
	apw_log_finish();
	exit(rc);
}

/* Signals stay blocked until the child has forgotten the master's handlers:
 * one that came in between would be written into the master's loop. */
int
master_proc_fork(struct mproc *p, struct apw_err *err)
{
	sigset_t	all, before;
	pid_t		pid;
	int		saved;

	fflush(NULL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	saved = errno;
	if (pid == 0)
		child_main(p);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid == -1)
		return apw_err_set(err, saved, "fork");
	p->pid = pid;
	return 0;
}

void
master_proc_signal(const struct mproc *p, int signo)
{
	if (p->pid > 0 && kill(p->pid, signo) == -1)
		apw_alert("cannot signal a child", APW_I("pid", p->pid),
		    APW_I("signal", signo), APW_I("errno", errno));
}
