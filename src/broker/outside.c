/* Leading a box's own network to the outside, by pasta.  Room: broker.
 *
 *	broker ── keeper ── pasta
 *
 * pasta moves what the box sends through ordinary sockets of the host; it
 * adds no route and no rule there, and it locks itself up.  The keeper is a
 * fork of the broker that has only one thing to do: to end pasta when the
 * broker closes its pipe, or is gone.  pasta changes its credentials, so that
 * no death signal of ours would last. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC	(1U << 2)
#endif

/* A folder that every host has and that pasta needs nothing from. */
#define OUTSIDE_DIR	"/mnt"
#define OUTSIDE_NET	OUTSIDE_DIR "/net"
#define OUTSIDE_USER	OUTSIDE_DIR "/user"

#define OUTSIDE_DEVICE	"/dev/net/tun"

/* What the keeper has open beside standard streams. */
enum keeper_fd { KEEPER_LIFE = 3, KEEPER_NET, KEEPER_USER, KEEPER_ERR,
	KEEPER_FDS };

_Noreturn static void
outside_exec(const struct broker *b)
{
	static char	*none[] = { NULL };
	int		 sig;
	const char	*argv[] = { b->conf->pasta, "-f", "-q", "--config-net",
			    /* no port of the host's loopback in there, none
			     * of the box's out here */
			    "-t", "none", "-u", "none", "-T", "none",
			    "-U", "none", "--no-map-gw",
			    "--no-netns-quit", "-I", "eth0",
			    "--runas", "0:0", "--netns", OUTSIDE_NET,
			    "--userns", OUTSIDE_USER, NULL };

	/* it does not start when some of them are ignored */
	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	if (setsid() == -1 || dup2(KEEPER_ERR, 1) == -1 ||
	    dup2(KEEPER_ERR, 2) == -1 ||
	    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == -1 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1)
		_exit(127);
	execve(argv[0], (char *const *)argv, none);
	dprintf(2, "%s: %s", argv[0], strerror(errno));
	_exit(127);
}

static int
outside_keeper_fds(const int from[KEEPER_FDS])
{
	int	fd, high[KEEPER_FDS];

	/* out of the way of the numbers they are to have */
	for (fd = KEEPER_LIFE; fd < KEEPER_FDS; fd++)
		if ((high[fd] = fcntl(from[fd], F_DUPFD_CLOEXEC,
		    KEEPER_FDS)) == -1)
			return -1;
	for (fd = KEEPER_LIFE; fd < KEEPER_FDS; fd++)
		if (dup2(high[fd], fd) == -1)
			return -1;
	return (int)syscall(SYS_close_range, (unsigned)KEEPER_FDS, ~0U, 0U);
}

static int
outside_bind(int fd, const char *path)
{
	char		from[32];
	apw_autofd int	to = open(path, O_WRONLY | O_CREAT | O_EXCL |
			    O_CLOEXEC, 0444);

	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	return to == -1 ? -1 : mount(from, path, NULL, MS_BIND, NULL);
}

/* Names for the box's namespaces, for pasta only: the box's own entries in
 * /proc are closed to it by then. */
static int
outside_names(void)
{
	return unshare(CLONE_NEWNS) == -1 || mount("none", OUTSIDE_DIR,
	    "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0755,size=64k") ==
	    -1 || outside_bind(KEEPER_NET, OUTSIDE_NET) == -1 ||
	    outside_bind(KEEPER_USER, OUTSIDE_USER) == -1 ? -1 : 0;
}

_Noreturn static void
outside_keeper(const struct broker *b, const int fds[KEEPER_FDS])
{
	struct pollfd	p[2] = { { .fd = KEEPER_LIFE },
			    { .events = POLLIN } };
	pid_t		pid;

	signal(SIGTERM, SIG_IGN);
	prctl(PR_SET_NAME, "apw-outside");
	if (outside_keeper_fds(fds) == -1)
		_exit(127);
	if (outside_names() == -1) {
		dprintf(KEEPER_ERR, "cannot name a box's namespaces below "
		    "%s: %s", OUTSIDE_DIR, strerror(errno));
		_exit(127);
	}
	if ((pid = fork()) == -1)
		_exit(127);
	if (pid == 0)
		outside_exec(b);
	caps_drop(false);
	close(KEEPER_ERR);
	p[1].fd = (int)syscall(SYS_pidfd_open, pid, 0);
	while (p[1].fd != -1 && poll(p, 2, -1) == -1 && errno == EINTR)
		;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	_exit(0);
}

