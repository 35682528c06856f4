/* Starting a plain child; see plain.h.  Room: modules/sandbox.
 *
 * Between fork and exec only what is safe after a fork is called, and every
 * step that fails is reported to the parent by its number and errno: a child
 * that could not give up its privileges never becomes an engine. */
#include "modules/sandbox/plain.h"

#include <cap-ng.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/apw_auto.h"
#include "core/apw_child.h"
#include "modules/sandbox/box.h"
#include "modules/sandbox/plain_harden.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC	(1U << 2)
#endif

#define PLAIN_OPEN_FILES	4096

#define PLAIN_STEPS(X)							\
	X(SESSION, "cannot start a session")				\
	X(STDIO, "cannot set up its standard streams")			\
	X(CLOSE, "cannot close what is not its own")			\
	X(LIMITS, "cannot set its limits")				\
	X(CWD, "cannot enter its directory")				\
	X(CAPS, "cannot drop capabilities")				\
	X(NOPRIVS, "cannot set no_new_privs")				\
	X(DEATHSIG, "cannot tie its life to ours")			\
	X(HARDEN, "cannot be hardened")					\
	X(FENCE, "cannot be kept from the network")			\
	X(EXEC, "cannot execute")
#define PLAIN_STEP_ENUM(name, text)	PLAIN_##name,
#define PLAIN_STEP_TEXT(name, text)	text,

enum plain_step { PLAIN_STEPS(PLAIN_STEP_ENUM) };

static const char *const plain_steps[] = { PLAIN_STEPS(PLAIN_STEP_TEXT) };

struct plain_report {
	int	step;
	int	error;
};

struct plain_pipes {
	int	out[2], err[2], report[2];
};

_Noreturn static void
plain_fail(int report_fd, enum plain_step step)
{
	struct plain_report	r = { step, errno };

	if (write(report_fd, &r, sizeof(r)) == -1)
		_exit(127);
	_exit(127);
}

static int
plain_stdio(const struct plain_pipes *p)
{
	int	null = open("/dev/null", O_RDONLY);

	if (null == -1 || dup2(null, 0) == -1 || dup2(p->out[1], 1) == -1 ||
	    dup2(p->err[1], 2) == -1)
		return -1;
	return 0;
}

static int
plain_limits(void)
{
	struct rlimit	core = { 0, 0 }, files;

	if (getrlimit(RLIMIT_NOFILE, &files) == -1)
		return -1;
	if (files.rlim_max > PLAIN_OPEN_FILES)
		files.rlim_max = PLAIN_OPEN_FILES;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_CORE, &core) == -1 ||
	    setrlimit(RLIMIT_NOFILE, &files) == -1)
		return -1;
	return 0;
}

static int
plain_drop_caps(void)
{
	capng_clear(CAPNG_SELECT_ALL);
	/* the bounding set needs a privilege to shrink; without it there is
	 * nothing to gain from it either, thanks to no_new_privs */
	if (capng_apply(CAPNG_SELECT_BOUNDS) != 0)
		errno = 0;
	return capng_apply(CAPNG_SELECT_CAPS) == 0 ? 0 : -1;
}

_Noreturn static void
plain_child(const struct apw_box_spec *spec, const struct plain_pipes *p,
    const struct plain_hard *hard, pid_t parent)
{
	int	report = p->report[1];

	apw_child_signals();
	if (setsid() == -1)
		plain_fail(report, PLAIN_SESSION);
	if (plain_stdio(p) == -1)
		plain_fail(report, PLAIN_STDIO);
	/* the report's end must live until exec: all above 2 end there */
	if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == -1)
		plain_fail(report, PLAIN_CLOSE);
	umask(077);
	if (plain_limits() == -1)
		plain_fail(report, PLAIN_LIMITS);
	if (chdir(spec->cwd) == -1)
		plain_fail(report, PLAIN_CWD);
	if (plain_drop_caps() == -1)
		plain_fail(report, PLAIN_CAPS);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		plain_fail(report, PLAIN_NOPRIVS);
	/* last: changes of credentials clear it */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == -1 ||
	    getppid() != parent)
		plain_fail(report, PLAIN_DEATHSIG);
	/* after the signal's wish, which it does not change */
	if (hard->on && apw_harden_enter(&hard->rules) == -1)
		plain_fail(report, PLAIN_HARDEN);
	if (hard->fenced && apw_ports_enter(&hard->ports) == -1)
		plain_fail(report, PLAIN_FENCE);
	execve(spec->argv[0], (char *const *)spec->argv,
	    (char *const *)(hard->on ? hard->envp : spec->envp));
	plain_fail(report, PLAIN_EXEC);
}

static int
plain_pipes_open(struct plain_pipes *p, struct apw_err *err)
{
	int	*pair[3] = { p->out, p->err, p->report }, i;

	for (i = 0; i < 3; i++) {
		if (pipe2(pair[i], O_CLOEXEC) == 0)
			continue;
		apw_err_set(err, errno, "cannot make pipes for the engine");
		while (i-- > 0) {
			close(pair[i][0]);
			close(pair[i][1]);
		}
		return -1;
	}
	fcntl(p->out[0], F_SETFL, O_NONBLOCK);
	fcntl(p->err[0], F_SETFL, O_NONBLOCK);
	return 0;
}

