/* The operations that boxes are made of, each tried in a child that ends
 * right after.  Room: broker. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "broker/probe.h"
#include "core/apw_auto.h"

/* As the broker does: root stays in its user namespace. */
static int
try_enter(void)
{
	struct apw_broker_conf	conf = { 0 };
	struct broker		b = { .conf = &conf };
	struct apw_err		err = APW_ERR_NONE;

	prctl(PR_SET_DUMPABLE, 1);
	if (user_enter(&b, &err) == -1) {
		errno = err.code;
		return -1;
	}
	return 0;
}

int
probe_try_user(void)
{
	return unshare(CLONE_NEWUSER);
}

int
probe_try_clone3(void)
{
	struct clone_args	args = {
		.flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID |
		    CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP |
		    user_time(),
		.exit_signal = SIGCHLD,
	};
	long			pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid == 0)
		_exit(0);
	return pid == -1 ? -1 : 0;
}

int
probe_try_mount(void)
{
	apw_autofd int	tmp = -1;
	apw_autofd int	usr = -1;

	if (try_enter() == -1)
		return -1;
	tmp = mounts_tmpfs("1m", "16", "0755");
	usr = mounts_clone(AT_FDCWD, "/usr", true);
	if (tmp == -1 || usr == -1 || mounts_protect(usr, true,
	    MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID) == -1 ||
	    mounts_attach(tmp, AT_FDCWD, "/proc") == -1)
		return -1;
	return 0;
}

int
probe_try_pivot(void)
{
	apw_autofd int	tmp = -1;

	if (try_enter() == -1)
		return -1;
	tmp = mounts_tmpfs("1m", "16", "0755");
	if (tmp == -1 || mounts_attach(tmp, AT_FDCWD, "/proc") == -1 ||
	    fchdir(tmp) == -1)
		return -1;
	return (int)syscall(SYS_pivot_root, ".", ".");
}

/* In a user namespace even as root: that is how boxes are. */
int
probe_try_proc(void)
{
	int	status;
	pid_t	pid;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID) == -1)
		return -1;
	if ((pid = fork()) == 0)
		_exit(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV |
		    MS_NOEXEC, NULL) == -1 ? errno : 0);
	if (pid == -1 || waitpid(pid, &status, 0) == -1)
		return -1;
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	return errno == 0 ? 0 : -1;
}

/* In a user namespace even as root, which may not have the capability. */
int
probe_try_net(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == -1 ? -1 :
	    net_loopback();
}

/* As the first process of a box does, which is in a namespace of its own. */
int
probe_try_counts(void)
{
	struct apw_broker_conf	conf = { .slot = 0 };
	struct broker		b = { .conf = &conf };

	if (unshare(CLONE_NEWUSER) == -1)
		return -1;
	counts_open(&b);
	return counts_enter(&b, 0);
}

int
probe_try_seccomp(void)
{
	struct sock_fprog	prog;
	struct apw_err		err = APW_ERR_NONE;

	if (filter_compile(FILTER_BOX, &prog, &err) == -1) {
		errno = err.code;
		return -1;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		return -1;
	return filter_install(&prog);
}

int
probe_try_pidfd(void)
{
	apw_autofd int	fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return fd == -1 ? -1 :
	    (int)syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0);
}