int
outside_hold(const struct broker *b, unsigned flags, pid_t box,
    struct outside *o, struct apw_err *err)
{
	char	path[48];

	/* pasta reads what the box sends: it is not to be the host's root */
	if (!user_own(b, flags))
		return apw_err_set(err, 0, "a plain engine's network is led "
		    "outside only where the daemon is an ordinary user; the "
		    "process modes have no such limit");
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)box);
	o->net_fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)box);
	o->user_fd = open(path, O_RDONLY | O_CLOEXEC);
	return o->net_fd != -1 && o->user_fd != -1 ? 0 :
	    apw_err_set(err, errno, "cannot hold a box's network");
}

/* pasta would only say that it "failed to open tun socket". */
static int
outside_device(struct apw_err *err)
{
	apw_autofd int	fd = open(OUTSIDE_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd != -1)
		return 0;
	return apw_err_set(err, errno, "pasta needs %s%s", OUTSIDE_DEVICE,
	    errno == EACCES ? ", which is not this user's to open (mode 0666, "
	    "or a group of the daemon's user)" : errno == ENOENT ? ", which "
	    "is not there (modprobe tun; in a container --device)" : "");
}

int
outside_start(const struct broker *b, struct outside *o, struct apw_err *err)
{
	int	life[2], text[2];

	if (b->conf->pasta == NULL)
		return apw_err_set(err, 0, "there is no pasta (Debian's "
		    "package passt) on PATH");
	if (outside_device(err) == -1)
		return -1;
	if (pipe2(life, O_CLOEXEC) == -1)
		return apw_err_set(err, errno, "no pipe for pasta");
	apw_autofd int life_r = life[0];
	o->life_fd = life[1];
	if (pipe2(text, O_CLOEXEC | O_NONBLOCK) == -1)
		return apw_err_set(err, errno, "no pipe for pasta");
	o->text_fd = text[0];
	apw_autofd int text_w = text[1];
	const int fds[KEEPER_FDS] = { [KEEPER_LIFE] = life_r,
	    [KEEPER_NET] = o->net_fd,
	    [KEEPER_USER] = o->user_fd, [KEEPER_ERR] = text_w };
	o->keeper = fork();
	if (o->keeper == 0)
		outside_keeper(b, fds);
	if (o->keeper == -1) {
		o->keeper = 0;
		return apw_err_set(err, errno, "cannot fork for pasta");
	}
	return 0;
}

/* The last line that pasta wrote. */
static int
outside_why(int fd, struct apw_err *err)
{
	char	 text[2048], *line;
	ssize_t	 n = read(fd, text, sizeof(text) - 1);

	if (n <= 0)
		return apw_err_set(err, 0, "pasta has ended");
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	text[n] = '\0';
	line = strrchr(text, '\n');
	return apw_err_set(err, 0, "pasta: %.200s",
	    line != NULL ? line + 1 : text);
}

int
outside_wait(const struct outside *o, int talk_fd, int64_t ms,
    struct apw_err *err)
{
	struct pollfd	p[2] = { { .fd = talk_fd, .events = POLLIN },
			    { .fd = o->text_fd } };
	int		n = poll(p, 2, (int)ms);

	if (n <= 0)
		return apw_err_set(err, n == 0 ? ETIMEDOUT : errno, "a box");
	/* pasta holds the other end as long as it lives */
	if (p[0].revents == 0 && (p[1].revents & POLLHUP) != 0)
		return outside_why(o->text_fd, err);
	return 0;
}

void
outside_stop(struct outside *o)
{
	int	*fds[] = { &o->life_fd, &o->text_fd,
		    &o->net_fd, &o->user_fd };
	size_t	 i;

	for (i = 0; i < APW_COUNT(fds); i++) {
		if (*fds[i] != -1)
			close(*fds[i]);
		*fds[i] = -1;
	}
	if (o->keeper != 0)
		waitpid(o->keeper, NULL, 0);
	o->keeper = 0;
}