/* Wait for exec (the pipe closes) or for the report of a failure; between
 * fork and exec the child makes no call that waits for anybody. */
static int
plain_await_exec(int report_fd, const struct apw_box_spec *spec,
    struct apw_err *err)
{
	struct plain_report	r;
	ssize_t			n;

	while ((n = read(report_fd, &r, sizeof(r))) == -1 && errno == EINTR)
		;
	if (n == 0)
		return 0;
	if (n != sizeof(r) || r.step < 0 || r.step > PLAIN_EXEC)
		return apw_err_set(err, 0, "the engine's start broke off");
	if (r.step == PLAIN_EXEC)
		return apw_err_set(err, r.error, "cannot execute %s",
		    spec->argv[0]);
	if (r.step == PLAIN_CWD)
		return apw_err_set(err, r.error, "cannot enter %s", spec->cwd);
	return apw_err_set(err, r.error, "the engine's process %s",
	    plain_steps[r.step]);
}

static int
plain_fork(const struct apw_box_spec *spec, const struct plain_hard *hard,
    struct apw_child *child, struct apw_err *err)
{
	struct plain_pipes	p;
	pid_t			parent = getpid(), pid;
	sigset_t		all, old;

	if (plain_pipes_open(&p, err) == -1)
		return -1;
	apw_autofd int out = p.out[0];
	apw_autofd int fd_err = p.err[0];
	apw_autofd int report = p.report[0];

	/* no handler of ours may run in the child: it would write into our
	 * own loop's pipe */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	if ((pid = fork()) == 0)
		plain_child(spec, &p, hard, parent);
	if (pid == -1)
		apw_err_set(err, errno, "cannot fork an engine");
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(p.out[1]);
	close(p.err[1]);
	close(p.report[1]);
	if (pid == -1)
		return -1;

	apw_autofd int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd == -1)
		apw_err_set(err, errno, "cannot watch the engine's process");
	if (pidfd == -1 || plain_await_exec(report, spec, err) == -1 ||
	    apw_child_own(pid) == -1) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	child->pid = child->engine_pid = pid;
	child->seat = spec->seat;
	child->pidfd = apw_take_fd(&pidfd);
	child->out_fd = apw_take_fd(&out);
	child->err_fd = apw_take_fd(&fd_err);
	child->link_fd = child->proxy_fd = -1;
	return 0;
}

/* The same, in a pid namespace; its directory must not depend on ours. */
static int
plain_box(const struct apw_box_spec *spec, const struct plain_hard *hard,
    struct apw_child *child, struct apw_err *err)
{
	struct apw_box_spec	here = *spec;
	char			cwd[PATH_MAX];

	if (realpath(spec->cwd, cwd) == NULL)
		return apw_err_set(err, errno, "cannot enter %s", spec->cwd);
	here.cwd = cwd;
	if (hard->on)
		here.envp = hard->envp;
	return apw_box_host_boot(&here, hard->on ? &hard->rules : NULL, child,
	    err);
}

int
apw_plain_boot(const void *conf, const struct apw_box_spec *spec,
    struct apw_child *child, struct apw_err *err)
{
	struct plain_hard	hard;
	int			rc;

	if (spec->fence == APW_FENCE_NETNS && !apw_box_host_ready())
		return apw_err_set(err, 0, "a plain process has the host's "
		    "network");
	if (plain_harden(conf, spec, &hard, err) == -1)
		return -1;
	rc = apw_box_host_ready() && spec->fence != APW_FENCE_PORTS ?
	    plain_box(spec, &hard, child, err) :
	    plain_fork(spec, &hard, child, err);
	plain_harden_close(&hard);
	return rc;
}

void
apw_plain_end(const void *conf, const struct apw_child *child,
    struct apw_sandbox_end *end)
{
	const struct apw_plain_conf	*c = conf;

	*end = (struct apw_sandbox_end){ .code = -1 };
	if (apw_box_has(child))
		apw_box_end(conf, child, end);
	if (c->harden != APW_HARDEN_OFF)
		apw_plain_tmp_end(child->seat);
}

/* Of hardened engines only what is admitted is seen. */
int
apw_plain_admit(const void *conf, const struct apw_child *child,
    const char *flow_version_id, const char *platform_id, struct apw_err *err)
{
	const struct apw_plain_conf	*c = conf;

	(void)platform_id;		/* its pieces are where all are */
	if (!apw_box_has(child))
		return 0;
	if (c->harden != APW_HARDEN_OFF && flow_version_id != NULL)
		return apw_box_admit(conf, child, flow_version_id, NULL, err);
	apw_box_mark(child);
	return 0;
}

int
apw_plain_watch_fd(const void *conf)
{
	return apw_box_host_ready() ? apw_box_watch_fd(conf) : -1;
}

void
apw_plain_kill(const void *conf, const struct apw_child *child)
{
	if (apw_box_has(child)) {
		apw_box_kill(conf, child);
		return;
	}
	/* not reaped yet, so the numbers are still its own; first its group,
	 * then itself in case it moved to another one */
	kill(-child->pid, SIGKILL);
	syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
}
