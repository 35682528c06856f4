/* Making a box, and its end.  Room: broker.
 *
 * The first process is cloned from inside the template namespace, so that it
 * starts in a copy of it; it waits until its uid maps are written, sets up
 * the rest itself (inside.c), and reports over one socket that closes when
 * the engine runs.  It is made a child of the slot, not of the broker. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker/broker_priv.h"
#include "core/apw_auto.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME	0x00000080
#endif

#define BOX_START_MS	5000
#define BOX_END_MS	2000
#define BOX_STEP_TEXT(name, text)	text,

static const char *const box_steps[] = { BOX_STEPS(BOX_STEP_TEXT) };

/* Returns the pid, 0 in the box. */
static pid_t
box_clone(unsigned flags, int *pidfd)
{
	struct clone_args	args = {
		.flags = CLONE_PIDFD | CLONE_PARENT | CLONE_NEWUSER |
		    CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
		    CLONE_NEWCGROUP | CLONE_NEWTIME,
		.pidfd = (uintptr_t)pidfd,
	};

	if ((flags & APW_BOX_OWN_NET) != 0)
		args.flags |= CLONE_NEWNET;
	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static int
box_word_error(const struct box_word *w, struct apw_err *err)
{
	if (w->step < 0 || w->step >= BOX_NSTEPS)
		return apw_err_set(err, EPROTO, "a box broke off");
	return apw_err_set(err, w->error, "a box %s", box_steps[w->step]);
}

/* Until the engine runs (the socket closes), or a step failed. */
static int
box_listen(int talk_fd, bool own_net, int *out, int *nout,
    struct apw_err *err)
{
	struct box_word	w;
	int		fds[BROKER_FDS_MAX], nfds;
	ssize_t		n;

	for (;;) {
		if (message_wait(talk_fd, BOX_START_MS) != 1)
			return apw_err_set(err, ETIMEDOUT, "a box");
		n = message_recv(talk_fd, &w, sizeof(w), fds, &nfds);
		if (n == 0 || (n == -1 && errno == ECONNRESET))
			break;
		if (n == sizeof(w) && w.step == -1 && nfds == 2 && own_net &&
		    *nout == 1) {
			out[(*nout)++] = fds[0];
			out[(*nout)++] = fds[1];
			continue;
		}
		while (nfds > 0)
			close(fds[--nfds]);
		if (n != sizeof(w))
			return apw_err_set(err, n == -1 ? errno : EPROTO,
			    "a box");
		return box_word_error(&w, err);
	}
	if (own_net && *nout != 3)
		return apw_err_set(err, 0, "a box gave no listeners");
	return 0;
}

/* The box is there: give it its uid, let it go, hear how it went. */
static int
box_raise(struct broker *b, const struct box_plan *plan, int talk_fd,
    int *out, int *nout, struct apw_err *err)
{
	if (user_map(b, b->pid, err) == -1)
		return -1;
	if (message_send(talk_fd, "", 1, NULL, 0) == -1)
		return apw_err_set(err, errno, "cannot tell a box to go on");
	return box_listen(talk_fd, (plan->flags & APW_BOX_OWN_NET) != 0, out,
	    nout, err);
}

/* In the template's namespace only for the time of a clone. */
static int
box_fork(struct broker *b, struct box_plan *plan, struct apw_err *err)
{
	int	error;

	if (setns(b->template_fd, CLONE_NEWNS) == -1)
		return apw_err_set(err, errno, "cannot enter the template");
	b->pid = box_clone(plan->flags, &b->pidfd);
	if (b->pid == 0)
		inside_main(plan);
	error = errno;
	if (setns(b->home_fd, CLONE_NEWNS) == -1)
		return apw_err_set(err, errno, "cannot leave the template");
	if (b->pid == -1) {
		b->pid = 0;
		b->pidfd = -1;
		return apw_err_set(err, error, "cannot clone a box");
	}
	return 0;
}

int
box_boot(struct broker *b, const struct broker_request *rq, const int fds[4],
    int out[3], int *nout, struct apw_err *err)
{
	struct box_plan	plan = { .b = b, .flags = rq->flags,
			    .memory_bytes = rq->memory_bytes,
			    .command_fd = fds[0], .out_fd = fds[1],
			    .err_fd = fds[2], .status_fd = fds[3] };
	int		talk[2], life[2], rc;

	if (cgroup_limit(b->cgroup, &b->conf->limits, rq->memory_bytes,
	    err) == -1)
		return -1;
	cgroup_mark(b->cgroup);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, talk) == -1)
		return apw_err_set(err, errno, "no socket for a box");
	apw_autofd int ours = talk[0];
	apw_autofd int theirs = talk[1];
	if (pipe2(life, O_CLOEXEC) == -1)
		return apw_err_set(err, errno, "no pipe for a box");
	apw_autofd int life_r = life[0];
	b->life_fd = life[1];
	apw_autofd int canary = -1;
	if ((rq->flags & APW_BOX_OWN_NET) != 0 &&
	    (canary = attest_canary(&plan.canary_port)) == -1)
		return apw_err_set(err, errno, "cannot listen on the host's "
		    "loopback, to prove that a box does not reach it");
	plan.talk_fd = theirs;
	plan.life_fd = life_r;
	rc = box_fork(b, &plan, err);
	close(apw_take_fd(&theirs));
	if (b->pidfd != -1)
		out[(*nout)++] = b->pidfd;
	if (rc == 0)
		rc = box_raise(b, &plan, ours, out, nout, err);
	if (rc == -1)
		box_kill(b);
	return rc;
}

void
box_kill(struct broker *b)
{
	if (b->pid != 0)
		syscall(SYS_pidfd_send_signal, b->pidfd, SIGKILL, NULL, 0);
}

/* Its init has ended, and with it all that was in there. */
int
box_end(struct broker *b, struct apw_box_end *end, struct apw_err *err)
{
	int	late = 0;

	if (b->pid != 0 && message_wait(b->pidfd, BOX_END_MS) != 1)
		late = apw_err_set(err, EBUSY, "the box has not ended");
	if (late == 0) {
		cgroup_evidence(b->cgroup, end);
		lane_clear(b);
		b->pid = 0;
	}
	if (late == 0 && b->pidfd != -1) {
		close(b->pidfd);
		b->pidfd = -1;
	}
	if (b->life_fd != -1) {
		close(b->life_fd);
		b->life_fd = -1;
	}
	return late;
}
